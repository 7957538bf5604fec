"""The log of a job: numbered lines, masked secrets, one write a batch."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lava.dispatcher.joblog import JobLog
from lava.model.logline import Level
from lava.spool import LogFile


class CountingFile(LogFile):
    """Counts the writes; full after some of them."""

    writes = 0
    full_after = 1000

    def append(self, lines: bytes) -> int:
        self.writes += 1
        if self.writes > self.full_after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().append(lines)


@pytest.fixture
def file(tmp_path: Path) -> CountingFile:
    return CountingFile(tmp_path / "logs.yaml")


def records(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("- ")) for line in (tmp_path / "logs.yaml").read_text().splitlines()]


def test_many_lines_of_one_moment_are_one_write(file: CountingFile, tmp_path: Path) -> None:
    log = JobLog(file)
    log.console("target", [f"line {number}" for number in range(500)])
    assert file.writes == 1
    assert log.line_number == 500
    assert [record["msg"] for record in records(tmp_path)][-1] == "line 499"
    assert len({record["dt"] for record in records(tmp_path)}) == 1
    log.close()


def test_every_line_of_a_text_is_a_line_of_the_log(file: CountingFile, tmp_path: Path) -> None:
    log = JobLog(file)
    log.error("two\nlines")
    number = log.results({"case": "x", "definition": "lava", "result": "pass"})
    assert number == 2
    assert records(tmp_path)[number]["msg"]["case"] == "x"
    assert [record["lvl"] for record in records(tmp_path)] == ["error", "error", "results"]
    log.close()


def test_secrets_are_masked_wherever_they_stand(file: CountingFile, tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\n  c2VjcmV0\nbW9yZQ==\n-----END KEY-----\n"
    log = JobLog(file, secrets=["hunter2", "hunter2-long", key, "ab"])
    log.console("target", ["password hunter2-long and hunter2", "c2VjcmV0", "abc"])
    log.lines(Level.FEEDBACK, ["hunter2"], "other")
    log.debug("calling: curl -u me:hunter2")
    log.results({"case": "x", "extra": {"fail": ["bW9yZQ==", {"deep": "hunter2"}], "n": 5}})
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        log.traceback(error)
    text = (tmp_path / "logs.yaml").read_text()
    for secret in ("hunter2", "c2VjcmV0", "bW9yZQ=="):
        assert secret not in text
    assert records(tmp_path)[0]["msg"] == "password [MASKED] and [MASKED]"
    assert records(tmp_path)[2]["msg"] == "abc"  # two characters would mask half of the log
    assert records(tmp_path)[5]["msg"]["extra"] == {"fail": ["[MASKED]", {"deep": "[MASKED]"}], "n": 5}
    log.close()


def test_signals_are_found_on_their_lines(file: CountingFile) -> None:
    log = JobLog(file)
    log.info("first")
    log.watch_signals()
    log.console("target", ["noise", "<LAVA_SIGNAL_STARTTC a>", "<LAVA_SIGNAL_ENDTC a> <LAVA_SIGNAL_STARTTC b>"])
    log.console("input", ["<LAVA_SIGNAL_ENDTC b>"])
    assert log.line_of_signal("<LAVA_SIGNAL_STARTTC a>") == 2
    assert log.line_of_signal("<LAVA_SIGNAL_ENDTC a>") == 3
    assert log.line_of_signal("<LAVA_SIGNAL_STARTTC b>") == 3
    log.close()


def test_a_signal_that_is_not_found_keeps_those_that_are_there(file: CountingFile) -> None:
    log = JobLog(file)
    log.watch_signals()
    log.console("target", ["<LAVA_SIGNAL_STARTTC a>", "<LAVA_SIGNAL_ENDTC a>"])
    assert log.line_of_signal("<LAVA_SIGNAL_TORN x>") == 2  # its line is still coming
    assert log.line_of_signal("<LAVA_SIGNAL_STARTTC a>") == 0
    assert log.line_of_signal("<LAVA_SIGNAL_ENDTC a>") == 1
    log.close()


def test_a_flood_of_signals_that_nobody_asks_for_is_forgotten(file: CountingFile) -> None:
    log = JobLog(file)
    log.watch_signals()
    for start in range(0, 50_000, 1000):
        log.console("target", [f"<LAVA_SIGNAL_TESTEVENT {number}>" for number in range(start, start + 1000)])
    assert log.line_of_signal("<LAVA_SIGNAL_TESTEVENT 49999>") == 49_999
    assert log.line_of_signal("<LAVA_SIGNAL_TESTEVENT 7>") == log.line_number
    log.close()


def test_whoever_reads_along_gets_every_line_as_json(file: CountingFile, tmp_path: Path) -> None:
    mirror = io.BytesIO()
    log = JobLog(file, mirror=mirror)
    log.console("target", ["- { a", "b"])
    log.info("c")
    lines = [json.loads(line) for line in mirror.getvalue().splitlines()]
    assert lines == records(tmp_path)
    log.close()


def test_whoever_reads_along_may_go_away(file: CountingFile, tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with io.FileIO(theirs, "wb") as mirror:
        log = JobLog(file, mirror=mirror)
        log.info("one")
        log.info("two")
    assert [record["msg"] for record in records(tmp_path)] == ["one", "two"]
    log.close()


def test_a_full_disk_is_told_once_and_ends_the_log(file: CountingFile, tmp_path: Path) -> None:
    told: list[OSError] = []
    file.full_after = 1
    log = JobLog(file, on_failure=told.append)
    for text in ("one", "two", "three"):
        log.info(text)
    assert [error.errno for error in told] == [errno.ENOSPC]
    assert log.failure is told[0]
    assert (log.line_number, file.writes) == (1, 2)
    assert [record["msg"] for record in records(tmp_path)] == ["one"]
    log.close()
