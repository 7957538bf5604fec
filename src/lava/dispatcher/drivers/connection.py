"""Open and close the consoles of a device.  Source: dispatcher specification 11.1."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass

from lava.console import Console
from lava.dispatcher.action import Action
from lava.dispatcher.job import StepContext
from lava.model.device import Port
from lava.model.errors import ConfigurationError, InfrastructureError, JobError


@dataclass(frozen=True, slots=True)
class Connection:
    """The console of a namespace."""

    console: Console


def connection_of(job: StepContext) -> Connection | None:
    """Return the console that the step's block uses: its own namespace's, or that of ``connection-namespace``."""
    return job.job.facts.find(job.step.connection_namespace, Connection)


async def open_port(job: StepContext, port: Port) -> Connection:
    """Run the port's command on a terminal.

    Raises:
        InfrastructureError: its program is not there.
    """
    console = await Console.spawn(_words(port), log=job.log.console)
    console.tags = port.tags
    return Connection(console)


def _words(port: Port) -> list[str]:
    try:
        words = shlex.split(port.command)
    except ValueError as error:
        raise ConfigurationError(f"the connection command {port.command!r} cannot be split: {error}") from error
    if not words:
        raise ConfigurationError(f"the connection command of '{port.name}' is empty")
    return words


def check_port(port: Port) -> None:
    """Raise unless the port's program is on this worker.

    Raises:
        InfrastructureError: it is not.
    """
    program = _words(port)[0]
    if shutil.which(program) is None:
        raise InfrastructureError(f"'{program}', which connects to the device, is not installed on the worker")


class ConnectDevice(Action):
    """Open the primary console, or use the one that is open."""

    name = "connect-device"
    summary = "connect to the device's console"
    provides = (Connection,)
    on_timeout = InfrastructureError

    async def check(self, job: StepContext) -> list[str]:
        port = job.device.primary_port
        if job.device.get("commands", "must_use_connection") and job.device.get("commands", "connect"):
            return ["the device must be connected by commands.connections, not by commands.connect"]
        if port is None:
            raise ConfigurationError(
                f"{job.device.hostname} has no console: set connection_command, or tag one of its connections 'primary'"
            )
        check_port(port)
        return []

    async def run(self, job: StepContext) -> None:
        connection = connection_of(job)
        if connection is not None and connection.console.alive:
            job.log.debug("Already connected")
            job.put(connection)
            return
        if job.step.connection_namespace != job.namespace:
            raise JobError(f"no console is open in namespace '{job.step.connection_namespace}'")
        port = job.device.primary_port
        if port is None:
            raise ConfigurationError("the device has no primary console")
        connection = await open_port(job, port)
        connection.console.prompts = (job.device.constant("default-shell-prompt"),)
        job.put(connection)

    async def cleanup(self, job: StepContext) -> None:
        """The console stays: other blocks may use it, and ``finalize`` closes it."""


class ConnectShell(Action):
    """Open one more console of the device.  Source: dispatcher specification 11.1, "connect-shell"."""

    name = "connect-shell"
    summary = "connect to a further console of the device"
    provides = (Connection,)
    on_timeout = InfrastructureError

    def __init__(self, port: str) -> None:
        self._port = port

    async def check(self, job: StepContext) -> list[str]:
        port = job.device.ports.get(self._port)
        if port is None:
            known = ", ".join(sorted(job.device.ports)) or "none"
            return [f"the device has no connection '{self._port}'; it has: {known}"]
        if "primary" in port.tags:
            return [f"'{self._port}' is the primary connection, which cannot be opened twice"]
        check_port(port)
        return []

    async def run(self, job: StepContext) -> None:
        connection = job.find(Connection)
        if connection is None or not connection.console.alive:
            connection = await open_port(job, job.device.ports[self._port])
            job.put(connection)
        await connection.console.send("")
