"""``deploy: to: tmpfs``: images for a virtual machine on this worker.  Source: dispatcher specification 16."""

from __future__ import annotations

from lava.dispatcher.action import Node, Sequence
from lava.dispatcher.overlay.plan import plan_overlay
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.model.device import DeviceConfiguration
from lava.model.errors import InfrastructureError
from lava.model.job import TmpfsDeploy

from .download import plan_download
from .guest_disk import ApplyOverlayGuest
from .shell import DeployDeviceEnvironment

#: the firmware's key among the downloads
UEFI = "uefi"


def refusal(block: TmpfsDeploy, device: DeviceConfiguration) -> str | None:
    if "image" not in device.deploy_methods:
        return "the device has no deploy method 'image'"
    if block.type not in (None, "monitor"):
        return f"type '{block.type}' is not 'monitor'"
    if any(image.overlays for image in block.images.values()):
        return "overlays inside of images are not supported by this version; the tests come on a disk of their own"
    return None


def plan(block: TmpfsDeploy, context: PlanContext) -> Node:
    body: list[Node] = []
    if context.needs_overlay:
        body += [plan_overlay(context), DeployDeviceEnvironment()]
    if block.uefi is not None:
        body.append(plan_download(block, context, UEFI, block.uefi))
    body += [plan_download(block, context, key, image) for key, image in block.images.items()]
    guest = context.device.get("actions", "deploy", "methods", "image", "parameters")
    if context.needs_overlay and guest is not None:
        body.append(ApplyOverlayGuest())
    return Sequence("deployimages", "download the images", tuple(body), on_timeout=InfrastructureError)


METHOD = Method("tmpfs", refusal, plan)
