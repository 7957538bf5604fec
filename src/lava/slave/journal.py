"""What the slave must still know after a crash: its jobs.  Durable point C of a job's path."""

from __future__ import annotations

import fcntl
import secrets
import sqlite3
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        directory TEXT NOT NULL,
        pid INTEGER,
        process_start INTEGER,
        exit_status INTEGER,
        error TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE TABLE IF NOT EXISTS forgotten (id TEXT PRIMARY KEY, at REAL NOT NULL) STRICT",
)
#: An order that comes so late is none of a job that was run and forgotten, but of another one with its number: a master
#: was installed anew.
REMEMBER_SECONDS = 600.0


class JobPhase(StrEnum):
    """Where a job is on this machine."""

    #: its files are written; the process may or may not have been started
    STARTING = "starting"
    RUNNING = "running"
    #: its process is gone; the master does not know it yet
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Entry:
    """One job of the journal."""

    id: str
    phase: JobPhase
    directory: Path
    pid: int | None = None
    #: clock ticks since boot: tells the process from another one with its pid
    process_start: int | None = None
    exit_status: int | None = None
    error: str = ""


class JournalError(Exception):
    """The state directory cannot be used; the message says why."""


def _instance(directory: Path) -> str:
    """Return a name for this state directory that no other one has; made once."""
    path = directory / "instance"
    if not path.exists():
        path.with_suffix(".new").write_text(f"{secrets.token_hex(8)}\n")
        path.with_suffix(".new").rename(path)
    return path.read_text().strip()


class Journal:
    """The jobs, in a file that survives being killed.

    Every method that reads or writes raises :class:`JournalError` when the file does not let it.
    """

    def __init__(self, directory: Path) -> None:
        """Open the journal of a state directory; one slave uses it at a time.

        Raises:
            JournalError: another one does, or the directory cannot be written, or the file is damaged.
        """
        self._file = directory / "journal.sqlite3"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._lock: TextIO = (directory / "lock").open("a")
        except OSError as error:
            raise JournalError(f"cannot use the state directory {directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise JournalError(
                f"another slave uses the state directory {directory}: stop it, or give this one another --state-dir"
            ) from None
        try:
            self.instance = _instance(directory)
        except OSError as error:
            self._lock.close()
            raise JournalError(f"cannot use the state directory {directory}: {error.strerror}") from error
        try:
            self._database = sqlite3.connect(self._file, isolation_level=None)
        except sqlite3.Error as error:
            self._lock.close()
            raise self._fault(error) from error
        try:
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *_SCHEMA):
                self._execute(statement)
            self.entries()
        except JournalError:
            self.close()
            raise

    def entries(self) -> list[Entry]:
        """Return every job, oldest first."""
        rows = self._execute(
            "SELECT id, state, directory, pid, process_start, exit_status, error FROM jobs ORDER BY rowid"
        )
        try:
            return [
                Entry(job, JobPhase(phase), Path(directory), pid, start, status, error)
                for job, phase, directory, pid, start, status, error in rows
            ]
        except ValueError as error:
            raise self._fault(error) from error

    def starting(self, job: str, directory: Path) -> None:
        """Note that a job is about to be started."""
        self._execute(
            "INSERT OR REPLACE INTO jobs (id, state, directory) VALUES (?, ?, ?)",
            (job, JobPhase.STARTING, str(directory)),
        )

    def running(self, job: str, pid: int, process_start: int) -> None:
        """Note the process of a job."""
        self._execute(
            "UPDATE jobs SET state = ?, pid = ?, process_start = ? WHERE id = ?",
            (JobPhase.RUNNING, pid, process_start, job),
        )

    def ended(self, job: str, exit_status: int | None, error: str) -> None:
        """Note that the process is gone."""
        self._execute(
            "UPDATE jobs SET state = ?, exit_status = ?, error = ? WHERE id = ?",
            (JobPhase.ENDED, exit_status, error, job),
        )

    def forget(self, job: str, *, now: float | None = None) -> None:
        """Drop a job; for a while it is remembered that there was one.

        Args:
            now: seconds since the epoch.
        """
        now = time.time() if now is None else now
        self._execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?)", (job, now))
        self._execute("DELETE FROM jobs WHERE id = ?", (job,))
        self._execute("DELETE FROM forgotten WHERE abs(? - at) > ?", (now, REMEMBER_SECONDS))

    def was_forgotten(self, job: str, *, now: float | None = None) -> bool:
        """Return whether the job was here until a short while ago.

        Args:
            now: seconds since the epoch.
        """
        now = time.time() if now is None else now
        return bool(
            self._execute("SELECT 1 FROM forgotten WHERE id = ? AND abs(? - at) <= ?", (job, now, REMEMBER_SECONDS))
        )

    def close(self) -> None:
        self._database.close()
        self._lock.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> JournalError:
        advice = {
            "SQLITE_FULL": "free some space on its disk",
            "SQLITE_NOTADB": "it is damaged: move it away to start without the jobs that it holds",
            "SQLITE_CORRUPT": "it is damaged: move it away to start without the jobs that it holds",
        }.get(getattr(error, "sqlite_errorname", ""), "")
        return JournalError(f"cannot use the journal {self._file}: {error}{'; ' if advice else ''}{advice}")
