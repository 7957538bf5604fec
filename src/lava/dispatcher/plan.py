"""From a job definition and a device to the pipeline that will run: levels, deadlines, retries.

Pure: nothing is opened, nothing is asked but the two documents.  Source: dispatcher specification 2-5.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lava.model.device import DeviceConfiguration
from lava.model.errors import JobError
from lava.model.job import Block, CommandBlock, JobDefinition, TestBlock

from .action import Action, Node, Retry
from .methods.command import plan_command
from .methods.finalize import plan_finalize
from .pipeline import Pipeline, Step
from .plan_context import PlanContext
from .registry import select_method
from .step import COMMON

__all__ = ["Pipeline", "Step", "plan_job"]

BUILT_IN_TIMEOUT = timedelta(seconds=30)


def plan_job(definition: JobDefinition, device: DeviceConfiguration, *, job_id: str = "0") -> Pipeline:
    """Return the pipeline.

    Raises:
        LavaError: no method takes a block, or an action needs what no earlier one provides.
    """
    steps: list[Step] = []
    refusals: list[str] = []
    for index, block in enumerate(definition.blocks):
        namespace = block.namespace or COMMON
        context = PlanContext(definition, device, job_id, namespace, block.kind, index)
        try:
            if isinstance(block, CommandBlock):
                node: Node = plan_command(block, device)
            else:
                node = select_method(block, device).plan(block, context)
        except JobError as error:
            refusals.append(f"actions[{index}].{block.kind}: {error}")
            continue
        steps.append(_Resolver(definition, device, block).step(node, str(index + 1)))
    if refusals:
        raise JobError("\n".join(refusals))
    finalize = _Resolver(definition, device, None).step(plan_finalize(), str(len(definition.blocks) + 1))
    pipeline = Pipeline((*steps, finalize))
    _check_needs(pipeline)
    return pipeline


class _Resolver:
    """Turns the actions of one block into steps: the one place that knows the precedence of timeouts."""

    def __init__(self, definition: JobDefinition, device: DeviceConfiguration, block: Block | None) -> None:
        self._job = definition.timeouts
        self._device = device
        self._block = block
        self._section = block.kind if block else "finalize"
        namespace = (block.namespace if block else None) or COMMON
        self._namespace = namespace
        self._connection_namespace = (block.connection_namespace if block else None) or namespace

    def step(self, node: Node, level: str, share: timedelta | None = None) -> Step:
        """Return the step, and those below it.

        Args:
            share: what one attempt of the retrying action around it may take.
        """
        timeout, source = self._timeout(node, share)
        retries = node.times if isinstance(node, Retry) else 1
        body = () if isinstance(node, Action) else node.body
        below = timeout / retries if retries > 1 else None
        children = tuple(self.step(child, f"{level}.{number}", below) for number, child in enumerate(body, start=1))
        block_timeout = self._block.timeout if self._block else None
        return Step(
            level=level,
            name=node.name,
            summary=node.summary,
            section=self._section,
            namespace=self._namespace,
            connection_namespace=self._connection_namespace,
            timeout=timeout,
            timeout_source=source,
            connection_timeout=self._connection_timeout(node.name),
            max_retries=retries,
            retry_interval=node.interval if isinstance(node, Retry) else timedelta(seconds=1),
            repeat=isinstance(node, Retry) and node.repeat,
            on_timeout=node.on_timeout,
            skip=bool(isinstance(self._block, TestBlock) and block_timeout and block_timeout.skip),
            character_delay=timedelta(milliseconds=self._device.character_delay(self._section)),
            block=self._block,
            action=node if isinstance(node, Action) else None,
            children=children,
        )

    def _timeout(self, node: Node, share: timedelta | None) -> tuple[timedelta, str]:
        """Return the value and its source; later rows win.  Source: dispatcher specification 4.2."""
        value, source = node.own_timeout or BUILT_IN_TIMEOUT, "built in"
        rows: list[tuple[timedelta | None, str]] = [
            (_duration(self._job.action), "timeouts.action"),
            (_duration(self._device.action_timeouts.get(node.name)), "device"),
            (_duration(self._block.timeout) if self._block else None, "timeout of the block"),
            (share, "share of the attempt"),
            (_duration(self._job.actions.get(node.name)), f"timeouts.actions.{node.name}"),
            (_duration(self._block.timeouts.get(node.name)) if self._block else None, "timeouts of the block"),
        ]
        for row_value, row_source in rows:
            if row_value is not None:
                value, source = row_value, row_source
        return value, source

    def _connection_timeout(self, name: str) -> timedelta:
        """Source: dispatcher specification 4.3; later values win."""
        values: tuple[timedelta | None, ...] = (
            _duration(self._job.connection),
            _duration(self._device.connection_timeouts.get(name)),
            _duration(self._job.connections.get(name)),
        )
        result = BUILT_IN_TIMEOUT
        for value in values:
            result = value or result
        return result


def _duration(timeout: Any) -> timedelta | None:
    return timeout.duration if timeout is not None else None


def _check_needs(pipeline: Pipeline) -> None:
    """Refuse a pipeline in which an action reads a fact that nothing before it provides."""
    provided: dict[str, set[type]] = {}
    faults: list[str] = []
    for step in pipeline.walk():
        if step.action is None:
            continue
        here = provided.setdefault(step.namespace, set())
        faults += [
            f"{step.level} {step.name}: needs {need.__name__}, which no earlier action in namespace "
            f"'{step.namespace}' provides; is a deploy or boot block missing before it?"
            for need in step.action.needs
            if need not in here
        ]
        here.update(step.action.provides)
    if faults:
        raise JobError("\n".join(faults))
