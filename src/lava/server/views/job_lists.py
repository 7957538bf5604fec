"""Lists of jobs: a page costs the same however many jobs there are.

A page starts below the last id of the page before it (keyset), never at a row number.  A search that no index serves
looks at a window of ids at a time and offers to go on.  Source: server 13.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.views import redirect_to_login
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.model.states import JobState
from lava.server.models import TestJob
from lava.server.visibility import visible_jobs

from .job_filter import ERRORS, STATUSES, Filter, parse_id
from .job_rows import ACTIVE, RUNNING, WAITING, for_rows

#: ids that one page of a search looks at
WINDOW = 20_000


@dataclass(frozen=True, slots=True)
class JobList:
    """A list with an address of its own."""

    title: str
    condition: Q
    #: only the user's own jobs
    own: bool = False
    #: only for those who are signed in
    private: bool = False


#: jobs that failed for a reason that is not theirs
_FAULTS = Q(state=JobState.FINISHED, error_type__in=("Configuration", "Infrastructure", "Bug"))
_ALL = Q()

LISTS: Final = {
    "alljobs": JobList("Jobs", _ALL),
    "activejobs": JobList("Active jobs", ACTIVE),
    "running": JobList("Running jobs", RUNNING),
    "queue": JobList("Queue", WAITING),
    "healthcheck": JobList("Health checks", Q(health_check=True)),
    "joberrors": JobList("Errors of the lab", _FAULTS, private=True),
    "myjobs": JobList("My jobs", _ALL, own=True),
    "myactivejobs": JobList("My active jobs", ACTIVE, own=True),
    "myqueuedjobs": JobList("My jobs that wait", WAITING, own=True),
    "myerrorjobs": JobList("My jobs that the lab failed", _FAULTS, own=True),
}
#: lists whose jobs no index finds
_UNINDEXED = frozenset({"healthcheck", "joberrors"})


@require_safe
def page(request: HttpRequest, which: str) -> HttpResponse:
    """Show a list of jobs, newest first."""
    chosen_list = LISTS[which]
    if (chosen_list.own or chosen_list.private) and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    chosen = Filter.read(request.GET)
    jobs = visible_jobs(request.user).filter(chosen_list.condition)
    if chosen_list.own:
        jobs = jobs.filter(submitter=request.user.pk)
    windowed = (chosen.is_unindexed or which in _UNINDEXED) and not chosen_list.own
    found = _find(jobs, chosen, windowed=windowed)
    context = {
        "section": "jobs",
        "title": chosen_list.title,
        "which": which,
        "jobs": found.rows,
        "filter": chosen,
        "statuses": list(STATUSES),
        "errors": ERRORS,
        "searched_to": found.searched_to,
        "newest": chosen.address() if chosen.before is not None else None,
        "older": chosen.address(before=found.older) if found.older else None,
    }
    return render(request, "lab/jobs.html", context)


@dataclass(frozen=True, slots=True)
class _Found:
    rows: list[TestJob]
    #: where the next page starts; None on the last page
    older: int | None
    #: id that the search ended at, when it ended before its page was full
    searched_to: int | None = None


def _find(jobs: QuerySet[TestJob], chosen: Filter, *, windowed: bool) -> _Found:
    """Return a page of the jobs that are wanted."""
    wanted = chosen.apply(for_rows(jobs)).order_by("-pk")
    if chosen.before is not None:
        wanted = wanted.filter(pk__lt=chosen.before)
    named = _named(for_rows(jobs), chosen)
    bottom = 1
    if windowed:
        top = chosen.before or (TestJob.objects.aggregate(newest=Max("pk"))["newest"] or 0) + 1
        bottom = max(1, top - WINDOW)
        wanted = wanted.filter(pk__gte=bottom)
    rows = list(wanted[: chosen.length + 1])
    if len(rows) > chosen.length:
        rows = rows[: chosen.length]
        return _Found(_merged(named, rows), rows[-1].pk)
    if bottom > 1:
        return _Found(_merged(named, rows), bottom, searched_to=bottom)
    return _Found(_merged(named, rows), None)


def _named(jobs: QuerySet[TestJob], chosen: Filter) -> list[TestJob]:
    """Return the job whose id was typed into the search field: it comes first, wherever it is."""
    if not chosen.search or chosen.before is not None or len(chosen.search) > 40:
        return []
    number = parse_id(chosen.search)
    if number is not None:
        return list(jobs.filter(pk=number))
    if chosen.search.replace(".", "", 1).isdigit():
        return list(jobs.filter(sub_id=chosen.search).exclude(sub_id=""))
    return []


def _merged(named: list[TestJob], rows: list[TestJob]) -> list[TestJob]:
    known = {job.pk for job in named}
    return named + [job for job in rows if job.pk not in known]
