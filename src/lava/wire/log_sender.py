"""What of a job's log is to be sent next, without I/O.

Lines are sent ahead of their acknowledgement up to a window; silence means that everything behind the last acknowledged
offset is sent again.  The master's offset decides what counts, so sending twice is harmless.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

CHUNK_BYTES = 256 * 1024
WINDOW_BYTES = 2 * 1024 * 1024
#: how long an acknowledgement is waited for: at least, at most, and as a multiple of how long the last ones took
RESEND_SECONDS = 2.0
LONGEST_RESEND_SECONDS = 30.0
_RESEND_FACTOR = 4
#: a job that keeps talking is sent in chunks of at least so much, or this often
SMALL_BYTES = 16 * 1024
GATHER_SECONDS = 0.1


@dataclass(slots=True)
class LogSender:
    """The state of one job's log on its way to the master."""

    #: everything before it is stored by the master
    acknowledged: int = 0
    #: everything before it was sent
    sent: int = 0
    _moved: float = 0.0
    _patience: float = RESEND_SECONDS
    #: chunks on their way: end, and when it was sent
    _flights: deque[tuple[int, float]] = field(default_factory=deque)
    _last: float = float("-inf")

    def next_offset(self, size: int, now: float) -> int | None:
        """Return the offset from which a chunk is to be sent, or None.

        Args:
            size: bytes that the log has.
        """
        if self.sent > self.acknowledged and now - self._moved > self._patience:
            # A master that is late must not get everything twice, and be later still.
            self._patience = min(2 * self._patience, LONGEST_RESEND_SECONDS)
            self.start_over()
        if self.sent >= size or self.sent - self.acknowledged >= WINDOW_BYTES:
            return None
        if size - self.sent < SMALL_BYTES and now - self._last < GATHER_SECONDS:
            return None
        return self.sent

    def start_over(self) -> None:
        """Send everything again that is not acknowledged."""
        self.sent = self.acknowledged
        self._flights.clear()

    def sent_chunk(self, offset: int, length: int, now: float) -> None:
        """Note that a chunk was sent."""
        if self.sent == self.acknowledged:
            self._moved = now
        self._last = now
        self._flights.append((offset + length, now))
        self.sent = max(self.sent, offset + length)

    def receive(self, offset: int, now: float) -> bool:
        """Take in an acknowledgement; return whether it is news.  The master may also ask for something again."""
        if offset == self.acknowledged:
            return False
        self._moved = now
        while self._flights and self._flights[0][0] <= offset:
            _, when = self._flights.popleft()
            self._patience = min(max(RESEND_SECONDS, _RESEND_FACTOR * (now - when)), LONGEST_RESEND_SECONDS)
        if offset < self.acknowledged:  # the master lost what it had: its word counts
            self.sent = offset
        self.acknowledged = offset
        self.sent = max(self.sent, offset)
        return True
