"""The shell-style configuration files: ``NAME="value"`` lines.  Source: seed requirements D, K.

They used to be sourced by an init script.  Here nothing is executed or expanded; what a shell would expand is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ASSIGNMENT = re.compile(
    rf"""(?:export\s+)? (?P<name>{_NAME}) =
    (?: "(?P<double>(?:[^"\\$`]|\\.)*)" | '(?P<single>[^']*)' | (?P<bare>[^\s"'\\$`\#;&|<>()]*) )
    (?:\s+\#.*)?""",
    re.VERBOSE,
)
_STARTS = re.compile(rf"(?:export\s+)?{_NAME}=")
_ESCAPED = re.compile(r'\\(["\\$`])')


class SettingsError(Exception):
    """A configuration file is wrong; the message has a line for each fault, with file, line and remedy."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The value of a setting, and where it stands."""

    value: str
    line: int


def read_settings_file(path: Path) -> Mapping[str, Assignment]:
    """Return the assignments of a file by name; as in a shell, the last one of a name counts.

    Raises:
        SettingsError: it cannot be read, or has lines that are no assignments.
        FileNotFoundError: it is not there.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is no text in UTF-8: write it again as such") from error
    assignments: dict[str, Assignment] = {}
    faults = []
    for number, line in enumerate((line.strip() for line in text.split("\n")), 1):
        if not line or line.startswith("#"):
            continue
        if match := _ASSIGNMENT.fullmatch(line):
            assignments[match["name"]] = Assignment(_value(match), number)
        else:
            faults.append(f"{path}:{number}: {_fault(line)}")
    if faults:
        raise SettingsError("\n".join(faults))
    return assignments


def _value(match: re.Match[str]) -> str:
    if (quoted := match["double"]) is not None:
        return _ESCAPED.sub(r"\1", quoted)
    return match["single"] if match["single"] is not None else match["bare"]


def _fault(line: str) -> str:
    """Return what is wrong with a line that is no assignment, and what to write."""
    started = _STARTS.match(line)
    if started is None:
        return f"'{line[:60]}' is no assignment: write NAME=\"value\", without blanks around '='"
    value = line[started.end() :]
    if not value.startswith("'") and re.search(r"(?<!\\)[$`]", value):
        return "variables and commands are not expanded here: write the value itself"
    if value[:1] in ("'", '"') and value.count(value[0]) < 2:
        return f"the quote {value[0]} is not closed"
    name = started[0].removesuffix("=")
    return f'the value of {name} must be one word or quoted: write {name}="value"'
