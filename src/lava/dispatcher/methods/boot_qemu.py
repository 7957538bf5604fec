"""``boot: method: qemu`` (and ``monitor``): start the virtual machine, log in.  Source: dispatcher specification 17."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
from pathlib import Path

from lava.console import Console
from lava.dispatcher.action import Action, Node
from lava.dispatcher.commands import run_command
from lava.dispatcher.drivers.connection import Connection
from lava.dispatcher.job import StepContext
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.model.device import DeviceConfiguration
from lava.model.errors import InfrastructureError, JobError
from lava.model.faults import did_you_mean
from lava.model.job import BootBlock, QemuBoot, Resource

from .deploy_tmpfs import UEFI
from .download import Downloads
from .guest_disk import GuestDisk
from .login import plan_login
from .shell import plan_shell

_KVM = Path("/dev/kvm")
_VERSION = re.compile(r"version (\S+)")


class ExecuteQemu(Action):
    """Start QEMU on a terminal: that terminal is the guest's console."""

    name = "execute-qemu"
    summary = "start the virtual machine"
    needs = (Downloads,)
    provides = (Connection,)
    on_timeout = InfrastructureError

    def __init__(self, device: DeviceConfiguration) -> None:
        parameters = device.get("actions", "boot", "methods", "qemu", "parameters") or {}
        self._words = [str(parameters.get("command") or "")]
        for option in (*(parameters.get("options") or ()), *(parameters.get("extra") or ())):
            self._words += shlex.split(str(option))
        self._version = ""

    async def check(self, job: StepContext) -> list[str]:
        program = self._words[0]
        if not program or shutil.which(program) is None:
            raise InfrastructureError(
                f"'{program}' is not installed on the worker: on Debian, install the package qemu-system for it"
            )
        faults = _architecture_faults(job)
        if "-enable-kvm" in self._words and not os.access(_KVM, os.R_OK | os.W_OK):
            faults.append(
                f"the command line has -enable-kvm, but this worker's user cannot use {_KVM}; to run emulated, set "
                "'no_kvm: true' in the job's context or no_kvm in the device dictionary"
            )
        version = await run_command([program, "--version"], job.log, check=False, quiet=True)
        if found := _VERSION.search(version.output):
            self._version = found.group(1)
        return faults

    async def run(self, job: StepContext) -> None:
        words = [*self._words, *self._image_arguments(job)]
        if disk := job.find(GuestDisk):
            words += disk.arguments
        job.log.info(f"started a shell command: {shlex.join(words)}")
        console = await Console.spawn(words, log=job.log.console)
        console.prompts = (str(job.constant("default-shell-prompt", "lava-test: # ")),)
        console.tags = ("qemu",)
        job.put(Connection(console))
        job.extra.update(
            {
                "host_arch": platform.machine(),
                "job_arch": str(job.job.definition.context.get("arch", "")),
                "qemu_version": self._version,
            }
        )

    async def cleanup(self, job: StepContext) -> None:
        connection = job.find(Connection)
        if connection is not None:
            await connection.console.close()
            job.job.facts.drop(job.namespace, Connection)

    def _image_arguments(self, job: StepContext) -> list[str]:
        words: list[str] = []
        for key, image in job.get(Downloads).images.items():
            if key == UEFI:
                words += ["-L", str(image.file.path.parent)]
            elif isinstance(image.resource, Resource) and image.resource.image_arg:
                # Split first: the file's name may hold blanks.
                place = f"{{{key}}}"
                words += [word.replace(place, str(image.file.path)) for word in _split(image.resource.image_arg)]
        return words


def _split(argument: str) -> list[str]:
    try:
        return shlex.split(argument)
    except ValueError as error:
        raise JobError(f"image_arg {argument!r} cannot be split into words: {error}") from error


def _architecture_faults(job: StepContext) -> list[str]:
    architecture = job.job.definition.context.get("arch")
    known = job.device.get("available_architectures") or []
    if architecture is None:
        return ["context.arch is needed: it says which machine is emulated, for example 'context: {arch: amd64}'"]
    if known and architecture not in known:
        return [f"context.arch '{architecture}' is unknown to the device; {did_you_mean(architecture, known)}"]
    return []


def refusal(block: QemuBoot, device: DeviceConfiguration) -> str | None:
    if "qemu" not in device.boot_methods:
        return "the device has no boot method 'qemu'"
    if block.docker is not None:
        return "QEMU in a container is not supported by this version"
    return None


def plan(block: BootBlock, context: PlanContext) -> Node:
    start = context.retry(
        block,
        "boot-qemu-image",
        "start the virtual machine",
        ExecuteQemu(context.device),
        on_timeout=InfrastructureError,
    )
    body = [start, *plan_login(block, context, kernel=True), *plan_shell(block, context)]
    return context.retry(block, "boot-image-retry", "boot the image, several times if needed", *body)


METHOD = Method("qemu", refusal, plan)
