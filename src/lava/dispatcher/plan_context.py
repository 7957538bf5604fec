"""What a method may look at when it plans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lava.model.device import DeviceConfiguration
from lava.model.errors import JobError, LavaError
from lava.model.job import Block, DefinitionsTest, JobDefinition, TestBlock

from .action import Node, Retry
from .step import COMMON


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a method may look at, beside its block, when it plans."""

    definition: JobDefinition
    device: DeviceConfiguration
    job_id: str
    namespace: str
    section: str
    #: number of the block among all
    index: int

    @property
    def tests(self) -> tuple[TestBlock, ...]:
        """Test blocks whose console or overlay is this namespace's."""
        return tuple(
            block
            for block in self.definition.blocks
            if isinstance(block, TestBlock)
            and self.namespace in (block.namespace or COMMON, block.connection_namespace)
        )

    @property
    def needs_overlay(self) -> bool:
        """Whether a test of this namespace needs the test overlay.  Source: dispatcher specification 2.4."""
        return any(isinstance(test, DefinitionsTest) and test.docker is None for test in self.tests)

    @property
    def has_shell(self) -> bool:
        """Whether a test of this namespace types at a shell."""
        return self.needs_overlay

    def retries(self, block: Block, *, default: int = 1) -> tuple[int, timedelta, bool]:
        """Return attempts, the pause between them, and whether all run whatever happens.

        Source: dispatcher specification 5.1.
        """
        if block.repeat is not None:
            return block.repeat, block.retry_interval, True
        if block.failure_retry is not None:
            return block.failure_retry, block.retry_interval, False
        context = self.definition.context
        times = max(_count(context.get("failure_retry", self.device.constant("failure_retry", default=1))), default)
        boot_retry = context.get("boot_retry", self.device.constant("boot_retry", default=None))
        if self.section == "boot" and boot_retry is not None:
            times = _count(boot_retry)
        return times, block.retry_interval, False

    def retry(
        self, block: Block, name: str, summary: str, *body: Node, on_timeout: type[LavaError] = JobError
    ) -> Retry:
        """Return the body as a retrying action of the block."""
        times, interval, repeat = self.retries(block)
        return Retry(name, summary, tuple(body), times, interval, repeat, on_timeout)


def _count(value: object) -> int:
    try:
        return max(1, int(str(value)))
    except ValueError:
        return 1
