"""The jobs on this machine: started once, adopted after a restart, ended when nothing of them runs any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from lava.spool.logfile import cut_torn_line
from lava.wire.messages import End, Start

from . import processes
from .journal import Entry, JobPhase, Journal
from .processes import CannotStart, ProcessId

_log = logging.getLogger("lava-slave")


class Jobs:
    """Starts, adopts, watches and stops job processes."""

    def __init__(self, journal: Journal, directory: Path, *, on_end: Callable[[End], None]) -> None:
        """Use the journal; job directories go below ``directory``.

        Args:
            on_end: told when nothing of a job runs any more.
        """
        self._journal = journal
        self._directory = directory
        self._on_end = on_end
        self._entries = {entry.id: entry for entry in journal.entries()}
        self._running: dict[str, ProcessId] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}

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
                case _:
                    process = self._process_of(entry)
                    if process is None:
                        self._finish(entry.id, None, "the job process was gone when the worker's slave came back")
                    else:
                        _log.info("[%s] adopted, process %s", entry.id, process.pid)
                        self._journal.running(entry.id, process.pid, process.start)
                        self._watch(entry.id, process)

    def _process_of(self, entry: Entry) -> ProcessId | None:
        if entry.pid is not None and entry.process_start is not None:
            process = ProcessId(entry.pid, entry.process_start)
            return process if processes.is_alive(process) else None
        return processes.find_started(entry.directory)

    def start(self, order: Start) -> End | None:
        """Start a job; a repeated order changes nothing.  Return its end if it has ended or cannot start."""
        entry = self._entries.get(order.job)
        if entry is not None:
            return self._end_of(entry) if entry.phase is JobPhase.ENDED else None
        directory = self._directory / order.job
        entry = Entry(order.job, JobPhase.STARTING, directory)
        try:
            _write_files(directory, order)
            environment = processes.environment_of(
                order.job, order.environment.decode("utf-8", "replace"), order.definition.decode("utf-8", "replace")
            )
            self._journal.starting(order.job, directory)
            self._entries[order.job] = entry
            child, process = processes.start(order.job, directory, environment)
        except (CannotStart, OSError) as error:
            reason = str(error) if isinstance(error, CannotStart) else f"{error.filename}: {error.strerror}"
            _log.error("[%s] cannot start: %s", order.job, reason)
            with contextlib.suppress(Exception):
                self._journal.starting(order.job, directory)
            self._entries[order.job] = entry
            return self._finish(order.job, None, f"the worker could not start the job: {reason}")
        self._journal.running(order.job, process.pid, process.start)
        self._children[order.job] = child
        _log.info("[%s] started, process %s", order.job, process.pid)
        self._watch(order.job, process)
        return None

    def end_of(self, job: str) -> End | None:
        """Return the end of a job that does not run: what is known of it, or that it is unknown."""
        if job in self._running:
            return None
        entry = self._entries.get(job)
        if entry is None:
            return End(job, 0, None, "the worker does not know the job: it was started by another installation")
        return self._end_of(entry)

    def cancel(self, job: str, *, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask for the end of a job that runs; a repeated request changes nothing."""
        process = self._running.get(job)
        if process is not None and job not in self._stopping:
            _log.info("[%s] canceling, process %s", job, process.pid)
            self._stopping[job] = asyncio.create_task(processes.stop(process, first=number))

    def forget(self, job: str) -> None:
        """The master has everything: drop the job and its files."""
        if job in self._running or job not in self._entries:
            return
        entry = self._entries.pop(job)
        self._journal.forget(job)
        shutil.rmtree(entry.directory, ignore_errors=True)
        _log.info("[%s] forgotten", job)

    async def stop_all(self, seconds: float) -> None:
        """Ask for the end of every job and wait for it, but not for long."""
        for job in list(self._running):
            self.cancel(job)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)

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
        await processes.wait_gone(process)
        processes.kill_group(process)
        child = self._children.pop(job, None)
        status = await asyncio.to_thread(child.wait) if child is not None else None
        del self._running[job]
        self._tasks.pop(job, None)
        if (stopping := self._stopping.pop(job, None)) is not None:
            stopping.cancel()
        entry = self._entries[job]
        error = processes.error_text(entry.directory)
        if status is not None and status < 0:
            error = f"{error}\nthe job process was killed by signal {-status}".strip()
        _log.info("[%s] ended, status %s", job, status)
        self._on_end(self._finish(job, status, error))

    def _finish(self, job: str, status: int | None, error: str) -> End:
        known = self._entries[job]
        entry = Entry(job, JobPhase.ENDED, known.directory, None, None, status, error)
        self._entries[job] = entry
        self._journal.ended(job, status, error)
        return self._end_of(entry)

    def _end_of(self, entry: Entry) -> End:
        log = entry.directory / "logs.yaml"
        _cut_torn_line(log)
        try:
            description = (entry.directory / "description.yaml").read_bytes()
        except OSError:
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
