"""The test definition: what runs on the device.  Source: job definition 12."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .faults import Fault, Path, SubmissionError, did_you_mean

FORMAT = "Lava-Test Test Definition 1.0"
#: the historic spelling is tolerated
FORMATS = (FORMAT, "Lava-Test-Shell Test Definition 1.0")
OUTCOMES = ("pass", "fail", "skip", "unknown")
_KEYS = ("metadata", "params", "parameters", "install", "run", "parse", "expected")
_INSTALL_KEYS = ("keys", "sources", "deps", "git-repos", "steps")


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A repository cloned on the worker into the test's directory."""

    url: str
    branch: str | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class Install:
    """What the device needs before the test runs."""

    keys: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    #: added to ``deps`` on that distribution
    deps_by_distro: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    git_repos: tuple[GitRepository, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestDefinition:
    """A test definition, read and checked."""

    __test__ = False

    name: str
    metadata: Mapping[str, Any]
    parameters: Mapping[str, Any]
    install: Install | None
    steps: tuple[str, ...]
    parse_pattern: str | None
    #: raw result: pass, fail, skip or unknown
    fixups: Mapping[str, str]
    expected: tuple[str, ...] | None


def parse_test_definition(document: object, *, where: str) -> TestDefinition:
    """Return the definition that the document holds.

    Args:
        document: what a safe YAML loader made of the file.
        where: file or address for the message.

    Raises:
        SubmissionError: with every fault.
    """
    faults = list(definition_faults(document, strict=False))
    if faults or not isinstance(document, Mapping):
        raise SubmissionError(Fault((where, *fault.path), fault.message, fault.hint) for fault in faults)
    install = document.get("install")
    parse = document.get("parse") or {}
    expected = document.get("expected")
    return TestDefinition(
        name=str(document["metadata"]["name"]),
        metadata=document["metadata"],
        parameters={**(document.get("parameters") or {}), **(document.get("params") or {})},
        install=_install(install) if install else None,
        steps=_lines((document.get("run") or {}).get("steps")),
        parse_pattern=parse.get("pattern"),
        fixups=dict(parse.get("fixupdict") or {}),
        expected=_lines(expected) if expected is not None else None,
    )


def _install(install: Mapping[str, Any]) -> Install:
    by_distro = {
        key.removeprefix("deps-"): _lines(value) for key, value in install.items() if str(key).startswith("deps-")
    }
    return Install(
        keys=_lines(install.get("keys")),
        sources=_lines(install.get("sources")),
        deps=_lines(install.get("deps")),
        deps_by_distro=by_distro,
        git_repos=tuple(_repository(entry) for entry in install.get("git-repos") or ()),
        steps=_lines(install.get("steps")),
    )


def _repository(entry: Any) -> GitRepository:
    if isinstance(entry, str):
        return GitRepository(entry)
    return GitRepository(entry["url"], entry.get("branch"), entry.get("destination"))


def _lines(value: Any) -> tuple[str, ...]:
    """Return the entries as text; empty ones are left out."""
    return tuple(str(entry) for entry in value or () if entry is not None)


def definition_faults(document: object, *, strict: bool) -> Iterator[Fault]:
    """Yield what is wrong with a test definition."""
    if not isinstance(document, Mapping):
        yield Fault((), "a test definition is a mapping", "with metadata and run")
        return
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        yield Fault(("metadata",), "required, with format and name", f"metadata: {{format: {FORMAT}, name: …}}")
    else:
        yield from _metadata_faults(metadata)
    if strict:
        for key in document:
            if key not in _KEYS:
                yield Fault((str(key),), "unknown key", did_you_mean(key, _KEYS))
    for key in ("params", "parameters"):
        if not isinstance(document.get(key) or {}, Mapping):
            yield Fault((key,), "must be a mapping of variables")
    run = document.get("run")
    if run is not None:
        if not isinstance(run, Mapping) or "steps" not in run:
            yield Fault(("run", "steps"), "required", "a list of shell lines")
        else:
            yield from _line_faults(run["steps"], ("run", "steps"))
    yield from _install_faults(document.get("install"), strict)
    yield from _line_faults(document.get("expected"), ("expected",))
    yield from _parse_faults(document.get("parse"))


def _parse_faults(parse: object) -> Iterator[Fault]:
    if parse is None:
        return
    if not isinstance(parse, Mapping):
        yield Fault(("parse",), "must be a mapping with pattern and fixupdict")
        return
    if not isinstance(parse.get("pattern"), str | None):
        yield Fault(("parse", "pattern"), "must be text", "a regular expression in quotes")
    fixups = parse.get("fixupdict") or {}
    if not isinstance(fixups, Mapping):
        yield Fault(("parse", "fixupdict"), "must be a mapping")
        return
    for raw, outcome in fixups.items():
        if outcome not in OUTCOMES:
            hint = f"one of: {', '.join(OUTCOMES)}"
            yield Fault(("parse", "fixupdict", str(raw)), f"'{outcome}' is no result", hint)


def _metadata_faults(metadata: Mapping[Any, Any]) -> Iterator[Fault]:
    given = metadata.get("format")
    if given is None:
        yield Fault(("metadata", "format"), "required", f"write 'format: {FORMAT}'")
    elif given not in FORMATS:
        yield Fault(("metadata", "format"), f"'{given}' is no known format", f"write 'format: {FORMAT}'")
    if not isinstance(metadata.get("name"), str | int | float):
        yield Fault(("metadata", "name"), "required")


def _install_faults(install: object, strict: bool) -> Iterator[Fault]:
    if install is None:
        return
    if not isinstance(install, Mapping):
        yield Fault(("install",), "must be a mapping")
        return
    for key, value in install.items():
        path: Path = ("install", str(key))
        if key not in _INSTALL_KEYS and not str(key).startswith("deps-"):
            if strict:
                yield Fault(path, "unknown key", did_you_mean(key, _INSTALL_KEYS))
        elif key == "git-repos":
            if value is not None and not isinstance(value, list):
                yield Fault(path, "must be a list")
            for number, entry in enumerate(value if isinstance(value, list) else ()):
                if not isinstance(entry, str) and not (
                    isinstance(entry, Mapping) and isinstance(entry.get("url"), str)
                ):
                    yield Fault((*path, number), "must be an address, or a mapping with url")
        else:
            yield from _line_faults(value, path)


def _line_faults(value: object, path: Path) -> Iterator[Fault]:
    if value is None:
        return
    if not isinstance(value, list):
        yield Fault(path, "must be a list", "start each entry with '- '")
        return
    for number, entry in enumerate(value):
        if isinstance(entry, Mapping | list):
            hint = "a colon followed by a blank makes a mapping of it: put the line in quotes"
            yield Fault((*path, number), "must be text", hint)
