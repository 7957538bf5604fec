"""The files that come with a job beside its definition and its device.  Source: dispatcher specification 1.3."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lava.model.errors import ConfigurationError, InfrastructureError
from lava.model.faults import SubmissionError
from lava.model.job.base import describe
from lava.model.yaml_source import Source

#: settings that must be text
_TEXTS = (
    "dispatcher_download_dir",
    "dispatcher_ip",
    "dispatcher_http_ip",
    "dispatcher_nfs_ip",
    "dispatcher_tftp_ip",
)
DEFAULT_SCRATCH = Path("/var/lib/lava/dispatcher/tmp")


@dataclass(frozen=True, slots=True)
class DispatcherConfiguration:
    """``dispatcher.yaml``: what is peculiar to this worker."""

    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Goes before the job's id in names of directories."""
        return str(self.values.get("prefix") or "")

    @property
    def scratch_root(self) -> Path:
        """Where temporary files of jobs go."""
        return Path(self.values.get("dispatcher_download_dir") or DEFAULT_SCRATCH)

    def address(self, protocol: str | None = None) -> str:
        """Return the address by which devices reach this worker, with a port if one is configured.

        Raises:
            InfrastructureError: none is configured and the machine has no default route to take it from.
        """
        keys = [f"dispatcher_{protocol}_ip"] if protocol else []
        for key in (*keys, "dispatcher_ip"):
            if self.values.get(key):
                return str(self.values[key])
        return _address_of_default_route()


@dataclass(frozen=True, slots=True)
class Environment:
    """``env.yaml`` and ``env-dut.yaml``: start from nothing or from what is there, take away, set."""

    purge: bool = False
    removes: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)

    def apply(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the resulting environment."""
        result = {} if self.purge else dict(inherited)
        for name in self.removes:
            result.pop(name, None)
        return {**result, **self.overrides}


def load_dispatcher_configuration(path: Path | None) -> DispatcherConfiguration:
    """Read ``dispatcher.yaml``; a missing or empty file has no settings.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or has another shape.
    """
    loaded = _load(path) or {}
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"{path}: must be a mapping of settings, not {describe(loaded)}")
    for name in _TEXTS:
        if not isinstance(loaded.get(name) or "", str):
            raise ConfigurationError(f"{path}: {name} must be text, not {describe(loaded[name])}")
    return DispatcherConfiguration(loaded)


def load_environment(path: Path | None) -> Environment:
    """Read ``env.yaml`` or ``env-dut.yaml``.

    Raises:
        ConfigurationError: it cannot be read, is no YAML, or has another shape.
    """
    loaded = _load(path)
    if not loaded:
        return Environment()
    if not isinstance(loaded, dict) or not isinstance(loaded.get("overrides") or {}, dict):
        raise ConfigurationError(f"{path}: must be a mapping with purge, removes and overrides, not {describe(loaded)}")
    return Environment(
        purge=bool(loaded.get("purge", False)),
        removes=tuple(str(name) for name in loaded.get("removes") or ()),
        overrides={str(key): str(value) for key, value in (loaded.get("overrides") or {}).items()},
    )


def _load(path: Path | None) -> object:
    if path is None:
        return None
    try:
        return Source(path.read_text(encoding="utf-8"), str(path)).value
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (SubmissionError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _address_of_default_route() -> str:
    try:
        routes = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        routes = []
    for route in routes:
        interface, destination = route.split()[:2]
        if destination == "00000000":
            return _address_of_interface(interface)
    raise InfrastructureError(
        "this worker has no default route to take its address from: set dispatcher_ip in its dispatcher.yaml"
    )


def _address_of_interface(interface: str) -> str:
    request_address = 0x8915  # SIOCGIFADDR
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), request_address, struct.pack("256s", interface.encode()[:15]))
        except OSError as error:
            raise InfrastructureError(f"interface {interface} has no IPv4 address: {error.strerror}") from error
    return socket.inet_ntoa(answer[20:24])
