"""The page of one job, and what can be done with the job from there.  Source: server 6, 13.2."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from lava.model.faults import SubmissionError
from lava.model.states import JobState
from lava.server.actions.lifecycle import cancel_job
from lava.server.actions.submit import submit_job
from lava.server.live.snapshot import snapshot_of
from lava.server.logs import JobFiles
from lava.server.models import TestJob
from lava.server.results.counts import suites_of
from lava.server.visibility import may_change

from .job_plan import read_plan
from .one_job import find_job

#: what the page's script imports, named in the page so that all of it is fetched at once
_MODULES = tuple(
    f"job/{name}.js" for name in ("clock", "follow", "log", "logline", "plan", "results", "search", "stream")
)
_CANCELABLE = (JobState.SUBMITTED, JobState.SCHEDULING, JobState.SCHEDULED, JobState.RUNNING)


@require_safe
def page(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show the job: what it is, how it does, its log, plan and results."""
    job = find_job(request.user, job_id)
    status = snapshot_of(job).status
    context = {
        "section": "jobs",
        "job": job,
        "status": status,
        "visibility": _visibility(job),
        "tags": sorted(tag.name for tag in job.tags.all()),
        "plan": read_plan(JobFiles.of(job).text("description.yaml")),
        "suites": suites_of(job),
        "ran": status.ended - status.started if status.started and status.ended else None,
        "modules": _MODULES,
        "may_cancel": job.job_state in _CANCELABLE and may_change(request.user, job),
        "may_resubmit": request.user.is_authenticated,
    }
    return render(request, "job/page.html", context)


@require_POST
def cancel(request: HttpRequest, job_id: str) -> HttpResponse:
    """Ask for the end of the job; one that has ended stays as it is."""
    job = find_job(request.user, job_id)
    if not may_change(request.user, job):
        raise PermissionDenied(f"you may not cancel job {job.display_id}: it is not yours")
    cancel_job(request.user if request.user.is_authenticated else None, job.pk)
    return redirect("job", job_id=job.display_id)


@login_required
def resubmit(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show the definition for editing, and submit what comes back as a new job of the user."""
    job = find_job(request.user, job_id)
    text = request.POST.get("definition") if request.method == "POST" else None
    faults: tuple[object, ...] = ()
    if text is not None and request.user.is_authenticated:
        # A form sends the ends of lines as CR LF; the definition had none of that.
        text = text.replace("\r\n", "\n")
        try:
            submitted = submit_job(request.user, text)
        except SubmissionError as error:
            faults = error.faults
        else:
            messages.success(request, f"Job {submitted.display_id} is submitted.")
            return redirect("job", job_id=submitted.display_id)
    context = {
        "section": "jobs",
        "job": job,
        "definition": job.original_definition if text is None else text,
        "faults": faults,
    }
    return render(request, "job/resubmit.html", context, status=400 if faults else 200)


@require_safe
def definition(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show the definition as it was submitted."""
    job = find_job(request.user, job_id)
    return render(request, "job/definition.html", {"section": "jobs", "job": job, "text": _definition(job)})


@require_safe
def plain_definition(request: HttpRequest, job_id: str) -> HttpResponse:
    """Send the definition as it was submitted."""
    job = find_job(request.user, job_id)
    return _text_file(_definition(job), f"job_{job.display_id}_definition.yaml")


@require_safe
def description(request: HttpRequest, job_id: str) -> HttpResponse:
    """Send the description of the pipeline."""
    job = find_job(request.user, job_id)
    text = JobFiles.of(job).text("description.yaml")
    if text is None:
        return HttpResponse(
            f"Job {job.display_id} has no description yet: it comes when the job ends.\n",
            status=404,
            content_type="text/plain; charset=utf-8",
        )
    return _text_file(text, f"job_{job.display_id}_description.yaml")


def _definition(job: TestJob) -> str:
    return job.multinode_definition or job.original_definition


def _text_file(text: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


def _visibility(job: TestJob) -> str:
    groups = sorted(group.name for group in job.viewing_groups.all())
    if groups:
        return f"groups {', '.join(groups)}"
    return "public" if job.is_public else "personal"
