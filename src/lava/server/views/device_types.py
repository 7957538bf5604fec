"""The list of device types, and one of them.  Source: server 13.2."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.server.configuration import has_template
from lava.server.visibility import devices_in_use, visible_device_types, visible_jobs

from .job_rows import WAITING, for_rows
from .type_counts import type_counts

#: rows of the type's own table of jobs
SHOWN = 20


@require_safe
def every(request: HttpRequest) -> HttpResponse:
    """Show the device types with what their devices do."""
    context = {"section": "device-types", "types": type_counts(request.user)}
    return render(request, "lab/device_types.html", context)


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one device type, its devices and its jobs."""
    kind = visible_device_types(request.user).filter(pk=name).first()
    if kind is None:
        raise Http404(f"there is no device type {name}")
    devices = devices_in_use(request.user).filter(device_type=kind)
    jobs = visible_jobs(request.user).filter(requested_device_type=kind)
    context = {
        "section": "device-types",
        "kind": kind,
        "aliases": kind.aliases.order_by("pk"),
        "has_template": has_template(kind.pk),
        "devices": devices.select_related("worker_host").prefetch_related("tags").order_by("pk"),
        "queued": jobs.filter(WAITING).count(),
        "jobs": for_rows(jobs).order_by("-pk")[:SHOWN],
    }
    return render(request, "lab/device_type.html", context)
