"""What happened on this machine: whether V1 ran here, and when the migration last changed something."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .facts import APACHE, BACKUPS, V1_DIRECTORIES, v1_evidence
from .machine import Machine
from .settings import SLAVE

_DPKG_LOG = "/var/log/dpkg.log"


def v1_was_here(machine: Machine) -> bool:
    """V1 is here, or was."""
    return bool(v1_evidence(machine)) or was_migrated(machine)


def was_migrated(machine: Machine) -> bool:
    """The server package was taken away here, or its coordinator's configuration was put aside."""
    copied = any(name.startswith("lava-coordinator.conf.") for name in machine.names(BACKUPS))
    return copied or any(True for _ in _removals(machine))


def last_change(machine: Machine) -> datetime:
    """Return when the migration last changed something."""
    touched = (
        *(SLAVE, "/etc/fuse.conf", "/etc/lava-coordinator/lava-coordinator.conf", *V1_DIRECTORIES),
        *(f"{APACHE}/sites-enabled", f"{APACHE}/mods-enabled"),
    )
    entries = [machine.entry(path) for path in touched]
    times = [entry.modified for entry in entries if entry]
    return max([*times, *_removals(machine)], default=datetime.fromtimestamp(0, UTC))


def _removals(machine: Machine) -> list[datetime]:
    """Return when dpkg removed the server package."""
    zone: tzinfo = UTC
    try:
        zone = ZoneInfo((machine.read("/etc/timezone") or "UTC").strip())
    except (ZoneInfoNotFoundError, ValueError):
        pass
    lines = re.findall(
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:remove|purge) lava-server(?::\S+)? ",
        machine.read(_DPKG_LOG) or "",
        re.MULTILINE,
    )
    return [datetime.fromisoformat(line).replace(tzinfo=zone).astimezone(UTC) for line in lines]
