"""The flat ``scheduler.*`` calls of older scripts.  Source: XML-RPC specification 5."""

from __future__ import annotations

from typing import Any
from xmlrpc.client import Binary

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Q

from lava.model.faults import SubmissionError
from lava.model.states import DeviceHealth, DeviceState, JobHealth, JobState
from lava.server.actions.submit import read_definition
from lava.server.logs import JobFiles
from lava.server.models import Device, TestJob
from lava.server.visibility import visible_device_types, visible_devices, visible_jobs

from . import jobs
from .registry import bad_request, method, not_found

Caller = User | AnonymousUser


@method("scheduler.submit_job", authenticated=True)
def submit_job(user: User, job_data: str) -> int | list[str]:
    """Submit a job definition and return the id of the job."""
    return jobs.submit(user, job_data)


@method("scheduler.resubmit_job", authenticated=True)
def resubmit_job(user: User, job_id: Any) -> int | list[str]:
    """Submit the definition of a job once more."""
    return jobs.resubmit(user, job_id)


@method("scheduler.cancel_job", authenticated=True)
def cancel_job(user: User, job_id: Any) -> bool:
    """Ask for the end of a job."""
    return jobs.cancel(user, job_id)


@method("scheduler.validate_yaml")
def validate_yaml(user: Caller, yaml_string: str) -> None:
    """Check a definition; nothing when it is accepted."""
    try:
        read_definition(yaml_string)
    except SubmissionError as error:
        raise bad_request(str(error)) from error


@method("scheduler.job_output")
def job_output(user: Caller, job_id: Any, offset: int = 0) -> Binary:
    """Return the log from a byte on."""
    job = jobs.find_job(user, job_id)
    if not job.log_length:
        raise not_found(f"the log of job {job.display_id}")
    return Binary(JobFiles.of(job).read(offset, max(0, job.log_length - offset)))


@method("scheduler.job_state")
def job_state(user: Caller, job_id: Any) -> dict[str, Any]:
    """Return the state of a job."""
    job = jobs.find_job(user, job_id)
    return {"job_id": job.pk, "job_state": job.job_state.text, **({"sub_id": job.sub_id} if job.sub_id else {})}


@method("scheduler.job_health")
def job_health(user: Caller, job_id: Any) -> dict[str, Any]:
    """Return the health of a job."""
    job = jobs.find_job(user, job_id)
    return {"job_id": job.pk, "job_health": job.job_health.text, **({"sub_id": job.sub_id} if job.sub_id else {})}


@method("scheduler.job_details")
def job_details(user: Caller, job_id: Any) -> dict[str, Any]:
    """Return the stored fields of a job; its token is not among them."""
    job = jobs.find_job(user, job_id)
    details = jobs.show(user, job_id)
    return {
        **{key: details[key] for key in ("description", "health_check", "submit_time", "start_time", "end_time")},
        **{key: details[key] for key in ("error_msg", "error_type", "state", "health", "failure_comment")},
        "id": job.pk,
        "sub_id": job.sub_id,
        "is_public": job.is_public,
        "target_group": job.target_group,
        "requested_device_type_id": job.requested_device_type_id,
        "actual_device_id": job.actual_device_id,
        "submitter_id": job.submitter_id,
        "priority": job.priority,
        "definition": job.definition,
        "original_definition": job.original_definition,
        "multinode_definition": job.multinode_definition,
        "status": historical_status(job),
        "submitter_username": job.submitter.get_username(),
        "submitter_email": job.submitter.email,
        "absolute_url": f"/scheduler/job/{job.display_id}",
        "is_pipeline": True,
    }


def historical_status(job: TestJob) -> str:
    """Return state and health in the one word that older clients know.  Source: server 2.1."""
    match job.job_state:
        case JobState.RUNNING:
            return "Running"
        case JobState.CANCELING:
            return "Canceling"
        case JobState.FINISHED:
            return {JobHealth.COMPLETE: "Complete", JobHealth.CANCELED: "Canceled"}.get(job.job_health, "Incomplete")
        case _:
            return "Submitted"


@method("scheduler.all_jobs")
def all_jobs(user: Caller) -> list[list[Any]]:
    """Return the unfinished jobs, newest first."""
    unfinished = visible_jobs(user).exclude(state=JobState.FINISHED).order_by("-pk")
    return [
        [
            *(job.pk, job.description, historical_status(job).lower(), job.actual_device_id),
            *(job.requested_device_type_id, job.sub_id),
        ]
        for job in unfinished
    ]


@method("scheduler.all_devices")
def all_devices(user: Caller) -> list[list[Any]]:
    """Return the devices with what they do."""
    current = current_jobs()
    devices = visible_devices(user).exclude(health=DeviceHealth.RETIRED).order_by("pk")
    return [
        [device.pk, device.device_type_id, device_status(device), current.get(device.pk), True] for device in devices
    ]


@method("scheduler.all_device_types")
def all_device_types(user: Caller) -> list[dict[str, Any]]:
    """Return the device types with how many devices are idle, busy and offline."""
    usable = Q(devices__health__in=[DeviceHealth.GOOD, DeviceHealth.UNKNOWN])
    idle = Q(devices__state=DeviceState.IDLE)
    counted = visible_device_types(user).annotate(
        idle=Count("devices", filter=idle & usable),
        busy=Count("devices", filter=~idle),
        offline=Count("devices", filter=idle & ~usable & ~Q(devices__health=DeviceHealth.RETIRED)),
    )
    return [{"name": kind.pk, "idle": kind.idle, "busy": kind.busy, "offline": kind.offline} for kind in counted]


@method("scheduler.get_device_status")
def get_device_status(user: Caller, hostname: str) -> dict[str, Any]:
    """Return what a device does."""
    device = visible_devices(user).filter(pk=hostname).first()
    if device is None:
        raise not_found(f"device '{hostname}'")
    return {
        "hostname": device.pk,
        "status": device_status(device),
        "job": current_jobs().get(device.pk),
        "offline_since": None,
        "offline_by": None,
        "is_pipeline": True,
    }


@method("scheduler.pending_jobs_by_device_type")
def pending_jobs_by_device_type(user: Caller, all: bool = False) -> dict[str, int]:
    """Return how many jobs wait for each device type."""
    pending = {name: 0 for name in visible_device_types(user).values_list("pk", flat=True)}
    waiting = visible_jobs(user).filter(state=JobState.SUBMITTED, requested_device_type__in=pending)
    rows = waiting.order_by().values_list("requested_device_type").annotate(Count("pk"))
    return {**pending, **dict(rows)}


@method("scheduler.get_publisher_event_socket")
def get_publisher_event_socket(user: Caller) -> str:
    """Return where events are published."""
    return settings.EVENT_SOCKET


def device_status(device: Device) -> str:
    """Return state and health in one word."""
    match DeviceState(device.state), DeviceHealth(device.health):
        case DeviceState.IDLE, DeviceHealth.RETIRED:
            return "retired"
        case DeviceState.IDLE, DeviceHealth.GOOD | DeviceHealth.UNKNOWN:
            return "idle"
        case DeviceState.IDLE, _:
            return "offline"
        case DeviceState.RESERVED, _:
            return "reserved"
        case _:
            return "running"


def current_jobs() -> dict[str, int]:
    """Return the unfinished job of each device that has one."""
    unfinished = TestJob.objects.exclude(state=JobState.FINISHED).filter(actual_device__isnull=False)
    return {str(device): job for device, job in unfinished.values_list("actual_device_id", "pk")}
