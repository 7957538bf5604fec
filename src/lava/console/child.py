"""A program on a terminal of its own.

It leads a session and a process group, and the terminal is its controlling one, as if a person had logged in and
typed the command: programs that insist on ``/dev/tty`` (ssh, screen) work, and closing the terminal hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Mapping, Sequence
from typing import Self

from lava.model.errors import InfrastructureError

_ROWS, _COLUMNS = 50, 200
#: Python ignores these; a program expects the system's way
_RESTORED_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)


class Child:
    """A running program: its process id, which is also its group's, and our end of its terminal."""

    def __init__(self, pid: int, terminal: int) -> None:
        """Use :meth:`spawn`."""
        self.pid = pid
        self.terminal = terminal
        self._descriptor = os.pidfd_open(pid)
        self._stopped = False
        self._status: int | None = None

    @classmethod
    def spawn(cls, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Self:
        """Start a program; it is looked up on ``PATH``.

        Raises:
            InfrastructureError: it cannot be started.
        """
        terminal, other_end = pty.openpty()
        try:
            fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
            pid = os.posix_spawnp(
                argv[0],
                list(argv),
                os.environ if environment is None else environment,
                file_actions=[
                    # The session begins before this: opening the terminal makes it the controlling one.
                    (os.POSIX_SPAWN_OPEN, 0, os.ttyname(other_end), os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_RESTORED_SIGNALS,
            )
        except (OSError, ValueError) as error:
            os.close(terminal)
            raise InfrastructureError(f"cannot start '{argv[0]}' on the worker: {_reason(error)}") from error
        finally:
            os.close(other_end)
        os.set_blocking(terminal, False)
        return cls(pid, terminal)

    def exit_status(self) -> int | None:
        """Return the exit status, negative for the signal that ended it; None while it runs."""
        if self._status is None and not self._stopped:
            # The status is only looked at: as long as nobody collects it, the process id is not given to another.
            ended = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                self._status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        return self._status

    async def exited(self, seconds: float) -> bool:
        """Wait until the program has ended; return False when it has not within that time."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._descriptor, resolve, ready)
        try:
            async with asyncio.timeout(seconds):
                await ready
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._descriptor)
        return True

    async def stop(self, seconds: float) -> None:
        """End the program and its process group, politely for that many seconds; collect it."""
        if self._stopped:
            return
        try:
            for number in (signal.SIGHUP, signal.SIGTERM):
                self._signal(number)
            await self.exited(seconds)
        finally:
            self._signal(signal.SIGKILL)
            try:
                await self.exited(seconds)
            finally:
                self.exit_status()
                self._stopped = True
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)
                os.close(self._descriptor)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def resolve(future: asyncio.Future[None]) -> None:
    """Wake whoever waits for the future, unless somebody has; for the event loop to call."""
    if not future.done():
        future.set_result(None)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return "it is not installed" if error.errno == errno.ENOENT else str(error.strerror)
    return str(error)
