"""What the doctor may look at: files below a root, the mount table, processes, and the answers of a few commands.

Nothing is opened for writing.  No path on a mounted FUSE file system is touched, not even to ask whether it exists:
a V1 worker has the master's files there, and a dead connection would hang whoever asks.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from .commands import Answer, Command, Runner

_MOST_LINKS = 40
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class CannotTell(Exception):
    """Something could not be looked at; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of the mount table."""

    source: str
    point: str
    kind: str

    @property
    def is_remote(self) -> bool:
        """It is a file system in user space, as SSHFS is."""
        return self.kind == "fuse" or self.kind.startswith("fuse.")


@dataclass(frozen=True, slots=True)
class Process:
    """A running process."""

    pid: int
    argv: tuple[str, ...]
    started: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A directory entry."""

    is_link: bool
    #: a link whose target is gone
    is_dangling: bool
    is_directory: bool
    is_executable: bool
    size: int
    modified: datetime


class Machine(Protocol):
    """A machine to look at.  Every method raises :class:`CannotTell` when it is not allowed to look."""

    def read(self, path: str, *, last_bytes: int | None = None) -> str | None:
        """Return a file's text, or None when there is no such file."""

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a directory; none when there is no such directory."""

    def entry(self, path: str) -> Entry | None:
        """Return what the path is, or None when there is nothing."""

    def mounts(self) -> tuple[Mount, ...]:
        """Return the mount table, oldest first."""

    def processes(self) -> tuple[Process, ...]:
        """Return the running processes, without this one."""

    def run(self, command: Command) -> Answer:
        """Return the answer of a command that changes nothing."""

    def now(self) -> datetime:
        """Return the time."""


class Tree:
    """The machine whose files are below a root; ``/`` is this one."""

    def __init__(self, root: Path, runner: Runner, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Look at the mount table first: it says where not to look."""
        self._root = root
        self._runner = runner
        self._clock = clock
        self._closed: tuple[str, ...] = ()
        self._mounts = self._read_mounts()
        self._closed = tuple(mount.point for mount in self._mounts or () if mount.is_remote and mount.point != "/")

    def read(self, path: str, *, last_bytes: int | None = None) -> str | None:
        raw = self._raw(path, last_bytes)
        return None if raw is None else raw.decode("utf-8", "replace")

    def names(self, path: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(self._locate(path))))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise CannotTell(_refusal(path, error)) from error

    def entry(self, path: str) -> Entry | None:
        try:
            status = os.lstat(self._locate(path, follow_last=False))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CannotTell(_refusal(path, error)) from error
        is_link = stat.S_ISLNK(status.st_mode)
        dangling = False
        if is_link:
            try:
                dangling = not os.path.lexists(self._locate(path))
            except (CannotTell, OSError):
                dangling = False  # it points to where nobody may look
        return Entry(
            is_link,
            dangling,
            stat.S_ISDIR(status.st_mode),
            bool(status.st_mode & 0o111),
            status.st_size,
            datetime.fromtimestamp(status.st_mtime, UTC),
        )

    def mounts(self) -> tuple[Mount, ...]:
        if self._mounts is None:
            raise CannotTell("the mount table /proc/mounts cannot be read")
        return self._mounts

    def processes(self) -> tuple[Process, ...]:
        numbers = [int(name) for name in self.names("/proc") if name.isdigit()]
        if not numbers:
            raise CannotTell("there is no list of processes in /proc")
        booted = self._boot_time()
        found = []
        for pid in sorted(numbers):
            raw = self._raw(f"/proc/{pid}/cmdline")
            argv = tuple(part.decode("utf-8", "replace") for part in (raw or b"").rstrip(b"\0").split(b"\0"))
            if any(argv) and pid != os.getpid():
                found.append(Process(pid, argv, self._started(pid, booted)))
        return tuple(found)

    def run(self, command: Command) -> Answer:
        return self._runner.run(command)

    def now(self) -> datetime:
        return self._clock()

    def _raw(self, path: str, last_bytes: int | None = None) -> bytes | None:
        try:
            with open(self._locate(path), "rb") as file:
                if last_bytes is not None:
                    size = os.fstat(file.fileno()).st_size
                    file.seek(max(0, size - last_bytes))
                return file.read()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return None
        except OSError as error:
            raise CannotTell(_refusal(path, error)) from error

    def _locate(self, path: str, *, follow_last: bool = True) -> Path:
        """Follow the links of a path inside the root, without touching what is closed."""
        done: list[str] = []
        pending = list(reversed(path.split("/")))
        links = 0
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            self._refuse_closed("/" + "/".join([*done, part]), path)
            place = self._root.joinpath(*done, part)
            if (pending or follow_last) and place.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    raise CannotTell(f"{path} has too many links")
                target = os.readlink(place)
                if target.startswith("/"):
                    done = []
                pending.extend(reversed(target.split("/")))
            else:
                done.append(part)
        return self._root.joinpath(*done)

    def _refuse_closed(self, logical: str, path: str) -> None:
        for point in self._closed:
            if logical == point or logical.startswith(f"{point}/"):
                raise CannotTell(f"{path} lies on the mounted file system {point}, which is not looked into")

    def _read_mounts(self) -> tuple[Mount, ...] | None:
        for name in ("/proc/mounts", "/proc/self/mounts", "/etc/mtab"):
            try:
                text = self.read(name)
            except CannotTell:
                continue
            if text is not None:
                rows = [line.split() for line in text.splitlines()]
                return tuple(Mount(_plain(row[0]), _point(row[1]), row[2]) for row in rows if len(row) >= 3)
        return None

    def _boot_time(self) -> int | None:
        match = re.search(r"^btime (\d+)$", self.read("/proc/stat") or "", re.MULTILINE)
        return int(match[1]) if match else None

    def _started(self, pid: int, booted: int | None) -> datetime | None:
        text = self.read(f"/proc/{pid}/stat")
        if booted is None or text is None:
            return None
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        if len(fields) < 20 or not fields[19].isdigit():
            return None
        return datetime.fromtimestamp(booted + int(fields[19]) / _CLOCK_TICKS, UTC)


def files_below(machine: Machine, directory: str) -> Iterator[str]:
    """Yield the paths of all files and links below a directory; links are not followed."""
    for name in machine.names(directory):
        path = f"{directory}/{name}"
        entry = machine.entry(path)
        if entry is None:
            continue
        if entry.is_directory:
            yield from files_below(machine, path)
        else:
            yield path


def _plain(field: str) -> str:
    """Return a field of the mount table without its octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _point(field: str) -> str:
    return posixpath.normpath(_plain(field))


def _refusal(path: str, error: OSError) -> str:
    hint = "; run the doctor as root" if isinstance(error, PermissionError) else ""
    return f"{path} cannot be read: {error.strerror}{hint}"
