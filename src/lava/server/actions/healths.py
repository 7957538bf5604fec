"""What people decide about devices and workers.  Source: server 3.1, 3.2.

Each change is written to the audit trail as ``<old> → <new> (<reason>)``, signed by who made it.
"""

from __future__ import annotations

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from lava.model.states import USABLE_HEALTHS, DeviceHealth, JobState, WorkerHealth
from lava.server import wake
from lava.server.models import Device, TestJob, Worker

from .lifecycle import cancel_job

#: who signs what no person did
PROGRAM = "lava-health"


def program_user() -> User:
    """Return the user in whose name the program itself acts; nobody can log in as it.  Source: server 1."""
    user, created = User.objects.get_or_create(username=PROGRAM, defaults={"email": "lava@lava.invalid"})
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


@transaction.atomic
def set_device_health(user: User, hostname: str, health: DeviceHealth, reason: str = "") -> bool:
    """Change the health of a device; a retired one loses its job.  Return whether there is such a device."""
    device = Device.objects.select_for_update().filter(pk=hostname).first()
    if device is None:
        return False
    _change_device(user, device, health, reason)
    if health is DeviceHealth.RETIRED:
        held = TestJob.objects.filter(actual_device=device).exclude(state=JobState.FINISHED)
        for job in held.values_list("pk", flat=True):
            cancel_job(user, job)
    wake.announce(wake.QUEUE)
    return True


@transaction.atomic
def set_worker_health(user: User, hostname: str, health: WorkerHealth, reason: str = "") -> bool:
    """Change the health of a worker, and what follows for its devices.  Return whether there is such a worker."""
    worker = Worker.objects.select_for_update().filter(pk=hostname).first()
    if worker is None:
        return False
    before = WorkerHealth(worker.health)
    if before is health:
        return True
    worker.health = health
    worker.save(update_fields=["health"])
    _record(user, worker, before.text, health.text, reason)
    for device in Device.objects.select_for_update().filter(worker_host=worker):
        follows = _device_follows(before, health, DeviceHealth(device.health))
        if follows is not None:
            _change_device(user, device, follows, f"worker {hostname} is {health.text}")
    wake.announce(wake.QUEUE)
    return True


def advice_on_devices(hostname: str) -> str:
    """Return what is to be done about the devices of a worker that people do not want to be used; empty: nothing."""
    online = Device.objects.filter(worker_host=hostname, health__in=USABLE_HEALTHS)
    count = online.exclude(worker_host__health=WorkerHealth.ACTIVE).count()
    if not count:
        return ""
    return (
        f"{count} device{'s' if count > 1 else ''} of {hostname} still online, although no job starts there: "
        "take them offline, too, so that nobody counts on them"
    )


@transaction.atomic
def take_devices_offline(user: User, hostname: str, reason: str = "") -> list[str]:
    """Put the devices of a worker that are online into maintenance; return their names.  Jobs that run go on."""
    devices = list(Device.objects.select_for_update().filter(worker_host=hostname, health__in=USABLE_HEALTHS))
    for device in devices:
        _change_device(user, device, DeviceHealth.MAINTENANCE, reason)
    wake.announce(wake.QUEUE)
    return [device.pk for device in devices]


def _device_follows(before: WorkerHealth, now: WorkerHealth, device: DeviceHealth) -> DeviceHealth | None:
    """Return what becomes of a device of a worker whose health changes; None when nothing does."""
    if now is WorkerHealth.ACTIVE and before is not WorkerHealth.RETIRED and device is DeviceHealth.GOOD:
        return DeviceHealth.UNKNOWN
    if now is WorkerHealth.RETIRED and device not in (DeviceHealth.BAD, DeviceHealth.RETIRED):
        return DeviceHealth.RETIRED
    return None


def _change_device(user: User, device: Device, health: DeviceHealth, reason: str) -> None:
    before = DeviceHealth(device.health)
    if before is not health:
        device.health = health
        device.save(update_fields=["health"])
        _record(user, device, before.text, health.text, reason)


def _record(user: User, thing: Device | Worker, before: str, after: str, reason: str) -> None:
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(thing),
        object_id=str(thing.pk),
        object_repr=str(thing),
        action_flag=CHANGE,
        change_message=f"{before} → {after}" + (f" ({reason})" if reason else ""),
    )


def history(thing: Device | Worker, *, newest: int = 20) -> list[LogEntry]:
    """Return the latest entries of the audit trail of a device or worker, newest first."""
    kind = ContentType.objects.get_for_model(thing)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(thing.pk)).select_related("user")
    return list(entries.order_by("-action_time")[:newest])
