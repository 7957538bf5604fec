"""One client's view of one job: its log from an offset on, and its state, until it has ended.

The client's pace is the stream's pace: the next chunk is read when the last one was taken, so a slow client holds one
chunk in memory and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from django.utils import timezone

from lava.server.logs import JobFiles

from .events import END, HEARTBEAT, RETRY, lines_event, state_event
from .hub import Hub
from .snapshot import Snapshot, Status

CHUNK_BYTES = 128 * 1024
HEARTBEAT_SECONDS = 15.0
_log = logging.getLogger(__name__)


async def stream(
    hub: Hub,
    job: int,
    files: JobFiles,
    known: Snapshot,
    offset: int,
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncIterator[bytes]:
    """Yield events until the job has ended and everything is sent.

    Args:
        known: what the caller has just read of the job.
        offset: bytes of the log that the client has; within a line, the rest of that line is left out.
    """
    told: Status | None = None
    offset = await asyncio.to_thread(start_of_line, files, offset, known.log_length)
    async with hub.watch(job, known) as watch:
        yield RETRY
        while True:
            snapshot = watch.newest
            if snapshot.status != told:
                told = snapshot.status
                yield state_event(told.event(timezone.now()))
            if offset < snapshot.log_length:
                chunk = await asyncio.to_thread(read_chunk, files, offset, snapshot.log_length)
                if not chunk:
                    _log.error("the log of job %d is shorter than it was: %s", job, files.log)
                    return
                offset += len(chunk)
                yield lines_event(chunk, offset)
            elif snapshot.status.finished:
                yield END
                return
            else:
                try:
                    async with asyncio.timeout(heartbeat_seconds):
                        await watch.news()
                except TimeoutError:
                    yield HEARTBEAT


def read_chunk(files: JobFiles, offset: int, end: int, limit: int = CHUNK_BYTES) -> bytes:
    """Return whole lines from the offset on: up to ``limit`` bytes, or the one line that is longer.

    Args:
        offset: start of a line.
        end: bytes of the log that count; the end of a line.
    """
    while True:
        chunk = files.read(offset, min(limit, end - offset))
        cut = chunk.rfind(b"\n") + 1
        if cut or len(chunk) < limit:
            return chunk[:cut]
        limit *= 4


def start_of_line(files: JobFiles, offset: int, end: int) -> int:
    """Return the offset if a line starts there, else where the next one does."""
    if offset <= 0:
        return 0
    if offset >= end:
        return end
    place = offset - 1
    while place < end:
        block = files.read(place, min(CHUNK_BYTES, end - place))
        newline = block.find(b"\n")
        if newline >= 0:
            return place + newline + 1
        if not block:
            break
        place += len(block)
    return end
