"""A child process on a pseudo-terminal, and the conversation with it.

One event loop, no threads: the terminal is read when it is readable, everything is logged as it comes, and whoever
waits in :meth:`Console.expect` is woken by a match.  A device that talks while nobody listens is read and logged, too:
it must not block on a full terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from lava.model.errors import ConnectionClosedError, LavaBug

from .child import Child, resolve
from .lines import LineLog
from .matcher import Hit, Matcher, compile_pattern

#: (level, lines): ``target`` for what the device prints, ``input`` for what is typed
Log = Callable[[str, Sequence[str]], None]

#: read at most this much before the loop may do something else; larger batches cost more: their text is too large for
#: the allocator to reuse
_BATCH_BYTES = 1 << 15
#: a terminal gives one page at a time
_READ_BYTES = 4096
#: for so long, what comes behind a hit waits to be looked at by whoever expects next
_PAUSE_SECONDS = 0.1
#: so often a character is typed to provoke a prompt
_ATTEMPTS = 6
#: a program has so long to end when asked, and once more when killed
_CLOSE_SECONDS = 2.0
#: a program that closed its terminal has so long to end, for its exit status to be told
_STATUS_SECONDS = 0.5
_QUOTED_LINES = 5
#: of a line that is quoted, so many characters
_QUOTED_CHARACTERS = 300
#: blank lines are not quoted, nor the characters that are typed for a prompt: so many are remembered
_REMEMBERED_LINES = 20
_CHECK_CHARACTER = "#"


class Console:
    """The text side of one connection."""

    def __init__(self, child: Child, name: str, log: Log) -> None:
        """Use :meth:`spawn`."""
        self.name = name
        #: where lines go; may be changed at any time
        self.log = log
        #: what the shell behind the console prints when it is ready, once that is known
        self.prompts: tuple[str, ...] = ()
        #: what the console is for and how it is left.  Source: dispatcher specification 11.1
        self.tags: tuple[str, ...] = ()
        self.line_end = "\n"
        self.received_bytes = 0
        self._child = child
        self._matcher = Matcher()
        self._lines = LineLog()
        self._waiter: asyncio.Future[Hit | None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None
        self._closed = False
        self._ended = False
        self._recent: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(child.terminal, self._read)

    @classmethod
    async def spawn(cls, argv: Sequence[str], *, log: Log, environment: Mapping[str, str] | None = None) -> Console:
        """Start a program on a terminal of its own, in a process group of its own.

        Raises:
            InfrastructureError: the program cannot be started.
        """
        return cls(Child.spawn(argv, environment), argv[0], log)

    @property
    def alive(self) -> bool:
        """Whether something may still come."""
        return not self._ended and not self._closed

    @property
    def pid(self) -> int:
        """Process id of the program on the terminal; also the id of its process group."""
        return self._child.pid

    async def send(
        self, text: str, *, line_end: str | None = None, character_delay: timedelta = timedelta(0), secret: bool = False
    ) -> None:
        """Type a text and the line end.

        Raises:
            ConnectionClosedError: nobody is there any more.
        """
        self.log("input", ["********" if secret else text])
        typed = text + (self.line_end if line_end is None else line_end)
        if not character_delay:
            await self._write(typed.encode(errors="replace"))
            return
        for character in typed:
            await self._write(character.encode(errors="replace"))
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
        if self._waiter is not None:
            raise LavaBug(f"two at once expect something of the console of '{self.name}'")
        self._matcher.expect([compile_pattern(p) if isinstance(p, str) else p for p in patterns])
        hit = self._matcher.find()
        if hit is None:
            if not self.alive:
                raise await self._end()
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
            raise await self._end()
        return hit

    async def prompt(
        self,
        patterns: Sequence[str | re.Pattern[bytes]],
        *,
        timeout: float,
        check_character: str = _CHECK_CHARACTER,
        log: Callable[[str], None] = lambda text: None,
    ) -> Hit:
        """Wait for a prompt that a kernel message may have spoilt: after half of the time, type to provoke another.

        Source: dispatcher specification 11.2, "forced prompt".

        Raises:
            TimeoutError: none came, whatever was typed.
            ConnectionClosedError: the program ended.
        """
        with contextlib.suppress(TimeoutError):
            return await self.expect(patterns, timeout=timeout / 2)
        for attempt in range(1, _ATTEMPTS + 1):
            waited = timeout / 2 if attempt == 1 else timeout / 10
            log(f"no prompt for {waited:.0f} s: typing '{check_character}' to get another one ({attempt}/{_ATTEMPTS})")
            await self.send(check_character)
            with contextlib.suppress(TimeoutError):
                return await self.expect(patterns, timeout=timeout / 10)
        raise TimeoutError

    async def drain(self, seconds: float) -> None:
        """Read and log what comes within that time, or until the program ends; it is consumed."""
        if self.alive:
            with contextlib.suppress(TimeoutError, ConnectionClosedError):
                await self.expect([], timeout=seconds)
        self._matcher.clear()
        self.flush_log()

    def discard(self) -> None:
        """Consume what has come."""
        self._matcher.clear()

    def flush_log(self, containing: str = "") -> None:
        """Log a line that is not finished yet; with ``containing``, only one that has this in it."""
        if rest := self._lines.flush(containing):
            self._log_target(rest)

    @property
    def unread(self) -> bytes:
        """The last bytes that came and are not consumed."""
        return self._matcher.tail

    @property
    def last_lines(self) -> str:
        """The last lines that the device printed, for messages."""
        told = [line for line in self._recent if line.strip() not in ("", _CHECK_CHARACTER)]
        return "\n".join(line[:_QUOTED_CHARACTERS] for line in told[-_QUOTED_LINES:])

    async def close(self) -> None:
        """End the program and everything that it started; whoever still expects something is told."""
        if self._closed:
            return
        self._closed = True
        self._stop_reading()
        for waiter in (self._waiter, self._writable):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        try:
            await self._child.stop(_CLOSE_SECONDS)
        finally:
            self._log_target(self._lines.feed(self._receive()))
            self.flush_log()
            self._loop.remove_writer(self._child.terminal)
            os.close(self._child.terminal)

    def _read(self) -> None:
        """Take what is readable; called by the event loop."""
        if data := self._receive():
            self.received_bytes += len(data)
            self._log_target(self._lines.feed(data))
            self._matcher.feed(data)
        if self._ended:
            self._stop_reading()
            self.flush_log()
        if self._waiter is not None and not self._waiter.done():
            hit = self._matcher.find()
            if hit is not None or self._ended:
                self._stop_reading()
                if not self._ended:
                    # The log then stands at the hit when the one who waited for it writes there, too.
                    self._pause = self._loop.call_later(_PAUSE_SECONDS, self._resume)
                self._waiter.set_result(hit)

    def _receive(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while size < _BATCH_BYTES:
            try:
                chunk = os.read(self._child.terminal, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:  # EIO: nobody has the other side open any more
                chunk = b""
            if not chunk:
                self._ended = True
                break
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)

    def _resume(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self.alive:
            self._loop.add_reader(self._child.terminal, self._read)

    def _stop_reading(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._loop.remove_reader(self._child.terminal)

    def _log_target(self, lines: list[str]) -> None:
        if lines:
            self._recent = [*self._recent, *lines[-_REMEMBERED_LINES:]][-_REMEMBERED_LINES:]
            self.log("target", lines)

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if not self.alive:
                raise await self._end()
            try:
                view = view[os.write(self._child.terminal, view) :]
            except BlockingIOError:
                await self._until_writable()
            except OSError as error:
                raise await self._end() from error

    async def _until_writable(self) -> None:
        """Wait until the program has taken some of what was typed, or the console is closed."""
        self._writable = ready = self._loop.create_future()
        self._loop.add_writer(self._child.terminal, resolve, ready)
        try:
            await ready
        finally:
            if not self._closed:
                self._loop.remove_writer(self._child.terminal)

    async def _end(self) -> ConnectionClosedError:
        """Return the error that says how the program ended, and what it said last."""
        status = self._child.exit_status()
        if status is None and not self._closed and await self._child.exited(_STATUS_SECONDS):
            status = self._child.exit_status()
        how = "" if status is None else f" (exit status {status})" if status >= 0 else f" (signal {-status})"
        said = self.last_lines
        return ConnectionClosedError(
            f"the connection by '{os.path.basename(self.name)}' was closed{how}"
            + (f"; it said last:\n{said}" if said else " without a word")
        )
