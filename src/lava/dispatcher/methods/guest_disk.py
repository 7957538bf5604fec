"""Bring the test overlay into a virtual machine: a second disk that is mounted before the tests.

Source: dispatcher specification 10.1 (step 4), 15.7, 17.
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from lava.dispatcher.action import Action
from lava.dispatcher.commands import run_command
from lava.dispatcher.job import StepContext
from lava.dispatcher.overlay.facts import Overlay, PreCommands
from lava.model.errors import ConfigurationError, InfrastructureError

LABEL = "LAVA"
#: mke2fs is an administrator's program, which users do not have on their PATH
_MKE2FS = "mke2fs"
_ADMIN_PATH = "/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """A disk image for the virtual machine."""

    path: Path
    interface: str
    drive_id: str

    @property
    def arguments(self) -> list[str]:
        """The words that attach it."""
        path = str(self.path).replace(",", ",,")  # as QEMU wants it
        drive = f"format=qcow2,file={path},media=disk,if={self.interface},id={self.drive_id}"
        return ["-drive", drive]


class ApplyOverlayGuest(Action):
    """Make a file system of the overlay, without root rights, and wrap it as qcow2."""

    name = "apply-overlay-guest"
    summary = "put the test overlay on a disk for the guest"
    needs = (Overlay,)
    provides = (GuestDisk, PreCommands)
    on_timeout = InfrastructureError

    async def check(self, job: StepContext) -> list[str]:
        for program, package in ((_MKE2FS, "e2fsprogs"), ("qemu-img", "qemu-utils")):
            if _which(program) is None:
                raise InfrastructureError(f"'{program}' is not installed on the worker (Debian package {package})")
        self._guest(job)
        return []

    async def run(self, job: StepContext) -> None:
        guest = self._guest(job)
        overlay = job.get(Overlay)
        directory = job.directory()
        raw, disk = directory / "lava-guest.raw", directory / "lava-guest.qcow2"
        identity = str(uuid.uuid4())
        make = [str(_which(_MKE2FS)), "-q", "-F", "-t", "ext2", "-L", LABEL, "-U", identity, "-m", "0"]
        tree = overlay.tree / overlay.directory.lstrip("/")
        await run_command([*make, "-d", str(tree), str(raw), f"{guest['size']}M"], job.log)
        await run_command(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(raw), "-F", "raw", str(disk)], job.log)
        job.put(GuestDisk(disk, str(guest["interface"]), str(guest["driveid"])))
        mount_point = overlay.directory
        job.put(
            PreCommands(
                (
                    f"mkdir {mount_point}",
                    f"mount /dev/disk/by-uuid/{identity} -t ext2 {mount_point}",
                    f"ls -la {mount_point}/bin/lava-test-runner",
                )
            )
        )

    def _guest(self, job: StepContext) -> dict[str, object]:
        guest = job.device.get("actions", "deploy", "methods", "image", "parameters", "guest")
        if not isinstance(guest, dict) or not {"size", "interface", "driveid"} <= guest.keys():
            raise ConfigurationError(
                "the device configuration has no actions.deploy.methods.image.parameters.guest with size, interface "
                "and driveid: the disk that brings the tests cannot be made"
            )
        return guest


def _which(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=_ADMIN_PATH)
