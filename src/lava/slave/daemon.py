"""The slave: its jobs, and its connections with one or several masters."""

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
from lava.wire.messages import End, Log, join_route
from lava.wire.slave_peer import Report, SlavePeer
from lava.wire.sockets import Dialing

from .forwarder import Forwarder
from .jobs import Jobs
from .journal import Journal
from .link import Link
from .processes import LAVA_RUN, JobProcesses, Processes

_log = logging.getLogger("lava-slave")

#: how often it is looked whether there are logs
IDLE_SECONDS = 0.1
STOP_JOBS_SECONDS = 20.0
#: when it stops its jobs, the slave waits so long for the master to have everything
LAST_WORDS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the command line and the configuration file say."""

    name: str
    #: control and log address of each master
    masters: Sequence[tuple[str, str]]
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
    """Runs jobs for the master that works; with several, that is the one that answered with the highest term."""

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
        self._jobs = Jobs(
            journal,
            configuration.state_directory / "tmp",
            processes or JobProcesses(configuration.lava_run),
            on_end=self._ended,
        )
        self._shared = context is not None
        self._context = zmq.asyncio.Context() if context is None else context
        self._forwarder = Forwarder(self._send_log, self._loop.time)
        self._working: Link | None = None
        route = join_route(configuration.name, f"{os.getpid()}-{os.urandom(8).hex()}")
        dialing = Dialing(configuration.own, configuration.master_key, configuration.ipv6, configuration.socks_proxy)
        ends: dict[str, Report] = {}
        self._links = [
            Link(
                self._context,
                addresses,
                route,
                dialing,
                SlavePeer(__version__, journal.instance, ends),
                self._jobs,
                obeys=self._obeys,
                on_stored=self.stored,
                on_log_line=self._log_line_is_up,
            )
            for addresses in configuration.masters
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; jobs go on, unless the configuration says otherwise."""
        self._jobs.adopt()
        tasks = [asyncio.create_task(self._forward(), name="forward")]
        tasks += [asyncio.create_task(work) for link in self._links for work in link.work()]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        if self._configuration.stop_jobs_on_exit:
            await self._jobs.stop_all(STOP_JOBS_SECONDS, LAST_WORDS_SECONDS)
        await self._jobs.leave()
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        for link in self._links:
            link.close()
        if not self._shared:
            self._context.term()
        for task in done:
            if task is not stopping:
                task.result()

    def _obeys(self, link: Link) -> bool:
        """Return whether the master of the link is the one that counts."""
        if link is self._working:
            return True
        if self._working is not None and link.peer.term <= self._working.peer.term:
            return False
        if not link.peer.connected:
            return False
        self._working = link
        self._forwarder.line_is_up()
        return True

    def _ended(self, end: End) -> None:
        for link in self._links:
            link.control.ended(end, self._loop.time())

    def _log_line_is_up(self, link: Link) -> None:
        if link is self._working:
            self._forwarder.line_is_up()

    def stored(self, job: str, offset: int) -> None:
        """Take in that the master has the log of a job up to the offset."""
        self._forwarder.acknowledge(job, offset)
        for link in self._links:
            link.control.stored(job, offset)

    async def _send_log(self, log: Log) -> bool:
        return self._working is not None and await self._working.send_log(log)

    async def _forward(self) -> None:
        while True:
            logs = self._jobs.log_files
            await self._forwarder.forward(logs)
            await asyncio.sleep(self._configuration.look_seconds if logs else IDLE_SECONDS)
