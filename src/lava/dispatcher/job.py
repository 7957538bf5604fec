"""The running job as an action sees it.

:class:`Job` holds what is true of the whole job, :class:`StepContext` what is true for one action of it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .facts import Facts
from .profiles import Profile, constant, profile_of

if TYPE_CHECKING:
    from lava.model.device import DeviceConfiguration
    from lava.model.job import JobDefinition

    from .configuration import DispatcherConfiguration, Environment
    from .joblog import JobLog
    from .step import StepSettings

FactT = TypeVar("FactT")


@dataclass(slots=True)
class Job:
    """One job in this process."""

    id: str
    definition: JobDefinition
    device: DeviceConfiguration
    configuration: DispatcherConfiguration
    #: exported on the device (``env-dut.yaml``)
    device_environment: Environment
    log: JobLog
    #: files for callers: log, description, result
    output_directory: Path
    #: temporary files, removed at the end
    scratch: Path
    #: validation is over, the pipeline runs or ran: from here on, what does not happen is worth telling
    begun: bool = False
    facts: Facts = field(default_factory=Facts)


@dataclass(slots=True)
class StepContext:
    """What one action may use while it is checked, run or cleaned up."""

    job: Job
    step: StepSettings
    #: event-loop time at which this action is out of time
    deadline: float
    #: facts worth keeping with the action's result (``extra``); see dispatcher specification 18.3
    extra: dict[str, Any] = field(default_factory=dict)
    #: says how far the action came, for the message of one whose time is up
    progress: Callable[[], str] | None = None

    @property
    def namespace(self) -> str:
        """The block's namespace, ``common`` when the job uses none."""
        return self.step.namespace

    @property
    def log(self) -> JobLog:
        """The job's log."""
        return self.job.log

    @property
    def device(self) -> DeviceConfiguration:
        """The device's rendered configuration."""
        return self.job.device

    @property
    def connection_timeout(self) -> timedelta:
        """Limit of one exchange with the device.  Source: dispatcher specification 4.3."""
        return self.step.connection_timeout

    def remaining(self) -> float:
        """Return the seconds left until the deadline, never below zero."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    def get(self, kind: type[FactT]) -> FactT:
        """Return the fact of that type from this action's namespace."""
        return self.job.facts.get(self.namespace, kind)

    def find(self, kind: type[FactT]) -> FactT | None:
        """Return the fact of that type from this action's namespace, or None."""
        return self.job.facts.find(self.namespace, kind)

    def put(self, value: object) -> None:
        """Publish a fact in this action's namespace."""
        self.job.facts.put(self.namespace, value)

    @property
    def profile(self) -> Profile:
        """What the system deployed in this namespace says about its shell."""
        return profile_of(self.job.definition, self.namespace)

    def constant(self, name: str, default: Any = None) -> Any:
        """Look a constant up: job context, then the deployed system's profile, then the device.

        Source: dispatcher specification 12.5.
        """
        return constant(self.job.definition, self.device, self.namespace, name, default)

    def results_directory(self) -> str:
        """Return the directory on the device that holds tests and results: ``/lava-<job id>``."""
        return str(self.constant("lava_test_results_dir")).replace("%s", self.job.id)

    def directory(self) -> Path:
        """Make a fresh directory ``<action-name>-<random>`` (mode 0755) below the scratch root."""
        path = Path(tempfile.mkdtemp(prefix=f"{self.step.name}-", dir=self.job.scratch))
        path.chmod(0o755)
        return path

    def result(self, record: Mapping[str, Any]) -> int:
        """Log a result mapping and return the 0-based number of its line."""
        return self.log.results(record)
