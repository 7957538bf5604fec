"""The master: control and log sockets, the scheduler's clock, one thread for the database.

What slaves say is answered from memory where it can be (PONG), and by the database's thread otherwise; a slow database
makes things late, it takes nobody offline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import zmq.asyncio
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from lava import __version__
from lava.master.scheduler import run_round
from lava.server import wake
from lava.server.actions import ingest, lifecycle, workers
from lava.wire.certificates import Certificate
from lava.wire.messages import (
    PROTOCOL,
    Ack,
    Cancel,
    End,
    EndOk,
    Gone,
    Hello,
    HelloOk,
    Log,
    Message,
    Ping,
    Pong,
    Refused,
    Start,
    StartOk,
    Status,
    WireError,
    check_name,
)
from lava.wire.sockets import KnownKeys, ListeningSocket, Received, start_authenticator

_log = logging.getLogger("lava-master")

PING_SECONDS = 5
#: a slave that was not heard of for so long is offline
SILENCE = timedelta(seconds=30)
#: a sign of life is written to the database this often
SEEN_SECONDS = 10.0
#: the slow round, for everything that no wake-up told of
ROUND_SECONDS = 10.0
#: START and CANCEL are repeated this often until they are answered
REPEAT_SECONDS = 5.0
DATABASE_PAUSE_SECONDS = 1.0

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the command line says."""

    control: str
    logger: str
    own: Certificate | None = None
    slaves: Path | None = None


@dataclass(slots=True)
class _Session:
    """A slave that was admitted."""

    key: str
    version: str
    epoch: str
    heard: float
    written: float
    #: when each job was last told to start, or to stop
    told: dict[tuple[str, str], float] = field(default_factory=dict)


