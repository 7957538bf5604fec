"""What goes wrong, and when: a schedule that a seed gives back."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens.  The names say to whom."""

    MASTER_TERM = "master TERM"
    MASTER_KILL = "master KILL"
    SLAVE_TERM = "slave TERM"
    SLAVE_KILL = "slave KILL"
    WEB_TERM = "web TERM"
    WEB_KILL = "web KILL"
    JOB_KILL = "job process KILL"
    MACHINE = "machine reset"
    DATABASE_STOP = "database stop"
    DATABASE_KILL = "database KILL"
    CANCEL = "cancel"
    CUT = "cable cut"
    STALL = "cable stalled"
    HALF_OPEN = "cable half-open"
    DELAY = "cable slow"
    DROP = "cable drops"
    CORRUPT = "cable corrupts"


#: how often each comes; those that end jobs come less often, else no job would live to be killed in its middle
WEIGHTS: dict[Kind, int] = {
    Kind.MASTER_TERM: 8,
    Kind.MASTER_KILL: 16,
    Kind.SLAVE_TERM: 8,
    Kind.SLAVE_KILL: 16,
    Kind.WEB_TERM: 4,
    Kind.WEB_KILL: 8,
    Kind.JOB_KILL: 2,
    Kind.MACHINE: 1,
    Kind.DATABASE_STOP: 6,
    Kind.DATABASE_KILL: 6,
    Kind.CANCEL: 1,
    Kind.CUT: 8,
    Kind.STALL: 8,
    Kind.HALF_OPEN: 8,
    Kind.DELAY: 4,
    Kind.DROP: 8,
    Kind.CORRUPT: 4,
}


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that goes wrong."""

    #: seconds from the beginning
    at: float
    kind: Kind
    #: until it is mended
    seconds: float
    #: which slave, which job: a number to choose by
    pick: int

    def __str__(self) -> str:
        return f"{self.at:7.2f} s  {self.kind} ({self.pick}) for {self.seconds:.2f} s"


def schedule(seed: int, blows: int, *, gap_seconds: float = 1.0) -> list[Blow]:
    """Return the blows that a seed stands for; a third of them come together with the one before."""
    source = random.Random(seed)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    at = gap_seconds
    planned = []
    for _ in range(blows):
        if source.random() > 1 / 3:
            at += source.expovariate(1 / gap_seconds)
        kind = source.choices(kinds, weights)[0]
        planned.append(Blow(at, kind, source.choice([0.0, 0.2, 1.0, 3.0]), source.randrange(1000)))
    return planned


@dataclass(frozen=True, slots=True)
class Act:
    """Something to do at a time."""

    at: float
    what: str
    do: Callable[[], None]


def choose(things: Sequence[str], pick: int) -> str | None:
    """Return one of the things, the same one for the same pick."""
    return sorted(things)[pick % len(things)] if things else None
