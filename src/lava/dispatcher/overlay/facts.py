"""What the overlay hands to later actions.  Source: dispatcher specification 12, 19.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lava.model.job import Definition
from lava.model.test_definition import TestDefinition


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the device gets before its tests: helpers, environment, secrets and test definitions."""

    #: directory on the worker that stands for the root of the device's file system; holds ``lava-<id>/…``
    tree: Path
    #: the same packed, owned by root; holds the job's secrets, so only the worker's user may read it
    archive: Path
    #: where the device has it, ``/lava-<id>`` for most systems
    directory: str
    #: interpreter of helpers and tests on the device
    shell: str


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A test definition with its place in the job, known before anything is fetched."""

    #: counts through all test blocks of the namespace
    number: int
    #: which of the namespace's test blocks, from 0
    stage: int
    definition: Definition

    @property
    def suite(self) -> str:
        """Name of the test suite and of the directory on the device: ``<n>_<name>``."""
        return f"{self.number}_{self.definition.name}"


@dataclass(frozen=True, slots=True)
class TestRun:
    """A test definition that has been fetched."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    plan: PlannedRun
    #: what the device's markers name the run by: ``<job id>_<level of the fetching action>``
    uuid: str
    #: repository content on the worker
    directory: Path
    definition: TestDefinition
    #: where it came from, without a password; ``inline`` when from the job
    repository: str = "inline"
    #: of a git repository
    commit: str | None = None

    @property
    def expected(self) -> tuple[str, ...] | None:
        """The test cases that the run must report: the job's list, else the definition's."""
        listed = self.plan.definition.expected
        return listed if listed is not None else self.definition.expected


@dataclass(frozen=True, slots=True)
class TestRuns:
    """The fetched test definitions of a namespace, by number."""

    __test__ = False

    by_number: Mapping[int, TestRun] = field(default_factory=dict)

    def with_run(self, run: TestRun) -> TestRuns:
        """Return the same with one run added, or replaced when it was fetched again."""
        return replace(self, by_number={**self.by_number, run.plan.number: run})

    def of_stage(self, stage: int) -> tuple[TestRun, ...]:
        """Return the runs of one test block, in order."""
        return tuple(run for _, run in sorted(self.by_number.items()) if run.plan.stage == stage)


@dataclass(frozen=True, slots=True)
class PreCommands:
    """Shell lines to type before the overlay can be used, such as mounting the disk that it came on."""

    lines: tuple[str, ...] = ()
