"""Store what slaves send of logs, each line once: durable point E of a job's path.

One transaction checks the offset, writes the bytes, stores the results and moves the offset.  The bytes are on disk
before the database says that they count; if the transaction fails, the next attempt writes the same bytes to the same
place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml
from django.db import DataError, IntegrityError, transaction

from lava.model.logline import Level, LogLineError, decode
from lava.model.results import JOB_SUITE, Outcome, Result, ResultError, parse_result
from lava.server import wake
from lava.server.logs import JobFiles
from lava.server.models import TestJob
from lava.server.results.models import OUTCOMES, TestCase, TestSet, TestSuite

from .lifecycle import job_on

#: metadata longer than this is cut down.  Source: server 9.1
METADATA_LIMIT = 4096
_RESULT_LINE = b'"lvl": "results"'


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines that a worker sent."""

    worker: str
    #: id that people use
    job: str
    #: bytes of the job's log before them
    offset: int
    lines: bytes


def store_chunks(chunks: Sequence[Chunk]) -> list[int | None]:
    """Store chunks in their order; return for each the next offset, or None when the worker runs no such job."""
    jobs: dict[tuple[str, str], int | None] = {}
    answers: list[int | None] = []
    for chunk in chunks:
        key = (chunk.worker, chunk.job)
        if key not in jobs:
            jobs[key] = job_on(*key)
        job = jobs[key]
        answers.append(None if job is None else store_log(job, chunk.offset, chunk.lines))
    return answers


@transaction.atomic
def store_log(job_id: int, offset: int, chunk: bytes) -> int | None:
    """Store whole lines and return the next offset that is expected; None when there is no such job.

    Lines that are stored already are left out, lines behind a gap are not taken: the answer says from where to send.

    Args:
        offset: bytes of the job's log before the chunk; the start of a line.
    """
    job = TestJob.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        return None
    known = job.log_length - offset
    if known < 0 or known >= len(chunk):
        return job.log_length
    chunk = chunk[known:]
    chunk = chunk[: chunk.rfind(b"\n") + 1]
    if not chunk:
        return job.log_length
    lines = JobFiles(job.pk, job.submit_time).append(job.log_length, job.log_lines, chunk)
    complaints = _store_results(job, chunk)
    job.log_length += len(chunk)
    job.log_lines += lines
    fields = ["log_length", "log_lines"]
    if complaints:
        job.failure_comment = _storable("\n".join([*filter(None, [job.failure_comment]), *complaints]))[:10_000]
        fields.append("failure_comment")
    if job.passed is not None:
        fields += ["passed", "error_type", "error_msg"]
    job.save(update_fields=fields)
    wake.announce(wake.LOG, job.pk)
    return job.log_length


def _store_results(job: TestJob, chunk: bytes) -> list[str]:
    """Store the results among the lines, all in a few queries; return what could not be kept."""
    complaints: list[str] = []
    found: list[tuple[Result, datetime]] = []
    for raw in _result_lines(chunk):
        try:
            line = decode(raw)
            if line.level is not Level.RESULTS:
                continue
            result = parse_result(line.message)
        except (LogLineError, ResultError) as error:
            complaints.append(str(error)[:256])
            continue
        if result.complaint:
            complaints.append(result.complaint[:256])
        if result.suite == JOB_SUITE and result.case == "job":
            job.passed = result.outcome is Outcome.PASS
            job.error_type = _storable(result.metadata.get("error_type"))[:40]
            job.error_msg = _storable(result.metadata.get("error_msg"))
        found.append((result, line.when))
    return complaints + _keep(job, found)


def _keep(job: TestJob, found: list[tuple[Result, datetime]]) -> list[str]:
    """Store results together, or one by one if the database refuses one of them: the log goes on in any case."""
    try:
        with transaction.atomic():
            _create(job, found)
    except (DataError, IntegrityError, OverflowError, ValueError) as error:
        if len(found) == 1:
            result = found[0][0]
            return [f"the database refuses the result {result.suite}/{result.case}: {error}"[:256]]
        return [complaint for each in found for complaint in _keep(job, [each])]
    return []


def _create(job: TestJob, found: list[tuple[Result, datetime]]) -> None:
    if found:
        suites = _suites(job, {result.suite[:200] for result, _ in found})
        sets = _sets(suites, {(result.suite[:200], result.test_set) for result, _ in found if result.test_set})
        TestCase.objects.bulk_create(_case(result, when, suites, sets) for result, when in found)


def _storable(value: object) -> str:
    """Return text that every database takes."""
    return str(value or "").replace("\0", "")


def _result_lines(chunk: bytes) -> Iterator[bytes]:
    if _RESULT_LINE in chunk:
        for raw in chunk.splitlines():
            if _RESULT_LINE in raw:
                yield raw


def _suites(job: TestJob, names: set[str]) -> dict[str, TestSuite]:
    TestSuite.objects.bulk_create([TestSuite(job=job, name=name) for name in sorted(names)], ignore_conflicts=True)
    return {suite.name: suite for suite in TestSuite.objects.filter(job=job, name__in=names)}


def _sets(suites: dict[str, TestSuite], names: set[tuple[str, str]]) -> dict[tuple[str, str], TestSet]:
    if not names:
        return {}
    wanted = [TestSet(suite=suites[suite], name=name[:200]) for suite, name in sorted(names)]
    TestSet.objects.bulk_create(wanted, ignore_conflicts=True)
    known = TestSet.objects.filter(suite__in={entry.suite for entry in wanted}).select_related("suite")
    return {(entry.suite.name, entry.name): entry for entry in known}


def _case(
    result: Result, when: datetime, suites: dict[str, TestSuite], sets: dict[tuple[str, str], TestSet]
) -> TestCase:
    suite = result.suite[:200]
    return TestCase(
        name=result.case,
        suite=suites[suite],
        test_set=sets.get((suite, (result.test_set or "")[:200])),
        result=OUTCOMES[result.outcome.value],
        measurement=result.measurement,
        units=result.units,
        metadata=_metadata(result),
        start_log_line=result.start_line,
        end_log_line=result.end_line,
        logged=when,
    )


def _metadata(result: Result) -> str:
    text = yaml.safe_dump(dict(result.metadata), sort_keys=False, allow_unicode=True)
    if len(text) <= METADATA_LIMIT:
        return text
    kept = {
        key: result.metadata[key] for key in ("case", "definition", "result", "error_type") if key in result.metadata
    }
    if "error_msg" in result.metadata:
        kept["error_msg"] = str(result.metadata["error_msg"])[:256]
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
