"""Keep the daemons of an instance running: start them, restart what dies, stop all of them together."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: A daemon that dies is started again after this long; each death within a minute doubles it.
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
STOP_SECONDS = 25.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program of the instance and the file that it writes to."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    #: file descriptors that it inherits
    inherited: Sequence[int] = ()


class Supervisor:
    """Runs daemons until told to stop.  Their own children, the jobs, are not its business."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: list[asyncio.Task[None]] = []

    def start(self, daemon: Daemon) -> None:
        """Start the daemon and watch it."""
        self._watchers.append(asyncio.create_task(self._watch(daemon), name=daemon.name))

    def pid(self, name: str) -> int | None:
        """Return the process id of a running daemon."""
        process = self._processes.get(name)
        return process.pid if process is not None and process.returncode is None else None

    async def _watch(self, daemon: Daemon) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            with daemon.log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *daemon.command,
                    env=dict(daemon.environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=tuple(daemon.inherited),
                    process_group=0,  # Ctrl-C is for the supervisor, which stops them in order
                    preexec_fn=_die_with_parent,
                )
            self._processes[daemon.name] = process
            status = await process.wait()
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - started > 60 else min(pause * 2, LONGEST_PAUSE_SECONDS)
            how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            self._say(f"{daemon.name} ended with {how}: starting it again in {pause:.1f} s (see {daemon.log})")
            await asyncio.sleep(pause)

    async def stop(self, order: Sequence[str]) -> None:
        """Stop watching, then end the daemons one after the other; who does not go in time is killed."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for name in order:
            process = self._processes.get(name)
            if process is None or process.returncode is not None:
                continue
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                self._say(f"{name} does not stop: killing it")
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _die_with_parent() -> None:
    """Ask the kernel to stop this daemon when the supervisor is killed: no half an instance stays behind."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        sys.exit(1)
