"""Job processes: start one, find it again after a restart, know when it is gone, stop it.

A process is known by its pid and its start time.  ``pidfd`` tells of its end, whoever its parent is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

#: what runs a job
LAVA_RUN: Sequence[str] = (sys.executable, "-m", "lava.dispatcher.main")

#: so much of what a job process left on standard error is kept
ERROR_BYTES = 4000
#: after the request to stop: repeat it, then kill
CANCEL_STEPS: Sequence[tuple[float, signal.Signals]] = (
    (60.0, signal.SIGTERM),
    (60.0, signal.SIGKILL),
)


class CannotStart(Exception):
    """A job process cannot be started; the message says why."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told from any other that ever had its pid."""

    pid: int
    start: int


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name is in parentheses and may hold anything; field 22 is the twentieth after it.
    state, *rest = stat[stat.rindex(")") + 2 :].split()
    return None if state in ("Z", "X") else int(rest[18])


def is_alive(process: ProcessId) -> bool:
    """Return whether it is that very process that runs."""
    return start_time(process.pid) == process.start


def find_started(output_directory: Path) -> ProcessId | None:
    """Return the job process that writes into the directory: it was started just before the slave died."""
    wanted = str(output_directory).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--output-dir" in words and wanted in words:
                start = start_time(int(entry.name))
                if start is not None:
                    return ProcessId(int(entry.name), start)
    return None


def environment_of(job_id: str, env_yaml: str, definition: str) -> dict[str, str]:
    """Return the environment of a job process: ``env.yaml`` applied to ours, the job's secrets, its id.

    Raises:
        CannotStart: ``env.yaml`` has another shape.
    """
    try:
        settings = yaml.safe_load(env_yaml) or {}
        loaded = yaml.safe_load(definition) or {}
    except yaml.YAMLError as error:
        raise CannotStart(f"env.yaml or the definition is no YAML: {error}") from error
    if not isinstance(settings, Mapping) or not isinstance(settings.get("overrides") or {}, Mapping):
        raise CannotStart("env.yaml must be a mapping with purge, removes and overrides")
    environment = {} if settings.get("purge") else dict(os.environ)
    for name in settings.get("removes") or ():
        environment.pop(str(name), None)
    environment.update({str(key): str(value) for key, value in (settings.get("overrides") or {}).items()})
    secrets = loaded.get("secrets") if isinstance(loaded, Mapping) else None
    if isinstance(secrets, Mapping):
        environment.update({str(key): str(value) for key, value in secrets.items() if isinstance(value, str | int)})
    environment["LAVA_JOB_ID"] = job_id
    return environment


async def wait_gone(process: ProcessId) -> None:
    """Return when the process is gone."""
    if not is_alive(process):
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)


def send_signal(process: ProcessId, number: signal.Signals) -> None:
    """Send the signal, if it is still that process."""
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def kill_group(process: ProcessId) -> None:
    """Kill whatever the job process left behind in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def stop(process: ProcessId) -> None:
    """Ask the job process to stop; kill it if it does not."""
    send_signal(process, signal.SIGTERM)
    for seconds, number in CANCEL_STEPS:
        try:
            async with asyncio.timeout(seconds):
                await wait_gone(process)
            return
        except TimeoutError:
            if number is signal.SIGKILL:
                kill_group(process)
            send_signal(process, number)
    await wait_gone(process)


def error_text(directory: Path) -> str:
    """Return the end of what the job process left on standard error."""
    try:
        with (directory / "stderr").open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - ERROR_BYTES))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def status_of_result(directory: Path) -> int | None:
    """Return the exit status that the job process meant when it wrote its result, its last act; None without one.

    The exit status itself is told to the parent only, and that may be a slave that was killed.
    """
    try:
        with (directory / "result.yaml").open("rb") as file:
            result = yaml.safe_load(file)
    except (OSError, yaml.YAMLError):
        return None
    return (0 if result.get("result") == "pass" else 1) if isinstance(result, Mapping) else None


class Processes(Protocol):
    """Where jobs run."""

    def start(self, job_id: str, directory: Path, environment: Mapping[str, str]) -> ProcessId:
        """Start a job whose files are in the directory.

        Raises:
            CannotStart: the system does not let us.
        """

    def find(self, directory: Path) -> ProcessId | None:
        """Return the job process that works in the directory, whoever started it."""

    def is_alive(self, process: ProcessId) -> bool:
        """Return whether it is that very process that runs."""

    async def wait(self, process: ProcessId) -> int | None:
        """Return when the process and its group are gone, with its exit status if it was started from here."""

    async def stop(self, process: ProcessId) -> None:
        """Ask the process to stop; kill it if it does not."""


class JobProcesses:
    """Real processes on this machine."""

    def __init__(self, command: Sequence[str] = LAVA_RUN) -> None:
        """Begin.

        Args:
            command: what runs a job; it gets the options of ``lava-run``.
        """
        self._command = tuple(command)
        self._children: dict[ProcessId, subprocess.Popen[bytes]] = {}

    def start(self, job_id: str, directory: Path, environment: Mapping[str, str]) -> ProcessId:
        """Start the job in a session of its own.

        Raises:
            CannotStart: the system does not let us.
        """
        command = [*self._command, "--job-id", job_id, "--output-dir", str(directory)]
        command += ["--device", str(directory / "device.yaml"), "--skip-sudo-warning", "--quiet"]
        for option, name in (("--dispatcher", "dispatcher.yaml"), ("--env-dut", "env-dut.yaml")):
            command += [option, str(directory / name)]
        try:
            with (directory / "stdout").open("wb") as stdout, (directory / "stderr").open("wb") as stderr:
                child = subprocess.Popen(
                    [*command, str(directory / "job.yaml")],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env=dict(environment),
                    cwd=directory,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise CannotStart(f"cannot start the job process {self._command[0]}: {why}") from error
        began = start_time(child.pid)
        process = ProcessId(child.pid, began if began is not None else 0)
        self._children[process] = child
        return process

    def find(self, directory: Path) -> ProcessId | None:
        """Return the job process that works in the directory, whoever started it."""
        return find_started(directory)

    def is_alive(self, process: ProcessId) -> bool:
        """Return whether it is that very process that runs."""
        return is_alive(process)

    async def wait(self, process: ProcessId) -> int | None:
        """Return when the process and its group are gone, with its exit status if it was started from here."""
        await wait_gone(process)
        kill_group(process)
        child = self._children.pop(process, None)
        return await asyncio.to_thread(child.wait) if child is not None else None

    async def stop(self, process: ProcessId) -> None:
        """Ask the process to stop; kill it if it does not."""
        await stop(process)
