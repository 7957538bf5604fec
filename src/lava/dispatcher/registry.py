"""Which methods there are, and which one runs a block.  Source: dispatcher specification 3.

A method is one file that offers ``METHOD``.  The table names the files, so that a job imports only what it uses and a
reader finds a method by its name.  A package outside of LAVA adds methods by entry points of the same names.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from lava.model.device import DeviceConfiguration
from lava.model.errors import ConfigurationError, JobError
from lava.model.job import Block

from .action import Node
from .plan_context import PlanContext

_METHODS = "lava.dispatcher.methods"

#: kind of block, method: modules of those that can take it
MODULES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "deploy": {
        "downloads": ("deploy_downloads",),
        "overlay": ("deploy_overlay",),
        "tmpfs": ("deploy_tmpfs",),
    },
    "boot": {
        "minimal": ("boot_minimal",),
        "monitor": ("boot_qemu",),
        "new_connection": ("boot_new_connection",),
        "qemu": ("boot_qemu",),
    },
    "test": {
        "definitions": ("test_definitions",),
        "interactive": ("test_interactive",),
        "monitors": ("test_monitors",),
    },
}


@dataclass(frozen=True, slots=True)
class Method:
    """A way to run a block."""

    name: str
    #: why the block cannot be run this way on this device; None when it can
    refusal: Callable[[Any, DeviceConfiguration], str | None]
    #: the actions that run it
    plan: Callable[[Any, PlanContext], Node]
    #: of several that accept, the highest wins
    priority: int = -1


def select_method(block: Block, device: DeviceConfiguration) -> Method:
    """Return the method that runs the block on the device.

    Raises:
        JobError: nobody takes it; every reason is in the message.
        ConfigurationError: the device configuration lacks the part that every method needs.
    """
    if block.kind in ("deploy", "boot") and device.get("actions", block.kind, "methods") is None:
        raise ConfigurationError(
            f"the device configuration of {device.hostname or 'the device'} has no actions.{block.kind}.methods"
        )
    reasons: list[str] = []
    accepting: list[Method] = []
    for method in _candidates(block):
        reason = method.refusal(block, device)
        if reason is None:
            accepting.append(method)
        else:
            reasons.append(f"{method.name}: {reason}")
    if accepting:
        return max(accepting, key=lambda method: method.priority)
    what = f"{block.kind} with '{block.method}'" if block.kind != "test" else f"a test by '{block.method}'"
    if not reasons:
        supported = ", ".join(sorted(MODULES[block.kind])) if block.kind in MODULES else "none"
        reasons.append(f"this version does not support it yet; it supports: {supported}")
    raise JobError(f"nothing can run {what} on this device:\n" + "\n".join(f"  {reason}" for reason in reasons))


def _candidates(block: Block) -> Iterator[Method]:
    for module in MODULES.get(block.kind, {}).get(block.method, ()):
        method = importlib.import_module(f"{_METHODS}.{module}").METHOD
        assert isinstance(method, Method)  # noqa: S101 (our own table)
        yield method
    for entry in entry_points(group=f"lava.{block.kind}_method", name=block.method):
        loaded = entry.load()
        if not isinstance(loaded, Method):
            raise ConfigurationError(f"the plugin {entry.value} is no method")
        yield loaded
