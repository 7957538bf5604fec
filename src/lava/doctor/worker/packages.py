"""W8, W11, W12: packages that go."""

from __future__ import annotations

import re

from ..commands import SimulateAutoremove
from ..context import Context
from ..facts import BACKUPS, DPKG_STATUS, dated, master_evidence, own_devices, packages, quoted
from ..history import v1_was_here
from ..machine import CannotTell, Machine
from ..result import Finding, Result, State, ok

PDU_PACKAGES = ("lavapdu-client", "lavapdu-daemon")
#: what the documentation of the time names
KNOWN = frozenset(
    {
        *("lava-coordinator", "lava-server-doc", "libapache2-mod-uwsgi", "libapache2-mod-wsgi", "postgresql"),
        *("python-django-auth-ldap", "python-django-restricted-resource", "python-django-tables2", "python-ldap"),
        *("python-markdown", "uwsgi-core"),
    }
)
_NEEDED = ("lava-dispatcher", "lava")
_AUTOREMOVE = "sudo apt-get --purge autoremove"


def lavapdu(machine: Machine, context: Context) -> Result:
    """Say whether the power daemon can go.  Source: R148, R149."""
    installed = [name for name in PDU_PACKAGES if name in packages(machine)]
    if not installed:
        return ok(Finding("lavapdu is not installed"))
    findings = [Finding(f"package {name}", DPKG_STATUS, value=name) for name in installed]
    devices = own_devices(machine, context)
    used = [
        Finding(f"{device.name} needs it: {command}", value=device.name)
        for device in devices or ()
        for command in device.power_commands
        if "pduclient" in command
    ]
    if used:
        return ok(*findings, *used)
    known = "no device of this worker calls pduclient" if devices else "find out whether a device calls pduclient"
    findings.append(Finding(f"optional: {known}"))
    commands = (
        "sudo service lavapdu-listen stop",
        "sudo service lavapdu-runner stop",
        *_archive(machine, "lavapdu", "/etc/lavapdu"),
        f"sudo apt-get --purge remove {' '.join(PDU_PACKAGES)}",
    )
    return Result(State.ADVICE, tuple(findings), commands, ("dpkg -l 'lavapdu*'",))


def server_package(machine: Machine, context: Context) -> Result:
    """Find the server package.  Source: R158."""
    state = packages(machine).get("lava-server")
    if state is None:
        return ok(Finding("lava-server is not installed"))
    found = Finding(f"package lava-server: {state}", DPKG_STATUS, value=state)
    if evidence := master_evidence(machine):
        return Result(State.OPEN, (Finding("refused: this is the master"), *evidence))
    archive = _archive(machine, "lava-server-etc", "/etc/lava-server", "/etc/lava-coordinator", "/etc/apache2")
    commands = (*archive, "sudo apt-get --purge remove lava-server")
    return Result(State.OPEN, (found,), commands, ("dpkg -l lava-server",))


def pulled_in(machine: Machine, context: Context) -> Result:
    """Find what came with the server package.  Source: R159, R160."""
    installed = packages(machine)
    here = sorted(KNOWN & installed.keys())
    answer = machine.run(SimulateAutoremove())
    if answer.status:
        if not here:
            return ok(Finding("none of the packages that came with lava-server is here"))
        raise CannotTell(
            f"{', '.join(here)} may have come with lava-server: {answer.error.strip() or 'apt-get failed'}"
        )
    listed = sorted(set(re.findall(r"^(?:Remv|Purg) (\S+)", answer.output, re.MULTILINE)))
    if not listed:
        return ok(Finding("apt-get has nothing to remove"))
    findings = [Finding(f"{name}: came with lava-server", value=name) for name in listed if name in KNOWN]
    unknown = [name for name in listed if name not in KNOWN]
    findings += [Finding(f"{name}: not in the documented list, check why it is here", value=name) for name in unknown]
    if needed := [name for name in listed if name in _NEEDED]:
        text = f"error: {needed[0]} would be removed, and with it this worker: mark it with 'apt-mark manual'"
        return Result(State.OPEN, (Finding(text, value=needed[0]), *findings))
    if len(unknown) == len(listed):
        return ok(*findings) if not v1_was_here(machine) else Result(State.ADVICE, tuple(findings))
    commands = (
        "apt-get --simulate --purge autoremove",
        *_archive(machine, "before-autoremove-etc", "/etc"),
        _AUTOREMOVE,
    )
    return Result(State.OPEN, tuple(findings), commands, ("apt-get --simulate autoremove",))


def _archive(machine: Machine, name: str, *directories: str) -> tuple[str, ...]:
    """Return the command that puts a copy of directories aside."""
    there = [directory for directory in directories if machine.entry(directory)]
    if not there:
        return ()
    copy = f"umask 077 && tar -czf {dated(f'{BACKUPS}/{name}', machine)}.tar.gz {quoted(*there)}"
    return (f"sudo sh -c {quoted(copy)}",)
