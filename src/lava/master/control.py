"""The control socket of a master: what :class:`MasterPeer` decides is sent, or done in the database."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

from lava.server.actions import lifecycle, workers
from lava.wire.master_peer import (
    Admit,
    Blame,
    Complain,
    Do,
    Effect,
    Ended,
    Gone,
    MasterPeer,
    Order,
    Seen,
    Send,
    Started,
)
from lava.wire.messages import Cancel, EndOk, Hello, Message, Start, WireError
from lava.wire.sockets import ListeningSocket

from .complaints import Complaints
from .database import Database

_log = logging.getLogger("lava-master")

#: what waits for the database; more than that is dropped, and comes again
WAITING = 10_000


class Control:
    """Talks to the slaves.  PING is answered without the database, however slow that is."""

    def __init__(self, socket: ListeningSocket, peer: MasterPeer, database: Database, look: asyncio.Event) -> None:
        """Begin.

        Args:
            look: set when the scheduler should look again.
        """
        self._socket = socket
        self._peer = peer
        self._database = database
        self._look = look
        self._waiting: asyncio.Queue[Effect] = asyncio.Queue(WAITING)
        self._loop = asyncio.get_running_loop()
        self._complaints = Complaints(_log)

    async def receive(self) -> None:
        """Answer slaves, for ever."""
        while True:
            received = await self._socket.receive()
            now = self._loop.time()
            effects: Sequence[Effect]
            try:
                message = received.message
            except WireError as error:
                effects = self._peer.malformed(received.route, error, now)
            else:
                _log.debug("%s => %s", _name(received.route), message.tag)
                if isinstance(message, Hello):
                    _log.info("%s => HELLO", _name(received.route))
                effects = self._peer.receive(received.route, received.key, message, now)
            await self.perform(effects)

    async def perform(self, effects: Iterable[Effect]) -> None:
        """Send what is to be sent at once, and queue what needs the database."""
        for effect in effects:
            match effect:
                case Send(route, message):
                    await self._send(route, message)
                case Complain(text):
                    self._complaints.tell(self._loop.time(), "%s", text)
                case _:
                    try:
                        self._waiting.put_nowait(effect)
                    except asyncio.QueueFull:
                        _log.error("the database is far behind: dropped %s, it comes again", type(effect).__name__)

    async def work(self) -> None:
        """Do what needs the database, in its order, for ever."""
        while True:
            await self._do(await self._waiting.get())

    async def _do(self, effect: Effect) -> None:
        match effect:
            case Admit(name, _, key, hello):
                refusal, jobs = await self._database.run(_admit, name, hello.version, key)
                effects = self._peer.answer(effect, refusal, jobs, self._loop.time())
                if name in self._peer.sessions:
                    file = (self._peer.keys or {}).get(key)
                    _log.info("%s is online%s", name, f", by its certificate {file}.key" if file else "")
                await self.perform(effects)
                self._look.set()
            case Seen(name, version, key):
                await self._database.run(workers.worker_seen, name, version, key)
            case Gone(name):
                _log.error("%s goes OFFLINE", name)
                await self._database.run(workers.worker_lost, name)
            case Blame(name, reason):
                await self._database.run(workers.worker_blamed, name, reason)
            case Started(name, job):
                _log.info("[%s] %s => START_OK", job, name)
                await self._database.run(lifecycle.job_started, name, job)
            case Ended(name, route, end):
                stored = await self._database.run(
                    lifecycle.job_ended,
                    name,
                    end.job,
                    log_length=end.log_length,
                    exit_status=end.exit_status,
                    error_text=end.error,
                    description=end.description.decode("utf-8", "replace"),
                )
                _log.info("[%s] %s => END%s", end.job, name, "" if stored else ": a part of its log is still missing")
                if stored:
                    await self._send(route, EndOk(end.job))
            case _:
                raise AssertionError(effect)

    async def tell(self) -> None:
        """Send the orders that slaves have not answered yet."""
        wanted: dict[str, list[Order]] = defaultdict(list)
        waiting = await self._database.run(lifecycle.unanswered, list(self._peer.sessions))
        for worker, job, starting in waiting:
            wanted[worker].append((Do.START if starting else Do.CANCEL, job))
        for name, route, (what, job) in self._peer.due(wanted, self._loop.time()):
            if what is Do.CANCEL:
                message: Message | None = Cancel(job)
            else:
                message = await self._database.run(_start, name, job)
            if message is not None:
                _log.info("[%s] %s <= %s", job, name, message.tag)
                await self._send(route, message)

    async def troubles(self) -> None:
        """Log whose connections come to nothing, for ever."""
        complaints = Complaints(_log)
        async for trouble in self._socket.troubles():
            complaints.tell(self._loop.time(), "refused a connection from %s", trouble)

    async def _send(self, route: bytes, message: Message) -> None:
        _log.debug("%s <= %s", _name(route), message.tag)
        await self._socket.send(route, message)


def _admit(worker: str, version: str, key: str) -> tuple[str, list[str]]:
    """Return why the worker may not work, and the jobs that it is believed to run."""
    return workers.worker_seen(worker, version, key) or "", lifecycle.running_jobs(worker)


def _start(worker: str, job: str) -> Start | None:
    order = lifecycle.start_order(worker, job)
    if order is None:
        return None
    return Start(
        order.job_id,
        order.definition.encode(),
        order.device.encode(),
        order.dispatcher.encode(),
        order.environment.encode(),
        order.device_environment.encode(),
    )


def _name(route: bytes) -> str:
    return route.partition(b"/")[0].decode("utf-8", "replace")[:60]
