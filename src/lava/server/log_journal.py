"""Make the new lines of many jobs durable by waiting once for the disk.

Lines go to a journal, which is flushed, and then to the files of their jobs, which are not: the system writes those in
its own time.  After a crash of the machine the files are mended from the journal.  A journal that has grown large or
old is put aside, the files that it speaks of are flushed, and it is emptied.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .logs import Addition, JobFiles

_log = logging.getLogger("lava-master")

#: what is larger goes to its file at once, which is flushed: writing it twice would cost more than waiting
LARGE_BYTES = 64 * 1024
#: a journal is put aside when it is so large, or so old
FULL_BYTES = 64 * 1024 * 1024
OLD_SECONDS = 30.0
_LONGEST_HEADER = 4096


class JournalInUseError(Exception):
    """Another process writes the journal."""


@dataclass(slots=True)
class _Half:
    """One of the two files between which the journal changes."""

    descriptor: int
    size: int = 0
    since: float = 0.0
    #: files that were written and not flushed since it was begun
    files: dict[Path, JobFiles] = field(default_factory=dict)


class LogJournal:
    """Writes additions to logs; one process at a time has it."""

    def __init__(self, directory: Path) -> None:
        """Take the journal of a directory, and mend the logs that it speaks of.

        Raises:
            JournalInUseError: another process has it.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = (directory / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise JournalInUseError(f"another master writes {directory}") from None
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._halves = [_Half(os.open(directory / name, flags, 0o600)) for name in ("a", "b")]
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="log flusher")
        self._flushing: Future[None] | None = None
        for half in self._halves:
            _mend(half)
            _empty(half)

    def write(self, additions: Sequence[Addition]) -> None:
        """Make the additions durable.

        Raises:
            OSError: the disk does not let us; nothing of them counts.
        """
        small = [addition for addition in additions if len(addition.data) < LARGE_BYTES]
        for addition in additions:
            if len(addition.data) >= LARGE_BYTES:
                addition.write(flush=True)
        if not small:
            return
        half = self._halves[0]
        half.since = half.since or time.monotonic()
        records = b"".join(map(_record, small))
        _write_all(half.descriptor, records)
        os.fdatasync(half.descriptor)
        half.size += len(records)
        for addition in small:
            addition.write(flush=False)
            half.files[addition.files.directory] = addition.files
        if half.size > FULL_BYTES or time.monotonic() - half.since > OLD_SECONDS:
            self._change()

    def _change(self) -> None:
        """Begin the other half and empty this one; later, if that is still being done for the other."""
        if self._flushing is not None:
            if not self._flushing.done():
                return
            self._flushing.result()
        self._halves.reverse()
        self._flushing = self._flusher.submit(_flush, self._halves[1])

    def close(self) -> None:
        """Flush everything; then the journal is empty."""
        self._flusher.shutdown()
        for half in self._halves:
            _flush(half)
            os.close(half.descriptor)
        self._lock.close()


def _record(addition: Addition) -> bytes:
    header = {
        "directory": str(addition.files.directory),
        "offset": addition.offset,
        "line": addition.line,
        "length": len(addition.data),
        "crc": zlib.crc32(addition.data),
    }
    return json.dumps(header).encode() + b"\n" + addition.data


def _flush(half: _Half) -> None:
    for files in half.files.values():
        files.flush()
    _empty(half)


def _empty(half: _Half) -> None:
    os.ftruncate(half.descriptor, 0)
    half.files, half.size, half.since = {}, 0, 0.0


def _mend(half: _Half) -> None:
    """Write everything again that the journal holds."""
    for addition in _read(half.descriptor):
        if addition.files.directory.is_dir():  # the job may have been deleted
            addition.write(flush=False)
            half.files[addition.files.directory] = addition.files
    for files in half.files.values():
        files.flush()
    if half.files:
        _log.info("the logs of %s jobs were checked after a stop without notice", len(half.files))


def _read(descriptor: int) -> Iterator[Addition]:
    """Yield the records up to the first one that was not written whole."""
    place = 0
    while header := os.pread(descriptor, _LONGEST_HEADER, place):
        head, newline, _ = header.partition(b"\n")
        try:
            about = json.loads(head)
            data = os.pread(descriptor, about["length"], place + len(head) + 1)
            if not newline or len(data) != about["length"] or zlib.crc32(data) != about["crc"]:
                return
            addition = Addition(JobFiles(Path(about["directory"])), about["offset"], about["line"], data)
        except (ValueError, TypeError, KeyError):
            return
        yield addition
        place += len(head) + 1 + len(data)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
