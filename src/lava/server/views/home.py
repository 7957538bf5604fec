"""The first page: what runs, what waits, how the lab is.  Source: server 13.1, 13.2."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.model.states import JobState, WorkerState
from lava.server.visibility import devices_in_use, visible_device_types, visible_jobs, visible_workers

from .device_types import types_with_counts, usable
from .job_lists import RELATED

#: rows of each table; the lists show all
SHOWN = 10


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the lab at a glance."""
    jobs = visible_jobs(request.user).select_related(*RELATED)
    waiting = jobs.filter(state__in=(JobState.SUBMITTED, JobState.SCHEDULING)).order_by("-priority", "submit_time")
    active = (JobState.SCHEDULED, JobState.RUNNING, JobState.CANCELING)
    context = {
        "section": "home",
        "types": types_with_counts(visible_device_types(request.user)),
        "devices": devices_in_use(request.user).count(),
        "usable": devices_in_use(request.user).filter(usable()).count(),
        "offline_workers": visible_workers(request.user).filter(state=WorkerState.OFFLINE).order_by("pk"),
        "running": jobs.filter(state__in=active).order_by("-pk")[:50],
        "waiting": waiting[:SHOWN],
        "waiting_count": waiting.count(),
        "ended": jobs.filter(state=JobState.FINISHED, end_time__isnull=False).order_by("-end_time")[:SHOWN],
    }
    return render(request, "lab/home.html", context)
