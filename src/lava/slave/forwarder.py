"""Ship the logs of the jobs: what the files have and the master has not.  Durable points B to D of a job's path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from lava.spool import read_lines
from lava.wire.log_sender import CHUNK_BYTES, LogSender
from lava.wire.messages import Log


class Forwarder:
    """Knows how far each log has come."""

    def __init__(self, send: Callable[[Log], Awaitable[bool]], clock: Callable[[], float]) -> None:
        """Begin.

        Args:
            send: hands a chunk to the connection; False when it takes none now.
            clock: seconds from anywhere that only grow.
        """
        self._send = send
        self._clock = clock
        self._senders: dict[str, LogSender] = {}

    async def forward(self, logs: Mapping[str, Path]) -> bool:
        """Send what is due of the logs, and return whether anything was; logs that are left out are done with."""
        for job in self._senders.keys() - logs.keys():
            del self._senders[job]
        sent = False
        for job, path in logs.items():
            sent |= await self._forward_one(job, path, self._senders.setdefault(job, LogSender()))
        return sent

    async def _forward_one(self, job: str, path: Path, sender: LogSender) -> bool:
        sent = False
        try:
            size = path.stat().st_size
        except OSError:
            return False  # the job has not begun to write, or was forgotten meanwhile
        while (offset := sender.next_offset(size, self._clock())) is not None:
            lines = read_lines(path, offset, CHUNK_BYTES)
            if not lines or not await self._send(Log(job, offset, lines)):
                break
            sender.sent_chunk(offset, len(lines), self._clock())
            sent = True
        return sent

    def line_is_up(self) -> None:
        """Take in that the connection was made, again: what was on its way is lost."""
        for sender in self._senders.values():
            sender.start_over()

    def acknowledge(self, job: str, offset: int) -> None:
        """Take in that the master has stored everything before the offset."""
        if job in self._senders:
            self._senders[job].receive(offset, self._clock())
