"""Find the shell of the booted system and give it its environment.  Source: dispatcher specification 11.5, 17."""

from __future__ import annotations

import shlex

from lava.dispatcher.action import Action, Node
from lava.dispatcher.drivers.connection import Connection
from lava.dispatcher.job import StepContext
from lava.dispatcher.plan_context import PlanContext
from lava.model.job import BootBlock

from .transfer_overlay import OverlayUnpack


class DeployDeviceEnvironment(Action):
    """Say which environment the device will be given: that of ``env-dut.yaml``."""

    name = "deploy-device-env"
    summary = "prepare the environment of the device"

    async def run(self, job: StepContext) -> None:
        names = ", ".join(sorted(job.job.device_environment.overrides)) or "nothing"
        job.log.debug(f"to be exported on the device: {names}")


class ExpectShell(Action):
    """Type a newline and wait for the prompt: whoever comes next finds a shell that listens."""

    name = "expect-shell-connection"
    summary = "wait for a shell prompt"
    needs = (Connection,)

    def __init__(self, prompts: tuple[str, ...]) -> None:
        self._prompts = prompts

    async def run(self, job: StepContext) -> None:
        console = job.get(Connection).console
        console.prompts = self._prompts or console.prompts
        job.progress = lambda: f"no shell answers; it said last:\n{console.last_lines}"
        await console.send("", character_delay=job.step.character_delay)
        await console.prompt(console.prompts, timeout=job.remaining(), log=job.log.debug)


class ExportDeviceEnvironment(Action):
    """Export the variables of ``env-dut.yaml`` in the shell, and for later shells in its start file."""

    name = "export-device-env"
    summary = "export the environment on the device"
    needs = (Connection,)

    async def run(self, job: StepContext) -> None:
        variables = job.job.device_environment.overrides
        if not variables:
            return
        shell_file = str(job.constant("lava_test_shell_file", ""))
        if not shell_file:
            return
        console = job.get(Connection).console
        lines = [
            f"echo {shlex.quote(f'export {name}={shlex.quote(value)}')} >> {shell_file}"
            for name, value in variables.items()
        ]
        for line in (*lines, f". {shell_file}"):
            await console.send(line, character_delay=job.step.character_delay)
            await console.expect(console.prompts, timeout=job.connection_timeout.total_seconds())


def plan_shell(block: BootBlock, context: PlanContext) -> list[Node]:
    """Return the actions between the log in and the tests; none when no test of the namespace needs a shell."""
    if not context.has_shell or not block.prompts:
        return []
    actions: list[Node] = [ExpectShell(block.prompts)]
    if block.transfer_overlay is not None:
        actions.append(OverlayUnpack(block.transfer_overlay))
    return [*actions, ExportDeviceEnvironment()]
