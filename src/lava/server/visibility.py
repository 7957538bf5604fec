"""Who may see what, in one query each.  Source: server 7.4."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, Q, QuerySet

from lava.model.states import DeviceHealth
from lava.server.models import Device, DeviceType, TestJob, Worker

AnyUser = User | AnonymousUser


def visible_jobs(user: AnyUser) -> QuerySet[TestJob]:
    """Return the jobs that the user may see.

    With viewing groups, a viewer belongs to all of them; otherwise the job is public, or the user's own.
    """
    if user.is_active and user.is_superuser:
        return TestJob.objects.all()
    through = TestJob.viewing_groups.through.objects.filter(testjob_id=OuterRef("pk"))
    restricted = Exists(through)
    if not user.is_authenticated:
        return TestJob.objects.filter(is_public=True).exclude(restricted)
    foreign = Exists(through.exclude(group_id__in=user.groups.values("pk")))
    return TestJob.objects.filter(Q(submitter=user) | Q(restricted & ~foreign) | Q(~restricted & Q(is_public=True)))


def visible_device_types(user: AnyUser) -> QuerySet[DeviceType]:
    """Return the device types that the user may see."""
    return DeviceType.objects.filter(display=True)


def visible_devices(user: AnyUser) -> QuerySet[Device]:
    """Return the devices that the user may see; retired ones included."""
    return Device.objects.filter(device_type__in=visible_device_types(user))


def devices_in_use(user: AnyUser) -> QuerySet[Device]:
    """Return the devices that the user may see and that still belong to the lab."""
    return visible_devices(user).exclude(health=DeviceHealth.RETIRED)


def visible_workers(user: AnyUser) -> QuerySet[Worker]:
    """Return the workers that the user may see."""
    return Worker.objects.all()


def may_change(user: AnyUser, job: TestJob) -> bool:
    """Return whether the user may cancel the job or change its priority."""
    if not user.is_authenticated:
        return False
    return user.pk == job.submitter_id or user.has_perm("lava_scheduler_app.change_testjob")
