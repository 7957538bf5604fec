"""``boot: method: minimal``: connect, reset, log in.  Source: dispatcher specification 17."""

from __future__ import annotations

from lava.dispatcher.action import Node
from lava.dispatcher.drivers.connection import ConnectDevice
from lava.dispatcher.drivers.power import PreOsCommand, PrePowerCommand, reset_device
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.model.device import DeviceConfiguration
from lava.model.job.boot import MinimalBoot

from .login import plan_login
from .shell import plan_shell


def refusal(block: MinimalBoot, device: DeviceConfiguration) -> str | None:
    return None if "minimal" in device.boot_methods else "the device has no boot method 'minimal'"


def plan(block: MinimalBoot, context: PlanContext) -> Node:
    body: list[Node] = [ConnectDevice()]
    if block.pre_power_command:
        body.append(PrePowerCommand())
    if block.pre_os_command:
        body.append(PreOsCommand())
    if block.reset:
        message = block.parameters.get("shutdown-message")
        body.append(reset_device(context.device, block.soft_reboot, None if message is None else str(message)))
    body += [*plan_login(block, context, kernel=True), *plan_shell(block, context)]
    return context.retry(block, "minimal-boot", "connect, reset and log in", *body)


METHOD = Method("minimal", refusal, plan)
