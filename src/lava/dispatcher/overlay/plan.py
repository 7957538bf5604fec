"""The actions that build the overlay of a namespace.  Source: dispatcher specification 12.1."""

from __future__ import annotations

from lava.dispatcher.action import Action, Node, Sequence
from lava.dispatcher.plan_context import PlanContext
from lava.model.errors import InfrastructureError, JobError
from lava.model.job import DeployBlock

from .assemble import CompressOverlay, SshAuthorize, TestInstallOverlay, TestOverlay, TestRunscriptOverlay
from .repositories import FETCHERS
from .stages import repeated_names, stages_of


def plan_overlay(context: PlanContext) -> Sequence:
    """Return ``lava-overlay`` for the tests of the context's namespace.

    Raises:
        JobError: two definitions have one name, or one comes from where nothing can fetch it.
    """
    stages = stages_of(context.tests)
    if names := repeated_names(stages):
        raise JobError(f"test definitions of one namespace need different names; repeated: {', '.join(names)}")
    fetching: list[Action] = []
    for plan in (run for stage in stages for run in stage.runs):
        fetcher = FETCHERS.get(plan.definition.source)
        if fetcher is None:
            raise JobError(f"{plan.definition.name}: no handler for repository type '{plan.definition.source}'")
        fetching += (fetcher(plan), TestOverlay(plan), TestInstallOverlay(plan), TestRunscriptOverlay(plan))
    body: list[Node] = []
    if "ssh" in context.device.deploy_methods:
        block = context.definition.blocks[context.index]
        body.append(SshAuthorize(isinstance(block, DeployBlock) and block.authorize == "ssh"))
    body += (
        Sequence("test-definition", "fetch the test definitions", tuple(fetching), on_timeout=InfrastructureError),
        CompressOverlay(stages),
    )
    return Sequence("lava-overlay", "put together what the tests need", tuple(body), on_timeout=InfrastructureError)
