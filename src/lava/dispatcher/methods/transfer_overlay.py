"""Let the booted system fetch the test overlay itself.  Source: dispatcher specification 15.6."""

from __future__ import annotations

import shlex

from lava.dispatcher.action import Action
from lava.dispatcher.commands import run_command
from lava.dispatcher.drivers.connection import Connection
from lava.dispatcher.file_server import FileServer
from lava.dispatcher.job import StepContext
from lava.dispatcher.overlay.facts import Overlay, PreCommands
from lava.dispatcher.typing_commands import checked
from lava.model.errors import ConfigurationError
from lava.model.job import TransferOverlay


class OverlayUnpack(Action):
    """Type the job's commands that download the overlay and unpack it at the root."""

    name = "overlay-unpack"
    summary = "transfer the test overlay to the device and unpack it"
    needs = (Connection, Overlay)

    def __init__(self, transfer: TransferOverlay) -> None:
        self._transfer = transfer
        self._server: FileServer | None = None

    async def check(self, job: StepContext) -> list[str]:
        if self._transfer.transfer_method != "zmodem":
            job.job.configuration.address("http" if self._transfer.transfer_method == "http" else "nfs")
        elif not self._serial_port(job):
            raise ConfigurationError("transfer by zmodem needs 'uart' in the device's device_info")
        return []

    async def run(self, job: StepContext) -> None:
        match self._transfer.transfer_method:
            case "http":
                await self._by_http(job)
            case "nfs":
                await self._by_nfs(job)
            case "zmodem":
                await self._by_zmodem(job)
        job.put(PreCommands())  # the overlay is in place: no disk has to be mounted

    async def _by_http(self, job: StepContext) -> None:
        overlay = job.get(Overlay)
        address = job.job.configuration.address("http")
        self._server = await FileServer.start(overlay.archive.parent, log=job.log.debug)
        host = address if ":" in address else f"{address}:{self._server.port}"
        name = overlay.archive.name
        await self._type(job, f"rm -f {name}")
        await self._type(job, f"{self._transfer.download_command} http://{host}/{name}")
        await self._type(job, f"{self._transfer.unpack_command} {name}")
        await self._server.stop()
        self._server = None

    async def _by_nfs(self, job: StepContext) -> None:
        overlay = job.get(Overlay)
        address = job.job.configuration.address("nfs")
        directory = f"/{overlay.archive.parent.name}"
        await self._type(
            job, f"mkdir -p {directory}; {self._transfer.download_command} {address}:{overlay.tree} {directory}"
        )
        unpack = f"{self._transfer.unpack_command} {directory}/* /"
        await self._type(job, f"{unpack}; umount {directory}; rm -fr {directory}")

    async def _by_zmodem(self, job: StepContext) -> None:
        overlay = job.get(Overlay)
        console = job.get(Connection).console
        await console.send("rz")
        sending = f"sz {shlex.quote(str(overlay.archive))} > {self._serial_port(job)} < {self._serial_port(job)}"
        await run_command(["sh", "-c", sending], job.log)
        await console.prompt(console.prompts, timeout=job.remaining(), log=job.log.debug)
        await self._type(job, f"{self._transfer.unpack_command} {overlay.archive.name}")

    async def _type(self, job: StepContext, command: str) -> None:
        await checked(job, job.get(Connection).console, command, timeout=job.remaining())

    def _serial_port(self, job: StepContext) -> str:
        entries = job.device.get("device_info") or [{}]
        return str(entries[0].get("uart") or "")

    async def cleanup(self, job: StepContext) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None
