"""What a run of the doctor knows beside the machine: what the admin said, and what the master knows about its lab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lava.model.faults import Fault, SubmissionError
from lava.model.yaml_source import Source


class LabFault(Exception):
    """The lab file is wrong; the message names the place."""


@dataclass(frozen=True, slots=True)
class LabWorker:
    """A worker, as the master knows it."""

    name: str
    #: it still runs V1 jobs; None: not known
    v1: bool | None = None
    certificate: str = ""
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class LabDevice:
    """A device, as the master knows it."""

    name: str
    device_type: str = ""
    worker: str = ""
    #: it takes V2 jobs only
    exclusive: bool = False
    dictionary: bool = True
    power_commands: tuple[str, ...] = ()
    last_health_check: datetime | None = None
    last_health_result: str = ""


@dataclass(frozen=True, slots=True)
class Lab:
    """What only the master knows."""

    workers: tuple[LabWorker, ...] = ()
    devices: tuple[LabDevice, ...] = ()
    #: device types that have a V2 health check
    health_checks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """What was said on the command line."""

    lab: Lab | None = None
    confirmed: frozenset[str] = frozenset()


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "v1": (bool, "true or false"),
    "exclusive": (bool, "true or false"),
    "dictionary": (bool, "true or false"),
    "last_seen": ((datetime, date), "a date"),
    "last_health_check": ((datetime, date), "a date"),
    "power_commands": (list, "a list of commands"),
}


def load_lab(path: Path) -> Lab:
    """Read the lab file: ``workers``, ``devices``, ``health_checks``.

    Raises:
        LabFault: it cannot be read, or is not what it should be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabFault(f"{path}: cannot be read: {error}") from error
    try:
        source = Source(text, str(path))
    except SubmissionError as error:
        raise _refusal(path, error.faults[0]) from error
    try:
        return _lab(source.value)
    except SubmissionError as error:
        raise _refusal(path, source.placed(error.faults)[0]) from error


def _refusal(path: Path, fault: Fault) -> LabFault:
    place = f"{fault.place}: " if fault.path else ""
    return LabFault(f"{path}:{fault.line}:{fault.column}: {place}{fault.message} ({fault.hint})")


def _lab(document: object) -> Lab:
    top = _mapping(document, (), ("workers", "devices", "health_checks"))
    checks = top.get("health_checks") or []
    if not isinstance(checks, list):
        raise _fault(("health_checks",), "must be a list of device types")
    workers = _rows(top, "workers", ("name", "v1", "certificate", "last_seen"))
    devices = _rows(
        top,
        "devices",
        (
            *("name", "device_type", "worker", "exclusive", "dictionary", "power_commands"),
            *("last_health_check", "last_health_result"),
        ),
    )
    return Lab(
        tuple(
            LabWorker(
                str(row["name"]), row.get("v1"), str(row.get("certificate") or row["name"]), _time(row.get("last_seen"))
            )
            for row in workers
        ),
        tuple(
            LabDevice(
                str(row["name"]),
                str(row.get("device_type") or ""),
                str(row.get("worker") or ""),
                bool(row.get("exclusive", False)),
                bool(row.get("dictionary", True)),
                tuple(str(command) for command in row.get("power_commands") or ()),
                _time(row.get("last_health_check")),
                str(row.get("last_health_result") or ""),
            )
            for row in devices
        ),
        frozenset(str(name) for name in checks),
    )


def _rows(top: dict[str, object], name: str, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = top.get(name) or []
    if not isinstance(rows, list):
        raise _fault((name,), "must be a list")
    found = []
    for number, value in enumerate(rows):
        row = _mapping(value, (name, number), keys)
        if not row.get("name"):
            raise _fault((name, number), "needs a name")
        for key, given in row.items():
            kind, wanted = _KINDS.get(key, (str, "text"))
            if given is not None and not isinstance(given, kind):
                raise _fault((name, number, key), f"must be {wanted}")
        found.append(row)
    return found


def _mapping(value: object, path: tuple[str | int, ...], keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fault(path, "must be a mapping")
    for key in value:
        if key not in keys:
            raise _fault((*path, str(key)), "unknown", f"known: {', '.join(keys)}")
    return value


def _fault(path: tuple[str | int, ...], message: str, hint: str = "see the how-to on migrating a worker") -> Exception:
    return SubmissionError([Fault(path, message, hint)])


def _time(value: datetime | date | None) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
