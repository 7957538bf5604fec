"""The database, from an event loop: a thread of its own, and as much patience as it needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections, transaction

_log = logging.getLogger("lava-master")

#: a database that failed is asked again after this long
PAUSE_SECONDS = 1.0

ResultT = TypeVar("ResultT")
WorkP = ParamSpec("WorkP")


class Database:
    """One connection in one thread: what is asked for first is answered first."""

    def __init__(self, name: str, guard: Callable[[], None] | None = None) -> None:
        """Begin.

        Args:
            guard: called within each transaction; it raises when what that writes must not count.
        """
        self._guard = guard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[WorkP, ResultT], *args: WorkP.args, **kwargs: WorkP.kwargs) -> ResultT:
        """Return what the work returns.  It is done again, for as long as it takes, when the database fails."""

        def connected() -> ResultT:
            close_old_connections()
            if self._guard is None:
                return work(*args, **kwargs)
            with transaction.atomic():
                self._guard()
                return work(*args, **kwargs)

        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, connected)
            except (DatabaseError, InterfaceError) as error:
                _log.error("the database failed, trying again: %s", str(error).strip().splitlines()[0])
                await asyncio.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        self._thread.shutdown()
