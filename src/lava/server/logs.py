"""The stored logs of jobs: a file of lines for each, and an index of where its lines start.

The database says how much of a file counts; what stands behind that was written by a transaction that did not come to
its end, and is overwritten by the next.  Source: server 11.1.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from lava.server.models import TestJob

_ENTRY = 8


class JobFiles:
    """The directory of one job."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def of(cls, job: TestJob) -> JobFiles:
        """Return the files of a job."""
        day = job.submit_time.strftime("%Y/%m/%d")
        return cls(Path(settings.MEDIA_ROOT) / "job-output" / day / str(job.pk))

    @property
    def log(self) -> Path:
        return self.directory / "output.yaml"

    @property
    def index(self) -> Path:
        """Offset of each line, as unsigned 64-bit integers in native order."""
        return self.directory / "output.idx"

    def flush(self) -> None:
        """Return when everything that was written is on the disk."""
        for path in (self.log, self.index):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # the job was deleted
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes from the offset on; may end within a line."""
        try:
            with self.log.open("rb") as file:
                return os.pread(file.fileno(), limit, offset)
        except FileNotFoundError:
            return b""

    def lines(self, first: int, last: int, *, length: int, count: int) -> bytes:
        """Return the lines from ``first`` up to but without ``last``.

        Args:
            length: bytes of the log that count.
            count: lines that count.
        """
        first, last = max(0, first), min(last, count)
        if first >= last:
            return b""
        start = self.offset_of_line(first)
        end = length if last == count else self.offset_of_line(last)
        return self.read(start, end - start)

    def offset_of_line(self, number: int) -> int:
        """Return where a line starts."""
        with self.index.open("rb") as file:
            entry = array("Q", os.pread(file.fileno(), _ENTRY, number * _ENTRY))
        return entry[0]

    def write(self, name: str, text: str) -> None:
        """Keep a file of the job: what was sent to the worker, or came back."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / name).write_text(text, encoding="utf-8")

    def text(self, name: str) -> str | None:
        """Return a file of the job, or None."""
        try:
            return (self.directory / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Addition:
    """Whole lines that are to be added to a log; safe to write again."""

    files: JobFiles
    #: bytes of the log that count so far
    offset: int
    #: lines that count so far
    line: int
    data: bytes

    def write(self, *, flush: bool) -> None:
        """Write the lines, and where each of them starts.

        Args:
            flush: return only when they are on the disk.

        Raises:
            OSError: the disk does not let us.
        """
        try:
            self._write()
        except FileNotFoundError:
            self.files.directory.mkdir(parents=True, exist_ok=True)
            self._write()
        if flush:
            self.files.flush()

    def _write(self) -> None:
        _write(self.files.log, self.offset, self.data)
        _write(self.files.index, self.line * _ENTRY, _line_starts(self.offset, self.data).tobytes())


def write_each(additions: Sequence[Addition]) -> None:
    """Make additions durable, each by itself: for a process that has no journal of its own.

    Raises:
        OSError: the disk does not let us.
    """
    for addition in additions:
        addition.write(flush=True)


def _line_starts(offset: int, chunk: bytes) -> array[int]:
    starts = array("Q")
    place = 0
    while place < len(chunk):
        starts.append(offset + place)
        place = chunk.find(b"\n", place) + 1
        if place == 0:
            break
    return starts


def _write(path: Path, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
        os.ftruncate(descriptor, offset)
    finally:
        os.close(descriptor)
