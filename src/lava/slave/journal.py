"""What the slave must still know after a crash: its jobs.  Durable point C of a job's path."""

from __future__ import annotations

import fcntl
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    directory TEXT NOT NULL,
    pid INTEGER,
    process_start INTEGER,
    exit_status INTEGER,
    error TEXT NOT NULL DEFAULT ''
) STRICT
"""


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


class Journal:
    """The jobs, in a file that survives being killed."""

    def __init__(self, directory: Path) -> None:
        """Open the journal of a state directory; one slave uses it at a time.

        Raises:
            JournalError: another one does, or the directory cannot be written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._lock: TextIO = (directory / "lock").open("a")
        except OSError as error:
            raise JournalError(f"cannot use the state directory {directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise JournalError(f"another slave uses the state directory {directory}") from None
        try:
            self._database = sqlite3.connect(directory / "journal.sqlite3", isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            self._lock.close()
            raise JournalError(f"cannot open the journal in {directory}: {error}") from error

    def entries(self) -> list[Entry]:
        """Return every job, oldest first."""
        rows = self._database.execute(
            "SELECT id, state, directory, pid, process_start, exit_status, error FROM jobs ORDER BY rowid"
        )
        return [
            Entry(job, JobPhase(phase), Path(directory), pid, start, status, error)
            for job, phase, directory, pid, start, status, error in rows
        ]

    def starting(self, job: str, directory: Path) -> None:
        """Note that a job is about to be started."""
        self._database.execute(
            "INSERT OR REPLACE INTO jobs (id, state, directory) VALUES (?, ?, ?)",
            (job, JobPhase.STARTING, str(directory)),
        )

    def running(self, job: str, pid: int, process_start: int) -> None:
        """Note the process of a job."""
        self._database.execute(
            "UPDATE jobs SET state = ?, pid = ?, process_start = ? WHERE id = ?",
            (JobPhase.RUNNING, pid, process_start, job),
        )

    def ended(self, job: str, exit_status: int | None, error: str) -> None:
        """Note that the process is gone."""
        self._database.execute(
            "UPDATE jobs SET state = ?, exit_status = ?, error = ? WHERE id = ?",
            (JobPhase.ENDED, exit_status, error, job),
        )

    def forget(self, job: str) -> None:
        """Drop a job."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", (job,))

    def close(self) -> None:
        self._database.close()
        self._lock.close()
