"""``command`` blocks: run a command of the device on the worker.  Source: dispatcher specification 10.7."""

from __future__ import annotations

from lava.dispatcher.action import Action
from lava.dispatcher.commands import run_command
from lava.dispatcher.job import StepContext
from lava.model.device import DeviceConfiguration
from lava.model.errors import InfrastructureError, JobError
from lava.model.faults import did_you_mean
from lava.model.job import CommandBlock

BUILT_IN = (
    "pre_power_command",
    "pre_os_command",
    "hard_reset",
    "power_on",
    "power_off",
    "recovery_mode",
    "recovery_exit",
)


class UserCommand(Action):
    """Run the command; its ``undo`` runs when the job is cleaned up, if ``do`` was started."""

    name = "user-command"
    summary = "run a command of the device on the worker"
    on_timeout = InfrastructureError

    def __init__(self, do: tuple[str, ...], undo: tuple[str, ...]) -> None:
        self._do = do
        self._undo = undo
        self._started = False

    async def run(self, job: StepContext) -> None:
        self._started = True
        for command in self._do:
            await run_command(command, job.log)

    async def cleanup(self, job: StepContext) -> None:
        if self._started:
            self._started = False
            for command in self._undo:
                await run_command(command, job.log)


def plan_command(block: CommandBlock, device: DeviceConfiguration) -> UserCommand:
    """Return the action.

    Raises:
        JobError: the device has no command of that name.
    """
    if block.name in BUILT_IN:
        return UserCommand(device.command(block.name), ())
    users = device.get("commands", "users") or {}
    if block.name not in users:
        known = [*users, *BUILT_IN]
        raise JobError(f"the device has no command '{block.name}'; {did_you_mean(block.name, known)}")
    command = users[block.name]
    return UserCommand(_lines(command.get("do")), _lines(command.get("undo")))


def _lines(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(line) for line in value) if isinstance(value, list) else ()
