"""The pipeline of a job: steps with levels, deadlines and retries, ready to be run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .action import Action
from .step import StepSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(StepSettings):
    """One action of the pipeline with its settings, and what is below it."""

    action: Action | None
    children: tuple[Step, ...]

    def walk(self) -> Iterator[Step]:
        """Yield this step and everything below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps of a job: one for each block, and ``finalize``."""

    steps: tuple[Step, ...]

    @property
    def blocks(self) -> tuple[Step, ...]:
        """The steps of the job's blocks."""
        return self.steps[:-1]

    @property
    def finalize(self) -> Step:
        """The last step: power off, read what is left, close."""
        return self.steps[-1]

    def walk(self) -> Iterator[Step]:
        """Yield every step, in order."""
        for step in self.steps:
            yield from step.walk()

    def description(self) -> dict[str, Any]:
        """Return what ``description.yaml`` holds.  Source: dispatcher specification 2.3."""
        return {"pipeline": [_describe(step) for step in self.steps]}


def _describe(step: Step) -> dict[str, Any]:
    described: dict[str, Any] = {
        "class": type(step.action).__name__ if step.action else "Retry" if step.max_retries > 1 else "Sequence",
        "name": step.name,
        "level": step.level,
        "max_retries": step.max_retries,
        "description": step.summary,
        "summary": step.summary,
        "timeout": int(step.timeout.total_seconds()),
    }
    url = getattr(step.action, "url", None)
    if url:
        described["url"] = url
    if step.children:
        described["pipeline"] = [_describe(child) for child in step.children]
    return described
