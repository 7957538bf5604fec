"""What a pipeline is made of: actions that do one thing each, composed as data.

A *method* (``methods/``) turns one block of the job definition into a tree of :class:`Action`,
:class:`Sequence` and :class:`Retry`.  The tree carries no time and no level: :mod:`.plan` numbers it and
works out every deadline, :mod:`.executor` runs it.  Source: dispatcher specification 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from lava.model.errors import JobError, LavaError

if TYPE_CHECKING:
    from .job import StepContext


class Action:
    """One thing done to the device or for it.

    Subclasses set ``name`` (interface: users put it into ``timeouts``) and ``summary``, and implement
    :meth:`run`.  Parameters are given to the constructor, resolved; whatever an earlier action has to
    hand over is a fact named in ``needs``.  Retries, levels and deadlines are not an action's business.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    #: fact types read by :meth:`run`; a plan in which none provides one earlier is refused before power
    needs: ClassVar[tuple[type, ...]] = ()
    #: fact types that :meth:`run` puts
    provides: ClassVar[tuple[type, ...]] = ()
    #: raised by the executor when the action's time is up
    on_timeout: ClassVar[type[LavaError]] = JobError
    #: the action's own default, below every configured one
    own_timeout: ClassVar[timedelta | None] = None

    async def check(self, job: StepContext) -> list[str]:
        """Return what is wrong, before power is touched: missing files, tools, settings.

        An error that is not the submitter's fault is raised as its own class and stops validation.
        """
        return []

    async def run(self, job: StepContext) -> None:
        """Do it.  Everything awaited here is cancelled when the deadline comes."""
        raise NotImplementedError

    async def cleanup(self, job: StepContext) -> None:
        """Undo what :meth:`run` acquired: before another attempt, and at the end of the job.

        Called also when :meth:`run` was never reached or was cancelled half-way; safe to repeat.
        """


@dataclass(frozen=True, slots=True)
class Sequence:
    """Run the body in order."""

    name: str
    summary: str
    body: tuple[Node, ...]
    on_timeout: type[LavaError] = JobError
    own_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Run the body until it passes, at most ``times`` attempts; or, with ``repeat``, that often whatever happens.

    Source: dispatcher specification 5.
    """

    name: str
    summary: str
    body: tuple[Node, ...]
    times: int = 1
    interval: timedelta = field(default=timedelta(seconds=1))
    repeat: bool = False
    on_timeout: type[LavaError] = JobError
    own_timeout: timedelta | None = None


Node = Action | Sequence | Retry
