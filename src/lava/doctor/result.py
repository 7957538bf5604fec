"""What a check says, and the steps that checks belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .context import Context
from .machine import CannotTell, Machine


class State(StrEnum):
    """How it is with a step."""

    OK = "ok"
    NOTHING = "nothing to do"
    OPEN = "open"
    #: something can be done; nothing waits for it
    ADVICE = "advice"
    BLOCKED = "blocked"
    CANNOT_TELL = "cannot tell"

    @property
    def is_settled(self) -> bool:
        """Nothing has to be done any more."""
        return self in (State.OK, State.NOTHING, State.ADVICE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and where."""

    text: str
    file: str = ""
    line: int = 0
    value: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a check says."""

    state: State
    findings: tuple[Finding, ...] = ()
    #: in the order in which they are to be run
    commands: tuple[str, ...] = ()
    #: how to see that it was done
    verify: tuple[str, ...] = ()
    #: an admin's word (``--confirm``) is enough
    can_be_confirmed: bool = False


Check = Callable[[Machine, Context], Result]


@dataclass(frozen=True, slots=True)
class Step:
    """A check and its place in the documented order."""

    name: str
    title: str
    why: str
    check: Check
    #: steps that must be settled first
    waits_for: tuple[str, ...] = ()
    #: what an admin says with ``--confirm``; without it the step cannot be confirmed
    confirmation: str = ""
    #: an admin's word is also enough when the machine cannot be looked at
    confirm_unseen: bool = True

    def look(self, machine: Machine, context: Context) -> Result:
        """Return what the check says, or why it cannot."""
        try:
            result = self.check(machine, context)
        except CannotTell as reason:
            unseen = bool(self.confirmation) and self.confirm_unseen
            result = Result(State.CANNOT_TELL, (Finding(str(reason)),), can_be_confirmed=unseen)
        if self.name in context.confirmed and result.can_be_confirmed and not result.state.is_settled:
            note = Finding(f"confirmed, for this run only: {self.confirmation}")
            return Result(State.OK, (*result.findings, note))
        return result


def ok(*findings: Finding) -> Result:
    """Return that all is as it should be."""
    return Result(State.OK, findings)


def nothing(text: str) -> Result:
    """Return that the step does not concern this machine."""
    return Result(State.NOTHING, (Finding(text),))
