"""Blocking work in a thread that nobody has to wait for.

A server that stops to answer keeps a thread for a minute or longer.  A job that is cancelled or out of time must not
wait for that, at the end of the process least of all: these threads are told to stop, and left behind if they do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


class AbortedError(Exception):
    """Nobody wants the result any more."""


class Abort:
    """How the thread learns that it should stop, even while it waits for a server."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._socket: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection down on an abort: whoever reads from it in the thread is woken."""
        self._socket = connection
        self.check()

    def set(self) -> None:
        """Ask the thread to stop; called from the event loop."""
        self._event.set()
        if (connection := self._socket) is not None:
            with contextlib.suppress(OSError):
                # past the TLS layer, which would talk to the server first
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise AbortedError if the thread should stop."""
        if self._event.is_set():
            raise AbortedError

    def pause(self, seconds: float) -> None:
        """Wait; raise AbortedError as soon as the thread should stop."""
        self._event.wait(seconds)
        self.check()


async def in_background(work: Callable[[Abort], ResultT]) -> ResultT:
    """Return what the work returns, or raise what it raises; when cancelled, tell it to stop and wait no longer."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[ResultT] = loop.create_future()
    abort = Abort()

    def finish(report: Callable[[], None]) -> None:
        if not future.done():
            report()

    def run() -> None:
        try:
            result = work(abort)
        except BaseException as error:
            answer: Callable[[], None] = _raising(future, error)
        else:
            answer = _returning(future, result)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the job is over
            loop.call_soon_threadsafe(finish, answer)

    threading.Thread(target=run, name="download", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        abort.set()
        raise


def _raising(future: asyncio.Future[ResultT], error: BaseException) -> Callable[[], None]:
    return lambda: future.set_exception(error)


def _returning(future: asyncio.Future[ResultT], result: ResultT) -> Callable[[], None]:
    return lambda: future.set_result(result)
