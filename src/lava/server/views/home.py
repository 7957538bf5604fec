"""The first page: what runs, what waits, how the lab is.  Source: server 13.1, 13.2."""

from __future__ import annotations

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.model.states import DeviceHealth, JobState, WorkerHealth, WorkerState
from lava.server.visibility import AnyUser, devices_in_use, visible_jobs, visible_workers

from .job_rows import ACTIVE, WAITING, for_rows
from .type_counts import USABLE, type_counts

#: rows of each table; the lists show all
SHOWN = 10
#: running jobs that are shown
SHOWN_RUNNING = 50


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the lab at a glance."""
    jobs = visible_jobs(request.user)
    running = list(for_rows(jobs.filter(ACTIVE)).order_by("-pk")[:SHOWN_RUNNING])
    waiting = list(for_rows(jobs.filter(WAITING)).order_by("-priority", "submit_time", "pk")[:SHOWN])
    ended = jobs.filter(state=JobState.FINISHED, end_time__isnull=False)
    workers = visible_workers(request.user).exclude(health=WorkerHealth.RETIRED)
    devices = devices_in_use(request.user)
    context = {
        "section": "home",
        "types": type_counts(request.user),
        "healths": _healths(request.user),
        "devices": devices.count(),
        "usable": devices.filter(USABLE).count(),
        "offline_workers": workers.filter(state=WorkerState.OFFLINE).order_by("pk"),
        "running": running,
        "running_count": jobs.filter(ACTIVE).count() if len(running) == SHOWN_RUNNING else len(running),
        "waiting": waiting,
        "waiting_count": jobs.filter(WAITING).count() if len(waiting) == SHOWN else len(waiting),
        "ended": for_rows(ended).order_by("-end_time")[:SHOWN],
    }
    return render(request, "lab/home.html", context)


def _healths(user: AnyUser) -> list[tuple[DeviceHealth, int]]:
    """Return how many devices are of which health, without the healths of none."""
    counts = devices_in_use(user).order_by("health").values_list("health").annotate(Count("pk"))
    return [(DeviceHealth(health), count) for health, count in counts]
