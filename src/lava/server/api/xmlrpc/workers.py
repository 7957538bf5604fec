"""``scheduler.workers.*``.  Source: XML-RPC specification 11."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from xmlrpc.client import Binary

from django.contrib.auth.models import AnonymousUser, User

from lava.model.states import WorkerHealth
from lava.server import wake
from lava.server.actions.healths import set_worker_health
from lava.server.configuration import ConfigurationFault, worker_file
from lava.server.models import Worker
from lava.server.visibility import visible_devices, visible_workers

from .registry import bad_request, method, not_found

Caller = User | AnonymousUser


def _worker(user: Caller, hostname: str) -> Worker:
    worker = visible_workers(user).filter(pk=hostname).first()
    if worker is None:
        raise not_found(f"worker '{hostname}'")
    return worker


@method("scheduler.workers.list")
def list_workers(user: Caller, show_all: bool = False) -> list[str]:
    """Return the names of the workers; retired ones only with ``show_all``."""
    workers = visible_workers(user).order_by("pk")
    if not show_all:
        workers = workers.exclude(health=WorkerHealth.RETIRED)
    return list(workers.values_list("pk", flat=True))


@method("scheduler.workers.show")
def show_worker(user: Caller, hostname: str) -> dict[str, Any]:
    """Return everything about a worker."""
    worker = _worker(user, hostname)
    shown: dict[str, Any] = {
        "hostname": worker.pk,
        "description": worker.description,
        "state": worker.get_state_display(),
        "health": worker.get_health_display(),
        "devices": sorted(visible_devices(user).filter(worker_host=worker).values_list("pk", flat=True)),
        "last_ping": worker.last_ping.astimezone(UTC).replace(tzinfo=None),
        "job_limit": worker.job_limit,
        "version": worker.version,
        "refusal": worker.refusal,
        "default_config": True,
        "default_env": True,
        "default_env_dut": True,
    }
    if user.is_superuser:
        shown["token"] = worker.token
    return shown


@method("scheduler.workers.add", permission="add_worker")
def add_worker(user: User, hostname: str, description: str | None = None, disabled: bool | None = False) -> None:
    """Add a worker; a disabled one is retired."""
    if Worker.objects.filter(pk=hostname).exists():
        raise bad_request(f"worker '{hostname}' exists already")
    health = WorkerHealth.RETIRED if disabled else WorkerHealth.ACTIVE
    Worker.objects.create(hostname=hostname, description=description, health=health)


@method("scheduler.workers.update", permission="change_worker")
def update_worker(
    user: User,
    hostname: str,
    description: str | None = None,
    health: str | None = None,
    job_limit: int | None = None,
) -> None:
    """Change a worker; what is not given stays."""
    worker = _worker(user, hostname)
    if description is not None:
        worker.description = description
    if health is not None and str(health).upper() not in WorkerHealth.__members__:
        raise bad_request(f"'{health}' is none of {', '.join(WorkerHealth.__members__)}")
    if job_limit is not None:
        if not isinstance(job_limit, int) or job_limit < 0:
            raise bad_request("job_limit is a number from 0 on")
        worker.job_limit = job_limit
    worker.save(update_fields=["description", "job_limit"])
    if health is not None:
        set_worker_health(user, worker.pk, WorkerHealth[str(health).upper()], "XML-RPC")
    wake.announce(wake.QUEUE)


def _file(user: Caller, hostname: str, kind: str) -> Binary:
    try:
        text = worker_file(_worker(user, hostname).pk, kind)
    except ConfigurationFault as error:
        raise bad_request(str(error)) from error
    if not text:
        raise not_found(f"{kind}.yaml of worker '{hostname}'")
    return Binary(text.encode())


@method("scheduler.workers.get_config")
def get_config(user: Caller, hostname: str) -> Binary:
    """Return the dispatcher configuration of a worker."""
    return _file(user, hostname, "dispatcher")


@method("scheduler.workers.get_env")
def get_env(user: Caller, hostname: str) -> Binary:
    """Return the environment of a worker's job processes."""
    return _file(user, hostname, "env")


@method("scheduler.workers.get_env_dut")
def get_env_dut(user: Caller, hostname: str) -> Binary:
    """Return the environment that a worker's jobs export on devices."""
    return _file(user, hostname, "env-dut")
