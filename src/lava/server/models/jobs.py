"""Test jobs.  Source: server 2.1."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import Group, User
from django.db import models
from django.db.models import Q

from lava.model.states import JobHealth, JobState

from .lab import Device, DeviceType, Tag, Worker, new_secret

_UNFINISHED = ~Q(state=JobState.FINISHED)


def by_display_id(*ids: str) -> Q:
    """Return the condition that a job has one of the ids that people use."""
    numbers = [int(one) for one in ids if one.isdigit()]
    return Q(pk__in=numbers, sub_id="") | Q(sub_id__in=[one for one in ids if not one.isdigit()])


class TestJob(models.Model):
    """A job from its submission on."""

    __test__ = False

    LOW, MEDIUM, HIGH = 0, 50, 100
    PRIORITIES: ClassVar = [(LOW, "Low"), (MEDIUM, "Medium"), (HIGH, "High")]

    #: ``<id of the first>.<n>`` for a node of a MultiNode group
    sub_id = models.CharField(max_length=200, blank=True, default="")
    target_group = models.CharField(max_length=64, null=True, blank=True, db_index=True)
    submitter = models.ForeignKey(User, models.CASCADE, related_name="+")
    is_public = models.BooleanField(default=False)
    viewing_groups = models.ManyToManyField(Group, blank=True, related_name="+")
    description = models.CharField(max_length=200, null=True, blank=True)
    health_check = models.BooleanField(default=False)
    requested_device_type = models.ForeignKey(
        DeviceType, models.CASCADE, null=True, blank=True, related_name="requested_by"
    )
    requested_device = models.ForeignKey(Device, models.CASCADE, null=True, blank=True, related_name="+")
    requested_worker = models.ForeignKey(Worker, models.CASCADE, null=True, blank=True, related_name="+")
    tags = models.ManyToManyField(Tag, blank=True, related_name="+")
    actual_device = models.ForeignKey(Device, models.CASCADE, null=True, blank=True, related_name="jobs")
    #: whose slave runs the job, wherever its device is moved meanwhile; nobody else may report of it
    actual_worker = models.ForeignKey(Worker, models.SET_NULL, null=True, blank=True, editable=False, related_name="+")
    submit_time = models.DateTimeField(auto_now_add=True)
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    state = models.IntegerField(choices=JobState.choices(), default=JobState.SUBMITTED, editable=False)
    health = models.IntegerField(choices=JobHealth.choices(), default=JobHealth.UNKNOWN, editable=False)
    priority = models.IntegerField(choices=PRIORITIES, default=MEDIUM)
    #: what runs: for a node of a group, its own part
    definition = models.TextField(editable=False)
    #: what was submitted, comments and all
    original_definition = models.TextField(editable=False)
    multinode_definition = models.TextField(editable=False, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True, editable=False)
    #: seconds
    queue_timeout = models.BigIntegerField(null=True, blank=True)
    failure_comment = models.TextField(null=True, blank=True)
    token = models.CharField(max_length=32, default=new_secret, editable=False)

    #: bytes of the log that are stored: the next offset that is expected
    log_length = models.BigIntegerField(default=0, editable=False)
    #: lines among them
    log_lines = models.BigIntegerField(default=0, editable=False)
    #: the job's own final result; none yet, or never, when the job process died
    passed = models.BooleanField(null=True, editable=False)
    error_type = models.CharField(max_length=40, blank=True, default="", editable=False)
    error_msg = models.TextField(blank=True, default="", editable=False)
    #: why it still waits, in words
    waiting_reason = models.TextField(blank=True, default="", editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["actual_device"],
                condition=_UNFINISHED & Q(actual_device__isnull=False),
                name="one_unfinished_job_per_device",
            ),
            models.UniqueConstraint(fields=["sub_id"], condition=~Q(sub_id=""), name="unique_sub_id"),
            models.CheckConstraint(
                condition=Q(state__gte=0, state__lte=5, health__gte=0, health__lte=3), name="known_state_and_health"
            ),
            models.CheckConstraint(
                condition=Q(state=JobState.FINISHED) | Q(health=JobHealth.UNKNOWN), name="verdict_only_when_finished"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["requested_device_type", "-priority", "submit_time"], condition=Q(state=0), name="queue"
            ),
            models.Index(fields=["state"], condition=Q(state__lt=5), name="unfinished"),
            models.Index(fields=["actual_device", "-id"], name="device_history"),
            models.Index(fields=["submitter", "-id"], name="own_jobs"),
            models.Index(fields=["-end_time"], name="by_end_time"),
        ]

    def __str__(self) -> str:
        return self.display_id

    @property
    def display_id(self) -> str:
        """The id that people use: ``123``, or ``123.1`` for a node of a group."""
        return self.sub_id or str(self.pk)

    @property
    def job_state(self) -> JobState:
        return JobState(self.state)

    @property
    def job_health(self) -> JobHealth:
        return JobHealth(self.health)
