"""The slave: one loop for control, one for logs."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import zmq.asyncio

from lava import __version__
from lava.spool import read_lines
from lava.wire.certificates import Certificate
from lava.wire.log_sender import CHUNK_BYTES, LogSender
from lava.wire.messages import Ack, End, Gone, Log, Message, StartOk, WireError
from lava.wire.slave_peer import (
    CancelJob,
    Command,
    Connected,
    ForgetJob,
    Lost,
    Rejected,
    ReportJob,
    SlavePeer,
    StartJob,
)
from lava.wire.sockets import DialingSocket

from .jobs import Jobs
from .journal import Journal

_log = logging.getLogger("lava-slave")

TICK_SECONDS = 0.5
#: how often logs are looked at: while something comes, and while nothing does
BUSY_SECONDS = 0.02
IDLE_SECONDS = 0.1
STOP_JOBS_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the command line and the configuration file say."""

    name: str
    master: str
    logger: str
    state_directory: Path
    own: Certificate | None = None
    master_key: Certificate | None = None
    stop_jobs_on_exit: bool = False


class Slave:
    """Connects journal, jobs, peer and sockets."""

    def __init__(self, configuration: Configuration, journal: Journal) -> None:
        self._configuration = configuration
        self._context = zmq.asyncio.Context()
        self._control = self._dial(configuration.master)
        self._logs = self._dial(configuration.logger)
        self._peer = SlavePeer(__version__, f"{os.getpid()}-{os.urandom(6).hex()}")
        self._jobs = Jobs(journal, configuration.state_directory / "tmp", on_end=self._ended)
        self._senders: dict[str, LogSender] = {}
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def _dial(self, address: str) -> DialingSocket:
        configuration = self._configuration
        return DialingSocket(
            self._context, address, configuration.name, own=configuration.own, master=configuration.master_key
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; jobs go on, unless the configuration says otherwise."""
        _log.info("Connecting to master as <%s>", self._configuration.name)
        self._jobs.adopt()
        tasks = [
            asyncio.create_task(self._tick(), name="tick"),
            asyncio.create_task(self._send(), name="send"),
            asyncio.create_task(self._receive_control(), name="control"),
            asyncio.create_task(self._receive_acknowledgements(), name="acknowledgements"),
            asyncio.create_task(self._forward(), name="forward"),
        ]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        if self._configuration.stop_jobs_on_exit:
            await self._jobs.stop_all(STOP_JOBS_SECONDS)
            await asyncio.sleep(BUSY_SECONDS * 5)  # the last lines are on their way
        await self._jobs.leave()
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        self._control.close()
        self._logs.close()
        self._context.term()
        for task in done:
            if task is not stopping:
                task.result()

    async def _tick(self) -> None:
        while True:
            messages, commands = self._peer.tick(self._loop.time())
            for message in messages:
                self._outbox.put_nowait(message)
            for command in commands:
                self._perform(command)
            await asyncio.sleep(TICK_SECONDS)

    async def _send(self) -> None:
        while True:
            message = await self._outbox.get()
            if message.tag == "HELLO":
                _log.debug("Greeting the master => 'HELLO'")
                _log.info("Waiting for the master to reply")
            else:
                _log.debug("=> %s", message.tag)
            await self._control.send(message)

    async def _receive_control(self) -> None:
        while True:
            try:
                message = await self._control.receive()
            except WireError as error:
                _log.error("ignored a message of the master: %s", error)
                continue
            _log.debug("The master replied: ['%s']", message.tag)
            for command in self._peer.receive(message, self._loop.time()):
                try:
                    self._perform(command)
                except Exception:
                    _log.exception("cannot %s", command)

    def _perform(self, command: Command) -> None:
        match command:
            case Connected():
                _log.info("Connection with the master established")
            case Lost():
                _log.error("Master goes OFFLINE: no word for long; jobs go on")
            case Rejected(reason):
                _log.error("the master refuses this slave: %s", reason)
            case StartJob(order):
                _log.info("[%s] <= START", order.job)
                end = self._jobs.start(order)
                self._report(order.job, end)
            case CancelJob(job):
                _log.info("[%s] <= CANCEL", job)
                self._jobs.cancel(job)
                if not self._jobs.is_running(job):
                    self._report(job, self._jobs.end_of(job))
            case ReportJob(job):
                self._report(job, self._jobs.end_of(job))
            case ForgetJob(job):
                self._jobs.forget(job)
                self._senders.pop(job, None)

    def _report(self, job: str, end: End | None) -> None:
        """Answer that the job runs, or that it has ended."""
        if end is None:
            self._outbox.put_nowait(StartOk(job))
        else:
            self._ended(end)

    def _ended(self, end: End) -> None:
        for message in self._peer.end(end, self._loop.time()):
            self._outbox.put_nowait(message)

    async def _receive_acknowledgements(self) -> None:
        while True:
            try:
                message = await self._logs.receive()
            except WireError as error:
                _log.error("ignored a message of the master's log socket: %s", error)
                continue
            match message:
                case Ack(job=job, offset=offset) if job in self._senders:
                    self._senders[job].receive(offset, self._loop.time())
                case Gone(job=job):
                    _log.error("[%s] the master does not know the job any more: stopping it", job)
                    self._jobs.cancel(job)
                    self._jobs.forget(job)
                    self._senders.pop(job, None)
                case _:
                    pass

    async def _forward(self) -> None:
        """Send what the logs have that the master has not."""
        while True:
            busy = False
            for job, path in self._jobs.log_files.items():
                sender = self._senders.setdefault(job, LogSender())
                try:
                    size = path.stat().st_size
                except OSError:
                    continue
                while (offset := sender.next_offset(size, self._loop.time())) is not None:
                    lines = await asyncio.to_thread(read_lines, path, offset, CHUNK_BYTES)
                    if not lines or not await self._logs.send(Log(job, offset, lines)):
                        break
                    sender.sent_chunk(offset, len(lines), self._loop.time())
                    busy = True
            await asyncio.sleep(BUSY_SECONDS if busy or self._senders else IDLE_SECONDS)
