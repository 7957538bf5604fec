"""One look at the database for everybody who watches: a process has one hub, whatever the number of its streams.

Theory of operation.  A watcher registers for a job and is given its newest snapshot; it keeps none but the newest, so
a slow client costs no memory.  The hub sleeps until a wake-up names a watched job, or until the time has come to look
at all of them again, since wake-ups may be lost.  One thread reads, so that the event loop never waits for the database
and a process with thousands of streams holds one connection.  With the last watcher everything goes: tasks, thread,
socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections

from lava.server import wake

from .snapshot import Snapshot, read_snapshots

#: everything that is watched is read again after so long, woken or not
LOOK_AGAIN_SECONDS = 5.0
_AFTER_FAILURE_SECONDS = 1.0
_log = logging.getLogger(__name__)

Read = Callable[[Collection[int]], Mapping[int, Snapshot]]


class Watch:
    """What one watcher knows of its job."""

    def __init__(self, job: int, snapshot: Snapshot) -> None:
        self.job = job
        self.newest = snapshot
        self._news = asyncio.Event()

    def tell(self, snapshot: Snapshot) -> None:
        """Replace the snapshot; wakes the watcher when it says something else."""
        if snapshot != self.newest:
            self.newest = snapshot
            self._news.set()

    async def news(self) -> Snapshot:
        """Wait for a snapshot that differs from the one that this call returned before."""
        await self._news.wait()
        self._news.clear()
        return self.newest


class Hub:
    """Reads what is watched and tells the watchers."""

    def __init__(
        self,
        read: Read = read_snapshots,
        listen: Callable[[], wake.Listener] = wake.listen,
        look_again_seconds: float = LOOK_AGAIN_SECONDS,
    ) -> None:
        self._read = read
        self._listen = listen
        self._look_again_seconds = look_again_seconds
        self._watches: dict[int, set[Watch]] = {}
        self._changed: set[int] = set()
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread: ThreadPoolExecutor | None = None

    @property
    def watched(self) -> Collection[int]:
        """The jobs that somebody watches."""
        return self._watches.keys()

    @asynccontextmanager
    async def watch(self, job: int, known: Snapshot) -> AsyncIterator[Watch]:
        """Watch a job as long as the context lasts.

        Args:
            known: what the caller has just read of the job.
        """
        watch = Watch(job, known)
        self._watches.setdefault(job, set()).add(watch)
        # Something may have happened between the caller's look and now.
        self._wake(job)
        if not self._tasks:
            self._start()
        try:
            yield watch
        finally:
            self._watches[job].discard(watch)
            if not self._watches[job]:
                del self._watches[job]
            if not self._watches:
                await self._stop()

    def _start(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")
        self._tasks = [asyncio.create_task(self._listen_for_ever()), asyncio.create_task(self._look_for_ever())]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        thread, self._thread = self._thread, None
        for task in tasks:
            task.cancel()
        if thread is not None:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)
        # The caller may be cancelled itself: the tasks end by themselves, this only collects them.
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake(self, job: int) -> None:
        self._changed.add(job)
        self._woken.set()

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async with self._listen() as listener:
                    async for wake_up in listener:
                        for job in self._concerned(wake_up):
                            self._wake(job)
            except OSError as error:
                _log.warning("not woken by changes, looking every %s s: %s", self._look_again_seconds, error)
            await asyncio.sleep(_AFTER_FAILURE_SECONDS)

    def _concerned(self, wake_up: wake.WakeUp) -> list[int]:
        if wake_up.topic == wake.QUEUE:
            # The queue moved: those who wait may wait for another reason now.
            return [job for job, watches in self._watches.items() if any(w.newest.status.reason for w in watches)]
        return [wake_up.job] if wake_up.job in self._watches else []

    async def _look_for_ever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._look_again_seconds):
                    await self._woken.wait()
                wanted = self._changed & self._watches.keys()
            except TimeoutError:
                wanted = set(self._watches)
            self._woken.clear()
            self._changed.clear()
            if wanted:
                await self._look(wanted)

    async def _look(self, jobs: set[int]) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._read_in_thread, jobs)
        except DatabaseError as error:
            _log.warning("cannot read the state of %d watched jobs, trying again: %s", len(jobs), error)
            await asyncio.sleep(_AFTER_FAILURE_SECONDS)
            self._changed |= jobs
            self._woken.set()
            return
        for job, snapshot in found.items():
            for watch in self._watches.get(job, ()):
                watch.tell(snapshot)

    def _read_in_thread(self, jobs: set[int]) -> Mapping[int, Snapshot]:
        close_old_connections()
        return self._read(jobs)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop: a web server's process has one."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
