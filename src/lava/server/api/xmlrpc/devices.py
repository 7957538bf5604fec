"""``scheduler.devices.*``, ``scheduler.device_types.*``, tags and aliases.  Source: XML-RPC specification 8-10."""

from __future__ import annotations

from typing import Any
from xmlrpc.client import Binary

import yaml
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Q

from lava.model.states import DeviceHealth
from lava.server.actions.healths import set_device_health
from lava.server.configuration import ConfigurationFault, dictionary, has_template, render_device, templates
from lava.server.models import Alias, Device, DeviceType, Tag, Worker
from lava.server.visibility import visible_device_types, visible_devices

from .registry import bad_request, method, not_found
from .scheduler import current_jobs

Caller = User | AnonymousUser


def _device(user: Caller, hostname: str) -> Device:
    device = visible_devices(user).filter(pk=hostname).select_related("device_type", "worker_host").first()
    if device is None:
        raise not_found(f"device '{hostname}'")
    return device


def _device_type(user: Caller, name: str) -> DeviceType:
    found = visible_device_types(user).filter(pk=name).first()
    if found is None:
        raise not_found(f"device type '{name}'")
    return found


def _health(name: str) -> DeviceHealth:
    try:
        return DeviceHealth[str(name).upper()]
    except KeyError:
        raise bad_request(f"'{name}' is none of {', '.join(health.name for health in DeviceHealth)}") from None


@method("scheduler.devices.list")
def list_devices(user: Caller, show_all: bool = False, offline_info: bool = False) -> list[dict[str, Any]]:
    """Return the devices by name; retired ones only with ``show_all``."""
    devices = visible_devices(user).order_by("pk")
    if not show_all:
        devices = devices.exclude(health=DeviceHealth.RETIRED)
    current = current_jobs()
    return [
        {
            "hostname": device.pk,
            "type": device.device_type_id,
            "health": device.get_health_display(),
            "state": device.get_state_display(),
            "current_job": current.get(device.pk),
            "pipeline": True,
        }
        for device in devices
    ]


@method("scheduler.devices.show")
def show_device(user: Caller, hostname: str) -> dict[str, Any]:
    """Return everything about a device but its dictionary."""
    device = _device(user, hostname)
    return {
        "hostname": device.pk,
        "device_type": device.device_type_id,
        "health": device.get_health_display(),
        "state": device.get_state_display(),
        "health_job": False,
        "description": device.description,
        "pipeline": True,
        "has_device_dict": dictionary(device.pk) is not None,
        "worker": device.worker_host_id,
        "current_job": current_jobs().get(device.pk),
        "tags": sorted(device.tags.values_list("name", flat=True)),
        "permissions": [],
    }


@method("scheduler.devices.add", permission="change_device")
def add_device(
    user: User,
    hostname: str,
    type_name: str,
    worker_hostname: str,
    user_name: str | None = None,
    group_name: str | None = None,
    public: bool | None = True,
    health: str | None = None,
    description: str | None = None,
) -> None:
    """Add a device."""
    kind = DeviceType.objects.filter(pk=type_name).first()
    worker = Worker.objects.filter(pk=worker_hostname).first()
    if kind is None or worker is None:
        raise not_found(f"device type '{type_name}'" if kind is None else f"worker '{worker_hostname}'")
    if Device.objects.filter(pk=hostname).exists():
        raise bad_request(f"device '{hostname}' exists already")
    chosen = DeviceHealth.UNKNOWN if health is None else _health(health)
    Device.objects.create(
        hostname=hostname, device_type=kind, worker_host=worker, health=chosen, description=description
    )


@method("scheduler.devices.update", permission="change_device")
def update_device(
    user: User,
    hostname: str,
    worker_hostname: str | None = None,
    user_name: str | None = None,
    group_name: str | None = None,
    public: bool | None = None,
    health: str | None = None,
    description: str | None = None,
    device_type: str | None = None,
    reason: str | None = None,
) -> None:
    """Change a device; what is not given stays."""
    device = _device(user, hostname)
    if worker_hostname is not None:
        device.worker_host = Worker.objects.filter(pk=worker_hostname).first()
        if device.worker_host is None:
            raise not_found(f"worker '{worker_hostname}'")
    if device_type is not None:
        device.device_type = _device_type(user, device_type)
    if description is not None:
        device.description = description
    chosen = None if health is None else _health(health)
    device.save(update_fields=["worker_host", "device_type", "description"])
    if chosen is not None:
        set_device_health(user, device.pk, chosen, reason or "XML-RPC")


@method("scheduler.devices.get_dictionary")
def get_dictionary(user: Caller, hostname: str, render: bool = False, context: str | None = None) -> Binary:
    """Return the dictionary of a device, or what it renders to with a context (YAML)."""
    device = _device(user, hostname)
    if not render:
        text = dictionary(device.pk)
        if text is None:
            raise not_found(f"the dictionary of device '{hostname}'")
        return Binary(text.encode())
    try:
        variables = yaml.safe_load(context) if context else {}
    except yaml.YAMLError as error:
        raise bad_request(f"the context is no YAML: {error}") from error
    try:
        return Binary(render_device(device.pk, device.device_type_id, variables or {}).encode())
    except ConfigurationFault as error:
        raise not_found(str(error)) from error


