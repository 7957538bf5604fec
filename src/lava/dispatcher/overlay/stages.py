"""Which test definitions a namespace runs, in which order, under which names.  Pure.

Source: dispatcher specification 10.1 ("Stage"), 12.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lava.model.job import DefinitionsTest, TestBlock

from .facts import PlannedRun


@dataclass(frozen=True, slots=True)
class Stage:
    """One test block that uses the overlay."""

    number: int
    block: DefinitionsTest
    runs: tuple[PlannedRun, ...]


def stages_of(tests: Sequence[TestBlock]) -> tuple[Stage, ...]:
    """Return the stages of a namespace's test blocks; runs are numbered through all of them."""
    return tuple(_stages(tests))


def _stages(tests: Sequence[TestBlock]) -> Iterator[Stage]:
    number = 0
    for stage, block in enumerate(test for test in tests if isinstance(test, DefinitionsTest)):
        runs = tuple(
            PlannedRun(number + offset, stage, definition) for offset, definition in enumerate(block.definitions)
        )
        number += len(runs)
        yield Stage(stage, block, runs)


def stage_of(block: TestBlock, tests: Sequence[TestBlock]) -> Stage:
    """Return the stage of one block.  Blocks are told apart by identity: a job may hold the same block twice."""
    return next(stage for stage in stages_of(tests) if stage.block is block)


def repeated_names(stages: Sequence[Stage]) -> list[str]:
    """Return the names that several definitions of the namespace have."""
    names = [run.definition.name for stage in stages for run in stage.runs]
    return sorted({name for name in names if names.count(name) > 1})
