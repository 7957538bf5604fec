"""The end of every job: power off, read what is left, close the consoles.  Source: dispatcher specification 9.4."""

from __future__ import annotations

from lava.dispatcher.action import Action, Sequence
from lava.dispatcher.drivers.connection import Connection
from lava.dispatcher.drivers.power import PowerOff
from lava.dispatcher.job import StepContext

_DRAIN_SECONDS = 0.05


class ReadFeedback(Action):
    """Log what every console has still to say, and close it."""

    name = "read-feedback"
    summary = "read what is left on every console and close it"

    async def run(self, job: StepContext) -> None:
        for namespace, connection in job.job.facts.of_kind(Connection).items():
            await connection.console.drain(_DRAIN_SECONDS)
            await connection.console.close()
            job.job.facts.drop(namespace, Connection)


def plan_finalize() -> Sequence:
    """Return the action that ends a job."""
    return Sequence("finalize", "end the job: power off, close the consoles", (PowerOff(), ReadFeedback()))
