"""The list of devices, and one device.  Source: server 13.2."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from lava.model.states import DeviceHealth, DeviceState
from lava.server import configuration
from lava.server.actions.healths import history, set_device_health
from lava.server.configuration import ConfigurationFault
from lava.server.models import Device
from lava.server.visibility import AnyUser, devices_in_use, visible_devices, visible_jobs

from .job_rows import ACTIVE, for_rows
from .type_counts import USABLE

#: rows of the device's own table of jobs; its list of jobs shows all
SHOWN = 20


#: lists of devices with an address of their own: title and condition
LISTS: Final = {
    "alldevices": ("Devices", Q()),
    "alldevices/active": ("Busy devices", ~Q(state=DeviceState.IDLE)),
    "alldevices/online": ("Devices that can take jobs", USABLE),
    "alldevices/passinghealthchecks": ("Devices in good health", Q(health=DeviceHealth.GOOD)),
    "alldevices/maintenance": ("Devices in maintenance", Q(health=DeviceHealth.MAINTENANCE)),
    "mydevices": ("My devices", Q()),
}


@require_safe
def every(request: HttpRequest, which: str = "alldevices") -> HttpResponse:
    """Show the devices of the lab; ``?retired`` those that left it, too."""
    title, condition = LISTS[which]
    retired = which == "alldevices" and "retired" in request.GET
    devices = (visible_devices if retired else devices_in_use)(request.user).filter(condition)
    if which == "mydevices":
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        devices = devices.filter(Q(physical_owner=request.user) | Q(physical_group__in=request.user.groups.all()))
    rows = list(devices.select_related("worker_host").prefetch_related("tags").order_by("pk"))
    jobs = {job.actual_device_id: job for job in for_rows(visible_jobs(request.user).filter(ACTIVE))}
    context = {
        "section": "devices",
        "title": title,
        "which": which,
        "rows": [(device, jobs.get(device.pk)) for device in rows],
        "retired": retired,
    }
    return render(request, "lab/devices.html", context)


@require_safe
def page(request: HttpRequest, hostname: str) -> HttpResponse:
    """Show one device: how it is, what it does, what it did."""
    device = _find(request.user, hostname)
    jobs = for_rows(visible_jobs(request.user).filter(actual_device=device))
    _, problem = _rendered(device)
    context = {
        "section": "devices",
        "device": device,
        "tags": sorted(tag.name for tag in device.tags.all()),
        "current": jobs.filter(ACTIVE).first(),
        "jobs": jobs.order_by("-pk")[:SHOWN],
        "problem": problem,
        "may_change": _may_change(request.user),
        "healths": list(DeviceHealth),
        "history": history(device),
    }
    return render(request, "lab/device.html", context)


@require_POST
def set_health(request: HttpRequest, hostname: str) -> HttpResponse:
    """Change the health of a device."""
    device = _find(request.user, hostname)
    if not request.user.is_authenticated or not _may_change(request.user):
        raise PermissionDenied("changing the health of a device needs the permission change_device")
    chosen = {health.text: health for health in DeviceHealth}.get(request.POST.get("health", "").capitalize())
    if chosen is None:
        return HttpResponse("health is none of " + ", ".join(health.text for health in DeviceHealth), status=400)
    set_device_health(request.user, device.pk, chosen, request.POST.get("reason", "").strip()[:200])
    messages.success(request, f"{device.pk} is {chosen.text}.")
    return redirect("device", hostname=device.pk)


@require_safe
def dictionary(request: HttpRequest, hostname: str) -> HttpResponse:
    """Show a device's dictionary and what it is rendered to."""
    device = _find(request.user, hostname)
    rendered, problem = _rendered(device)
    context = {
        "section": "devices",
        "device": device,
        "dictionary": configuration.dictionary(device.pk),
        "rendered": rendered,
        "problem": problem,
    }
    return render(request, "lab/device_dictionary.html", context)


@require_safe
def plain_dictionary(request: HttpRequest, hostname: str) -> HttpResponse:
    """Send the rendered configuration."""
    rendered, problem = _rendered(_find(request.user, hostname))
    if rendered is None:
        return HttpResponse(f"{problem}\n", status=404, content_type="text/plain; charset=utf-8")
    headers = {"Content-Disposition": f'inline; filename="{hostname}.yaml"'}
    return HttpResponse(rendered, content_type="text/plain; charset=utf-8", headers=headers)


def _find(user: AnyUser, hostname: str) -> Device:
    device = (
        visible_devices(user)
        .filter(pk=hostname)
        .select_related("device_type", "worker_host", "physical_owner", "physical_group")
        .first()
    )
    if device is None:
        raise Http404(f"there is no device {hostname}")
    return device


def _rendered(device: Device) -> tuple[str | None, str]:
    """Return the device's configuration, or why there is none."""
    try:
        return configuration.render_device(device.pk, device.device_type_id), ""
    except ConfigurationFault as error:
        return None, str(error)


def _may_change(user: AnyUser) -> bool:
    return user.has_perm("lava_scheduler_app.change_device")
