"""Positions in life cycles, and what moves things from one to the next.  Source: server 2.1, 3.

A *state* is a position, a *health* a verdict.  The integers are stored and the texts are shown; both are what existing
clients know.  Each life cycle is one table and one function reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum, auto
from typing import Final


class _Shown(IntEnum):
    @property
    def text(self) -> str:
        """What clients are shown: ``Submitted``."""
        return self.name.capitalize()

    @classmethod
    def choices(cls) -> list[tuple[int, str]]:
        """Return (integer, text) pairs for a form or a database field."""
        return [(member.value, member.text) for member in cls]


class JobState(_Shown):
    SUBMITTED = 0
    SCHEDULING = 1
    SCHEDULED = 2
    RUNNING = 3
    CANCELING = 4
    FINISHED = 5


class JobHealth(_Shown):
    UNKNOWN = 0
    COMPLETE = 1
    INCOMPLETE = 2
    CANCELED = 3


class DeviceState(_Shown):
    IDLE = 0
    RESERVED = 1
    RUNNING = 2


class DeviceHealth(_Shown):
    GOOD = 0
    UNKNOWN = 1
    LOOPING = 2
    BAD = 3
    MAINTENANCE = 4
    RETIRED = 5


class WorkerState(_Shown):
    ONLINE = 0
    OFFLINE = 1


class WorkerHealth(_Shown):
    ACTIVE = 0
    MAINTENANCE = 1
    RETIRED = 2


class JobEvent(Enum):
    """What happens to a job."""

    #: a device was found for one node of a group; the others still wait
    RESERVED = auto()
    #: everything that the job needs was found
    ASSIGNED = auto()
    #: the worker says that the job process runs
    STARTED = auto()
    CANCEL_REQUESTED = auto()
    #: the worker says that the job process is gone, or the job could not be started
    ENDED = auto()


_S, _E = JobState, JobEvent

JOB_TRANSITIONS: Final[Mapping[tuple[JobState, JobEvent], JobState]] = {
    (_S.SUBMITTED, _E.RESERVED): _S.SCHEDULING,
    (_S.SUBMITTED, _E.ASSIGNED): _S.SCHEDULED,
    (_S.SUBMITTED, _E.CANCEL_REQUESTED): _S.FINISHED,  # nothing to stop
    (_S.SUBMITTED, _E.ENDED): _S.FINISHED,
    (_S.SCHEDULING, _E.ASSIGNED): _S.SCHEDULED,
    (_S.SCHEDULING, _E.CANCEL_REQUESTED): _S.CANCELING,
    (_S.SCHEDULING, _E.ENDED): _S.FINISHED,
    (_S.SCHEDULED, _E.STARTED): _S.RUNNING,
    (_S.SCHEDULED, _E.CANCEL_REQUESTED): _S.CANCELING,
    (_S.SCHEDULED, _E.ENDED): _S.FINISHED,  # a very short job: END overtakes START_OK
    (_S.RUNNING, _E.STARTED): _S.RUNNING,  # repeated after a master restart
    (_S.RUNNING, _E.CANCEL_REQUESTED): _S.CANCELING,
    (_S.RUNNING, _E.ENDED): _S.FINISHED,
    (_S.CANCELING, _E.STARTED): _S.CANCELING,  # it was on its way when the cancel came
    (_S.CANCELING, _E.CANCEL_REQUESTED): _S.CANCELING,
    (_S.CANCELING, _E.ENDED): _S.FINISHED,
    (_S.FINISHED, _E.STARTED): _S.FINISHED,
    (_S.FINISHED, _E.CANCEL_REQUESTED): _S.FINISHED,
    (_S.FINISHED, _E.ENDED): _S.FINISHED,
}

#: the state of the device that a job holds; a finished job holds none
DEVICE_STATE_OF: Final[Mapping[JobState, DeviceState]] = {
    JobState.SCHEDULING: DeviceState.RESERVED,
    JobState.SCHEDULED: DeviceState.RESERVED,
    JobState.RUNNING: DeviceState.RUNNING,
    JobState.CANCELING: DeviceState.RUNNING,
    JobState.FINISHED: DeviceState.IDLE,
}

#: a device takes ordinary jobs only while its health is one of these
USABLE_HEALTHS: Final = frozenset({DeviceHealth.GOOD, DeviceHealth.UNKNOWN})


class WorkerEvent(Enum):
    """What happens to a worker."""

    SEEN = auto()
    LOST = auto()


WORKER_TRANSITIONS: Final[Mapping[tuple[WorkerState, WorkerEvent], WorkerState]] = {
    (WorkerState.OFFLINE, WorkerEvent.SEEN): WorkerState.ONLINE,
    (WorkerState.OFFLINE, WorkerEvent.LOST): WorkerState.OFFLINE,
    (WorkerState.ONLINE, WorkerEvent.SEEN): WorkerState.ONLINE,
    (WorkerState.ONLINE, WorkerEvent.LOST): WorkerState.OFFLINE,
}


class InvalidTransition(Exception):
    """Something happened that cannot happen in this state."""

    def __init__(self, state: _Shown, event: Enum, history: Sequence[str] = ()) -> None:
        past = f" after {', '.join(history)}" if history else ""
        super().__init__(f"{event.name} cannot happen in state {state.text}{past}")


def next_job_state(state: JobState, event: JobEvent, history: Sequence[str] = ()) -> JobState:
    """Return the state that the event leads to.

    Raises:
        InvalidTransition: the event cannot happen now.
    """
    try:
        return JOB_TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(state, event, history) from None


def next_worker_state(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """Return the state that the event leads to."""
    return WORKER_TRANSITIONS[state, event]


def health_of_ended_job(state: JobState, passed: bool | None) -> JobHealth:
    """Return the verdict on a job that ends.

    Args:
        state: before it ends.
        passed: the job's own final result; None when there is none.
    """
    if state is JobState.CANCELING:
        return JobHealth.CANCELED
    return JobHealth.COMPLETE if passed else JobHealth.INCOMPLETE
