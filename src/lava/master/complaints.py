"""Log what strangers do, but let nobody fill the disk with it."""

from __future__ import annotations

import logging

#: lines in so many seconds; what is more is counted
MOST = 300
SECONDS = 60.0


class Complaints:
    """An error log that grows by so many lines in a minute and no more."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._since = float("-inf")
        self._count = 0

    def tell(self, now: float, message: str, *words: object) -> None:
        """Log an error, unless there were many lately; how many were left out is said later."""
        if now - self._since >= SECONDS:
            if self._count > MOST:
                self._log.error("%d more like these were not logged", self._count - MOST)
            self._since, self._count = now, 0
        self._count += 1
        if self._count <= MOST:
            self._log.error(message, *words)
