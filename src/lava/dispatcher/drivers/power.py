"""Switch a device's supply by the commands of its configuration.  Source: dispatcher specification 11.6."""

from __future__ import annotations

from lava.dispatcher.action import Action, Sequence
from lava.dispatcher.commands import run_command
from lava.dispatcher.job import StepContext
from lava.model.device import DeviceConfiguration
from lava.model.errors import InfrastructureError, JobError

from .connection import Connection

#: typed one after the other when neither the job nor the device says how to reboot
SOFT_REBOOTS = ("reboot", "reboot -n", "reboot -nf")


class DeviceCommands(Action):
    """Run commands of the device on the worker, in order."""

    on_timeout = InfrastructureError
    #: keys below ``commands``
    commands: tuple[str, ...] = ()

    async def run(self, job: StepContext) -> None:
        for name in self.commands:
            for command in job.device.command(name):
                await run_command(command, job.log)


class PowerOn(DeviceCommands):
    name = "power-on"
    summary = "switch the device's power on"
    commands = ("pre_power_command", "power_on")


class PowerOff(DeviceCommands):
    name = "power-off"
    summary = "switch the device's power off"
    commands = ("power_off",)


class PrePowerCommand(DeviceCommands):
    name = "pre-power-command"
    summary = "run the command that comes before power"
    commands = ("pre_power_command",)


class PreOsCommand(DeviceCommands):
    name = "pre-os-command"
    summary = "run the command that comes before the operating system"
    commands = ("pre_os_command",)


class HardReset(DeviceCommands):
    name = "pdu-reboot"
    summary = "cycle the device's power"
    commands = ("hard_reset",)


class SoftReboot(Action):
    """Type reboot commands at the shell until one of them is answered by the shutdown message."""

    name = "send-reboot-commands"
    summary = "reboot the device from its own shell"
    on_timeout = InfrastructureError

    def __init__(self, commands: tuple[str, ...], shutdown_message: str | None) -> None:
        self._commands = commands
        self._shutdown_message = shutdown_message

    async def run(self, job: StepContext) -> None:
        connection = job.find(Connection)
        if connection is None:
            raise JobError("the device has no hard_reset command and no console is open to type a reboot command at")
        commands = self._commands or job.device.command("soft_reboot") or SOFT_REBOOTS
        message = self._shutdown_message or job.device.constant("shutdown-message")
        for command in commands:
            await connection.console.send(command)
            try:
                await connection.console.expect([message], timeout=job.connection_timeout.total_seconds())
            except TimeoutError:
                continue
            return
        raise JobError(f"none of the reboot commands ({', '.join(commands)}) was answered by '{message}'")


def reset_device(device: DeviceConfiguration, soft_reboot: tuple[str, ...], shutdown_message: str | None) -> Sequence:
    """Return the reset that the device allows: by its power, or else from its shell."""
    if device.command("hard_reset"):
        body: Action = HardReset()
    else:
        body = SoftReboot(soft_reboot, shutdown_message)
    return Sequence("reset-device", "reset the device", (body,), on_timeout=InfrastructureError)
