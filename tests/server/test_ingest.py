"""Every line once: whatever is sent again, cut, lost, or nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from lava.model.logline import Level, LogLine, encode
from lava.server.actions import ingest
from lava.server.logs import JobFiles
from lava.server.models import DeviceType, TestJob, Worker
from lava.server.results.models import TestCase

pytestmark = pytest.mark.django_db

Submit = Callable[..., TestJob]
Store = Callable[[int, int, bytes], int | None]


def line(level: str, message: object) -> bytes:
    return b"- " + json.dumps({"dt": "2026-01-02T03:04:05.000006+00:00", "lvl": level, "msg": message}).encode() + b"\n"


def result(**record: object) -> bytes:
    return line("results", {"definition": "0_tests", "case": "one", "result": "pass", **record})


LOG = b"".join(
    [
        line("info", "start: 0 validate"),
        line("target", "[    0.000000] Linux version"),
        result(case="one"),
        result(case="two", result="fail", measurement="4.25", units="s", set="files"),
        line("target", "häßlich \u2028 \x00"),
        result(definition="lava", case="login-action", duration="3.50"),
        result(definition="lava", case="job", result="fail", error_type="Test", error_msg="a test failed"),
    ]
)


def stored(job: TestJob) -> bytes:
    job.refresh_from_db()
    return JobFiles.of(job).read(0, job.log_length)


def test_lines_and_results_are_stored(submit: Submit, store: Store) -> None:
    job = submit()
    assert store(job.pk, 0, LOG) == len(LOG)
    assert stored(job) == LOG
    assert (job.log_length, job.log_lines) == (len(LOG), LOG.count(b"\n"))
    cases = TestCase.objects.filter(suite__job=job).order_by("pk")
    assert [case.name for case in cases] == ["one", "two", "login-action", "job"]
    two = cases[1]
    assert (two.result, float(two.measurement or 0), two.units) == (1, 4.25, "s")
    assert two.test_set is not None
    assert two.test_set.name == "files"
    assert float(cases[2].measurement or 0) == 3.5
    assert (job.passed, job.error_type, job.error_msg) == (False, "Test", "a test failed")


def test_what_is_stored_already_is_left_out(submit: Submit, store: Store) -> None:
    job = submit()
    half = LOG.index(b"\n", len(LOG) // 2) + 1
    assert store(job.pk, 0, LOG[:half]) == half
    assert store(job.pk, 0, LOG[:half]) == half
    assert store(job.pk, 0, LOG) == len(LOG)
    assert store(job.pk, half, LOG[half:]) == len(LOG)
    assert stored(job) == LOG
    assert TestCase.objects.filter(suite__job=job).count() == 4


def test_nothing_is_taken_behind_a_gap(submit: Submit, store: Store) -> None:
    job = submit()
    assert store(job.pk, 100, LOG) == 0
    assert stored(job) == b""


def test_half_a_line_waits_for_its_other_half(submit: Submit, store: Store) -> None:
    job = submit()
    first = LOG.index(b"\n") + 1
    assert store(job.pk, 0, LOG[: first + 20]) == first
    assert store(job.pk, 0, LOG[: first - 5]) == first
    assert store(job.pk, first, LOG[first:]) == len(LOG)
    assert stored(job) == LOG


def test_a_job_that_nobody_knows(db: None, store: Store) -> None:
    assert store(4711, 0, LOG) is None


def test_bytes_of_a_transaction_that_failed_do_not_count(submit: Submit, store: Store) -> None:
    """The master is killed, or the database goes away, after the bytes are on disk and before the commit."""
    job = submit()

    def fail_late() -> None:
        with transaction.atomic():
            store(job.pk, 0, LOG.replace(b"Linux", b"Minix"))
            raise DatabaseError("gone")

    with pytest.raises(DatabaseError):
        fail_late()
    assert stored(job) == b""
    assert TestCase.objects.count() == 0
    assert store(job.pk, 0, LOG) == len(LOG)
    assert stored(job) == LOG
    assert JobFiles.of(job).log.read_bytes() == LOG


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (line("results", "no mapping"), "a result must be a mapping"),
        (line("results", {"case": "x", "result": "pass"}), "a result lacks 'definition'"),
        (result(result="perhaps"), "'perhaps' is no result (0_tests/one)"),
        (result(measurement="many"), "'many' is no number"),
        (result(measurement="1e400"), "'1e400' is no number that can be stored"),
        (result(measurement="NaN"), "'NaN' is no number that can be stored"),
        (result(set="a/b"), "invalid test set name 'a/b'"),
        (b'- {"lvl": "results", not JSON\n', ""),
    ],
)
def test_a_bad_record_costs_no_line_and_is_told(submit: Submit, bad: bytes, complaint: str, store: Store) -> None:
    job = submit()
    assert store(job.pk, 0, bad + LOG) == len(bad) + len(LOG)
    assert stored(job) == bad + LOG
    assert TestCase.objects.filter(suite__job=job, name="two").exists()
    assert complaint in (job.failure_comment or "")
    assert job.failure_comment


@pytest.mark.parametrize(
    "record",
    [
        {"case": "nul \x00 in it"},
        {"units": "\x00"},
        {"set": "s\x00"},
        {"starttc": 10**30, "endtc": -1},
        {"measurement": "1.2345678901234567890123456789012345678901234567890"},
        {"measurement": "99999999999999999999.9999999999999"},
        {"case": "x" * 5000, "definition": "y" * 5000},
        {"extra": {"deep": ["\x00", {"k": "\ud83d\ude00"}]}},
        {"definition": "lava", "case": "job", "error_msg": "\x00" * 9, "error_type": "\x00"},
        {"definition": "lava", "case": "job", "error_type": "z" * 500},
        {"error_msg": "m" * 100_000},
    ],
)
def test_no_record_stops_the_log(submit: Submit, record: dict[str, object], store: Store) -> None:
    """A slave sends a chunk until it is taken: one that can never be would stop the job for good."""
    job = submit()
    chunk = result(**record) + LOG
    assert store(job.pk, 0, chunk) == len(chunk)
    assert stored(job) == chunk
    assert TestCase.objects.filter(suite__job=job, name="two").exists()


class AnyCuttingTest(HypothesisTestCase):
    """Chunks of any size, each sent any number of times, from any offset that is known to the sender."""

    @given(st.lists(st.tuples(st.integers(0, len(LOG)), st.integers(0, len(LOG))), max_size=12))
    def test_the_log_is_always_a_beginning_of_what_was_written(self, sent: list[tuple[int, int]]) -> None:
        kind, _ = DeviceType.objects.get_or_create(pk="qemu")
        from django.contrib.auth.models import User

        user, _ = User.objects.get_or_create(username="anybody")
        worker, _ = Worker.objects.get_or_create(pk="worker-1")
        job = TestJob.objects.create(submitter=user, requested_device_type=kind, actual_worker=worker)

        def store(offset: int, lines: bytes) -> int | None:
            (answer,) = ingest.store_chunks([ingest.Chunk("worker-1", str(job.pk), offset, lines)])
            return answer

        starts = [0, *(index + 1 for index, byte in enumerate(LOG) if byte == 0x0A)]
        for at, size in sent:
            offset = max(start for start in starts if start <= at)
            following = store(offset, LOG[offset : offset + size])
            assert following in starts
        text = stored(job)
        assert text == LOG[: len(text)]
        assert job.log_lines == text.count(b"\n")
        assert TestCase.objects.filter(suite__job=job).count() == text.count(b'"results"')
        assert store(len(text), LOG[len(text) :]) == len(LOG)
        assert stored(job) == LOG


def test_lines_are_found_by_number(submit: Submit, store: Store) -> None:
    job = submit()
    lines = [encode(LogLine(datetime.now(UTC), Level.TARGET, f"line {number}")) for number in range(100)]
    for start in range(0, 100, 7):
        offset = sum(len(each) for each in lines[:start])
        store(job.pk, offset, b"".join(lines[start : start + 7]))
    job.refresh_from_db()
    files = JobFiles.of(job)
    for first, last in ((0, 100), (0, 1), (13, 14), (50, 100), (99, 400), (100, 101), (7, 3)):
        found = files.lines(first, last, length=job.log_length, count=job.log_lines)
        assert found == b"".join(lines[first:last])
