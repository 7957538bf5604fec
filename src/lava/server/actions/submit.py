"""Take a job in.  Source: server 5."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet

from lava.model.faults import Fault, SubmissionError, did_you_mean
from lava.model.job import JobDefinition, parse_job, strict_warnings
from lava.model.states import DeviceHealth, WorkerHealth
from lava.model.yaml_source import Source
from lava.server import wake
from lava.server.models import Alias, Device, DeviceType, Tag, TestJob, Worker
from lava.server.visibility import visible_device_types


def read_definition(text: str, *, strict: bool = False) -> tuple[Source, JobDefinition]:
    """Return the definition.

    Raises:
        SubmissionError: with every fault and its place.
    """
    source = Source(text)
    try:
        return source, parse_job(source.value, strict=strict, extra_context=settings.EXTRA_CONTEXT_VARIABLES)
    except SubmissionError as error:
        raise SubmissionError(source.placed(error.faults)) from error


def check_job(user: User, text: str) -> tuple[JobDefinition, list[Fault]]:
    """Return what :func:`submit_job` would take in, and what is doubtful in it; nothing is stored.

    Raises:
        SubmissionError: it would be refused.
    """
    source, definition, _ = _accept(user, text)
    return definition, strict_warnings(source, extra_context=settings.EXTRA_CONTEXT_VARIABLES)


@transaction.atomic
def submit_job(user: User, text: str) -> TestJob:
    """Store a job and wake the scheduler.

    Raises:
        SubmissionError: the definition is wrong, or this lab can never run it.
    """
    _, definition, wanted = _accept(user, text)
    job = TestJob.objects.create(
        submitter=user,
        is_public=definition.visibility.scope == "public",
        description=definition.job_name,
        requested_device_type=wanted.device_type,
        requested_device=wanted.device,
        requested_worker=wanted.worker,
        priority=definition.priority,
        definition=yaml.safe_dump(definition.document, sort_keys=False, allow_unicode=True),
        original_definition=text,
        metadata=_plain(definition.metadata),
        queue_timeout=_queue_timeout(definition),
        waiting_reason="just submitted",
    )
    job.tags.set(wanted.tags)
    job.viewing_groups.set(_viewing_groups(user, definition))
    wake.announce(wake.JOB, job.pk)
    wake.announce(wake.QUEUE, job.pk)
    return job


def _accept(user: User, text: str) -> tuple[Source, JobDefinition, _Wanted]:
    """Return the definition, and what it asks the lab for.

    Raises:
        SubmissionError: with the place of every fault.
    """
    source, definition = read_definition(text)
    try:
        if definition.is_multinode:
            hint = "submit a single-node job"
            raise SubmissionError([Fault(("protocols",), "MultiNode jobs are not supported yet", hint)])
        return source, definition, _check_against_lab(user, definition)
    except SubmissionError as error:
        raise SubmissionError(source.placed(error.faults)) from error


class _Wanted:
    """What the job asks the lab for."""

    device_type: DeviceType
    device: Device | None = None
    worker: Worker | None = None
    tags: list[Tag]


def _check_against_lab(user: User, definition: JobDefinition) -> _Wanted:
    """Return what the job asks for, checked in the order of server 5.4.

    Raises:
        SubmissionError: no device here can ever run it; the fault says which wish it is.
    """
    wanted = _Wanted()
    name = definition.device_type or ""
    alias = Alias.objects.filter(pk=name, device_type__isnull=False).select_related("device_type").first()
    types = visible_device_types(user)
    device_type = alias.device_type if alias else types.filter(pk=name).first()
    if device_type is None:
        hint = did_you_mean(name, list(types.values_list("pk", flat=True)))
        raise _fault("device_type", f"device type '{name}' is unavailable", hint)
    wanted.device_type = device_type
    candidates = Device.objects.filter(device_type=device_type).exclude(health=DeviceHealth.RETIRED)
    candidates = candidates.exclude(worker_host__health=WorkerHealth.RETIRED)
    if definition.worker is not None:
        wanted.worker = Worker.objects.filter(pk=definition.worker).first()
        if wanted.worker is None:
            raise _fault("worker", f"worker '{definition.worker}' is unavailable")
        candidates = candidates.filter(worker_host=wanted.worker)
    if definition.device is not None:
        wanted.device = candidates.filter(pk=definition.device).first()
        if wanted.device is None:
            others = ", ".join(candidates.values_list("pk", flat=True)[:10]) or "none"
            hint = _disabled(Device.objects.filter(pk=definition.device)) or f"devices of type {device_type}: {others}"
            raise _fault("device", f"device '{definition.device}' of type '{device_type}' is unavailable", hint)
        candidates = candidates.filter(pk=definition.device)
    if not candidates.exists():
        hint = _disabled(Device.objects.filter(device_type=device_type))
        raise _fault("device_type", f"no device of type '{device_type}' is available to you", hint)
    wanted.tags = list(Tag.objects.filter(name__in=definition.tags))
    known = {tag.name for tag in wanted.tags}
    for number, tag in enumerate(definition.tags):
        if tag not in known:
            hint = did_you_mean(tag, list(Tag.objects.values_list("name", flat=True)))
            raise SubmissionError([Fault(("tags", number), f"no device tag is called '{tag}'", hint)])
        candidates = candidates.filter(tags__name=tag)
    if not candidates.exists():
        raise _fault("tags", f"no device of type '{device_type}' has all of the tags {', '.join(definition.tags)}")
    return wanted


def _disabled(devices: QuerySet[Device]) -> str:
    """Return which workers with such devices are out of use; empty when none is."""
    names = Worker.objects.filter(devices__in=devices, health=WorkerHealth.RETIRED).distinct().order_by("pk")[:10]
    return "; ".join(f"worker {worker.pk} is retired" for worker in names)


def _fault(key: str, message: str, hint: str = "") -> SubmissionError:
    return SubmissionError([Fault((key,), message, hint)])


def _viewing_groups(user: User, definition: JobDefinition) -> list[Group]:
    match definition.visibility.scope:
        case "personal":
            return [Group.objects.get_or_create(name=user.get_username())[0]] if _in_own_group(user) else []
        case "group":
            groups = list(Group.objects.filter(name__in=definition.visibility.groups))
            if not groups:
                raise _fault("visibility", f"none of the groups {', '.join(definition.visibility.groups)} exists")
            return groups
        case _:
            return []


def _in_own_group(user: User) -> bool:
    """Make sure that the group named like the user has the user in it."""
    group, created = Group.objects.get_or_create(name=user.get_username())
    if created:
        user.groups.add(group)
    return user.groups.filter(pk=group.pk).exists()


def _queue_timeout(definition: JobDefinition) -> int | None:
    if definition.timeouts.queue is not None:
        return int(definition.timeouts.queue.duration.total_seconds())
    hours = settings.QUEUE_TIMEOUT_HOURS
    return int(timedelta(hours=hours).total_seconds()) if hours else None


def _plain(value: Any) -> Any:
    """Return metadata as it is stored: scalars as text, truth as ``true`` and ``false``.  Source: server 5.6."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return str(value)
