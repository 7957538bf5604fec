"""The journal of the log store: what was made durable is there after a power cut, whatever the files have lost.

A power cut is simulated: the files of the jobs go back to any earlier length, as those of a file system do that had not
written them yet; the journal has what was flushed, and may have any part of what was not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.server import log_journal
from lava.server.log_journal import JournalInUseError, LogJournal
from lava.server.logs import Addition, JobFiles, write_each


class Store:
    """Jobs with logs that grow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.texts: dict[int, bytes] = {}

    def files(self, job: int) -> JobFiles:
        return JobFiles(self.root / "jobs" / str(job))

    def addition(self, job: int, lines: int, width: int = 10) -> Addition:
        text = self.texts.get(job, b"")
        first = text.count(b"\n")
        new = b"".join(b"- %d %s\n" % (number, b"x" * width) for number in range(first, first + lines))
        self.texts[job] = text + new
        return Addition(self.files(job), len(text), first, new)

    def check(self) -> None:
        """Everything that was made durable is there, and the index finds each line."""
        for job, text in self.texts.items():
            files = self.files(job)
            assert files.read(0, len(text) + 1000)[: len(text)] == text
            lines = text.splitlines(keepends=True)
            for number in range(0, len(lines), 7):
                assert files.lines(number, number + 1, length=len(text), count=len(lines)) == lines[number]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[LogJournal]:
    journal = LogJournal(tmp_path / "journal")
    yield journal
    journal.close()


def power_cut(journal: LogJournal) -> None:
    """Leave it as a machine does that loses power: nothing more is written."""
    journal._flusher.shutdown()
    journal._lock.close()


STEPS = st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), min_size=1, max_size=4), max_size=8)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, losses=st.lists(st.floats(0, 1), min_size=6, max_size=6), torn=st.binary(max_size=200))
def test_after_a_power_cut_everything_is_there_that_was_made_durable(
    steps: list[list[tuple[int, int]]], losses: list[float], torn: bytes
) -> None:
    root = Path(tempfile.mkdtemp(prefix="lava-journal-"))
    try:
        store, journal = Store(root), LogJournal(root / "journal")
        for step in steps:
            for job, lines in step:
                journal.write([store.addition(job, lines)])
        power_cut(journal)
        paths = sorted(root.glob("jobs/*/*"))
        for path, loss in zip(paths, losses, strict=False):
            with path.open("r+b") as file:
                file.truncate(int(path.stat().st_size * loss))
        with (root / "journal" / "a").open("ab") as file:
            file.write(torn)  # a record that was on its way
        LogJournal(root / "journal").close()
        store.check()
    finally:
        shutil.rmtree(root)


def test_several_jobs_in_one_go(store: Store, journal: LogJournal) -> None:
    journal.write([store.addition(job, 3) for job in range(50)])
    journal.write([store.addition(job, 2) for job in range(50)])
    store.check()


def test_what_is_large_goes_to_its_file_alone(store: Store, journal: LogJournal, tmp_path: Path) -> None:
    journal.write([store.addition(1, 10, width=log_journal.LARGE_BYTES), store.addition(2, 1)])
    store.check()
    assert (tmp_path / "journal" / "a").stat().st_size < 1000


def test_a_full_journal_is_put_aside_and_emptied(
    store: Store, journal: LogJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_journal, "FULL_BYTES", 2000)
    for _ in range(100):
        journal.write([store.addition(1, 5), store.addition(2, 1)])
    sizes = [(tmp_path / "journal" / name).stat().st_size for name in ("a", "b")]
    assert max(sizes) < 20_000
    store.check()


def test_a_closed_journal_is_empty(store: Store, tmp_path: Path) -> None:
    journal = LogJournal(tmp_path / "journal")
    journal.write([store.addition(1, 5)])
    journal.close()
    assert [(tmp_path / "journal" / name).stat().st_size for name in ("a", "b")] == [0, 0]
    store.check()


def test_one_process_at_a_time_has_it(journal: LogJournal, tmp_path: Path) -> None:
    with pytest.raises(JournalInUseError):
        LogJournal(tmp_path / "journal")


def test_a_job_that_was_deleted_does_not_come_back(store: Store, tmp_path: Path) -> None:
    journal = LogJournal(tmp_path / "journal")
    journal.write([store.addition(1, 5)])
    power_cut(journal)
    shutil.rmtree(tmp_path / "jobs" / "1")
    LogJournal(tmp_path / "journal").close()
    assert not (tmp_path / "jobs" / "1").exists()


def test_without_a_journal_each_file_is_flushed(store: Store) -> None:
    write_each([store.addition(job, 3) for job in (1, 2, 1)])
    store.check()
