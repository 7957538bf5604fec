"""W6, W16: what runs."""

from __future__ import annotations

from ..context import Context
from ..machine import Machine, Process
from ..processes import is_master, is_scheduler, is_server, is_slave, program
from ..result import Finding, Result, State, ok


def scheduler(machine: Machine, context: Context) -> Result:
    """Find the V1 scheduler.  Source: R144."""
    found = [process for process in machine.processes() if is_scheduler(process)]
    if not found:
        return ok()
    findings = tuple(Finding(f"the V1 scheduler runs, process {process.pid}", _place(process)) for process in found)
    return Result(State.OPEN, findings, ("sudo service lava-server stop",), ("sudo service lava-server status",))


def processes(machine: Machine, context: Context) -> Result:
    """Find daemons other than the slave.  Source: R164."""
    findings: list[Finding] = []
    commands: list[str] = []
    running = machine.processes()
    for process in running:
        if name := _unwanted(process):
            findings.append(Finding(f"{name} runs, process {process.pid}", _place(process)))
            commands.append(_stop(name, process, machine))
    if not any(is_slave(process) for process in running):
        findings.append(Finding("lava-slave does not run"))
        commands.append("sudo service lava-slave start")
    if not findings:
        return ok(Finding("of LAVA's daemons, only lava-slave runs"))
    return Result(State.OPEN, tuple(findings), tuple(dict.fromkeys(commands)), ("ps -e -o pid,args | grep lava",))


def _unwanted(process: Process) -> str:
    if is_master(process):
        return "lava-master"
    if is_server(process) or is_scheduler(process):
        return "lava-server"
    return "lava-coordinator" if program(process) == "lava-coordinator" else ""


def _stop(name: str, process: Process, machine: Machine) -> str:
    services = (f"/etc/init.d/{name}", f"/lib/systemd/system/{name}.service")
    if any(machine.entry(path) for path in services):
        return f"sudo service {name} stop"
    return f"sudo kill {process.pid}"


def _place(process: Process) -> str:
    return f"/proc/{process.pid}"
