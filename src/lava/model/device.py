"""The rendered device configuration: what the dispatcher knows of a device.  Source: device configuration 7, 12.

Its keys are many and belong to the methods; this type answers the questions that all of them ask, and keeps the
document for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import PydanticCustomError

from .errors import ConfigurationError
from .faults import Fault, Path, did_you_mean
from .job.base import Timeout, describe, parse_timeout

_MISSING: Final = object()

#: every key that the top level may have, with the types of its value
TOP_LEVEL: Final[Mapping[str, tuple[type, ...]]] = {
    "hostname": (str,),
    "devicetype": (str,),
    "constants": (dict,),
    "parameters": (dict,),
    "actions": (dict,),
    "timeouts": (dict,),
    "commands": (dict,),
    "character_delays": (dict,),
    "device_info": (list,),
    "static_info": (list,),
    "storage_info": (list,),
    "environment": (dict,),
    "board_id": (str,),
    "board_qdl_id": (str,),
    "usb_vendor_id": (str,),
    "usb_product_id": (str,),
    "usb_sleep": (int,),
    "usb_filesystem_label": (str,),
    "usb_serial_driver": (str,),
    "adb_serial_number": (str,),
    "fastboot_serial_number": (str,),
    "fastboot_options": (list,),
    "fastboot_auto_detection": (bool,),
    "fastboot_via_uboot": (bool,),
    "flash_cmds_order": (list,),
    "available_architectures": (list,),
    "uuu_usb_otg_path": (str, list),
    "uuu_usb_otg_path_command": (list,),
    "uuu_corrupt_boot_media_command": (list,),
}
REQUIRED = ("constants", "parameters", "actions", "timeouts")
_NAMES = {dict: "a mapping", list: "a list", str: "text", int: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Port:
    """One hardware console of the device.  Source: device configuration 7.2."""

    name: str
    command: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceConfiguration:
    """A device, as rendered from its dictionary and its device-type template."""

    document: Mapping[str, Any]
    action_timeouts: Mapping[str, Timeout] = field(default_factory=dict)
    connection_timeouts: Mapping[str, Timeout] = field(default_factory=dict)

    @property
    def hostname(self) -> str:
        return str(self.document.get("hostname") or "")

    @property
    def device_type(self) -> str:
        return str(self.document.get("devicetype") or "")

    @property
    def deploy_methods(self) -> Mapping[str, Any]:
        """Parameters by method; a method without any has None."""
        return self.get("actions", "deploy", "methods") or {}

    @property
    def boot_methods(self) -> Mapping[str, Any]:
        return self.get("actions", "boot", "methods") or {}

    @property
    def deploy_parameters(self) -> Mapping[str, Any]:
        return self.get("actions", "deploy", "parameters") or {}

    @property
    def ports(self) -> Mapping[str, Port]:
        """The named consoles."""
        connections = self.get("commands", "connections") or {}
        return {
            name: Port(name, str(entry["connect"]), tuple(entry.get("tags") or ()))
            for name, entry in connections.items()
        }

    @property
    def primary_port(self) -> Port | None:
        """The console that the boot loader and the kernel talk on."""
        if connect := self.get("commands", "connect"):
            return Port("connect", str(connect))
        return next((port for port in self.ports.values() if "primary" in port.tags), None)

    def get(self, *path: str) -> Any:
        """Return what the document holds at ``path``, or None."""
        current: Any = self.document
        for part in path:
            if not isinstance(current, Mapping):
                return None
            current = current.get(part)
        return current

    def command(self, name: str) -> tuple[str, ...]:
        """Return the command lines of that name, in order; none when the device has no such command."""
        value = self.get("commands", name)
        if not value:
            return ()
        return (value,) if isinstance(value, str) else tuple(str(line) for line in value)

    def character_delay(self, section: str) -> int:
        """Return the pause between two characters typed in that section, in milliseconds."""
        return int(self.get("character_delays", section) or 0)

    def constant(self, *path: str, default: Any = _MISSING) -> Any:
        """Return a constant.

        Raises:
            ConfigurationError: it is missing and no default is given.
        """
        value = self.get("constants", *path)
        if value is not None:
            return value
        if default is _MISSING:
            raise ConfigurationError(
                f"the device configuration of {self.hostname or 'the device'} has no constant "
                f"'{'.'.join(path)}': its device-type template should set it"
            )
        return default


def parse_device(document: object) -> DeviceConfiguration:
    """Return the device that a rendered configuration describes.

    Raises:
        ConfigurationError: naming everything that is wrong.
    """
    if not document:
        raise ConfigurationError("the device configuration is empty: has the device a dictionary?")
    if not isinstance(document, dict):
        raise ConfigurationError(f"the device configuration must be a mapping, not {describe(document)}")
    faults = list(_required_faults(document))
    faults += _type_faults(document)
    timeouts: dict[str, dict[str, Timeout]] = {}
    for kind in ("actions", "connections"):
        timeouts[kind] = {}
        for name, value in _entries(document, "timeouts", kind):
            try:
                timeouts[kind][name] = parse_timeout(value)
            except PydanticCustomError as error:
                faults.append(Fault(("timeouts", kind, name), error.message()))
    for name, entry in _entries(document, "commands", "connections"):
        if not isinstance(entry, dict) or not isinstance(entry.get("connect"), str):
            faults.append(Fault(("commands", "connections", name, "connect"), "required"))
    if faults:
        raise ConfigurationError("invalid device configuration: " + "; ".join(str(fault) for fault in faults))
    return DeviceConfiguration(document, timeouts["actions"], timeouts["connections"])


def check_device(document: object) -> list[Fault]:
    """Return what makes a device unusable for the scheduler.  Source: device configuration 12.1.

    No key is required; unknown keys are faults.
    """
    if not isinstance(document, dict):
        return [Fault((), f"the device configuration must be a mapping, not {describe(document)}")]
    faults = [
        Fault((str(key),), "unknown key", did_you_mean(key, list(TOP_LEVEL)))
        for key in document
        if key not in TOP_LEVEL
    ]
    faults += _type_faults(document)
    for key in ("usb_vendor_id", "usb_product_id"):
        if key in document and len(str(document[key])) != 4:
            faults.append(Fault((key,), "must be exactly 4 characters", "quote it: '0483'"))
    for kind in _mapping(document, "timeouts"):
        if kind not in ("actions", "connections"):
            faults.append(Fault(("timeouts", str(kind)), "unknown key", "actions or connections"))
    for kind in ("actions", "connections"):
        for name, value in _entries(document, "timeouts", kind):
            if not re.fullmatch("[a-z-]+", name):
                faults.append(Fault(("timeouts", kind, name), "no name of an action"))
            try:
                parse_timeout(value, strict=isinstance(value, dict) and len(value.keys() - {"skip"}) > 1)
            except PydanticCustomError as error:
                faults.append(Fault(("timeouts", kind, name), error.message()))
    faults += _command_faults(document)
    ssh = _mapping(document, "actions", "deploy", "methods").get("ssh")
    if isinstance(ssh, dict) and ssh.get("host"):
        for name in ("power_off", "power_on", "hard_reset"):
            if name in _mapping(document, "commands"):
                faults.append(Fault(("commands", name), "a device that is an ssh host cannot be powered"))
    return faults


def _required_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    for key in REQUIRED:
        if key not in document:
            yield Fault((key,), "required")
    for path in (("deploy", "methods"), ("boot", "methods"), ("boot", "connections")):
        if path[1] not in _mapping(document, "actions", path[0]):
            yield Fault(("actions", *path), "required")


def _type_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    for key, types in TOP_LEVEL.items():
        value = document.get(key)
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            wanted = " or ".join(_NAMES[kind] for kind in types)
            yield Fault((key,), f"must be {wanted}, not {describe(value)}")


def _command_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    for name, value in _mapping(document, "commands").items():
        path: Path = ("commands", str(name))
        if name == "must_use_connection":
            if not isinstance(value, bool):
                yield Fault(path, "must be true or false")
        elif not isinstance(value, str | list | dict):
            yield Fault(path, f"must be a command or a list of them, not {describe(value)}")
    for name, entry in _entries(document, "commands", "connections"):
        path = ("commands", "connections", name)
        if not isinstance(entry, dict) or not isinstance(entry.get("connect"), str):
            yield Fault((*path, "connect"), "required")
        elif "tags" in entry and not isinstance(entry["tags"], list):
            yield Fault((*path, "tags"), "must be a list")


def _mapping(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    current: Any = document
    for part in path:
        current = current.get(part) if isinstance(current, Mapping) else None
    return current if isinstance(current, Mapping) else {}


def _entries(document: Mapping[str, Any], *path: str) -> Iterator[tuple[str, Any]]:
    for name, value in _mapping(document, *path).items():
        yield str(name), value
