"""``deploy: to: overlay``: the image is already there, only the tests are built.  Source: job definition 8.7."""

from __future__ import annotations

from lava.dispatcher.action import Node
from lava.dispatcher.overlay.plan import plan_overlay
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.model.device import DeviceConfiguration
from lava.model.job import DeployBlock


def refusal(block: DeployBlock, device: DeviceConfiguration) -> str | None:
    return None if "overlay" in device.deploy_methods else "the device has no deploy method 'overlay'"


def plan(block: DeployBlock, context: PlanContext) -> Node:
    return plan_overlay(context)


METHOD = Method("overlay", refusal, plan)
