"""W0, P1, W1, W2, W20: which machine this is, the useless master, the gate, and the proof at the end."""

from __future__ import annotations

import posixpath
import re

from ..context import Context
from ..facts import V1_DIRECTORIES, master_evidence, own_devices, v1_evidence
from ..history import last_change, v1_was_here
from ..machine import Machine
from ..processes import is_master
from ..result import Finding, Result, State, nothing, ok
from ..settings import SLAVE, host_of, is_local, master_url

MASTER_SCRIPT = "/etc/init.d/lava-master"
_DEVICE_TYPE = re.compile(r"^\s*device_type\s*=\s*(\S+)", re.MULTILINE)


def which_machine(machine: Machine, context: Context) -> Result:
    """Refuse the master; say whether a worker still has V1.  Source: R121, R125."""
    if evidence := master_evidence(machine):
        text = "this is the master, not a worker: it keeps lava-master and lava-server, and nothing of it is removed"
        return Result(State.OPEN, (Finding(text), *evidence))
    if evidence := v1_evidence(machine):
        text = "a mixed worker (V1 and V2): the server package is here for JSON jobs only"
        return ok(Finding(text), *evidence)
    return ok(Finding("a worker for V2 jobs; nothing of V1 was found"))


def useless_master(machine: Machine, context: Context) -> Result:
    """Find the master daemon of a worker, running or about to.  Source: R122 to R127."""
    findings = [
        Finding(f"lava-master is active on a worker, process {process.pid}", f"/proc/{process.pid}")
        for process in machine.processes()
        if is_master(process)
    ]
    script = machine.entry(MASTER_SCRIPT)
    if script and script.is_executable:
        findings.append(Finding("executable: the next package update would start the daemon again", MASTER_SCRIPT))
    if not findings:
        return ok(Finding("disabled", MASTER_SCRIPT)) if script else nothing("no lava-master is here to be stopped")
    url = master_url(machine)
    if is_local(host_of(url.value), machine):
        text = "first make MASTER_URL the address of the real master, and restart lava-slave"
        return Result(State.OPEN, (*findings, Finding(text, SLAVE, url.line, url.value)))
    commands = (
        "sudo invoke-rc.d lava-master stop",
        "sudo update-rc.d lava-master remove",
        f"sudo chmod a-x {MASTER_SCRIPT}",
        "sudo service lava-master status",
    )
    return Result(State.OPEN, tuple(findings), commands, ("the last command says that it does not run",))


def health_checks(machine: Machine, context: Context) -> Result:
    """Compare the device types of this worker with the health checks of the master.  Source: R132."""
    if not v1_evidence(machine):
        return nothing("no V1 to be taken away")
    types = dict(_v1_devices(machine))
    names = {name for name in types.values() if name}
    devices = own_devices(machine, context)
    if devices is None or (not devices and not names):
        here = ", ".join(sorted(names)) or "not known here"
        return _ask_the_master(f"device types of this worker: {here}; has each a V2 health check on the master?")
    names |= {device.device_type for device in devices if device.device_type}
    lacking = sorted(names - (context.lab.health_checks if context.lab else frozenset()))
    if not lacking:
        return ok(Finding(f"each has a health check: {', '.join(sorted(names))}"))
    findings = [Finding(f"device type {name} has no V2 health check", value=name) for name in lacking]
    findings.append(Finding("add one on the master, and run it"))
    return Result(State.OPEN, tuple(findings))


def exclusive(machine: Machine, context: Context) -> Result:
    """Find devices that still take V1 jobs.  Source: R133, R120."""
    if not v1_evidence(machine):
        return nothing("no V1 to be taken away")
    local = dict(_v1_devices(machine))
    devices = own_devices(machine, context)
    if devices is None or (not devices and not local):
        here = ", ".join(sorted(local)) or "not known here"
        return _ask_the_master(f"devices of this worker: {here}; is each exclusive to V2 on the master?")
    known = {device.name for device in devices}
    findings = [
        Finding(f"device {name} is configured for V1 and not in the list of the master", value=name)
        for name in sorted(set(local) - known)
    ]
    for device in devices:
        if not device.dictionary:
            findings.append(
                Finding(f"device {device.name} has no dictionary: it cannot run V2 jobs", value=device.name)
            )
        elif not device.exclusive:
            findings.append(Finding(f"device {device.name} is not exclusive to V2", value=device.name))
    if not findings:
        return ok(Finding(f"exclusive to V2: {', '.join(sorted(known))}"))
    verify = ("each is marked as exclusive on its page of the master",)
    return Result(State.OPEN, tuple(findings), verify=verify)


def proof(machine: Machine, context: Context) -> Result:
    """Ask for health checks that are newer than the migration.  Source: R168."""
    if not v1_was_here(machine):
        return nothing("no migration happened here")
    devices = own_devices(machine, context)
    if not devices:
        return _ask_the_master("did a health check of each device of this worker pass after the last change?")
    changed = last_change(machine)
    findings = []
    state = State.OK
    for device in sorted(devices, key=lambda device: device.name):
        when = device.last_health_check
        if when is None:
            said, late = "no health check yet", True
        else:
            late = when < changed or device.last_health_result not in ("", "Complete")
            result = f", {device.last_health_result}" if device.last_health_result else ""
            said = f"last health check {when:%Y-%m-%d %H:%M} UTC{result}"
        state = State.OPEN if late else state
        findings.append(Finding(f"{device.name}: {said}", value=device.name))
    if state is State.OPEN:
        findings.append(Finding(f"last change of this migration: {changed:%Y-%m-%d %H:%M} UTC"))
    verify = ("each health check ends as Complete",)
    return Result(state, tuple(findings), verify=verify)


def _v1_devices(machine: Machine) -> list[tuple[str, str]]:
    """Return name and device type of the devices that V1 is configured for here."""
    directory = V1_DIRECTORIES[0]
    found = []
    for name in machine.names(directory):
        if name.endswith(".conf"):
            match = _DEVICE_TYPE.search(machine.read(f"{directory}/{name}") or "")
            found.append((posixpath.splitext(name)[0], match[1] if match else ""))
    return found


def _ask_the_master(question: str) -> Result:
    text = f"{question} Only the master knows: give its list with --lab, or look there and confirm"
    return Result(State.CANNOT_TELL, (Finding(text),), can_be_confirmed=True)
