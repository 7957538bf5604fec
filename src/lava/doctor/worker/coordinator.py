"""W10, W15: the coordinator's configuration, which must survive its package."""

from __future__ import annotations

import re

from ..context import Context
from ..facts import BACKUPS, dated, packages
from ..machine import CannotTell, Machine
from ..processes import program
from ..result import Finding, Result, State, nothing, ok
from ..settings import is_local

DIRECTORY = "/etc/lava-coordinator"
FILE = f"{DIRECTORY}/lava-coordinator.conf"
_COPIES = (BACKUPS, "/root")
_HOST = re.compile(r"""["']?coordinator_hostname["']?\s*[:=]\s*["']?([^"',\s}]*)""")


def keep_configuration(machine: Machine, context: Context) -> Result:
    """Ask for a copy before the package goes.  Source: R154 to R157."""
    if "lava-coordinator" not in packages(machine):
        return nothing("lava-coordinator is not installed")
    running = [process for process in machine.processes() if program(process) == "lava-coordinator"]
    text = machine.read(FILE)
    findings: list[Finding] = []
    commands: list[str] = []
    if text is None:
        findings.append(Finding("there is no configuration to keep", FILE))
    else:
        host, line = coordinator(text)
        if is_local(host, machine):
            found = Finding("set the real coordinator first: this names the worker itself", FILE, line, host)
            return Result(State.OPEN, (found,), (f"sudo editor {FILE}",), (f"grep coordinator_hostname {FILE}",))
        findings.append(Finding(f"the coordinator is {host}", FILE, line, host))
    if running:
        findings += [
            Finding(f"lava-coordinator runs, process {process.pid}: a worker needs its configuration only")
            for process in running
        ]
        commands.append("sudo service lava-coordinator stop")
    if text is not None:
        same, different = copies(machine, text)
        if same:
            findings.append(Finding("a copy with the same content is kept", same[0]))
        else:
            findings += [Finding("a copy with other content", path) for path in different]
            findings.append(
                Finding(f"no copy of it is in {' or '.join(_COPIES)}: removing the package removes it", FILE)
            )
            commands.append(f"sudo cp -p {FILE} {dated(f'{BACKUPS}/lava-coordinator.conf', machine)}")
    if not commands:
        return ok(*findings)
    return Result(State.OPEN, tuple(findings), tuple(commands), (f"ls -l {BACKUPS}/lava-coordinator.conf.*",))


def restore_configuration(machine: Machine, context: Context) -> Result:
    """Put the configuration back.  Source: R163."""
    text = machine.read(FILE)
    same, different = copies(machine, text)
    if text is None:
        if not different:
            return nothing("no coordinator was configured here")
        newest = different[-1]
        commands = (f"sudo mkdir -p {DIRECTORY}", f"sudo cp -p {newest} {FILE}")
        found = Finding("missing: MultiNode jobs need it; the copy is there", FILE)
        return Result(State.OPEN, (found, Finding("the copy", newest)), commands, (f"cat {FILE}",))
    if same or not different:
        return ok(Finding(f"the coordinator is {coordinator(text)[0]}", FILE))
    newest = different[-1]
    kept = coordinator(machine.read(newest) or "")[0]
    findings = (
        Finding(f"names the coordinator {coordinator(text)[0]}", FILE),
        Finding(f"the copy names {kept}: which is right?", newest),
    )
    return Result(State.OPEN, findings, verify=(f"diff {newest} {FILE}",), can_be_confirmed=True)


def coordinator(text: str) -> tuple[str, int]:
    """Return the coordinator's name and its line; localhost is what the daemon takes when nothing is said."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _HOST.search(line):
            return match[1], number
    return "localhost", 0


def copies(machine: Machine, text: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the copies with this content and those with another, oldest first."""
    same: list[str] = []
    different: list[str] = []
    for directory in _COPIES:
        try:
            names = machine.names(directory)
        except CannotTell:
            continue  # a copy that cannot be seen does not count
        for name in names:
            if name.startswith("lava-coordinator.conf."):
                path = f"{directory}/{name}"
                (same if machine.read(path) == text else different).append(path)
    return tuple(same), tuple(different)
