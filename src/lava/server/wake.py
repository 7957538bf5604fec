"""Wake other processes when something changed: never data, only "look again".

A wake-up that is lost costs time, not truth: everybody looks again by himself after a while.  With PostgreSQL it is
NOTIFY, which the database delivers on commit; with SQLite a datagram to every socket in a directory, sent on commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from django.conf import settings
from django.db import connection, transaction

CHANNEL = "lava"
#: topics
QUEUE = "queue"
JOB = "job"
LOG = "log"
CANCEL = "cancel"

_DATAGRAM_BYTES = 4096
#: so many jobs fit into a datagram, and into a notification of PostgreSQL (8000 bytes)
_TOGETHER = 180


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Something changed."""

    topic: str
    #: id of the job that it concerns; 0 when it is none
    job: int = 0


def announce(topic: str, *jobs: int) -> None:
    """Wake whoever listens, once the running transaction is committed; never fails.

    Args:
        jobs: ids of the jobs that it concerns, if it concerns any.
    """
    for raw in _encode(topic, jobs):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, raw.decode()])
        else:
            transaction.on_commit(lambda raw=raw: _send(raw))  # type: ignore[misc]


def _encode(topic: str, jobs: Sequence[int]) -> list[bytes]:
    parts = [jobs[start : start + _TOGETHER] for start in range(0, len(jobs), _TOGETHER)]
    return [json.dumps([topic, part]).encode() for part in parts or [()]]


def _decode(raw: bytes | str) -> list[WakeUp]:
    """Return what was announced; nothing when it cannot be read."""
    try:
        topic, jobs = json.loads(raw)
        return [WakeUp(str(topic), int(job)) for job in jobs] or [WakeUp(str(topic))]
    except (ValueError, TypeError):
        return []


def _send(raw: bytes) -> None:
    try:
        sockets = list(Path(settings.WAKE_DIR).iterdir())
    except OSError:
        return  # nobody has ever listened
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in sockets:
            try:
                sender.sendto(raw, str(path))
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    path.unlink()  # its process is gone
            except OSError:
                continue  # its queue is full: it is awake


class Listener(Protocol):
    """Yields wake-ups until it is closed."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...
    def __aiter__(self) -> AsyncIterator[WakeUp]: ...


def listen() -> Listener:
    """Return a listener for this process."""
    return _Notifications() if connection.vendor == "postgresql" else _Datagrams()


class _Datagrams:
    """A socket in the directory that senders look into."""

    def __init__(self) -> None:
        directory = Path(settings.WAKE_DIR)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = directory / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    async def __aenter__(self) -> Self:
        self._socket.bind(str(self._path))
        return self

    async def __aexit__(self, *error: object) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    async def __aiter__(self) -> AsyncIterator[WakeUp]:
        loop = asyncio.get_running_loop()
        while True:
            for wake_up in _decode(await loop.sock_recv(self._socket, _DATAGRAM_BYTES)):
                yield wake_up


class _Notifications:
    """A connection of its own to PostgreSQL; opened again when it is lost."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is held between notifications."""

    async def __aiter__(self) -> AsyncIterator[WakeUp]:
        import psycopg

        parameters: dict[str, Any] = connection.get_connection_params()
        for name in ("cursor_factory", "context", "server_side_binding", "prepare_threshold"):
            parameters.pop(name, None)
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    # Whatever happened while nobody listened is found by looking now.
                    yield WakeUp(QUEUE)
                    async for notification in listening.notifies():
                        for wake_up in _decode(notification.payload):
                            yield wake_up
            except psycopg.Error:
                await asyncio.sleep(1.0)
