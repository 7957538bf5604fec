"""W3, W14: V1's configuration files, and what is left behind."""

from __future__ import annotations

import re

from ..context import Context
from ..facts import BACKUPS, dated, quoted, v1_files
from ..machine import Machine, files_below
from ..result import Finding, Result, State, ok

_MANAGED = re.compile(r"managed by|(ansible|salt|puppet|chef)[ -]?managed", re.IGNORECASE)
_HEADER_LINES = 10
SERVER_FILES = "/etc/lava-server"


def v1_configuration(machine: Machine, context: Context) -> Result:
    """Find V1's files of devices and device types.  Source: R134, R135."""
    files = v1_files(machine)
    if not files:
        return ok()
    findings = []
    for path in files:
        lines = (machine.read(path) or "").splitlines()[:_HEADER_LINES]
        managed = next(((number, line) for number, line in enumerate(lines, 1) if _MANAGED.search(line)), None)
        if managed:
            text = "a V1 file that another tool manages: remove it there too, or it comes back"
            findings.append(Finding(text, path, managed[0], managed[1].strip()))
        else:
            findings.append(Finding("a V1 file", path))
    findings.append(Finding("if salt, ansible or the like put them here, remove them there, or they come back"))
    target = dated(f"{BACKUPS}/lava-dispatcher-v1", machine)
    verify = ("ls /etc/lava-dispatcher/devices /etc/lava-dispatcher/device-types",)
    return Result(State.OPEN, tuple(findings), _put_aside(files, target), verify)


def left_in_server_directory(machine: Machine, context: Context) -> Result:
    """Find what is left of the server's configuration.  Source: R162."""
    files = tuple(files_below(machine, SERVER_FILES))
    if not files:
        return ok()
    findings = tuple(Finding("left behind: look at it, then put it aside", path) for path in files)
    target = dated(f"{BACKUPS}/lava-server-left", machine)
    commands = _put_aside(files, target)
    return Result(State.OPEN, findings, commands, (f"sudo find {SERVER_FILES} -type f",))


def _put_aside(files: tuple[str, ...], target: str) -> tuple[str, ...]:
    """Return commands that move files to a directory: what was wrong to take away is still there."""
    moves = tuple(f"sudo mv --backup=numbered --target-directory={target} -- {quoted(path)}" for path in files)
    return (f"sudo mkdir -p {target}", *moves)
