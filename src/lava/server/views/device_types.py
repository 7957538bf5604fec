"""The list of device types, and one of them.  Source: server 13.2."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.model.states import USABLE_HEALTHS, DeviceHealth, DeviceState, JobState, WorkerState
from lava.server.configuration import has_template
from lava.server.models import DeviceType
from lava.server.visibility import visible_device_types, visible_jobs

from .job_lists import RELATED

#: rows of the type's own table of jobs
SHOWN = 20


@require_safe
def every(request: HttpRequest) -> HttpResponse:
    """Show the device types with what their devices do."""
    types = types_with_counts(visible_device_types(request.user))
    return render(request, "lab/device_types.html", {"section": "device-types", "types": types})


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one device type, its devices and its jobs."""
    kind = visible_device_types(request.user).filter(pk=name).first()
    if kind is None:
        raise Http404(f"there is no device type {name}")
    devices = kind.devices.exclude(health=DeviceHealth.RETIRED).select_related("worker_host").prefetch_related("tags")
    jobs = visible_jobs(request.user).filter(requested_device_type=kind)
    context = {
        "section": "device-types",
        "kind": kind,
        "aliases": kind.aliases.order_by("pk"),
        "has_template": has_template(kind.pk),
        "devices": devices.order_by("pk"),
        "queued": jobs.filter(state=JobState.SUBMITTED).count(),
        "jobs": jobs.select_related(*RELATED).order_by("-pk")[:SHOWN],
    }
    return render(request, "lab/device_type.html", context)


def usable(prefix: str = "") -> Q:
    """Return the condition for devices that can take jobs.

    Args:
        prefix: how the query gets to the devices, as in ``devices__``.
    """
    conditions: dict[str, Any] = {
        f"{prefix}health__in": list(USABLE_HEALTHS),
        f"{prefix}worker_host__state": WorkerState.ONLINE,
    }
    return Q(**conditions)


def types_with_counts(types: QuerySet[DeviceType]) -> QuerySet[DeviceType]:
    """Return the types with how many of their devices are idle, busy, away, and how many jobs wait for them."""
    used = ~Q(devices__health=DeviceHealth.RETIRED)
    idle = Q(devices__state=DeviceState.IDLE)
    counts = types.annotate(
        total=Count("devices", filter=used, distinct=True),
        busy=Count("devices", filter=used & ~idle, distinct=True),
        idle=Count("devices", filter=idle & usable("devices__"), distinct=True),
        queued=Count("requested_by", filter=Q(requested_by__state=JobState.SUBMITTED), distinct=True),
    )
    return counts.annotate(away=F("total") - F("busy") - F("idle")).order_by("pk")
