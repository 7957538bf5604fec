"""W17, W18, W19: Apache after the server, Apache for V2, FUSE."""

from __future__ import annotations

import re

from ..context import Context
from ..facts import APACHE, packages, v1_evidence
from ..machine import Machine
from ..result import Finding, Result, State, nothing, ok

SHIPPED = "/usr/share/lava-dispatcher/apache2/lava-dispatcher.conf"
FUSE = "/etc/fuse.conf"
_RESTART = "sudo service apache2 restart"


def apache_restarts(machine: Machine, context: Context) -> Result:
    """Find links to things that are gone.  Source: R165."""
    if not machine.entry(APACHE):
        return nothing("Apache is not here")
    findings: list[Finding] = []
    commands: list[str] = []
    for kind, disable in (("mods", "a2dismod"), ("sites", "a2dissite"), ("conf", "a2disconf")):
        for name in machine.names(f"{APACHE}/{kind}-enabled"):
            path = f"{APACHE}/{kind}-enabled/{name}"
            entry = machine.entry(path)
            module = re.sub(r"\.(conf|load)$", "", name)
            gone = entry is not None and entry.is_dangling
            of_server = kind == "sites" and module == "lava-server" and "lava-server" not in packages(machine)
            if gone or of_server:
                text = "points to something that is gone" if gone else "the site of the server that was removed"
                findings.append(Finding(text, path))
                commands.append(f"sudo {disable} {module}")
    if not findings:
        return ok()
    return Result(State.OPEN, tuple(findings), (*dict.fromkeys(commands), _RESTART), ("sudo service apache2 status",))


def apache_for_v2(machine: Machine, context: Context) -> Result:
    """Serve the files of jobs.  Source: R47, R48, R166."""
    available, enabled = (f"{APACHE}/sites-{kind}" for kind in ("available", "enabled"))
    if not machine.entry(APACHE):
        return nothing("Apache is not here: the dispatcher serves the files of jobs itself")
    if "lava-server" in packages(machine):
        text = "lava-server is here for V1: Apache serves its site too, and the plain recipe does not fit"
        return Result(State.OPEN, (Finding(text), *v1_evidence(machine)))
    copied = machine.entry(f"{available}/lava-dispatcher.conf")
    link = machine.entry(f"{enabled}/lava-dispatcher.conf")
    default = next((name for name in machine.names(enabled) if name.removesuffix(".conf") == "000-default"), None)
    stock = [Finding("the stock site answers on port 80 too", f"{enabled}/{default}")] if default else []
    verify = ("sudo apache2ctl -M", "wget http://localhost/tmp/", "rm index.html")
    if copied and link and not link.is_dangling:
        if default:
            return Result(State.ADVICE, tuple(stock), (f"sudo a2dissite {_site(default)}", _RESTART), verify)
        return ok(Finding("enabled", f"{enabled}/lava-dispatcher.conf"))
    findings = [Finding("not enabled" if copied else "not copied", f"{available}/lava-dispatcher.conf"), *stock]
    commands = [] if copied else [f"sudo cp {SHIPPED} {available}/"]
    commands.append("sudo a2ensite lava-dispatcher")
    if default:
        commands.append(f"sudo a2dissite {_site(default)}")
    commands += [_RESTART, *verify]
    return Result(State.OPEN, tuple(findings), tuple(commands), ("wget answers 200",))


def fuse(machine: Machine, context: Context) -> Result:
    """Find what V1 needed of FUSE.  Source: R167."""
    lines = (machine.read(FUSE) or "").splitlines()
    active = [number for number, line in enumerate(lines, 1) if re.match(r"\s*user_allow_other\b", line)]
    if not active:
        return ok()
    findings = tuple(
        Finding("V1 needed this; it can be turned off", FUSE, number, "user_allow_other") for number in active
    )
    edits = " ".join(f"-e '{number}s/^[[:space:]]*user_allow_other/#&/'" for number in active)
    return Result(State.ADVICE, findings, (f"sudo sed -i.bak {edits} {FUSE}",), (f"grep user_allow_other {FUSE}",))


def _site(name: str) -> str:
    return name.removesuffix(".conf")
