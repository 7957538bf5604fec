"""Read the lab for one round: five queries, however big it is."""

from __future__ import annotations

from collections import defaultdict

from django.db import transaction
from django.db.models import Q

from lava.model.states import DeviceHealth, DeviceState, JobState, WorkerHealth, WorkerState
from lava.server.models import Device, TestJob, Worker

from .assign import DeviceView, JobView, Snapshot, WorkerView


@transaction.atomic
def take_snapshot() -> Snapshot:
    """Return the lab as it is; no jobs means that nothing else was read."""
    waiting = list(
        TestJob.objects.filter(state=JobState.SUBMITTED, requested_device_type__isnull=False).values_list(
            *("pk", "requested_device_type", "priority", "submit_time", "requested_device", "requested_worker"),
            "queue_timeout",
        )
    )
    if not waiting:
        return Snapshot({}, (), ())
    job_tags = _names(
        TestJob.tags.through.objects.filter(testjob__state=JobState.SUBMITTED).values_list("testjob_id", "tag__name")
    )
    device_tags = _names(Device.tags.through.objects.values_list("device_id", "tag__name"))
    workers = {
        name: WorkerView(name, WorkerState(state), WorkerHealth(health), limit)
        for name, state, health, limit in Worker.objects.values_list("pk", "state", "health", "job_limit")
    }
    devices = [
        DeviceView(name, kind, worker, DeviceState(state), DeviceHealth(health), device_tags[name], used, display)
        for name, kind, worker, state, health, used, display in Device.objects.exclude(
            ~Q(worker_host__health=WorkerHealth.RETIRED), health=DeviceHealth.RETIRED
        ).values_list(
            *("pk", "device_type", "worker_host", "state", "health", "last_used", "device_type__display"),
        )
    ]
    jobs = [
        JobView(pk, kind, priority, submitted, job_tags[pk], device, worker, timeout)
        for pk, kind, priority, submitted, device, worker, timeout in waiting
    ]
    return Snapshot(workers, devices, jobs)


def _names(pairs: object) -> defaultdict[object, frozenset[str]]:
    result: defaultdict[object, frozenset[str]] = defaultdict(frozenset)
    for key, name in pairs:  # type: ignore[attr-defined]  # a values_list of pairs
        result[key] |= {name}
    return result
