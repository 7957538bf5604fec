"""Workers, device types and devices.  Source: server 2.1."""

from __future__ import annotations

import secrets
from typing import ClassVar

from django.contrib.auth.models import Group, User
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from lava.model.states import DeviceHealth, DeviceState, WorkerHealth, WorkerState

#: names stand in addresses of pages and in file names
_name = RegexValidator(r"^[a-zA-Z0-9][a-zA-Z0-9_.+-]*$", "letters, digits, '.', '_', '+' and '-' only")


def new_secret() -> str:
    """Return a secret of 32 characters."""
    return secrets.token_hex(16)


class Tag(models.Model):
    """Something that a device has and a job may ask for."""

    name = models.SlugField(max_length=100, unique=True)
    description = models.TextField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name.lower()


class DeviceType(models.Model):
    """A kind of device."""

    HOURS, JOBS = 0, 1

    name = models.CharField(max_length=50, primary_key=True, validators=[_name])
    cpu_model = models.CharField(max_length=100, null=True, blank=True)
    core_count = models.PositiveSmallIntegerField(null=True, blank=True)
    description = models.TextField(max_length=200, null=True, blank=True)
    health_frequency = models.IntegerField(default=24)
    health_denominator = models.IntegerField(default=HOURS, choices=[(HOURS, "hours"), (JOBS, "jobs")])
    disable_health_check = models.BooleanField(default=False)
    #: false hides the type and keeps its devices from being used
    display = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Alias(models.Model):
    """Another name of a device type."""

    name = models.CharField(max_length=200, primary_key=True)
    device_type = models.ForeignKey(DeviceType, models.CASCADE, null=True, blank=True, related_name="aliases")

    class Meta:
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """The master's record of a slave."""

    hostname = models.CharField(max_length=200, primary_key=True, validators=[_name])
    #: whether the slave was heard of lately
    state = models.IntegerField(choices=WorkerState.choices(), default=WorkerState.OFFLINE, editable=False)
    #: whether people want it to be used
    health = models.IntegerField(choices=WorkerHealth.choices(), default=WorkerHealth.ACTIVE)
    description = models.TextField(max_length=200, null=True, blank=True)
    last_ping = models.DateTimeField(default=timezone.now)
    #: jobs at the same time; 0 is no limit
    job_limit = models.PositiveIntegerField(default=0)
    version = models.CharField(max_length=50, null=True, blank=True)
    #: public CURVE key that speaks for this worker since it was first admitted
    public_key = models.CharField(max_length=40, blank=True, default="")
    #: why its slave is refused, while it is
    refusal = models.TextField(blank=True, default="")
    token = models.CharField(max_length=32, default=new_secret, editable=False)

    class Meta:
        permissions: ClassVar = [("submit_to_worker", "Can submit to worker")]

    def __str__(self) -> str:
        return self.hostname


class Device(models.Model):
    """A board.  Its configuration is the file ``<hostname>.jinja2`` among the device dictionaries."""

    hostname = models.CharField(max_length=200, primary_key=True, validators=[_name])
    device_type = models.ForeignKey(DeviceType, models.CASCADE, related_name="devices")
    device_version = models.CharField(max_length=200, null=True, blank=True)
    physical_owner = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    physical_group = models.ForeignKey(Group, models.SET_NULL, null=True, blank=True, related_name="+")
    description = models.TextField(max_length=200, null=True, blank=True)
    tags = models.ManyToManyField(Tag, blank=True)
    #: follows from the job that holds the device; never set by people
    state = models.IntegerField(choices=DeviceState.choices(), default=DeviceState.IDLE, editable=False)
    health = models.IntegerField(choices=DeviceHealth.choices(), default=DeviceHealth.MAINTENANCE)
    last_health_report_job = models.OneToOneField(
        "lava_scheduler_app.TestJob", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    worker_host = models.ForeignKey(Worker, models.SET_NULL, null=True, blank=True, related_name="devices")
    is_synced = models.BooleanField(default=False)
    #: when its last job ended, so that devices of a type are worn evenly
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        permissions: ClassVar = [("submit_to_device", "Can submit jobs to device")]

    def __str__(self) -> str:
        return self.hostname
