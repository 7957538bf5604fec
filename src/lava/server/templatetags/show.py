"""How states, moments and spans of time are written on every page.

``{% load show %}``, then ``{% badge device.device_health %}``, ``{% verdict job %}``, ``{% moment job.submit_time %}``,
``{{ span|duration }}``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from lava.model.states import DeviceHealth, DeviceState, JobState, WorkerHealth, WorkerState
from lava.server.models import Device, TestJob, Worker

register = template.Library()

#: where there is no value: an en dash
NOTHING = "\u2013"


@register.simple_tag
def badge(value: IntEnum) -> SafeString:
    """Return a state or health as a coloured word."""
    word = value.name.lower()
    return format_html('<span class="badge {}">{}</span>', f"is-{word}", word.capitalize())


@register.simple_tag
def verdict(job: TestJob) -> SafeString:
    """Return the one word that says how a job is doing: its health when it has ended, else its state."""
    return badge(job.job_health if job.job_state is JobState.FINISHED else job.job_state)


@register.simple_tag
def moment(when: datetime | None) -> SafeString:
    """Return a time in UTC, readable by people and programs."""
    if when is None:
        return format_html('<span class="none">{}</span>', NOTHING)
    at = when.astimezone(UTC)
    return format_html('<time datetime="{}" title="{} UTC">{}</time>', at.isoformat(), f"{at:%F %T}", f"{at:%F %T}")


@register.filter
def duration(span: timedelta | float | None) -> str:
    """Return a span of time: ``4 s``, ``3:05``, ``2:03:05``."""
    if span is None:
        return NOTHING
    seconds = round(span.total_seconds() if isinstance(span, timedelta) else span)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{seconds % 60:02d}"
    return f"{minutes}:{seconds % 60:02d}" if minutes else f"{seconds} s"


@register.simple_tag
def health(thing: Device | Worker) -> SafeString:
    """Return the health of a device or worker as a coloured word."""
    return badge((DeviceHealth if isinstance(thing, Device) else WorkerHealth)(thing.health))


@register.simple_tag
def state(thing: Device | Worker) -> SafeString:
    """Return the state of a device or worker as a coloured word."""
    return badge((DeviceState if isinstance(thing, Device) else WorkerState)(thing.state))


@register.simple_tag
def elapsed(job: TestJob) -> str:
    """Return how long a job ran, or runs; nothing before it starts."""
    if job.start_time is None:
        return ""
    return duration((job.end_time or timezone.now()) - job.start_time)
