"""Write a decision: each by compare-and-set, so that no two schedulers can give one device to two jobs."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, connection, transaction

from lava.model.states import DeviceState, JobEvent, JobState, next_job_state
from lava.server import wake
from lava.server.models import Device, TestJob

_GIVE = (
    f"WITH given (number, device, worker) AS (VALUES {{}}) UPDATE {TestJob._meta.db_table} AS job "  # noqa: S608 (our names)
    "SET state = {}, actual_device_id = given.device, actual_worker_id = given.worker, waiting_reason = '' "
    f"FROM given WHERE job.id = given.number AND job.state = {int(JobState.SUBMITTED)} "
    "AND job.actual_device_id IS NULL RETURNING id"
)


def give_all(assignments: Mapping[int, str]) -> int:
    """Give devices to jobs and return how many got theirs: all at once, or one by one where somebody came first."""
    try:
        with transaction.atomic():
            if _give(assignments) != len(assignments):
                raise _SomebodyCameFirst
    except (IntegrityError, _SomebodyCameFirst):
        return sum(_give_one(job, device) for job, device in assignments.items())
    return len(assignments)


class _SomebodyCameFirst(Exception):
    """A job or a device is not what it was."""


def _give_one(job: int, device: str) -> bool:
    try:
        with transaction.atomic():
            if not _give({job: device}):
                raise _SomebodyCameFirst
    except (IntegrityError, _SomebodyCameFirst):
        return False  # with the constraint: the device has an unfinished job, whatever its state says
    return True


def _give(assignments: Mapping[int, str]) -> int:
    """Change jobs and devices that are what they were; return how many, the lower of the two."""
    free = Device.objects.filter(pk__in=assignments.values(), state=DeviceState.IDLE)
    taken = free.update(state=DeviceState.RESERVED)
    workers = dict(Device.objects.filter(pk__in=assignments.values()).values_list("pk", "worker_host"))
    with connection.cursor() as cursor:
        values = [value for job, device in assignments.items() for value in (job, device, workers.get(device))]
        state = next_job_state(JobState.SUBMITTED, JobEvent.ASSIGNED)
        cursor.execute(_GIVE.format(", ".join(["(%s, %s, %s)"] * len(assignments)), state), values)
        moved = len(cursor.fetchall())
    wake.announce(wake.JOB, *assignments)
    return min(taken, moved)


def note_reasons(reasons: dict[int, str]) -> None:
    """Keep why jobs wait, where it changed."""
    waiting = TestJob.objects.filter(pk__in=reasons, state=JobState.SUBMITTED).only("pk", "waiting_reason")
    changed = [job for job in waiting if job.waiting_reason != reasons[job.pk]]
    for job in changed:
        job.waiting_reason = reasons[job.pk]
    if changed:
        TestJob.objects.bulk_update(changed, ["waiting_reason"], batch_size=500)
        for job in changed[:100]:
            wake.announce(wake.JOB, job.pk)
