"""The connection of a slave with one master: two sockets, and what is said over them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import zmq.asyncio

from lava.wire.line import Line
from lava.wire.messages import Ack, Gone, Hello, Log, Message, WireError
from lava.wire.slave_peer import SlavePeer
from lava.wire.sockets import Dialing, DialingSocket

from .control import Control
from .jobs import Jobs

_log = logging.getLogger("lava-slave")

TICK_SECONDS = 0.5


class Link:
    """Greets its master, and hands on what that says, if it is the one that counts."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        addresses: tuple[str, str],
        route: bytes,
        dialing: Dialing,
        peer: SlavePeer,
        jobs: Jobs,
        *,
        obeys: Callable[[Link], bool],
        on_stored: Callable[[str, int], None],
        on_log_line: Callable[[Link], None],
    ) -> None:
        """Dial.

        Args:
            addresses: of the control and of the log socket.
            obeys: whether this master is the one that counts.
            on_stored: told up to which offset that master has the log of a job.
            on_log_line: told that the log socket has connected, again.

        Raises:
            WireError: an address is none.
        """
        self.peer = peer
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._obeys = obeys
        self._on_stored = on_stored
        self._on_log_line = on_log_line
        self._loop = asyncio.get_running_loop()
        self._control_socket = DialingSocket(context, addresses[0], route, dialing)
        self._log_socket = DialingSocket(context, addresses[1], route, dialing)
        self.control = Control(peer, jobs, send=self._outbox.put_nowait, obeys=lambda: obeys(self))

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run, for ever."""
        return [
            self._tick(),
            self._send(),
            self._receive_control(),
            self._receive_acknowledgements(),
            self._watch(self._control_socket, "with the master at", lambda: self.control.line_is_up(self._loop.time())),
            self._watch(self._log_socket, "for logs to", lambda: self._on_log_line(self)),
        ]

    async def send_log(self, log: Log) -> bool:
        """Send a part of a log; False when nothing can be sent now."""
        return await self._log_socket.send(log)

    def close(self) -> None:
        self._control_socket.close()
        self._log_socket.close()

    async def _tick(self) -> None:
        while True:
            self.control.tick(self._loop.time())
            await asyncio.sleep(TICK_SECONDS)

    async def _send(self) -> None:
        while True:
            message = await self._outbox.get()
            if isinstance(message, Hello):
                _log.debug("Greeting the master => 'HELLO'")
                _log.info("Waiting for the master to reply")
            else:
                _log.debug("=> %s", message.tag)
            await self._control_socket.send(message)

    async def _receive_control(self) -> None:
        while True:
            try:
                message = await self._control_socket.receive()
            except WireError as error:
                _log.error("ignored a message of the master: %s", error)
                continue
            _log.debug("The master replied: ['%s']", message.tag)
            self.control.receive(message, self._loop.time())

    async def _receive_acknowledgements(self) -> None:
        while True:
            try:
                message = await self._log_socket.receive()
            except WireError as error:
                _log.error("ignored a message of the master's log socket: %s", error)
                continue
            match message:
                case Ack(job=job, offset=offset) if self._obeys(self):
                    self._on_stored(job, offset)
                case Gone(job=job) if self._obeys(self):
                    self.control.drop(job)
                case _:
                    pass  # of a master that does not count, or of a newer one

    async def _watch(self, line: DialingSocket, what: str, on_up: Callable[[], None]) -> None:
        async for news in line.news():
            if news.line is Line.UP:
                on_up()
            elif news.trouble:
                _log.error("no connection %s %s: %s", what, line.address, news.trouble)