@method("scheduler.devices.tags.list")
def list_device_tags(user: Caller, hostname: str) -> list[str]:
    """Return the tags of a device."""
    return sorted(_device(user, hostname).tags.values_list("name", flat=True))


@method("scheduler.devices.tags.add", permission="change_device")
def add_device_tag(user: User, hostname: str, name: str) -> None:
    """Give a device a tag."""
    _device(user, hostname).tags.add(Tag.objects.get_or_create(name=name)[0])


@method("scheduler.devices.tags.delete", permission="change_device")
def delete_device_tag(user: User, hostname: str, name: str) -> None:
    """Take a tag from a device."""
    tag = Tag.objects.filter(name=name).first()
    if tag is None:
        raise not_found(f"tag '{name}'")
    _device(user, hostname).tags.remove(tag)


@method("scheduler.device_types.list")
def list_device_types(user: Caller, show_all: bool = False) -> list[dict[str, Any]]:
    """Return the device types; with ``show_all`` also templates that no device type uses."""
    used = Count("devices", filter=~Q(devices__health=DeviceHealth.RETIRED))
    installed = visible_device_types(user).annotate(used=used).order_by("pk")
    listed = [
        {"name": kind.pk, "devices": kind.used, "installed": True, "template": has_template(kind.pk)}
        for kind in installed
    ]
    if show_all:
        known = {entry["name"] for entry in listed}
        names = {path.removesuffix(".jinja2") for path in templates().names() if not path.startswith("base")}
        listed += [{"name": name, "devices": 0, "installed": False, "template": True} for name in sorted(names - known)]
    return listed


@method("scheduler.device_types.show")
def show_device_type(user: Caller, name: str) -> dict[str, Any]:
    """Return everything about a device type."""
    kind = _device_type(user, name)
    return {
        "name": kind.pk,
        "description": kind.description,
        "display": kind.display,
        "health_disabled": kind.disable_health_check,
        "health_denominator": kind.get_health_denominator_display(),
        "health_frequency": kind.health_frequency,
        "aliases": sorted(kind.aliases.values_list("pk", flat=True)),
        "devices": sorted(kind.devices.values_list("pk", flat=True)),
        "default_template": True,
        "permissions": [],
    }


@method("scheduler.device_types.devices")
def devices_of_type(user: Caller, name: str, health: str | None = None) -> list[dict[str, str]]:
    """Return the devices of a type."""
    devices = visible_devices(user).filter(device_type=_device_type(user, name)).order_by("pk")
    if health is not None:
        devices = devices.filter(health=_health(health))
    return [
        {"hostname": device.pk, "health": device.get_health_display(), "state": device.get_state_display()}
        for device in devices
    ]


@method("scheduler.device_types.add", permission="change_devicetype")
def add_device_type(
    user: User,
    name: str,
    description: str | None,
    display: bool | None,
    owners_only: bool | None,
    health_frequency: int | None,
    health_denominator: str | None,
) -> None:
    """Add a device type."""
    if DeviceType.objects.filter(pk=name).exists() or Alias.objects.filter(pk=name).exists():
        raise bad_request(f"'{name}' exists already, as a device type or an alias")
    if health_denominator not in (None, "hours", "jobs"):
        raise bad_request("health_denominator is hours or jobs")
    DeviceType.objects.create(
        name=name,
        description=description,
        display=display is not False,
        health_frequency=health_frequency or 24,
        health_denominator=DeviceType.JOBS if health_denominator == "jobs" else DeviceType.HOURS,
    )


@method("scheduler.device_types.aliases.list")
def list_type_aliases(user: Caller, name: str) -> list[str]:
    """Return the aliases of a device type."""
    return sorted(_device_type(user, name).aliases.values_list("pk", flat=True))


@method("scheduler.aliases.list")
def list_aliases(user: Caller) -> list[str]:
    """Return all aliases."""
    return sorted(Alias.objects.values_list("pk", flat=True))


@method("scheduler.tags.list")
def list_tags(user: Caller) -> list[dict[str, Any]]:
    """Return all device tags."""
    return [{"name": tag.name, "description": tag.description} for tag in Tag.objects.order_by("name")]


@method("scheduler.tags.show")
def show_tag(user: Caller, name: str) -> dict[str, Any]:
    """Return a device tag with the devices that have it."""
    tag = Tag.objects.filter(name=name).first()
    if tag is None:
        raise not_found(f"tag '{name}'")
    devices = visible_devices(user).filter(tags=tag).order_by("pk")
    return {"name": tag.name, "description": tag.description, "devices": list(devices.values_list("pk", flat=True))}
