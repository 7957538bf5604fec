"""The files ``environment`` and ``secrets`` of the overlay.  Pure.  Source: dispatcher specification 12.2, 12.3."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: lists of the device configuration that tests get to see, and how their variables begin
DEVICE_LISTS = (
    ("device_info", "LAVA_DEVICE_INFO"),
    ("static_info", "LAVA_STATIC_INFO"),
    ("storage_info", "LAVA_STORAGE_INFO"),
)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class DeviceEnvironment:
    """What tests are told about where they run."""

    job_id: str
    #: the rendered device configuration
    device: Mapping[str, Any]
    #: of the job definition
    job: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    #: address of the worker; empty when it has none
    dispatcher_ip: str = ""
    dispatcher_prefix: str = ""
    http_cache: str = ""

    def text(self) -> str:
        """Return the shell file that is sourced before the tests run."""
        pairs = [*flatten(self.device.get("environment") or {})]
        for key, prefix in DEVICE_LISTS:
            pairs += flatten(self.device.get(key) or [], prefix)
        pairs += flatten(self.job)
        pairs.append(("LAVA_JOB_ID", self.job_id))
        if self.dispatcher_ip:
            pairs.append(("LAVA_DISPATCHER_IP", self.dispatcher_ip))
        pairs.append(("LAVA_JOB_TAGS", ",".join(self.tags)))
        pairs.append(("LAVA_DISPATCHER_PREFIX", self.dispatcher_prefix))
        optional = (
            ("LAVA_DEVICE_HOSTNAME", self.device.get("hostname")),
            ("LAVA_DEVICE_TYPE", self.device.get("devicetype")),
            ("HTTP_CACHE", self.http_cache),
        )
        pairs += [(name, value) for name, value in optional if value]
        return "".join(f"export {variable_name(name)}={quote(value)}\n" for name, value in pairs)


def secrets_text(secrets: Mapping[str, Any], device_environment: Mapping[str, str]) -> str:
    """Return the file of the job's secrets and the lab's variables, which a test may source."""
    pairs: Iterable[tuple[str, Any]] = [*secrets.items(), *device_environment.items()]
    return "".join(f"{variable_name(str(name))}={quote(value)}\n" for name, value in pairs)


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings and lists; keys and indexes are joined with ``_``."""
    match value:
        case Mapping():
            items: Iterable[tuple[Any, Any]] = value.items()
        case list() | tuple():
            items = enumerate(value)
        case _:
            yield name, value
            return
    for key, item in items:
        yield from flatten(item, f"{name}_{key}" if name else str(key))


def variable_name(name: str) -> str:
    """Return the name as a shell accepts it; one that it does not accept would end the device's shell."""
    name = _NOT_IN_A_NAME.sub("_", name)
    return f"_{name}" if name[:1].isdigit() or not name else name


def quote(value: Any) -> str:
    """Return a value for a shell: truth as 1 or 0, nothing as the empty string."""
    match value:
        case bool():
            return "1" if value else "0"
        case None:
            return "''"
        case _:
            return shlex.quote(str(value))
