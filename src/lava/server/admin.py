"""The admin site: everything that has no page of its own.  States are read-only: they follow from what happens.

Source: server 17.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from lava.model.states import DeviceHealth, JobState, WorkerHealth
from lava.server import wake
from lava.server.actions.healths import (
    advice_on_devices,
    set_device_health,
    set_worker_health,
    take_devices_offline,
)
from lava.server.actions.lifecycle import cancel_job
from lava.server.models import Alias, AuthToken, Device, DeviceType, RemoteArtifactsAuth, Tag, TestJob, Worker
from lava.server.results.models import TestCase, TestSet, TestSuite
from lava.server.visibility import may_change

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin, _TabularInline = admin.ModelAdmin, admin.TabularInline


admin.site.site_header = "Administration"
admin.site.site_title = "Administration"
admin.site.index_title = "What can be changed"


def _actor(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 (the admin site lets nobody else in)
    return request.user


#: the healths of each model, and the action that changes them
_HEALTHS: dict[type[Model], tuple[type[IntEnum], Callable[[User, str, Any, str], bool]]] = {
    Device: (DeviceHealth, set_device_health),
    Worker: (WorkerHealth, set_worker_health),
}


def _set_health(health: int, site: _HealthAdmin, request: HttpRequest, chosen: QuerySet[Any]) -> None:
    healths, change = _HEALTHS[site.model]
    for name in chosen.values_list("pk", flat=True):
        change(_actor(request), name, healths(health), "admin site")
        if site.model is Worker and (advice := advice_on_devices(name)):
            messages.warning(request, advice)


class _HealthAdmin(_ModelAdmin):
    """Health goes through the same action as everywhere: it is audited, and what follows from it happens."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        wanted = obj.health
        changed = change and "health" in form.changed_data
        if changed:
            obj.health = form.initial["health"]
        super().save_model(request, obj, form, change)
        if changed:
            _set_health(wanted, self, request, self.model._default_manager.filter(pk=obj.pk))
        wake.announce(wake.QUEUE)  # a job may wait for just this

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if self.has_change_permission(request):
            for health in _HEALTHS[self.model][0]:
                name = f"make_{health.name.lower()}"
                title = f"Set health: {health.name.capitalize()}"
                if health is DeviceHealth.MAINTENANCE:
                    title = "Take offline (health Maintenance)"
                actions[name] = (partial(_set_health, health), name, title)
        return actions


@admin.register(Device)
class DeviceAdmin(_HealthAdmin):
    list_display = ("hostname", "device_type", "worker_host", "state", "health", "is_synced")
    list_filter = ("device_type", "state", "health", "worker_host", "is_synced")
    list_select_related = ("device_type", "worker_host")
    search_fields = ("hostname", "description")
    ordering = ("hostname",)
    filter_horizontal = ("tags",)
    raw_id_fields = ("physical_owner", "last_health_report_job")

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> tuple[str, ...]:
        return ("state", "last_used", *(("hostname",) if obj else ()))


@admin.register(Worker)
class WorkerAdmin(_HealthAdmin):
    list_display = ("hostname", "state", "health", "last_ping", "version")
    list_filter = ("state", "health")
    search_fields = ("hostname", "description")
    ordering = ("hostname",)
    actions = ("devices_offline",)

    @admin.action(description="Take all their devices offline", permissions=["change"])
    def devices_offline(self, request: HttpRequest, chosen: QuerySet[Worker]) -> None:
        for worker in chosen:
            names = take_devices_offline(_actor(request), worker.pk, "admin site")
            messages.info(request, f"{worker}: {len(names)} devices taken offline")

    def get_readonly_fields(self, request: HttpRequest, obj: Worker | None = None) -> tuple[str, ...]:
        return ("state", "last_ping", "version", "refusal", *(("hostname",) if obj else ()))


class _AliasInline(_TabularInline):
    model = Alias
    extra = 0


@admin.register(DeviceType)
class DeviceTypeAdmin(_ModelAdmin):
    list_display = ("name", "display", "disable_health_check", "health_frequency", "health_denominator")
    list_filter = ("display", "disable_health_check")
    search_fields = ("name", "description")
    inlines: ClassVar = [_AliasInline]

    def get_readonly_fields(self, request: HttpRequest, obj: DeviceType | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()


@admin.register(TestJob)
class TestJobAdmin(_ModelAdmin):
    """Jobs come by submission only; here they can be read, and stopped."""

    list_display = (
        "display_id",
        "state",
        "health",
        "description",
        "requested_device_type",
        "actual_device",
        "submitter",
    )
    list_filter = ("state", "health", "requested_device_type")
    list_select_related = ("requested_device_type", "actual_device", "submitter")
    search_fields = ("=id", "sub_id", "description", "submitter__username")
    ordering = ("-id",)
    show_full_result_count = False
    fields = ("description", "state", "health", "submitter", "actual_device", "priority", "is_public", "viewing_groups")
    readonly_fields = ("description", "state", "health", "submitter", "actual_device")
    filter_horizontal = ("viewing_groups",)
    actions = ("cancel",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TestJob | None = None) -> bool:
        """A job that runs cannot be deleted: its device would never be freed."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.job_state is JobState.FINISHED)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)  # it would not ask each job
        return actions

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, chosen: QuerySet[TestJob]) -> None:
        user = _actor(request)
        for job in chosen:
            if may_change(user, job):
                cancel_job(user, job.pk)
            else:
                messages.warning(request, f"You may not cancel job {job.display_id}: it is not yours.")


@admin.register(AuthToken)
class AuthTokenAdmin(_ModelAdmin):
    """Tokens can be seen and deleted; the secret is the user's own."""

    list_display = ("user", "description", "created_on", "last_used_on")
    search_fields = ("user__username", "description")
    fields = ("user", "description", "created_on", "last_used_on")
    readonly_fields = ("created_on", "last_used_on")
    list_select_related = ("user",)


@admin.register(RemoteArtifactsAuth)
class RemoteArtifactsAuthAdmin(_ModelAdmin):
    list_display = ("user", "name")
    fields = ("user", "name")
    list_select_related = ("user",)


@admin.register(Tag)
class TagAdmin(_ModelAdmin):
    list_display = ("name", "description")
    search_fields = ("name", "description")


class _ReadOnlyAdmin(_ModelAdmin):
    """Results come from logs only."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TestSuite)
class TestSuiteAdmin(_ReadOnlyAdmin):
    list_display = ("name", "job")
    search_fields = ("name", "=job__id")
    list_select_related = ("job",)


@admin.register(TestSet)
class TestSetAdmin(_ReadOnlyAdmin):
    list_display = ("name", "suite")
    list_select_related = ("suite",)


@admin.register(TestCase)
class TestCaseAdmin(_ReadOnlyAdmin):
    list_display = ("name", "suite", "result", "measurement", "units")
    list_filter = ("result",)
    search_fields = ("name",)
    list_select_related = ("suite",)
