"""The settings of a PostgreSQL cluster, read as the server reads them: includes followed, the last assignment wins."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..databases import DATA
from ..machine import CannotTell, Machine

CONFIGURATION = "/etc/postgresql"
_DEEPEST = 10  # as PostgreSQL itself
_ASSIGNMENT = re.compile(r"""^\s*([A-Za-z_][\w.]*)\s*(?:=|\s)\s*('(?:[^'\\]|''|\\.)*'|[^\s#'=][^\s#]*)""")
_INCLUDES = ("include", "include_dir", "include_if_exists")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A setting, and where it stands."""

    name: str
    value: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration of one cluster."""

    version: str
    name: str
    directory: str

    @property
    def file(self) -> str:
        return f"{self.directory}/postgresql.conf"


def configured(machine: Machine) -> tuple[Configured, ...]:
    """Return every cluster that has a configuration."""
    return tuple(
        Configured(version, name, f"{CONFIGURATION}/{version}/{name}")
        for version in machine.names(CONFIGURATION)
        for name in machine.names(f"{CONFIGURATION}/{version}")
        if machine.entry(f"{CONFIGURATION}/{version}/{name}/postgresql.conf")
        or machine.entry(f"{CONFIGURATION}/{version}/{name}/pg_hba.conf")
    )


def assignments(machine: Machine, cluster: Configured) -> tuple[list[Assignment], list[Assignment]]:
    """Return the settings in the order in which they count, and the includes.

    What ALTER SYSTEM wrote into the data directory comes last.
    """
    found = list(_walk(machine, cluster.file, 0))
    data = next((one.value for one in reversed(found) if one.name == "data_directory"), "")
    automatic = f"{data or f'{DATA}/{cluster.version}/{cluster.name}'}/postgresql.auto.conf"
    try:
        found += _walk(machine, automatic, 0)
    except CannotTell:
        found.append(Assignment("include", automatic, cluster.file, 0))  # for the server's own user only
    includes = [one for one in found if one.name in _INCLUDES]
    return [one for one in found if one.name not in _INCLUDES], includes


def _walk(machine: Machine, path: str, depth: int) -> Iterator[Assignment]:
    if depth > _DEEPEST:
        raise CannotTell(f"{path}: includes are nested too deeply")
    for number, line in enumerate((machine.read(path) or "").splitlines(), 1):
        match = _ASSIGNMENT.match(line)
        if match is None:
            continue
        one = Assignment(match[1].lower(), _value(match[2]), path, number)
        yield one
        if one.name in _INCLUDES:
            for included in _included(machine, one):
                yield from _walk(machine, included, depth + 1)


def _included(machine: Machine, one: Assignment) -> list[str]:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(one.file), one.value))
    if one.name != "include_dir":
        return [target]
    names = machine.names(target)
    return [f"{target}/{name}" for name in names if name.endswith(".conf") and not name.startswith(".")]


def _value(text: str) -> str:
    if not text.startswith("'"):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1].replace("''", "'"))
