"""Lists of jobs: filters that can be linked to, and pages that cost the same however many jobs there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.model.states import JobHealth, JobState
from lava.server.models import TestJob
from lava.server.visibility import visible_jobs

#: what each row of a list shows of other tables
RELATED = ("submitter", "requested_device_type", "actual_device")
LENGTHS = (25, 50, 100)
_LARGEST_ID = 2**63 - 1

_WAITING = (JobState.SUBMITTED, JobState.SCHEDULING)
_ACTIVE = (JobState.SCHEDULED, JobState.RUNNING, JobState.CANCELING)

#: title and condition of each list
_LISTS: dict[str, tuple[str, Q]] = {
    "all": ("Jobs", Q()),
    "active": ("Active jobs", Q(state__in=_ACTIVE)),
    "running": ("Running jobs", Q(state=JobState.RUNNING)),
    "queue": ("Queue", Q(state__in=_WAITING)),
    "mine": ("My jobs", Q()),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What the user wants to see."""

    search: str = ""
    status: str = ""
    device_type: str = ""
    device: str = ""
    submitter: str = ""
    before: int | None = None
    length: int = LENGTHS[0]

    @classmethod
    def read(cls, query: QueryDict) -> Filter:
        """Read the address; values that make no sense count as not given."""
        before = query.get("before", "")
        length = query.get("length", "")
        chosen = int(length) if length.isascii() and length.isdigit() else settings.DEFAULT_TABLE_LENGTH
        return cls(
            search=query.get("search", "").strip()[:200].replace("\0", ""),
            status=query.get("status", ""),
            device_type=query.get("device_type", "").replace("\0", ""),
            device=query.get("device", "").replace("\0", ""),
            submitter=query.get("submitter", "").replace("\0", ""),
            before=_id(before),
            length=min(chosen, LENGTHS[-1]) or LENGTHS[0],
        )

    def apply(self, jobs: QuerySet[TestJob]) -> QuerySet[TestJob]:
        """Return the jobs that are wanted."""
        conditions: dict[str, Any] = {
            "requested_device_type": self.device_type,
            "actual_device": self.device,
            "submitter__username": self.submitter,
        }
        jobs = jobs.filter(**{key: value for key, value in conditions.items() if value})
        if self.status in STATUSES:
            jobs = jobs.filter(STATUSES[self.status])
        if self.search:
            number = _id(self.search)
            jobs = jobs.filter(Q(description__icontains=self.search) | (Q(pk=number) if number else Q()))
        return jobs

    def address(self, **changes: object) -> str:
        """Return the query part of an address with some values changed."""
        values = {
            name: getattr(self, name) for name in ("search", "status", "device_type", "device", "submitter", "length")
        }
        values.update(changes)
        return urlencode({name: value for name, value in values.items() if value})


#: one word for the user, state or health for us
STATUSES: dict[str, Q] = {
    "waiting": Q(state__in=_WAITING),
    "active": Q(state__in=_ACTIVE),
    **{
        health.name.lower(): Q(state=JobState.FINISHED, health=health)
        for health in (JobHealth.COMPLETE, JobHealth.INCOMPLETE, JobHealth.CANCELED)
    },
}


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= _LARGEST_ID else None


@require_safe
def page(request: HttpRequest, which: str) -> HttpResponse:
    """Show a list of jobs, newest first."""
    if which == "mine" and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    title, condition = _LISTS[which]
    chosen = Filter.read(request.GET)
    jobs = chosen.apply(visible_jobs(request.user).filter(condition))
    if which == "mine":
        jobs = jobs.filter(submitter=request.user.pk)
    if chosen.before is not None:
        jobs = jobs.filter(pk__lt=chosen.before)
    rows = list(jobs.select_related(*RELATED).order_by("-pk")[: chosen.length + 1])
    more = len(rows) > chosen.length
    rows = rows[: chosen.length]
    context = {
        "section": "jobs",
        "title": title,
        "which": which,
        "jobs": rows,
        "filter": chosen,
        "filtered": bool(chosen.address(length="")),
        "statuses": list(STATUSES),
        "first": chosen.address() if chosen.before is not None else None,
        "next": chosen.address(before=rows[-1].pk) if more else None,
    }
    return render(request, "lab/jobs.html", context)
