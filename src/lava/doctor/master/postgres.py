"""M2, M3, M4: the master's database is for the master's own machine."""

from __future__ import annotations

import ipaddress
import posixpath

from ..context import Context
from ..facts import dated, quoted
from ..machine import CannotTell, Machine
from ..processes import program
from ..result import Finding, Result, State, nothing, ok
from ..settings import instance
from .hba import Rule, includes, remote_rules
from .pgconf import Assignment, Configured, assignments, configured

RESTART = "sudo service postgresql restart"
_NAME = "listen_addresses"
_LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain"})


def listens_elsewhere(value: str) -> bool:
    """A server with this value of ``listen_addresses`` can be reached from other machines."""
    return any(not _is_loopback(name.strip().strip('"').lower()) for name in value.split(","))


def _is_loopback(name: str) -> bool:
    if name in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def listen_addresses(machine: Machine, context: Context) -> Result:
    """Find clusters that listen to other machines.  Source: R176, R177."""
    clusters = configured(machine)
    if not clusters:
        return nothing("no PostgreSQL is configured here")
    findings: list[Finding] = []
    notes: list[Finding] = []
    commands: list[str] = []
    for cluster in clusters:
        settings, included = assignments(machine, cluster)
        notes += [Finding(f"{one.name} {one.value}", one.file, one.line, one.value) for one in included]
        own = [one for one in settings if one.name == _NAME]
        if own and listens_elsewhere(own[-1].value):
            text = f"{_NAME} = '{own[-1].value}' lets other machines reach cluster {cluster.version} {cluster.name}"
            findings.append(Finding(text, own[-1].file, own[-1].line, own[-1].value))
            commands += _comment_out([one for one in own if listens_elsewhere(one.value)], machine)
    if not findings:
        return ok(*notes)
    verify = tuple(f"sudo grep -n {_NAME} {cluster.file}" for cluster in clusters)
    return Result(State.OPEN, (*findings, *notes), tuple(commands), verify)


def _comment_out(wrong: list[Assignment], machine: Machine) -> list[str]:
    commands = []
    for file in dict.fromkeys(one.file for one in wrong):
        if posixpath.basename(file) == "postgresql.auto.conf":
            reset = f"psql --command='ALTER SYSTEM RESET {_NAME};'"
            commands.append(f"sudo su postgres -c {quoted(reset)}")
            continue
        lines = [one.line for one in wrong if one.file == file]
        commands += edit(file, lines, rf"^[[:space:]]*{_NAME}", machine)
    return commands


def edit(file: str, lines: list[int], beginning: str, machine: Machine) -> tuple[str, str]:
    """Return commands that keep a copy and comment lines out; run twice, they do nothing more."""
    words = [word for line in lines for word in ("-e", f"{line}s/{beginning}/#&/I")]
    return (
        f"sudo cp -p --no-clobber {quoted(file, dated(file, machine))}",
        f"sudo sed -i {quoted(*words, file)}",
    )


def client_rules(machine: Machine, context: Context) -> Result:
    """Find rules that let other machines read and write LAVA's database.  Source: R178 to R181, R173."""
    clusters = configured(machine)
    if not clusters:
        return nothing("no PostgreSQL is configured here")
    name, user = instance(machine, "LAVA_DB_NAME"), instance(machine, "LAVA_DB_USER")
    findings: list[Finding] = []
    notes: list[Finding] = []
    commands: list[str] = []
    verify: list[str] = []
    for cluster in clusters:
        for file, text in _rule_files(machine, _hba_file(machine, cluster)):
            verify.append(f"sudo grep -v '#' {quoted(file)}")
            lines = []
            for rule in remote_rules(text):
                if rule.concerns(name.value):
                    own = f" as LAVA's user {user.said}" if user.value in rule.users else ""
                    findings.append(_finding(f"lets {rule.address} into {name.said}{own}", file, rule))
                    lines.append(rule.line)
                else:
                    notes.append(_finding(f"not about {name.value}, left alone", file, rule))
            if lines:
                commands += edit(file, lines, "^[[:space:]]*host", machine)
    state = State.OPEN if findings else State.OK
    return Result(state, (*findings, *notes), tuple(commands), tuple(verify))


def _rule_files(machine: Machine, first: str) -> list[tuple[str, str]]:
    """Return the file of rules and those that it includes, with their texts."""
    found: dict[str, str] = {}
    pending = [first]
    while pending:
        file = pending.pop()
        text = machine.read(file) if file not in found else None
        if text is None:
            continue
        found[file] = text
        for kind, target in includes(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
            if kind == "include_dir":
                pending += [f"{path}/{name}" for name in machine.names(path) if name.endswith(".conf")]
            else:
                pending.append(path)
    return list(found.items())


def _finding(text: str, file: str, rule: Rule) -> Finding:
    return Finding(f"{text}: {rule.text}", file, rule.line, rule.text)


def _hba_file(machine: Machine, cluster: Configured) -> str:
    settings, _ = assignments(machine, cluster)
    set_to = next((one.value for one in reversed(settings) if one.name == "hba_file"), "")
    return posixpath.join(cluster.directory, set_to or "pg_hba.conf")


def restart(machine: Machine, context: Context) -> Result:
    """Ask for a restart of the server, when something was or is to be changed.  Source: R182."""
    clusters = configured(machine)
    if not clusters:
        return nothing("no PostgreSQL is configured here")
    verify = ("sudo service postgresql status", "ss -tln | grep 5432")
    changes = [look(machine, context).state for look in (listen_addresses, client_rules)]
    if State.OPEN in changes:
        return Result(State.OPEN, (Finding("the changes count after a restart only"),), (RESTART,), verify)
    started = [
        process.started
        for process in machine.processes()
        if program(process) in ("postgres", "postmaster") and process.started
    ]
    if not started:
        raise CannotTell("no PostgreSQL runs: it reads its files when it is started")
    findings = []
    for cluster in clusters:
        for file in (cluster.file, *(name for name, _ in _rule_files(machine, _hba_file(machine, cluster)))):
            entry = machine.entry(file)
            if entry and entry.modified > min(started):
                text = f"changed {entry.modified:%Y-%m-%d %H:%M:%S} UTC, after PostgreSQL was started"
                findings.append(Finding(text, file))
    if not findings:
        return ok()
    return Result(State.OPEN, tuple(findings), (RESTART,), verify)
