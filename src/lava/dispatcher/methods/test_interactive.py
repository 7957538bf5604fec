"""``test: interactive``: type at a prompt that is no shell of ours, and judge the answers.

Source: dispatcher specification 10.3.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from lava.console import Console, Hit, compile_pattern
from lava.dispatcher.action import Action, Node
from lava.dispatcher.drivers.connection import connection_of
from lava.dispatcher.job import StepContext
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.dispatcher.step import COMMON
from lava.model.device import DeviceConfiguration
from lava.model.errors import InfrastructureError, JobError, LavaError, TestError, TestTimeoutError
from lava.model.job import DefinitionsTest, InteractiveTest
from lava.model.job.test import Message, Script, Step

from .missing_cases import NOT_RUN, record_missing

_EXCEPTIONS: Mapping[str, type[LavaError]] = {
    "InfrastructureError": InfrastructureError,
    "JobError": JobError,
    "TestError": TestError,
}


class RunInteractive(Action):
    """Play the scripts, one after the other."""

    name = "lava-test-interactive"
    summary = "type commands and judge the answers"
    on_timeout = TestTimeoutError

    def __init__(self, block: InteractiveTest, stage: int) -> None:
        self._scripts = block.interactive
        self._stage = stage
        #: suites of the scripts that were begun
        self._begun: set[str] = set()

    async def check(self, job: StepContext) -> list[str]:
        faults = []
        for script in self._scripts:
            messages = [message for step in script.script for message in (*step.successes, *step.failures)]
            for pattern in (*script.prompts, *(message.message for message in messages)):
                try:
                    compile_pattern(pattern)
                except re.error as error:
                    faults.append(f"{script.name}: '{pattern}' is no regular expression: {error}")
        return faults

    async def run(self, job: StepContext) -> None:
        connection = connection_of(job)
        if connection is None or not connection.console.alive:
            raise JobError("No connection to the DUT: is a boot block missing before the test?")
        placeholders = {"JOB_ID": job.job.id}
        if any("{SERVER_IP}" in (step.command or "") for script in self._scripts for step in script.script):
            placeholders["SERVER_IP"] = job.job.configuration.address()
        for script in self._scripts:
            suite = self._suite(script)
            self._begun.add(suite)
            await _Play(job, connection.console, script, suite, placeholders).run()

    async def cleanup(self, job: StepContext) -> None:
        """Tell what the job expected of scripts that it never came to.  Source: dispatcher specification 10.6."""
        if not job.job.begun:
            return
        for script in self._scripts:
            suite = self._suite(script)
            if suite not in self._begun:
                self._begun.add(suite)
                record_missing(job, suite, script.expected or (), NOT_RUN)

    def _suite(self, script: Script) -> str:
        return f"{self._stage}_{script.name}"


class _Play:
    """One script as it is played."""

    def __init__(
        self, job: StepContext, console: Console, script: Script, suite: str, placeholders: dict[str, str]
    ) -> None:
        self._job = job
        self._console = console
        self._script = script
        self._suite = suite
        #: shared by the scripts of a block
        self._placeholders = placeholders
        self._awaited = dict.fromkeys(script.expected or ())
        self._now = asyncio.get_running_loop().time

    async def run(self) -> None:
        began = self._now()
        passed = False
        try:
            passed = all([await self._step(step) for step in self._script.script])
        finally:
            record_missing(self._job, self._suite, self._awaited)
            self._record("lava", self._suite, passed=passed, duration=self._seconds(began))

    async def _step(self, step: Step) -> bool:
        """Do the step and return whether it passed."""
        if step.delay is not None:
            self._job.log.info(f"waiting for {step.delay} seconds")
            await asyncio.sleep(step.delay)
            return True
        began = self._now()
        if step.command is not None:
            await self._console.send(self._filled(step.command), character_delay=self._job.step.character_delay)
            if self._script.echo == "discard":
                await self._wait([re.compile(rb"\n")])
        messages = [*step.failures, *step.successes]
        prompts = [compile_pattern(prompt) for prompt in self._script.prompts]
        hit = await self._wait([*prompts, *(compile_pattern(message.message) for message in messages)])
        place = hit.index - len(prompts)
        matched = messages[place] if place >= 0 else None
        succeeded = place >= len(step.failures) or (matched is None and not step.successes)
        if matched is not None and succeeded:
            found = {key: value.decode("utf-8", "replace") for key, value in hit.named.items() if value is not None}
            self._placeholders.update(found)
        if step.name is not None:
            self._report(step.name, succeeded, began)
        if matched is not None and matched.exception is not None and not succeeded:
            raise _EXCEPTIONS[matched.exception](matched.error or matched.message)
        if not succeeded and step.name is None:
            raise TestError(self._failure(step, matched, hit))
        if matched is not None and step.wait_for_prompt:
            await self._wait(prompts)
        return succeeded

    def _failure(self, step: Step, matched: Message | None, hit: Hit) -> str:
        what = "it waited" if step.command is None else f"'{step.command}'"
        if matched is None:
            return f"{self._suite}: {what}: the prompt came before any of the messages of success"
        return f"{self._suite}: {what}: the device said '{hit.text}'" + (f": {matched.error}" if matched.error else "")

    async def _wait(self, patterns: list[re.Pattern[bytes]]) -> Hit:
        """Wait as long as the action may take; the connection timeout is no limit here."""
        while True:
            try:
                return await self._console.expect(patterns, timeout=self._job.connection_timeout.total_seconds())
            except TimeoutError:
                self._job.log.debug("nothing of what is waited for came yet")

    def _filled(self, command: str) -> str:
        for name, value in self._placeholders.items():
            command = command.replace(f"{{{name}}}", value)
        return command

    def _report(self, name: str, passed: bool, began: float) -> None:
        if self._script.expected is not None and name not in self._script.expected:
            self._job.log.warning(f"{self._suite}: '{name}' is not among the expected test cases: it is a failure")
            passed = False
        self._awaited.pop(name, None)
        self._record(self._suite, name, passed=passed, duration=self._seconds(began))

    def _record(self, suite: str, case: str, *, passed: bool, **more: Any) -> None:
        self._job.result({"definition": suite, "case": case, "result": "pass" if passed else "fail", **more})

    def _seconds(self, began: float) -> str:
        return f"{self._now() - began:.02f}"


def refusal(block: InteractiveTest, device: DeviceConfiguration) -> str | None:
    """Refuse steps that need other nodes."""
    for script in block.interactive:
        for step in script.script:
            if step.lava_send or step.lava_sync or step.lava_wait or step.lava_wait_all:
                return f"the script '{script.name}' has MultiNode steps, which this version does not support"
    return None


def plan(block: InteractiveTest, context: PlanContext) -> Node:
    """Return the actions that play the block's scripts."""
    before = context.definition.blocks[: context.index]
    stage = sum(
        isinstance(other, DefinitionsTest) and (other.namespace or COMMON) == context.namespace for other in before
    )
    playing = RunInteractive(block, stage)
    return context.retry(block, "lava-test-interactive-retry", "play the scripts", playing, on_timeout=TestTimeoutError)


METHOD = Method("interactive", refusal, plan)
