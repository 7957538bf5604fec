"""The list of workers, and one of them.  Source: server 13.2."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from lava.model.states import DeviceHealth, DeviceState, WorkerHealth
from lava.server.actions.healths import advice_on_devices, history, set_worker_health
from lava.server.actions.workers import is_on_this_machine
from lava.server.models import Worker
from lava.server.visibility import AnyUser, devices_in_use, visible_workers


@require_safe
def every(request: HttpRequest) -> HttpResponse:
    """Show the workers of the lab."""
    used = ~Q(devices__health=DeviceHealth.RETIRED)
    workers = visible_workers(request.user).annotate(
        device_count=Count("devices", filter=used),
        busy_count=Count("devices", filter=used & ~Q(devices__state=DeviceState.IDLE)),
    )
    return render(request, "lab/workers.html", {"section": "workers", "workers": workers.order_by("health", "pk")})


@require_safe
def page(request: HttpRequest, hostname: str) -> HttpResponse:
    """Show one worker and its devices."""
    worker = _find(request.user, hostname)
    context = {
        "section": "workers",
        "worker": worker,
        "own": is_on_this_machine(worker.pk),
        "devices": devices_in_use(request.user).filter(worker_host=worker).prefetch_related("tags").order_by("pk"),
        "may_change": _may_change(request.user),
        "healths": list(WorkerHealth),
        "history": history(worker),
    }
    return render(request, "lab/worker.html", context)


@require_POST
def set_health(request: HttpRequest, hostname: str) -> HttpResponse:
    """Change the health of a worker."""
    worker = _find(request.user, hostname)
    if not request.user.is_authenticated or not _may_change(request.user):
        raise PermissionDenied("changing the health of a worker needs the permission change_worker")
    chosen = {health.text: health for health in WorkerHealth}.get(request.POST.get("health", "").capitalize())
    if chosen is None:
        return HttpResponse("health is none of " + ", ".join(health.text for health in WorkerHealth), status=400)
    set_worker_health(request.user, worker.pk, chosen, request.POST.get("reason", "").strip()[:200])
    messages.success(request, f"{worker.pk} is {chosen.text}.")
    if advice := advice_on_devices(worker.pk):
        messages.warning(request, advice)
    return redirect("worker", hostname=worker.pk)


def _find(user: AnyUser, hostname: str) -> Worker:
    worker = visible_workers(user).filter(pk=hostname).first()
    if worker is None:
        raise Http404(f"there is no worker {hostname}")
    return worker


def _may_change(user: AnyUser) -> bool:
    return user.has_perm("lava_scheduler_app.change_worker")
