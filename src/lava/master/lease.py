"""Keep the lease that lets this master work, as long as it can."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lava.server.actions.lease import LEASE_SECONDS, LeaseLostError, check_lease, give_up_lease, take_lease

from .database import Database

_log = logging.getLogger("lava-master")

RENEW_SECONDS = LEASE_SECONDS / 4


class Lease:
    """The term that this master works in; 0 while another one works."""

    def __init__(self, holder: str, on_change: Callable[[int], Awaitable[None]]) -> None:
        """Begin without it.

        Args:
            holder: says to people which master this is.
            on_change: told the new term, or 0.
        """
        self.term = 0
        self._holder = holder
        self._on_change = on_change
        self._started = False
        self._database = Database("lease")

    async def keep(self) -> None:
        """Take the lease when it is free, and renew it, for ever."""
        while True:
            again, self._started = not self._started, True
            term = await self._database.run(take_lease, self._holder, self.term, again=again) or 0
            if term != self.term:
                self.term = term
                await self._on_change(term)
            await asyncio.sleep(RENEW_SECONDS)

    def guard(self) -> None:
        """Make sure that what the running transaction writes counts.

        Raises:
            LeaseLostError: another master works.
        """
        if not self.term:
            raise LeaseLostError("another master works")
        check_lease(self.term)

    async def give_up(self) -> None:
        """Let another master follow at once."""
        if term := self.term:
            self.term = 0
            try:
                async with asyncio.timeout(2):
                    await self._database.run(give_up_lease, term)
            except TimeoutError:
                _log.error("the lease could not be given back: another master follows in %.0f s", LEASE_SECONDS)

    def close(self) -> None:
        self._database.close()
