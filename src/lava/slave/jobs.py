"""The jobs on this machine: started once, adopted after a restart, ended when nothing of them runs any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lava.spool.logfile import cut_torn_line
from lava.wire.messages import LARGEST_BODY, End, Start

from .journal import Entry, JobPhase, Journal, JournalError
from .processes import (
    ERROR_BYTES,
    CannotStart,
    Processes,
    ProcessId,
    environment_of,
    error_text,
    status_of_result,
)

_log = logging.getLogger("lava-slave")


class Jobs:
    """Starts, adopts, watches and stops job processes.

    The journal is written before the act, so that after a crash nothing is started again.  When it cannot be written,
    no job is started; those that run are watched and reported all the same.
    """

    def __init__(
        self, journal: Journal, directory: Path, processes: Processes, *, on_end: Callable[[End], None]
    ) -> None:
        """Use the journal; job directories go below ``directory``.

        Args:
            on_end: told when nothing of a job runs any more.
        """
        self._journal = journal
        self._directory = directory
        self._processes = processes
        self._on_end = on_end
        self._entries = {entry.id: entry for entry in journal.entries()}
        self._running: dict[str, ProcessId] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._all_forgotten = asyncio.Event()

    @property
    def log_files(self) -> dict[str, Path]:
        """The log of every job that the master has not acknowledged the end of."""
        return {job: entry.directory / "logs.yaml" for job, entry in self._entries.items()}

    def is_running(self, job: str) -> bool:
        return job in self._running

    def adopt(self) -> None:
        """Take over the jobs of the journal: watch those that run, report those that ended meanwhile."""
        for entry in list(self._entries.values()):
            match entry.phase:
                case JobPhase.ENDED:
                    self._on_end(self._end_of(entry))
                case JobPhase.STARTING | JobPhase.RUNNING:
                    process = self._process_of(entry)
                    if process is None:
                        self._on_end(self._finish_unseen(entry))
                    else:
                        _log.info("[%s] adopted, process %s", entry.id, process.pid)
                        with self._reported(entry.id):
                            self._journal.running(entry.id, process.pid, process.start)
                        self._watch(entry.id, process)

    def _process_of(self, entry: Entry) -> ProcessId | None:
        if entry.pid is not None and entry.process_start is not None:
            process = ProcessId(entry.pid, entry.process_start)
            return process if self._processes.is_alive(process) else None
        return self._processes.find(entry.directory)

    def _finish_unseen(self, entry: Entry) -> End:
        """End a job whose process went away while no slave looked."""
        status = status_of_result(entry.directory)
        error = error_text(entry.directory)
        if status is None:
            error = f"{error}\nthe job process was gone when the worker's slave came back: worker restarted".strip()
        _log.info("[%s] ended while no slave ran, status %s", entry.id, status)
        return self._finish(entry.id, status, error)

    def start(self, order: Start) -> End | None:
        """Start a job; a repeated order changes nothing.  Return its end if it has ended or cannot start."""
        entry = self._entries.get(order.job)
        if entry is not None:
            return self._end_of(entry) if entry.phase is JobPhase.ENDED else None
        try:
            if self._journal.was_forgotten(order.job):
                return End(order.job, 0, None, "the worker has run the job already")
            process = self._start(order)
        except (CannotStart, JournalError, OSError) as error:
            reason = f"{error.filename or self._directory}: {error.strerror}" if isinstance(error, OSError) else error
            _log.error("[%s] cannot start: %s", order.job, reason)
            self._entries.setdefault(order.job, Entry(order.job, JobPhase.STARTING, self._directory / order.job))
            return self._finish(order.job, None, f"the worker could not start the job: {reason}")
        with self._reported(order.job):  # else it is found by its directory
            self._journal.running(order.job, process.pid, process.start)
        _log.info("[%s] started, process %s", order.job, process.pid)
        self._watch(order.job, process)
        return None

    def _start(self, order: Start) -> ProcessId:
        directory = self._directory / order.job
        shutil.rmtree(directory, ignore_errors=True)  # of a job that is long forgotten, and had its number
        self._journal.starting(order.job, directory)
        self._entries[order.job] = Entry(order.job, JobPhase.STARTING, directory)
        _write_files(directory, order)
        environment = environment_of(
            order.job, order.environment.decode("utf-8", "replace"), order.definition.decode("utf-8", "replace")
        )
        return self._processes.start(order.job, directory, environment)

    def end_of(self, job: str) -> End | None:
        """Return the end of a job that does not run: what is known of it, or that it is unknown."""
        if job in self._running:
            return None
        entry = self._entries.get(job)
        if entry is None:
            with self._reported(job):
                self._journal.forget(job)  # an order to start it would come too late
            return End(job, 0, None, "the worker does not know the job")
        return self._end_of(entry)

    def cancel(self, job: str) -> bool:
        """Ask for the end of a job that runs; return whether that is news."""
        process = self._running.get(job)
        if process is None or job in self._stopping:
            return False
        _log.info("[%s] canceling, process %s", job, process.pid)
        self._stopping[job] = asyncio.create_task(self._processes.stop(process), name=f"stop {job}")
        return True

    def forget(self, job: str) -> None:
        """The master has everything of an ended job: drop it and its files."""
        entry = self._entries.get(job)
        if entry is None or entry.phase is not JobPhase.ENDED:
            return
        # Files first: killed in between, the slave reports the end once more, and is told once more to forget it.
        shutil.rmtree(entry.directory, ignore_errors=True)
        with self._reported(job):
            self._journal.forget(job)
        del self._entries[job]
        if not self._entries:
            self._all_forgotten.set()
        _log.info("[%s] forgotten", job)

    async def stop_all(self, seconds: float, last_words_seconds: float) -> None:
        """Ask for the end of every job, wait for it, and for the master to have it; neither for long."""
        for job in list(self._running):
            self.cancel(job)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        if self._entries:
            self._all_forgotten.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(last_words_seconds):
                    await self._all_forgotten.wait()

    async def leave(self) -> None:
        """Stop watching; the job processes go on."""
        tasks = [*self._tasks.values(), *self._stopping.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _watch(self, job: str, process: ProcessId) -> None:
        self._running[job] = process
        self._tasks[job] = asyncio.create_task(self._until_gone(job, process), name=f"job {job}")

    async def _until_gone(self, job: str, process: ProcessId) -> None:
        status = await self._processes.wait(process)
        del self._running[job]
        self._tasks.pop(job, None)
        if (stopping := self._stopping.pop(job, None)) is not None:
            stopping.cancel()
        directory = self._entries[job].directory
        error = error_text(directory)
        if status is None:  # adopted: only its parent, an earlier slave, would have been told
            status = status_of_result(directory)
            if status is None:
                error = f"{error}\nthe job process ended without a result".strip()
        elif status < 0:
            error = f"{error}\nthe job process was killed by signal {-status}".strip()
        _log.info("[%s] ended, status %s", job, status)
        self._on_end(self._finish(job, status, error))

    def _finish(self, job: str, status: int | None, error: str) -> End:
        error = error[-ERROR_BYTES:]
        entry = replace(self._entries[job], phase=JobPhase.ENDED, exit_status=status, error=error)
        self._entries[job] = entry
        with self._reported(job):
            self._journal.ended(job, status, error)
        return self._end_of(entry)

    @contextlib.contextmanager
    def _reported(self, job: str) -> Iterator[None]:
        """Go on when the journal cannot be written: the job is known as long as this slave lives."""
        try:
            yield
        except JournalError as error:
            _log.error("[%s] %s", job, error)

    def _end_of(self, entry: Entry) -> End:
        log = entry.directory / "logs.yaml"
        _cut_torn_line(log)
        try:
            description = (entry.directory / "description.yaml").read_bytes()
        except OSError:
            description = b""
        if len(description) > LARGEST_BODY:
            _log.error("[%s] its description.yaml is too large to be sent: %s bytes", entry.id, len(description))
            description = b""
        size = log.stat().st_size if log.exists() else 0
        return End(entry.id, size, entry.exit_status, entry.error, description)


def _write_files(directory: Path, order: Start) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)  # secrets of the job are in there
    for name, content in (
        ("job.yaml", order.definition),
        ("device.yaml", order.device),
        ("dispatcher.yaml", order.dispatcher),
        ("env.yaml", order.environment),
        ("env-dut.yaml", order.device_environment),
    ):
        (directory / name).write_bytes(content)


def _cut_torn_line(log: Path) -> None:
    """Nobody writes any more: what stands behind the last newline will never be a line."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        try:
            cut_torn_line(descriptor)
        finally:
            os.close(descriptor)
