"""An append-only file of lines.

Whoever writes the file owns it: one writer, any number of readers, in any processes.  A line is there when its
newline is there; what a crash left behind the last newline is cut when the file is opened for writing, and readers
never see it.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

_BLOCK = 1 << 16


class LogFile:
    """The writing end.

    Raises:
        OSError: the directory is not writable, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self.size = cut_torn_line(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise

    def append(self, lines: bytes) -> int:
        """Write whole lines and return the offset of the first; a failed write leaves no half line behind.

        Args:
            lines: one or more lines, each with its newline.
        """
        start = self.size
        view = memoryview(lines)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise
        self.size += len(lines)
        return start

    def close(self) -> None:
        """Close the file; the lines are with the kernel since :meth:`append` returned."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def cut_torn_line(descriptor: int) -> int:
    """Cut what stands behind the last newline and return the size that is left."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def read_lines(path: Path, offset: int, limit: int) -> bytes:
    """Return whole lines that start at ``offset``: about ``limit`` bytes, or the one line that is longer.

    An unfinished last line is left out; nothing there yet, or no file, is ``b""``.

    Args:
        offset: bytes from the start of the file; the start of a line.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        block = os.pread(descriptor, limit, offset)
        end = block.rfind(b"\n")
        while end < 0 and block:
            more = os.pread(descriptor, limit, offset + len(block))
            if not more:
                return b""
            newline = more.find(b"\n")
            end = len(block) + newline if newline >= 0 else -1
            block += more
        return block[: end + 1]
    finally:
        os.close(descriptor)
