"""What the deployed system's ``os`` says about its shell.  Source: dispatcher specification 12.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lava.model.device import DeviceConfiguration
from lava.model.job import DeployBlock, JobDefinition

from .step import COMMON


@dataclass(frozen=True, slots=True)
class Profile:
    """One row of the table."""

    shell: str | None = None
    directory: str | None = None
    #: which distribution's helper scripts replace the generic ones
    distro: str | None = None
    #: file to append exports to; "" when the system has none
    shell_file: str | None = None


def _plain(shell: str, distro: str) -> Profile:
    return Profile(shell, "/lava-%s", distro, "~/.bashrc")


EMPTY = Profile()
PROFILES: Mapping[str, Profile] = {
    **{name: _plain("/bin/bash", name) for name in ("debian", "archlinux", "centos", "fedora", "slackware")},
    **{name: _plain("/bin/sh", name) for name in ("ubuntu", "oe", "qnx")},
    "apertis": Profile("/bin/sh", "/var/lib/lava-%s", "apertis", "~/.bashrc"),
    "lede": Profile("/bin/sh", "/tmp/lava-results-%s", None, ""),  # noqa: S108 (on the device)
    "android": Profile("/system/bin/sh", "/data/local/tmp/lava-%s", "android", ""),
    "debian_installer": _plain("/bin/bash", "debian"),
    "centos_installer": _plain("/bin/bash", "centos"),
}
_FIELDS = {
    "lava_test_sh_cmd": "shell",
    "lava_test_results_dir": "directory",
    "lava_test_shell_file": "shell_file",
}


def profile_of(definition: JobDefinition, namespace: str) -> Profile:
    """Return the profile of what is deployed in the namespace; the last deploy block that names one decides."""
    chosen = EMPTY
    for block in definition.blocks:
        if isinstance(block, DeployBlock) and (block.namespace or COMMON) == namespace and block.os:
            chosen = PROFILES.get(block.os, EMPTY)
    return chosen


def constant(
    definition: JobDefinition, device: DeviceConfiguration, namespace: str, name: str, default: Any = None
) -> Any:
    """Return a constant: the job's context wins over the profile, the profile over the device.

    Raises:
        ConfigurationError: nobody knows it and there is no default.
    """
    if name in definition.context:
        return definition.context[name]
    if name in _FIELDS and (value := getattr(profile_of(definition, namespace), _FIELDS[name])) is not None:
        return value
    path = ("posix", name) if name in _FIELDS else (name,)
    return device.constant(*path) if default is None else device.constant(*path, default=default)
