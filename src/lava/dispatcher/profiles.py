"""What the deployed system's ``os`` says about its shell.  Source: dispatcher specification 12.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lava.model.job import DeployBlock

from .job import StepContext
from .plan import COMMON


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


def profile_of(job: StepContext) -> Profile:
    """Return the profile of what is deployed in the step's namespace; the last deploy block that names one decides."""
    chosen = EMPTY
    for block in job.job.definition.blocks:
        if isinstance(block, DeployBlock) and (block.namespace or COMMON) == job.namespace and block.os:
            chosen = PROFILES.get(block.os, EMPTY)
    return chosen


def constant(job: StepContext, name: str, default: Any = None) -> Any:
    """Return a constant: the job's context wins over the profile, the profile over the device.

    Raises:
        ConfigurationError: nobody knows it and there is no default.
    """
    context = job.job.definition.context
    if name in context:
        return context[name]
    if name in _FIELDS and (value := getattr(profile_of(job), _FIELDS[name])) is not None:
        return value
    path = ("posix", name) if name in _FIELDS else (name,)
    return job.device.constant(*path) if default is None else job.device.constant(*path, default=default)


def results_directory(job: StepContext) -> str:
    """Return the directory on the device that holds tests and results: ``/lava-<job id>``."""
    return str(constant(job, "lava_test_results_dir")).replace("%s", job.job.id)
