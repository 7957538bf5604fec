"""M0, O1, C1: the workers, devices and certificates of the lab."""

from __future__ import annotations

import shlex
from datetime import timedelta

from ..context import Context
from ..facts import quoted
from ..machine import CannotTell, Machine
from ..result import Finding, Result, State, nothing, ok
from ..settings import shell_settings
from . import keys, postgres

WORKER_MARK = "/etc/lava-server/worker.conf"
DICTIONARIES = "/etc/lava-server/dispatcher-config/devices"
CERTIFICATES = "/etc/lava-dispatcher/certificates.d"
MASTER = "/etc/lava-server/lava-master"
_UNUSED = timedelta(days=30)
_ACCESS = (keys.v1_keys, postgres.listen_addresses, postgres.client_rules)


def all_workers(machine: Machine, context: Context) -> Result:
    """Ask whether every worker is without V1.  Source: R169."""
    if machine.entry(WORKER_MARK):
        text = "this is a remote worker, not the master: use 'doctor worker' here"
        return Result(State.OPEN, (Finding(text, WORKER_MARK),))
    workers = context.lab.workers if context.lab else ()
    if v1 := [worker for worker in workers if worker.v1]:
        findings = tuple(Finding(f"worker {worker.name} still runs V1 jobs", value=worker.name) for worker in v1)
        return Result(State.OPEN, findings, verify=("run 'lava-dispatcher-doctor worker' on each",))
    unknown = [worker.name for worker in workers if worker.v1 is None]
    if workers and not unknown:
        return ok(Finding(f"V2 only: {', '.join(worker.name for worker in workers)}"))
    if all(look(machine, context).state.is_settled for look in _ACCESS):
        return nothing("no access of V1 workers is left to be taken away")
    of = f" Not known of: {', '.join(unknown)}." if unknown else ""
    text = f"has V1 been taken from every worker?{of} Give the list of workers with --lab, or confirm"
    return Result(State.CANNOT_TELL, (Finding(text),), can_be_confirmed=True)


def dictionaries(machine: Machine, context: Context) -> Result:
    """Find devices that cannot run V2 jobs.  Source: R120."""
    if context.lab is None:
        if all(look(machine, context).state.is_settled for look in _ACCESS):
            return nothing("without V1, every device is for V2")
        raise CannotTell("which devices have a dictionary? Give the list of devices with --lab")
    there = machine.names(DICTIONARIES)
    findings = tuple(
        Finding(f"device {device.name} has no dictionary: it cannot run V2 jobs", value=device.name)
        for device in sorted(context.lab.devices, key=lambda device: device.name)
        if not device.dictionary and f"{device.name}.jinja2" not in there
    )
    if not findings:
        return ok()
    more = Finding("keep V2 devices on V2 workers, and what runs JSON jobs on V1 workers")
    return Result(State.OPEN, (*findings, more), verify=(f"ls {DICTIONARIES}",))


def certificates(machine: Machine, context: Context) -> Result:
    """Find public keys that are nobody's.  Source: R75, R79."""
    directory = _directory(machine)
    names = [name.removesuffix(".key") for name in machine.names(directory) if name.endswith(".key")]
    names = [name for name in names if name != "master"]
    if not names:
        return nothing(f"no certificate of a slave is in {directory}")
    workers = context.lab.workers if context.lab else ()
    findings = []
    if "slave" in names and max(len(workers), len(names)) > 1:
        text = "'slave' is a name for tests: with more than one worker, nobody can say whose key this is"
        findings.append(Finding(text, f"{directory}/slave.key", value="slave"))
    if context.lab is None:
        if findings:
            return Result(State.ADVICE, tuple(findings))
        text = f"which of these does a slave still use: {', '.join(names)}? Give the list of workers with --lab"
        return Result(State.CANNOT_TELL, (Finding(text, directory),), can_be_confirmed=True)
    recent = machine.now() - _UNUSED
    used = {worker.certificate for worker in workers if worker.last_seen and worker.last_seen >= recent}
    unused = [name for name in names if name not in used]
    for name in unused:
        text = f"the certificate '{name}' was not used by a known worker in the last 30 days"
        findings.append(Finding(text, f"{directory}/{name}.key", value=name))
    if not findings:
        return ok(Finding(f"in use: {', '.join(names)}"))
    commands = tuple(f"sudo mv -- {quoted(f'{directory}/{name}.key')} /root/" for name in unused)
    restart = ("sudo service lava-master restart",) if commands else ()
    return Result(State.ADVICE, tuple(findings), (*commands, *restart), (f"ls {directory}",))


def _directory(machine: Machine) -> str:
    setting = shell_settings(machine, MASTER).get("SLAVES_CERTS")
    words = shlex.split(setting.value) if setting else []
    return words[-1].rstrip("/") if words and words[-1].startswith("/") else CERTIFICATES
