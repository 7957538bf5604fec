"""The pipeline of a job that has ended, from what its dispatcher described.  Source: dispatcher specification 2.3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lava.model.faults import SubmissionError
from lava.model.yaml_source import Source


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One line of the outline."""

    level: str
    name: str
    summary: str
    timeout: timedelta

    @property
    def depth(self) -> int:
        return self.level.count(".")


def read_plan(text: str | None) -> tuple[PlannedStep, ...]:
    """Return the steps in the order in which they run; nothing when there is no readable description."""
    if not text:
        return ()
    try:
        described = Source(text).value
    except SubmissionError:
        return ()
    if not isinstance(described, Mapping):
        return ()
    return tuple(_steps(described.get("pipeline")))


def _steps(described: Any) -> Iterator[PlannedStep]:
    if not isinstance(described, Sequence) or isinstance(described, str):
        return
    for entry in described:
        if isinstance(entry, Mapping):
            seconds = entry.get("timeout")
            yield PlannedStep(
                level=str(entry.get("level", "")),
                name=str(entry.get("name", "")),
                summary=str(entry.get("summary") or entry.get("description") or ""),
                timeout=timedelta(seconds=seconds if isinstance(seconds, int | float) else 0),
            )
            yield from _steps(entry.get("pipeline"))
