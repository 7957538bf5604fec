"""W4, W13: the slave reaches the master."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ..context import Context
from ..facts import minutes
from ..machine import Machine
from ..result import Finding, Result, State, ok
from ..settings import SLAVE, host_of, is_local, master_url, running_master_url, slave_setting

LOG = "/var/log/lava-dispatcher/lava-slave.log"
_FRESH_MINUTES = 5
_LAST_BYTES = 1 << 18
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")
_PING = re.compile(r"\bping\b", re.IGNORECASE)
_ANSWER = re.compile(r"\bPONG\b|\breplied\b", re.IGNORECASE)


def slave_contact(machine: Machine, context: Context) -> Result:
    """Look for fresh pings and answers in the slave's log.  Source: R136, R161; the log is in UTC (section L)."""
    url = master_url(machine)
    findings = [Finding(f"the master's address is {url.said}", url.file, url.line, url.value)]
    running = running_master_url(machine)
    restart = "sudo service lava-slave restart"
    if is_local(host_of(url.value), machine):
        findings.append(Finding("that is this machine: set MASTER_URL to the real master", SLAVE, url.line, url.value))
        return _not_yet(findings, f"sudo editor {SLAVE}", restart)
    if running and running.value != url.value:
        text = f"the running slave still talks to {running.value}: restart it"
        return _not_yet([*findings, Finding(text, running.file, value=running.value)], restart)
    file = _log_file(machine)
    log = machine.read(file, last_bytes=_LAST_BYTES)
    if log is None:
        return _not_yet([*findings, Finding("there is no log of the slave: set LOG_FILE", file)], restart)
    ping, answer = last_times(
        log if _PING.search(log) else (machine.read(f"{file}.1", last_bytes=_LAST_BYTES) or "") + log
    )
    if ping is None:
        said = Finding(f'no ping in the log: pings are written with LOGLEVEL="DEBUG" in {SLAVE}', file)
        return _not_yet([*findings, said], f"sudo editor {SLAVE}", restart)
    findings.append(Finding(f"last ping {_said(ping)}, last answer {_said(answer)}", file))
    if abs(minutes(ping, machine)) > _FRESH_MINUTES:
        return _not_yet([*findings, Finding("the slave does not ping now", file)], restart)
    if answer is None or abs(minutes(answer, machine)) > _FRESH_MINUTES:
        return _not_yet([*findings, Finding("the master does not answer", file)], restart)
    return ok(*findings)


def last_times(log: str) -> tuple[datetime | None, datetime | None]:
    """Return when the last ping was sent, and when the master last answered."""
    ping = answer = None
    for line in log.splitlines():
        stamp = _TIME.match(line)
        if stamp is None:
            continue
        try:
            when = datetime.fromisoformat(stamp[1]).replace(tzinfo=UTC)
        except ValueError:
            continue
        if _ANSWER.search(line):
            answer = when
        elif _PING.search(line):
            ping = when
    return ping, answer


def _log_file(machine: Machine) -> str:
    setting = slave_setting(machine, "LOG_FILE")
    return setting.value if setting and setting.value.startswith("/") else LOG


def _said(when: datetime | None) -> str:
    if when is None:
        return "never"
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _not_yet(findings: list[Finding], *commands: str) -> Result:
    return Result(State.OPEN, tuple(findings), commands, (f"tail -f {LOG}",))
