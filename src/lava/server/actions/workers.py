"""What the master learns of its workers.  Source: server 3.1."""

from __future__ import annotations

import socket
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache

from django.db import transaction
from django.utils import timezone

from lava.model.states import WorkerEvent, WorkerState, next_worker_state
from lava.server import wake
from lava.server.models import Worker


@transaction.atomic
def worker_seen(hostname: str, version: str, public_key: str = "") -> str | None:
    """Note that a slave was heard of; return why it may not work here, or None when it may.

    Args:
        public_key: the CURVE key that it came with; the first that speaks for a worker stays the only one.
    """
    worker = Worker.objects.select_for_update().filter(pk=hostname).first()
    if worker is None:
        return f"no worker is called '{hostname}': add it with 'lava-server manage workers add {hostname}'"
    if public_key and worker.public_key and worker.public_key != public_key:
        worker.refusal = f"another certificate (key {public_key[:8]}…) claims the name '{hostname}'"
        worker.save(update_fields=["refusal"])
        return worker.refusal
    came_online = worker.state != WorkerState.ONLINE
    worker.state = next_worker_state(WorkerState(worker.state), WorkerEvent.SEEN)
    worker.last_ping = timezone.now()
    worker.version = version[:50] or worker.version
    worker.public_key = worker.public_key or public_key
    worker.refusal = ""
    worker.save(update_fields=["state", "last_ping", "version", "public_key", "refusal"])
    if came_online:
        wake.announce(wake.QUEUE)
    return None


@transaction.atomic
def lose_silent_workers(now: datetime, silence: timedelta, here: Collection[str] = ()) -> list[str]:
    """Mark the workers offline that were not heard of for so long, and return their names.

    Args:
        here: workers that are known to be there, although that could not be written down.
    """
    silent = Worker.objects.select_for_update().filter(state=WorkerState.ONLINE, last_ping__lt=now - silence)
    lost = [worker for worker in silent if worker.hostname not in here]
    for worker in lost:
        _lose(worker)
    return [worker.hostname for worker in lost]


@transaction.atomic
def worker_lost(hostname: str) -> None:
    """Mark a worker offline."""
    worker = Worker.objects.select_for_update().filter(pk=hostname, state=WorkerState.ONLINE).first()
    if worker is not None:
        _lose(worker)


def _lose(worker: Worker) -> None:
    worker.state = next_worker_state(WorkerState(worker.state), WorkerEvent.LOST)
    worker.save(update_fields=["state"])
    wake.announce(wake.QUEUE)


def worker_blamed(hostname: str, reason: str) -> None:
    """Keep why a slave is refused that claims to be the worker; shown until one is admitted."""
    Worker.objects.filter(pk=hostname).update(refusal=reason)


def is_on_this_machine(hostname: str) -> bool:
    """Return whether the worker's slave is on the machine that the server runs on."""
    return hostname in _own_names()


@cache
def _own_names() -> frozenset[str]:
    """Return what a slave here would be called; asked for once, as it may take a look-up."""
    return frozenset({"localhost", socket.gethostname(), socket.getfqdn()})
