"""What runs on this machine, by the names that matter here."""

from __future__ import annotations

import posixpath
import re

from .machine import Process


def program(process: Process) -> str:
    """Return the name of what runs, behind an interpreter, or empty."""
    names = [posixpath.basename(word) for word in process.argv[:3]]
    first = names[0].rstrip(":") if names else ""
    if re.fullmatch(r"(python|pypy)[0-9.]*|env|sh|dash|bash", first):
        return next((name for name in names[1:] if not name.startswith("-")), first)
    return first


def is_server(process: Process) -> bool:
    """It is of the server package: not this doctor, and no slave."""
    if "doctor" in process.argv:
        return False
    name = program(process)
    served = name.startswith(("uwsgi", "gunicorn")) and re.search("lava[-_]server", " ".join(process.argv))
    return name in ("lava-server", "lava-publisher", "lava-logs") or bool(served)


def is_scheduler(process: Process) -> bool:
    """It is the V1 scheduler."""
    named = program(process) in ("lava-scheduler", "lava-scheduler-daemon", "lava_scheduler_daemon")
    return named or (is_server(process) and "scheduler" in process.argv)


def is_master(process: Process) -> bool:
    """It is the daemon that belongs on the master only, under either of its names."""
    named = program(process) in ("lava-master", "dispatcher-master")
    return named or (is_server(process) and "dispatcher-master" in process.argv)


def is_slave(process: Process) -> bool:
    """It is the daemon of a worker, under either of its names."""
    return program(process) in ("lava-slave", "lava-dispatcher-slave")
