"""``scheduler.jobs.*``.  Source: XML-RPC specification 6."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from xmlrpc.client import Binary

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from lava.model.faults import SubmissionError
from lava.model.states import JobHealth, JobState
from lava.server.actions.lifecycle import cancel_job
from lava.server.actions.submit import read_definition, submit_job
from lava.server.logs import JobFiles
from lava.server.models import TestJob
from lava.server.visibility import may_change, visible_jobs

from .registry import bad_request, forbidden, method, not_found

Caller = User | AnonymousUser
LARGEST_PAGE = 100


def find_job(user: Caller, job_id: Any) -> TestJob:
    """Return the job behind an id: a number, its text, or the ``123.1`` of a node.

    Raises:
        Fault: 404 there is none; 403 the caller may not see it.
    """
    text = str(job_id)
    wanted = Q(pk=int(text)) if text.isdigit() and len(text) < 19 else Q(sub_id=text)
    related = TestJob.objects.select_related("actual_device", "requested_device_type", "submitter")
    job = related.filter(wanted).first() if text else None
    if job is None:
        raise not_found(f"job '{text}'")
    if not visible_jobs(user).filter(pk=job.pk).exists():
        raise forbidden(f"job {text} is not visible to you")
    return job


@method("scheduler.jobs.submit", authenticated=True)
def submit(user: User, definition: str) -> int | list[str]:
    """Submit a job definition (YAML) and return the id of the job."""
    try:
        return submit_job(user, definition).pk
    except SubmissionError as error:
        raise bad_request(f"the job is refused:\n{error}") from error


@method("scheduler.jobs.resubmit", authenticated=True)
def resubmit(user: User, job_id: Any) -> int | list[str]:
    """Submit the definition of a job once more."""
    return submit(user, find_job(user, job_id).original_definition)


@method("scheduler.jobs.cancel", authenticated=True)
def cancel(user: User, job_id: Any) -> bool:
    """Ask for the end of a job; one that has ended stays as it is."""
    if job_id in ("", None):
        raise bad_request("no job id is given")
    job = find_job(user, job_id)
    if not may_change(user, job):
        raise forbidden(f"you may not cancel job {job.display_id}: it is not yours")
    cancel_job(user, job.pk)
    return True


@method("scheduler.jobs.validate")
def validate(user: Caller, definition: str, strict: bool = False) -> dict[str, str]:
    """Check a definition: nothing when it is good, else the path and message of the first fault, and all of them."""
    try:
        read_definition(definition, strict=bool(strict))
    except SubmissionError as error:
        first = error.faults[0]
        message = str(first) if len(error.faults) == 1 else str(error)
        return {"path": str(list(first.path)), "msg": message}
    return {}


@method("scheduler.jobs.definition")
def definition(user: Caller, job_id: Any) -> str:
    """Return the definition as it was submitted."""
    job = find_job(user, job_id)
    return job.multinode_definition or job.original_definition


@method("scheduler.jobs.configuration")
def configuration(user: Caller, job_id: Any) -> list[Binary | None]:
    """Return what the worker was given: job, device, dispatcher, env, env-dut."""
    job = find_job(user, job_id)
    files = JobFiles.of(job)
    names = ("job.yaml", "device.yaml", "dispatcher.yaml", "env.yaml", "env-dut.yaml")
    texts = [files.text(name) for name in names]
    if texts[0] is None:
        raise not_found(f"the configuration of job {job.display_id}: it has not started")
    return [None if text is None else Binary(text.encode()) for text in texts]


@method("scheduler.jobs.logs")
def logs(user: Caller, job_id: Any, start: int = 0, end: int | None = None) -> list[Any]:
    """Return whether the job has finished, and the lines of its log from ``start`` up to but without ``end``."""
    job = find_job(user, job_id)
    finished = job.state == JobState.FINISHED
    last = job.log_lines if end is None else int(end)
    files = JobFiles.of(job)
    lines = files.lines(int(start or 0), last, length=job.log_length, count=job.log_lines)
    return [finished, Binary(lines or b"[]")]


@method("scheduler.jobs.logs_count")
def logs_count(user: Caller, job_id: Any) -> int:
    """Return how many lines the log has."""
    return find_job(user, job_id).log_lines


@method("scheduler.jobs.show")
def show(user: Caller, job_id: Any) -> dict[str, Any]:
    """Return everything about a job but its log and its definition."""
    job = find_job(user, job_id)
    groups = list(job.viewing_groups.order_by("name").values_list("name", flat=True))
    return {
        "id": display_id(job),
        "description": job.description or "",
        "device": job.actual_device_id,
        "device_type": job.requested_device_type_id,
        "health_check": job.health_check,
        "pipeline": True,
        "health": job.job_health.text,
        "state": job.job_state.text,
        "submitter": job.submitter.get_username(),
        "submit_time": _naive(job.submit_time),
        "start_time": _naive(job.start_time),
        "end_time": _naive(job.end_time),
        "tags": sorted(tag.name for tag in job.tags.all()),
        "visibility": f"Group ({', '.join(groups)})" if groups else "Public" if job.is_public else "Personal",
        "failure_comment": job.failure_comment,
        "error_msg": job.error_msg or None,
        "error_type": job.error_type or None,
        "waiting_reason": job.waiting_reason or None,
    }


@method("scheduler.jobs.list")
def list_jobs(
    user: Caller,
    state: str | None = None,
    health: str | None = None,
    start: int | None = 0,
    limit: int | None = 25,
    since: int | None = 0,
    verbose: bool | None = False,
    duration_at_least: int | None = None,
) -> list[dict[str, Any]]:
    """Return visible jobs, newest first; at most 100."""
    jobs = visible_jobs(user).select_related("submitter").order_by("-pk")
    if state is not None:
        jobs = jobs.filter(state=_member(JobState, state))
    if health is not None:
        jobs = jobs.filter(health=_member(JobHealth, health))
    now = timezone.now()
    if since:
        jobs = jobs.filter(end_time__gte=now - timedelta(minutes=int(since)))
    if duration_at_least:
        jobs = _lasting(jobs, now, timedelta(minutes=int(duration_at_least)))
    first = max(0, int(start or 0))
    count = min(LARGEST_PAGE, max(0, int(25 if limit is None else limit)))
    return [_listed(job, bool(verbose)) for job in jobs[first : first + count]]


@method("scheduler.jobs.queue")
def queue(
    user: Caller, device_types: list[str] | None = None, start: int | None = 0, limit: int | None = 25
) -> list[dict[str, Any]]:
    """Return the jobs that wait, newest first."""
    jobs = visible_jobs(user).filter(state=JobState.SUBMITTED).select_related("submitter").order_by("-pk")
    if device_types:
        jobs = jobs.filter(requested_device_type__in=device_types)
    first = max(0, int(start or 0))
    count = min(LARGEST_PAGE, max(0, int(25 if limit is None else limit)))
    return [
        {
            "id": display_id(job),
            "description": job.description or "",
            "requested_device_type": job.requested_device_type_id,
            "submitter": job.submitter.get_username(),
        }
        for job in jobs[first : first + count]
    ]


def display_id(job: TestJob) -> int | str:
    """Return the id as clients know it: a number, or text for a node of a group."""
    return job.sub_id or job.pk


def _listed(job: TestJob, verbose: bool) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "id": display_id(job),
        "description": job.description or "",
        "device_type": job.requested_device_type_id,
        "health": job.job_health.text,
        "state": job.job_state.text,
        "submitter": job.submitter.get_username(),
    }
    if verbose:
        listed |= {
            "actual_device": job.actual_device_id,
            "start_time": None if job.start_time is None else str(job.start_time),
            "end_time": None if job.end_time is None else str(job.end_time),
            "error_msg": job.error_msg or None,
            "error_type": job.error_type or None,
        }
    return listed


def _lasting(jobs: QuerySet[TestJob], now: datetime, least: timedelta) -> QuerySet[TestJob]:
    return jobs.filter(start_time__isnull=False, start_time__lte=Coalesce(F("end_time"), now) - least)


def _member(kind: type[JobState] | type[JobHealth], name: str) -> JobState | JobHealth:
    try:
        return kind[str(name).upper()]
    except KeyError:
        choices = ", ".join(member.name for member in kind)
        raise bad_request(f"'{name}' is none of {choices}") from None


def _naive(when: datetime | None) -> datetime | None:
    """Return the time as XML-RPC has it: UTC, without saying so."""
    return None if when is None else when.astimezone(UTC).replace(tzinfo=None)
