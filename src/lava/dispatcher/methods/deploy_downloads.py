"""``deploy: to: downloads``: files that later blocks and containers use.  Source: job definition 8.2."""

from __future__ import annotations

from lava.dispatcher.action import Node, Sequence
from lava.dispatcher.overlay.plan import plan_overlay
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.model.device import DeviceConfiguration
from lava.model.errors import InfrastructureError
from lava.model.job import DownloadsDeploy

from .download import Target, plan_download


def refusal(block: DownloadsDeploy, device: DeviceConfiguration) -> str | None:
    if block.postprocess is not None:
        return "postprocess in a container is not supported by this version; process the files before they are served"
    return None


def plan(block: DownloadsDeploy, context: PlanContext) -> Node:
    target = Target.SHARED_BY_KEY if block.uniquify else Target.SHARED
    body: list[Node] = [plan_overlay(context)] if context.needs_overlay else []
    body += [plan_download(block, context, key, image, target) for key, image in block.images.items()]
    return Sequence("downloads", "download files for later blocks", tuple(body), on_timeout=InfrastructureError)


METHOD = Method("downloads", refusal, plan)
