"""``test: monitors``: read results off the console of something that only prints.

Source: dispatcher specification 10.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lava.console import compile_pattern
from lava.dispatcher.action import Action, Node
from lava.dispatcher.drivers.connection import connection_of
from lava.dispatcher.job import StepContext
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.dispatcher.signals import Case, SignalError, case_pattern, make_case
from lava.model.device import DeviceConfiguration
from lava.model.errors import JobError, TestError, TestTimeoutError
from lava.model.job import MonitorsTest
from lava.model.job.test import Monitor

from .missing_cases import NOT_RUN, record_missing

_NOT_IN_AN_ID = re.compile(r"\W+")


def suite_name(monitor: Monitor) -> str:
    """Return the suite of a monitor."""
    return monitor.name.lower().replace(" ", "-")


def read_case(groups: Mapping[str, bytes | None], fixups: Mapping[str, str]) -> Case:
    """Return the case that a monitor's pattern found.

    Raises:
        SignalError: it cannot be recorded.
    """
    values = {key.upper(): value.decode("utf-8", "replace").strip() for key, value in groups.items() if value}
    name = _NOT_IN_AN_ID.sub("_", values.get("TEST_CASE_ID", "").lower())
    result = values.get("RESULT")
    if "RESULT" not in {key.upper() for key in groups} and "MEASUREMENT" in values:
        result = "pass"
    return make_case(name, result, values, fixups)


class RunMonitors(Action):
    """Watch for results between the start and the end of each monitor."""

    name = "lava-test-monitor"
    summary = "read results off the console"
    on_timeout = TestTimeoutError

    def __init__(self, block: MonitorsTest) -> None:
        self._monitors = block.monitors
        #: suites of the monitors that came to their start
        self._begun: set[str] = set()

    async def check(self, job: StepContext) -> list[str]:
        faults = []
        for monitor in self._monitors:
            for key in ("start", "end", "pattern"):
                try:
                    compile_pattern(getattr(monitor, key))
                except re.error as error:
                    faults.append(f"{monitor.name}: {key} is no regular expression: {error}")
        return faults

    async def run(self, job: StepContext) -> None:
        faults = [fault for monitor in self._monitors async for fault in self._watch(job, monitor)]
        if faults:
            raise TestError("; ".join(faults))

    async def cleanup(self, job: StepContext) -> None:
        """Tell what the job expected of monitors that it never came to.  Source: dispatcher specification 10.6."""
        if not job.job.begun:
            return
        for monitor in self._monitors:
            suite = suite_name(monitor)
            if suite not in self._begun:
                self._begun.add(suite)
                record_missing(job, suite, monitor.expected or (), NOT_RUN)

    async def _watch(self, job: StepContext, monitor: Monitor) -> Any:
        """Watch one monitor to its end; yield what went wrong."""
        connection = connection_of(job)
        if connection is None:
            raise JobError("No connection to the DUT: is a boot block missing before the test?")
        console = connection.console
        suite = suite_name(monitor)
        awaited = dict.fromkeys(monitor.expected or ())
        job.log.info(f"{monitor.name}: waiting for the start")
        job.progress = lambda: f"the start of '{monitor.name}' did not come"
        await console.expect([monitor.start], timeout=job.remaining())
        self._begun.add(suite)
        job.progress = lambda: f"the end of '{monitor.name}' did not come"
        patterns = [compile_pattern(monitor.end), case_pattern(monitor.pattern)]
        try:
            while True:
                try:
                    hit = await console.expect(patterns, timeout=job.connection_timeout.total_seconds())
                except TimeoutError:
                    limit = job.connection_timeout.total_seconds()
                    job.log.error(f"{monitor.name}: neither a result nor the end came within {limit:.0f} seconds")
                    yield f"{monitor.name}: its end did not come"
                    break
                if hit.index == 0:
                    break
                try:
                    case = read_case(hit.named, monitor.fixupdict)
                except SignalError as error:
                    job.log.error(f"{monitor.name}: '{hit.text.strip()}' is ignored: {error}")
                    continue
                awaited.pop(case.name, None)
                job.result(_record(suite, case, expected=monitor.expected))
        finally:
            record_missing(job, suite, awaited)


def _record(suite: str, case: Case, *, expected: tuple[str, ...] | None) -> dict[str, Any]:
    outcome = "fail" if expected is not None and case.name not in expected else case.outcome
    record: dict[str, Any] = {"definition": suite, "case": case.name, "result": outcome}
    if case.measurement is not None:
        record["measurement"] = case.measurement
        if case.units is not None:
            record["units"] = case.units
    return record


def refusal(block: MonitorsTest, device: DeviceConfiguration) -> str | None:
    """Any device with a console can be watched."""
    return None


def plan(block: MonitorsTest, context: PlanContext) -> Node:
    """Return the actions that watch the block's monitors."""
    return context.retry(
        block, "lava-test-monitor-retry", "watch the console", RunMonitors(block), on_timeout=TestTimeoutError
    )


METHOD = Method("monitors", refusal, plan)
