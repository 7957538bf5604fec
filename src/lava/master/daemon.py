"""The master: control and log sockets, the scheduler's clock, the database.

What slaves say is answered from memory where it can be, and by the database's threads otherwise; a slow database makes
things late, it takes nobody offline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import zmq.asyncio
from django.conf import settings
from django.utils import timezone

from lava import __version__
from lava.master.scheduler import run_round
from lava.server import wake
from lava.server.actions import workers
from lava.server.actions.lease import LeaseLostError
from lava.server.log_journal import JournalInUseError, LogJournal
from lava.server.logs import Addition, write_each
from lava.wire.certificates import Certificate
from lava.wire.master_peer import REPEAT_SECONDS, SILENCE_SECONDS, MasterPeer
from lava.wire.sockets import ListeningSocket, start_authenticator

from .control import Control
from .database import Database
from .keys import SlaveKeys
from .lease import Lease
from .log_store import LogStore

_log = logging.getLogger("lava-master")

#: the slow round, for everything that no wake-up told of
ROUND_SECONDS = 10.0
#: how often silence and the directory of certificates are looked at
WATCH_SECONDS = 1.0
#: what failed is done again after this long
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the command line says."""

    control: str
    logger: str
    own: Certificate | None = None
    slaves: Path | None = None
    ipv6: bool = False
    match_names: bool = False


class Master:
    """Connects sockets, scheduler and database."""

    def __init__(self, configuration: Configuration) -> None:
        """Listen.

        Raises:
            CertificateError: the directory of the slaves' certificates cannot be read.
            WireError: an address cannot be listened on.
        """
        self._context = zmq.asyncio.Context()
        self._keys: SlaveKeys | None = None
        self._authenticator = None
        self._peer = MasterPeer(__version__, term=0, match_names=configuration.match_names)
        if configuration.own is not None and configuration.slaves is not None:
            self._keys = SlaveKeys(configuration.slaves)
            self._peer.keys_changed(self._keys.current())
            self._authenticator = start_authenticator(self._context, self._keys.current)
        own, ipv6 = configuration.own, configuration.ipv6
        self._control_socket = ListeningSocket(self._context, configuration.control, own=own, ipv6=ipv6)
        self._log_socket = ListeningSocket(self._context, configuration.logger, own=own, ipv6=ipv6)
        holder = f"{socket.gethostname()} {configuration.control}"
        self._lease = Lease(holder, self._work_in)
        self._database = Database("database", self._lease.guard)
        self._log_database = Database("log database", self._lease.guard)
        self._look = asyncio.Event()
        self._working = asyncio.Event()
        self._control = Control(self._control_socket, self._peer, self._database, self._look)
        self._journal: LogJournal | None = None
        self._log_store = LogStore(self._log_socket, self._peer, self._log_database, self._write_logs)
        self._loop = asyncio.get_running_loop()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop."""
        _log.info("[INIT] LAVA dispatcher-master has started.")
        keeping = asyncio.create_task(self._forever(self._lease.keep), name="lease")
        tasks = [
            asyncio.create_task(self._forever(work), name=work.__qualname__)
            for work in (
                self._control.receive,
                self._control.work,
                self._control.troubles,
                self._log_store.receive,
                self._log_store.store,
                self._log_store.troubles,
                self._listen,
                self._rounds,
                self._watch,
                self._watch_database,
            )
        ]
        await stop.wait()
        for task in (keeping, *tasks):
            task.cancel()
        await asyncio.gather(keeping, *tasks, return_exceptions=True)
        await self._lease.give_up()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._control_socket.close()
        self._log_socket.close()
        self._database.close()
        self._log_database.close()
        self._lease.close()
        if self._journal is not None:
            self._journal.close()
        self._context.term()

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work again whatever ends it: a daemon does not die of a message or of a database."""
        while True:
            try:
                await work()
            except LeaseLostError as error:
                _log.error("%s", error)
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:
                _log.exception("%s failed; going on", work.__qualname__)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _work_in(self, term: int) -> None:
        """Begin to work, or leave it to another master."""
        if term and self._journal is None:
            self._journal = await asyncio.to_thread(_journal)
        effects = self._peer.work_in(term)
        if term:
            _log.info("this master works, term %s", term)
            self._working.set()
            self._look.set()
        else:
            _log.error("another master has followed: standing by")
            self._working.clear()
        await self._control.perform(effects)

    def _write_logs(self, additions: Sequence[Addition]) -> None:
        (write_each if self._journal is None else self._journal.write)(additions)

    async def _listen(self) -> None:
        async with wake.listen() as listener:
            async for wake_up in listener:
                if wake_up.topic in (wake.QUEUE, wake.CANCEL):
                    self._look.set()

    async def _rounds(self) -> None:
        """Give devices to jobs and tell slaves, when something happened, and every now and then."""
        while True:
            await self._working.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPEAT_SECONDS if self._peer.orders_open else ROUND_SECONDS):
                    await self._look.wait()
            self._look.clear()
            await self._database.run(run_round)
            await self._control.tell()

    async def _watch(self) -> None:
        """Notice who is silent, and whose certificate is gone."""
        while True:
            await self._control.perform(self._peer.tick(self._loop.time()))
            if self._keys is not None:
                keys = self._keys.current()
                if keys != self._peer.keys:
                    await self._control.perform(self._peer.keys_changed(keys))
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch_database(self) -> None:
        """Notice who was online when an earlier master ended, and has not come back."""
        silence = timedelta(seconds=SILENCE_SECONDS)
        while True:
            await asyncio.sleep(SILENCE_SECONDS / 3)
            await self._working.wait()
            here = set(self._peer.sessions)
            for name in await self._database.run(workers.lose_silent_workers, timezone.now(), silence, here):
                _log.error("%s goes OFFLINE", name)


def _journal() -> LogJournal | None:
    """Return the journal beside the logs; None while another master has it, who may be about to end."""
    try:
        return LogJournal(Path(settings.MEDIA_ROOT) / "journal")
    except JournalInUseError as error:
        _log.warning("%s: each log is flushed by itself, which is slower", error)
        return None
