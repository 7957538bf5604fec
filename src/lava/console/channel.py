"""A child process on a pseudo-terminal, and the conversation with it.

One event loop, no threads: the terminal is read when it is readable, everything is logged as it comes, and whoever
waits in :meth:`Console.expect` is woken by a match.  A device that talks while nobody listens is read and logged, too:
it must not block on a full terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from lava.model.errors import ConnectionClosedError, InfrastructureError

from .lines import LineLog
from .matcher import Hit, Matcher, compile_pattern

#: (level, lines): ``target`` for what the device prints, ``input`` for what is typed
Log = Callable[[str, Sequence[str]], None]

#: read at most this much before the loop may do something else
_BATCH_BYTES = 1 << 16
#: a terminal gives one page at a time
_READ_BYTES = 4096
_PAUSE_SECONDS = 0.1
_CLOSE_SECONDS = 2.0
_QUOTED_LINES = 5


class Console:
    """The text side of one connection."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int, name: str, log: Log) -> None:
        """Use :meth:`spawn`."""
        self.name = name
        #: what the shell behind the console prints when it is ready, once that is known
        self.prompts: tuple[str, ...] = ()
        self.tags: tuple[str, ...] = ()
        self.line_end = "\n"
        self.received_bytes = 0
        self._process = process
        self._terminal = terminal
        self.log = log
        self._matcher = Matcher()
        self._lines = LineLog()
        self._waiter: asyncio.Future[Hit | None] | None = None
        self._closed = False
        self._ended = False
        self._recent: list[str] = []
        self._loop = asyncio.get_running_loop()
        os.set_blocking(terminal, False)
        self._loop.add_reader(terminal, self._read)

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        log: Log,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Console:
        """Start a program on a terminal of its own, in a process group of its own.

        Raises:
            InfrastructureError: the program cannot be started.
        """
        main, child = pty.openpty()
        try:
            fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            process = subprocess.Popen(  # noqa: ASYNC220 (forks and returns; nothing waits)
                argv,
                stdin=child,
                stdout=child,
                stderr=child,
                env=environment,
                cwd=directory,
                start_new_session=True,
                close_fds=True,
            )
        except OSError as error:
            os.close(main)
            reason = "it is not installed" if error.errno == errno.ENOENT else error.strerror
            raise InfrastructureError(f"cannot start '{argv[0]}' on the worker: {reason}") from error
        finally:
            os.close(child)
        return cls(process, main, argv[0], log)

    @property
    def alive(self) -> bool:
        """Whether something may still come."""
        return not self._ended and not self._closed

    @property
    def pid(self) -> int:
        """Process id of the program on the terminal; also the id of its process group."""
        return self._process.pid

    async def send(
        self, text: str, *, line_end: str | None = None, character_delay: timedelta = timedelta(0), secret: bool = False
    ) -> None:
        """Type a text and the line end.

        Raises:
            ConnectionClosedError: nobody is there any more.
        """
        self.log("input", ["********" if secret else text])
        data = (text + (self.line_end if line_end is None else line_end)).encode()
        if not character_delay:
            await self._write(data)
            return
        for index in range(len(data)):
            await self._write(data[index : index + 1])
            await asyncio.sleep(character_delay.total_seconds())

    async def send_control(self, letter: str) -> None:
        """Type Ctrl and a letter."""
        self.log("input", [f"^{letter.upper()}"])
        await self._write(bytes([ord(letter.upper()) & 0x1F]))

    async def expect(self, patterns: Sequence[str | re.Pattern[bytes]], *, timeout: float) -> Hit:
        """Wait until one of the patterns comes and return it; what came up to its end is consumed.

        Args:
            patterns: regular expressions; the earliest match in the stream wins.
            timeout: seconds.

        Raises:
            TimeoutError: none came in time.
            ConnectionClosedError: the program ended, and none is in what it had printed.
        """
        self._matcher.expect([compile_pattern(p) if isinstance(p, str) else p for p in patterns])
        hit = self._matcher.find()
        if hit is None:
            if not self.alive:
                raise self._end()
            self._resume()
            self._waiter = waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout):
                    hit = await waiter
            except TimeoutError:
                if waiter.cancelled() or not waiter.done():
                    raise
                hit = waiter.result()  # it came in the very moment in which the time was up
            finally:
                self._waiter = None
        if hit is None:
            raise self._end()
        return hit

    async def prompt(
        self,
        patterns: Sequence[str | re.Pattern[bytes]],
        *,
        timeout: float,
        check_character: str = "#",
        log: Callable[[str], None] = lambda text: None,
    ) -> Hit:
        """Wait for a prompt that a kernel message may have spoilt: after half of the time, type to provoke another.

        Source: dispatcher specification 11.2, "forced prompt".

        Raises:
            TimeoutError: none came, whatever was typed.
            ConnectionClosedError: the program ended.
        """
        try:
            return await self.expect(patterns, timeout=timeout / 2)
        except TimeoutError:
            for attempt in range(1, 6):
                log(f"no prompt for {timeout / 2:.0f} s: typing '{check_character}' to get another one ({attempt}/6)")
                await self.send(check_character)
                with contextlib.suppress(TimeoutError):
                    return await self.expect(patterns, timeout=timeout / 10)
            await self.send(check_character)
            return await self.expect(patterns, timeout=timeout / 10)

    async def drain(self, seconds: float) -> None:
        """Read and log what comes within that time; it is consumed."""
        if self.alive:
            self._resume()
            await asyncio.sleep(seconds)
        self._matcher.clear()
        self.flush_log()

    def discard(self) -> None:
        """Consume what has come."""
        self._matcher.clear()

    def flush_log(self) -> None:
        """Log a line that is not finished yet."""
        if rest := self._lines.flush():
            self._log_target(rest)

    @property
    def unread(self) -> bytes:
        """The last bytes that came and are not consumed."""
        return self._matcher.tail

    @property
    def last_lines(self) -> str:
        """The last lines that the device printed, for messages."""
        return "\n".join([line for line in self._recent if line.strip()][-_QUOTED_LINES:])

    async def close(self) -> None:
        """End the program and everything that it started."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._terminal)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            if await self._reap():
                break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._log_target(self._lines.feed(os.read(self._terminal, _BATCH_BYTES)))
        self.flush_log()
        os.close(self._terminal)

    async def _reap(self) -> bool:
        deadline = self._loop.time() + _CLOSE_SECONDS
        pause = 0.002
        while self._process.poll() is None:
            if self._loop.time() > deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)
        return True

    def _read(self) -> None:
        """Take what is readable; called by the event loop."""
        chunks: list[bytes] = []
        size = 0
        while size < _BATCH_BYTES:
            try:
                chunk = os.read(self._terminal, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:  # EIO: nobody has the other side open any more
                chunk = b""
            if not chunk:
                self._ended = True
                self._loop.remove_reader(self._terminal)
                break
            chunks.append(chunk)
            size += len(chunk)
        data = b"".join(chunks)
        if data:
            self.received_bytes += len(data)
            if lines := self._lines.feed(data):
                self._log_target(lines)
            self._matcher.feed(data)
        if self._ended:
            self.flush_log()
        if self._waiter is not None and not self._waiter.done():
            hit = self._matcher.find()
            if hit is not None or self._ended:
                # What comes behind a hit waits until somebody looks for something again, but not for long.
                self._loop.remove_reader(self._terminal)
                self._loop.call_later(_PAUSE_SECONDS, self._resume)
                self._waiter.set_result(hit)

    def _resume(self) -> None:
        if self.alive:
            self._loop.add_reader(self._terminal, self._read)

    def _log_target(self, lines: list[str]) -> None:
        if lines:
            self._recent = [*self._recent, *lines[-_QUOTED_LINES * 4 :]][-_QUOTED_LINES * 4 :]
            self.log("target", lines)

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if not self.alive:
                raise self._end()
            try:
                view = view[os.write(self._terminal, view) :]
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                raise self._end() from error

    async def _writable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(self._terminal, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_writer(self._terminal)

    def _end(self) -> ConnectionClosedError:
        status = self._process.poll()
        how = "" if status is None else f" (exit status {status})" if status >= 0 else f" (signal {-status})"
        said = self.last_lines
        return ConnectionClosedError(
            f"the connection by '{os.path.basename(self.name)}' was closed{how}"
            + (f"; it said last:\n{said}" if said else " without a word")
        )
