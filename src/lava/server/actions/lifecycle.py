"""Move a job through its states.  Source: server 3.3.

Each function locks the job's row, asks the table what follows, and changes job and device together.  Everything is safe
to repeat: messages of slaves come more than once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import yaml
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from lava.model.states import (
    DEVICE_STATE_OF,
    DeviceHealth,
    DeviceState,
    JobEvent,
    JobState,
    health_of_ended_job,
    next_job_state,
)
from lava.server import wake
from lava.server.configuration import ConfigurationFault, render_device, worker_file
from lava.server.logs import JobFiles
from lava.server.models import Device, TestJob, by_display_id

#: error types after which the device must prove itself.  Source: server 3.2
SUSPICIOUS_ERRORS = frozenset({"Bug", "Configuration", "Infrastructure"})


@dataclass(frozen=True, slots=True)
class StartOrder:
    """Everything that a slave needs to run a job."""

    job_id: str
    definition: str
    device: str
    dispatcher: str
    environment: str
    device_environment: str


def _locked(which: Q) -> TestJob | None:
    return TestJob.objects.select_for_update(of=("self",)).select_related("actual_device").filter(which).first()


def _on(worker: str, display_id: str) -> Q:
    """Return the condition that it is this job and that the worker runs or ran it."""
    return by_display_id(display_id) & Q(actual_worker=worker)


@transaction.atomic
def cancel_job(user: User | None, job_id: int) -> JobState | None:
    """Ask for the end of a job and return the state that it is in now; None when there is no such job."""
    job = _locked(Q(pk=job_id))
    if job is None:
        return None
    state = next_job_state(job.job_state, JobEvent.CANCEL_REQUESTED)
    if state is job.job_state:
        return state
    by = f" by {user.get_username()}" if user else ""
    if state is JobState.FINISHED:
        job.failure_comment = f"canceled{by} before it started"
        _finish(job, JobState.CANCELING)
    else:
        job.failure_comment = f"canceled{by}"
        _move(job, state)
    wake.announce(wake.CANCEL, job.pk)
    return state


@transaction.atomic
def job_started(worker: str, display_id: str, when: datetime | None = None) -> bool:
    """Take in that the worker runs the job; False when the worker has no such job."""
    job = _locked(_on(worker, display_id))
    if job is None:
        return False
    state = next_job_state(job.job_state, JobEvent.STARTED)
    if state is not job.job_state:
        job.start_time = when or timezone.now()
        _move(job, state)
    return True


@transaction.atomic
def job_ended(
    worker: str, display_id: str, *, log_length: int, exit_status: int | None, error_text: str, description: str
) -> bool:
    """Take in that the job process is gone; False while a part of its log is missing.

    A job that is none of the worker's is done with: the worker may forget it, and nothing happens here.

    Args:
        log_length: bytes that the job process has written.
        exit_status: None when the process could not be started, or its end was not seen.
        error_text: what it left on standard error, or why it could not run.
        description: the pipeline, YAML; empty when the job process got no further.
    """
    job = _locked(_on(worker, display_id))
    if job is None or job.job_state is JobState.FINISHED:
        return True
    if job.log_length < log_length:
        return False
    if description:
        JobFiles.of(job).write("description.yaml", description)
    if job.passed is None and job.job_state is not JobState.CANCELING:
        job.error_type = "Bug" if exit_status is not None else "Infrastructure"
        job.error_msg = error_text.strip()[-2000:] or "the job process ended without a result"
        job.failure_comment = job.error_msg
    _finish(job, job.job_state)
    return True


@transaction.atomic
def fail_to_start(job_id: int, error_type: str, message: str) -> None:
    """End a job that cannot be handed to its worker."""
    job = _locked(Q(pk=job_id))
    if job is None or job.job_state is JobState.FINISHED:
        return
    job.passed = False
    job.error_type, job.error_msg, job.failure_comment = error_type, message, message
    _finish(job, job.job_state)


def _move(job: TestJob, state: JobState) -> None:
    job.state = state
    job.save(update_fields=["state", "start_time", "failure_comment"])
    if job.actual_device is not None:
        job.actual_device.state = DEVICE_STATE_OF[state]
        job.actual_device.save(update_fields=["state"])
    wake.announce(wake.JOB, job.pk)


def _finish(job: TestJob, before: JobState) -> None:
    """End the job and free its device."""
    now = timezone.now()
    job.state = JobState.FINISHED
    job.health = health_of_ended_job(before, job.passed)
    job.end_time = now
    job.start_time = job.start_time or now
    job.waiting_reason = ""
    job.save(
        update_fields=[
            *("state", "health", "start_time", "end_time", "failure_comment"),
            *("passed", "error_type", "error_msg", "waiting_reason"),
        ]
    )
    if job.actual_device is not None:
        _free(job.actual_device, job, now)
    wake.announce(wake.JOB, job.pk)
    wake.announce(wake.QUEUE)


def _free(device: Device, job: TestJob, now: datetime) -> None:
    device.state = DeviceState.IDLE
    device.last_used = now
    kept = (DeviceHealth.MAINTENANCE, DeviceHealth.RETIRED)
    if job.error_type in SUSPICIOUS_ERRORS and not job.health_check and device.health not in kept:
        device.health = DeviceHealth.UNKNOWN
    device.save(update_fields=["state", "last_used", "health"])


def unanswered(workers: Collection[str]) -> list[tuple[str, str, bool]]:
    """Return worker, job, and whether it is to start (or else to stop), for each job that a worker must be told of."""
    jobs = TestJob.objects.filter(state__in=[JobState.SCHEDULED, JobState.CANCELING], actual_worker__in=workers)
    return [
        (job.actual_worker_id or "", job.display_id, job.state == JobState.SCHEDULED)
        for job in jobs.only("pk", "sub_id", "actual_worker_id", "state").order_by("pk")
    ]


def start_order(worker: str, display_id: str) -> StartOrder | None:
    """Return the order to start a job; None when it is not to be started any more.

    A job whose files cannot be read or rendered is ended, with the file named.
    """
    scheduled = TestJob.objects.filter(_on(worker, display_id), state=JobState.SCHEDULED)
    job = scheduled.select_related("actual_device").first()
    if job is None:
        return None
    try:
        return _order(job, worker)
    except (ConfigurationFault, OSError) as error:
        fail_to_start(job.pk, "Configuration", str(error))
        return None


def _order(job: TestJob, worker: str) -> StartOrder:
    device = job.actual_device
    if device is None:
        raise ConfigurationFault(f"job {job.pk} has no device")
    loaded = yaml.safe_load(job.definition)
    context = loaded.get("context") if isinstance(loaded, Mapping) else None
    order = StartOrder(
        job_id=job.display_id,
        definition=job.definition,
        device=render_device(device.hostname, device.device_type_id, context),
        dispatcher=worker_file(worker, "dispatcher"),
        environment=worker_file(worker, "env"),
        device_environment=worker_file(worker, "env-dut"),
    )
    files = JobFiles.of(job)
    for name, text in (
        ("job.yaml", order.definition),
        ("device.yaml", order.device),
        ("dispatcher.yaml", order.dispatcher),
        ("env.yaml", order.environment),
        ("env-dut.yaml", order.device_environment),
    ):
        files.write(name, text)
    return order


def running_jobs(worker: str) -> list[str]:
    """Return the jobs that the worker is believed to run."""
    jobs = TestJob.objects.filter(state__in=[JobState.RUNNING, JobState.CANCELING], actual_worker=worker)
    return [job.display_id for job in jobs.only("pk", "sub_id").order_by("pk")]
