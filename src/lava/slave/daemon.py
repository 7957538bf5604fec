"""The slave: one loop for control, one for logs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq.asyncio

from lava import __version__
from lava.wire.certificates import Certificate
from lava.wire.line import Line
from lava.wire.messages import Ack, End, Gone, Message, WireError, join_route
from lava.wire.slave_peer import SlavePeer
from lava.wire.sockets import Dialing, DialingSocket

from .control import Control
from .forwarder import Forwarder
from .jobs import Jobs
from .journal import Journal
from .processes import LAVA_RUN, JobProcesses, Processes

_log = logging.getLogger("lava-slave")

TICK_SECONDS = 0.5
#: how often it is looked whether there are logs
IDLE_SECONDS = 0.1
STOP_JOBS_SECONDS = 20.0
#: when it stops its jobs, the slave waits so long for the master to have everything
LAST_WORDS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the command line and the configuration file say."""

    name: str
    master: str
    logger: str
    state_directory: Path
    own: Certificate | None = None
    master_key: Certificate | None = None
    ipv6: bool = False
    #: ``HOST:PORT``; empty: none
    socks_proxy: str = ""
    stop_jobs_on_exit: bool = False
    lava_run: Sequence[str] = LAVA_RUN
    #: how often the logs of running jobs are looked at
    look_seconds: float = 0.02


class Slave:
    """Connects journal, jobs, peer and sockets."""

    def __init__(
        self,
        configuration: Configuration,
        journal: Journal,
        *,
        processes: Processes | None = None,
        context: zmq.asyncio.Context | None = None,
    ) -> None:
        """Dial.

        Args:
            processes: where jobs run; default: as processes on this machine.
            context: of ZMQ, shared by several slaves in one process.

        Raises:
            WireError: an address of the configuration is none.
        """
        self._configuration = configuration
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._jobs = Jobs(
            journal,
            configuration.state_directory / "tmp",
            processes or JobProcesses(configuration.lava_run),
            on_end=self._ended,
        )
        self._route = join_route(configuration.name, f"{os.getpid()}-{os.urandom(8).hex()}")
        peer = SlavePeer(__version__, journal.instance)
        self._control = Control(peer, self._jobs, send=self._outbox.put_nowait)
        self._shared = context is not None
        self._context = zmq.asyncio.Context() if context is None else context
        self._control_socket = self._dial(configuration.master)
        self._log_socket = self._dial(configuration.logger)
        self._forwarder = Forwarder(self._log_socket.send, self._loop.time)

    def _dial(self, address: str) -> DialingSocket:
        configuration = self._configuration
        dialing = Dialing(configuration.own, configuration.master_key, configuration.ipv6, configuration.socks_proxy)
        return DialingSocket(self._context, address, self._route, dialing)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; jobs go on, unless the configuration says otherwise."""
        self._jobs.adopt()
        tasks = [
            asyncio.create_task(self._tick(), name="tick"),
            asyncio.create_task(self._send(), name="send"),
            asyncio.create_task(self._receive_control(), name="control"),
            asyncio.create_task(self._receive_acknowledgements(), name="acknowledgements"),
            asyncio.create_task(self._forward(), name="forward"),
            asyncio.create_task(self._watch_control_line(), name="control line"),
            asyncio.create_task(self._watch_log_line(), name="log line"),
        ]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        if self._configuration.stop_jobs_on_exit:
            await self._jobs.stop_all(STOP_JOBS_SECONDS, LAST_WORDS_SECONDS)
        await self._jobs.leave()
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        self._control_socket.close()
        self._log_socket.close()
        if not self._shared:
            self._context.term()
        for task in done:
            if task is not stopping:
                task.result()

    def _ended(self, end: End) -> None:
        self._control.ended(end, self._loop.time())

    async def _tick(self) -> None:
        while True:
            self._control.tick(self._loop.time())
            await asyncio.sleep(TICK_SECONDS)

    async def _send(self) -> None:
        while True:
            message = await self._outbox.get()
            if message.tag == "HELLO":
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
            self._control.receive(message, self._loop.time())

    async def _watch_control_line(self) -> None:
        async for news in self._control_socket.news():
            if news.line is Line.UP:
                self._control.line_is_up(self._loop.time())
            elif news.trouble:
                _log.error("no connection with the master at %s: %s", self._control_socket.address, news.trouble)

    async def _watch_log_line(self) -> None:
        async for news in self._log_socket.news():
            if news.line is Line.UP:
                self._forwarder.line_is_up()
            elif news.trouble:
                _log.error("no connection for logs to %s: %s", self._log_socket.address, news.trouble)

    async def _receive_acknowledgements(self) -> None:
        while True:
            try:
                message = await self._log_socket.receive()
            except WireError as error:
                _log.error("ignored a message of the master's log socket: %s", error)
                continue
            match message:
                case Ack(job=job, offset=offset):
                    self.stored(job, offset)
                case Gone(job=job):
                    self._control.drop(job)
                case _:
                    pass  # of a newer master

    def stored(self, job: str, offset: int) -> None:
        """Take in that the master has the log of a job up to the offset."""
        self._forwarder.acknowledge(job, offset)
        self._control.stored(job, offset)

    async def _forward(self) -> None:
        while True:
            logs = self._jobs.log_files
            await self._forwarder.forward(logs)
            await asyncio.sleep(self._configuration.look_seconds if logs else IDLE_SECONDS)
