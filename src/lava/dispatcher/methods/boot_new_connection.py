"""``boot: method: new_connection``: one more console of a running device.  Source: dispatcher specification 17."""

from __future__ import annotations

from lava.dispatcher.action import Node
from lava.dispatcher.drivers.connection import ConnectShell
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.model.device import DeviceConfiguration
from lava.model.job.boot import NewConnectionBoot

from .login import plan_login
from .shell import plan_shell


def refusal(block: NewConnectionBoot, device: DeviceConfiguration) -> str | None:
    return None


def plan(block: NewConnectionBoot, context: PlanContext) -> Node:
    body = [ConnectShell(block.connection), *plan_login(block, context, kernel=False), *plan_shell(block, context)]
    return context.retry(block, "secondary-shell-action", "open a further console and log in", *body)


METHOD = Method("new_connection", refusal, plan)
