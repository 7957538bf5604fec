"""The log socket of a master: what arrives is stored, many chunks in one go, and acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from lava.server.actions import ingest
from lava.server.logs import Addition
from lava.wire.master_peer import MasterPeer
from lava.wire.messages import Ack, Gone, Log, WireError
from lava.wire.sockets import ListeningSocket

from .complaints import Complaints
from .database import Database

_log = logging.getLogger("lava-master")

#: so many chunks, or bytes, are stored together at the most
BATCH_CHUNKS = 500
BATCH_BYTES = 8 * 1024 * 1024


class LogStore:
    """Takes logs in.  While one batch is being stored the next one gathers; then the socket is left to wait."""

    def __init__(
        self,
        socket: ListeningSocket,
        peer: MasterPeer,
        database: Database,
        write: Callable[[Sequence[Addition]], None],
    ) -> None:
        """Begin.

        Args:
            write: makes additions to logs durable.
        """
        self._write = write
        self._socket = socket
        self._peer = peer
        self._database = database
        self._arrived: asyncio.Queue[tuple[bytes, str, Log]] = asyncio.Queue(BATCH_CHUNKS)

    async def receive(self) -> None:
        """Take chunks from admitted slaves, for ever; those of others are left out, and come again."""
        complaints, loop = Complaints(_log), asyncio.get_running_loop()
        while True:
            received = await self._socket.receive()
            try:
                message = received.message
            except WireError as error:
                for complaint in self._peer.malformed(received.route, error, loop.time()):
                    complaints.tell(loop.time(), "on the log socket: %s", complaint.text)
                continue
            name = self._peer.speaks_for(received.route, received.key, loop.time())
            if name is not None and isinstance(message, Log):
                await self._arrived.put((received.route, name, message))

    async def store(self) -> None:
        """Store what has arrived, and acknowledge it, for ever."""
        while True:
            batch = [await self._arrived.get()]
            size = len(batch[0][2].lines)
            while len(batch) < BATCH_CHUNKS and size < BATCH_BYTES and not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
                size += len(batch[-1][2].lines)
            chunks = [ingest.Chunk(name, log.job, log.offset, log.lines) for _, name, log in batch]
            stored = await self._database.run(ingest.store_chunks, chunks, self._write)
            answers: dict[tuple[bytes, str], Ack | Gone] = {}
            for (route, _, log), offset in zip(batch, stored, strict=True):
                answers[route, log.job] = Gone(log.job) if offset is None else Ack(log.job, offset)
            for (route, _), answer in answers.items():
                await self._socket.send(route, answer)

    async def troubles(self) -> None:
        """Log whose connections come to nothing, for ever."""
        complaints, loop = Complaints(_log), asyncio.get_running_loop()
        async for trouble in self._socket.troubles():
            complaints.tell(loop.time(), "refused a connection to the log socket from %s", trouble)