class Master:
    """Connects sockets, scheduler and database."""

    def __init__(self, configuration: Configuration) -> None:
        self._context = zmq.asyncio.Context()
        self._authenticator = None
        if configuration.own is not None and configuration.slaves is not None:
            keys = KnownKeys(configuration.slaves, on_refusal=self._refuse_key)
            self._authenticator = start_authenticator(self._context, keys)
        self._control = ListeningSocket(self._context, configuration.control, own=configuration.own)
        self._logs = ListeningSocket(self._context, configuration.logger, own=configuration.own)
        self._database = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._sessions: dict[str, _Session] = {}
        self._look = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop."""
        _log.info("[INIT] LAVA dispatcher-master has started.")
        tasks = [
            asyncio.create_task(self._forever("control", self._receive_control), name="control"),
            asyncio.create_task(self._forever("logs", self._receive_logs), name="logs"),
            asyncio.create_task(self._forever("rounds", self._rounds), name="rounds"),
            asyncio.create_task(self._forever("wake-ups", self._listen), name="wake-ups"),
            asyncio.create_task(self._forever("silence", self._watch_silence), name="silence"),
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._authenticator is not None:
            self._authenticator.stop()
        self._control.close()
        self._logs.close()
        self._database.shutdown()
        self._context.term()

    async def _forever(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work again whatever ends it: a daemon does not die of a message or of a database."""
        while True:
            try:
                await work()
            except Exception:
                _log.exception("%s failed; going on", name)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)

    async def _in_database(self, work: Callable[[], ResultT]) -> ResultT:
        """Run in the database's thread; a lost connection is opened again, for as long as it takes."""

        def connected() -> ResultT:
            close_old_connections()
            return work()

        while True:
            try:
                return await self._loop.run_in_executor(self._database, connected)
            except (DatabaseError, InterfaceError) as error:
                _log.error("the database failed, trying again: %s", error)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)

    # --- slaves

    async def _receive_control(self) -> None:
        while True:
            received = await self._control.receive()
            try:
                name = check_name(received.name.decode())
                message = received.message
            except (WireError, UnicodeDecodeError) as error:
                _log.error("ignored a message of %r: %s", received.name[:60], error)
                continue
            _log.debug("%s => %s", name, message.tag)
            await self._answer(name, received, message)

    async def _answer(self, name: str, received: Received, message: Message) -> None:
        now = self._loop.time()
        session = self._sessions.get(name)
        if isinstance(message, Hello):
            await self._admit(name, received.key, message.version, message.epoch, message.protocol)
            return
        if session is None or session.key != received.key:
            version, epoch = (message.version, message.epoch) if isinstance(message, Ping) else ("", "")
            if not await self._admit(name, received.key, version, epoch, PROTOCOL):
                return
            session = self._sessions[name]
        session.heard = now
        match message:
            case Ping(version=version):
                await self._send(name, Pong(PING_SECONDS))
                if now - session.written > SEEN_SECONDS:
                    session.written = now
                    seen = self._in_database(lambda: workers.worker_seen(name, version, received.key))
                    self._background(seen)
            case StartOk(job=job):
                _log.info("[%s] %s => START_OK", job, name)
                await self._with_job(job, lambda pk: lifecycle.job_started(pk))
            case End():
                await self._end(name, message)
            case _:
                _log.error("ignored %s of %s", message.tag, name)

    async def _admit(self, name: str, key: str, version: str, epoch: str, protocol: int) -> bool:
        """Let a slave in, or tell it why not."""
        if abs(protocol - PROTOCOL) > 1:
            reason = f"it speaks protocol {protocol}, this master {PROTOCOL}"
        else:
            reason = await self._in_database(lambda: workers.worker_seen(name, version, key) or "")
        if reason:
            _log.error("%s is refused: %s", name, reason)
            await self._control.send(name.encode(), Refused(reason))
            return False
        known = self._sessions.get(name)
        now = self._loop.time()
        self._sessions[name] = _Session(key, version, epoch, now, now)
        _log.info("%s is online%s", name, f", key {key[:8]}…" if key else "")
        await self._send(name, HelloOk(PROTOCOL, __version__, PING_SECONDS))
        if known is None or known.epoch != epoch:
            for job in await self._in_database(lambda: lifecycle.running_jobs(name)):
                await self._send(name, Status(job))
        self._look.set()
        return True

    async def _end(self, name: str, end: End) -> None:
        accepted = await self._with_job(
            end.job,
            lambda pk: lifecycle.job_ended(
                pk,
                log_length=end.log_length,
                exit_status=end.exit_status,
                error_text=end.error,
                description=end.description.decode("utf-8", "replace"),
            ),
        )
        _log.info("[%s] %s => END%s", end.job, name, "" if accepted else ": a part of its log is still missing")
        if accepted:
            await self._send(name, EndOk(end.job))

    async def _with_job(self, display_id: str, work: Callable[[int], bool]) -> bool:
        """Do something with a job; a job that nobody knows is done with."""

        def look_up() -> bool:
            job = lifecycle.id_of(display_id)
            return True if job is None else work(job)

        return await self._in_database(look_up)

    async def _send(self, name: str, message: Message) -> None:
        _log.debug("%s <= %s", name, message.tag)
        await self._control.send(name.encode(), message)

    def _refuse_key(self, why: str) -> None:
        _log.error("refused a connection: %s", why)

    def _background(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    # --- logs

    async def _receive_logs(self) -> None:
        while True:
            received = await self._logs.receive()
            try:
                name = check_name(received.name.decode())
                message = received.message
            except (WireError, UnicodeDecodeError) as error:
                _log.error("ignored a message on the log socket: %s", error)
                continue
            session = self._sessions.get(name)
            if session is None or session.key != received.key:
                continue  # it will be sent again once the slave is admitted
            if isinstance(message, Log):
                await self._store(received.name, message)

    async def _store(self, name: bytes, log: Log) -> None:
        def store() -> int | None:
            job = lifecycle.id_of(log.job)
            return None if job is None else ingest.store_log(job, log.offset, log.lines)

        stored = await self._in_database(store)
        await self._logs.send(name, Gone(log.job) if stored is None else Ack(log.job, stored))

    # --- jobs

    async def _listen(self) -> None:
        async with wake.listen() as listener:
            async for wake_up in listener:
                if wake_up.topic in (wake.QUEUE, wake.CANCEL):
                    self._look.set()

    async def _rounds(self) -> None:
        """Give devices to jobs and tell slaves, when something happened, and every now and then."""
        while True:
            try:
                async with asyncio.timeout(ROUND_SECONDS if not self._orders_open() else REPEAT_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            await self._in_database(run_round)
            for name in list(self._sessions):
                await self._tell(name)

    def _orders_open(self) -> bool:
        return any(session.told for session in self._sessions.values())

    async def _tell(self, name: str) -> None:
        """Send the orders that a slave has not answered yet."""
        session = self._sessions[name]
        now = self._loop.time()
        orders = await self._in_database(lambda: lifecycle.start_orders(name))
        canceling = await self._in_database(lambda: lifecycle.canceling_jobs(name))
        open_orders: list[tuple[tuple[str, str], Message]] = [
            (
                ("START", order.job_id),
                Start(
                    order.job_id,
                    order.definition.encode(),
                    order.device.encode(),
                    order.dispatcher.encode(),
                    order.environment.encode(),
                    order.device_environment.encode(),
                ),
            )
            for order in orders
        ]
        open_orders += [(("CANCEL", job), Cancel(job)) for job in canceling]
        for key, message in open_orders:
            if now - session.told.get(key, float("-inf")) >= REPEAT_SECONDS:
                session.told[key] = now
                _log.info("[%s] %s <= %s", key[1], name, key[0])
                await self._send(name, message)
        wanted = {key for key, _ in open_orders}
        session.told = {key: when for key, when in session.told.items() if key in wanted}

    async def _watch_silence(self) -> None:
        while True:
            for name in await self._in_database(lambda: workers.lose_silent_workers(timezone.now(), SILENCE)):
                _log.error("%s goes OFFLINE", name)
                self._sessions.pop(name, None)
            await asyncio.sleep(PING_SECONDS)
