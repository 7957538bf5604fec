"""Write a decision: each by compare-and-set, so that no two schedulers can give one device to two jobs."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Subquery

from lava.model.states import DeviceState, JobEvent, JobState, next_job_state
from lava.server import wake
from lava.server.models import Device, TestJob


def give(job_id: int, device: str) -> bool:
    """Give the device to the job; False when one of them is not what it was."""
    try:
        with transaction.atomic():
            state = next_job_state(JobState.SUBMITTED, JobEvent.ASSIGNED)
            taken = Device.objects.filter(pk=device, state=DeviceState.IDLE).update(state=DeviceState.RESERVED)
            worker = Device.objects.filter(pk=device).values("worker_host")
            moved = TestJob.objects.filter(pk=job_id, state=JobState.SUBMITTED, actual_device__isnull=True).update(
                state=state, actual_device_id=device, actual_worker_id=Subquery(worker), waiting_reason=""
            )
            if not taken or not moved:
                transaction.set_rollback(True)
                return False
            wake.announce(wake.JOB, job_id)
            return True
    except IntegrityError:
        return False  # the device has an unfinished job: the constraint knows better than its state


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
