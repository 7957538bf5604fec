"""The life cycles: every state and every event, and where they lead.  Server 2.1, 3."""

from __future__ import annotations

from itertools import product

import pytest

from lava.model.states import (
    DEVICE_STATE_OF,
    JOB_TRANSITIONS,
    USABLE_HEALTHS,
    DeviceHealth,
    DeviceState,
    InvalidTransition,
    JobEvent,
    JobHealth,
    JobState,
    WorkerEvent,
    WorkerHealth,
    WorkerState,
    health_of_ended_job,
    next_job_state,
    next_worker_state,
)

S, E = JobState, JobEvent
IMPOSSIBLE = {
    *((state, E.RESERVED) for state in S if state is not S.SUBMITTED),
    *((state, E.ASSIGNED) for state in S if state not in (S.SUBMITTED, S.SCHEDULING)),
    *((state, E.STARTED) for state in (S.SUBMITTED, S.SCHEDULING)),
}


@pytest.mark.parametrize(("state", "event"), list(product(S, E)), ids=str)
def test_every_state_and_event(state: JobState, event: JobEvent) -> None:
    if (state, event) in IMPOSSIBLE:
        with pytest.raises(InvalidTransition):
            next_job_state(state, event)
        return
    following = next_job_state(state, event)
    assert following >= state, "no job goes back"
    if event is E.ENDED or state is S.FINISHED:
        assert following is S.FINISHED
    if event is E.CANCEL_REQUESTED:
        assert following in (S.CANCELING, S.FINISHED)


def test_every_job_can_be_ended_from_anywhere_and_nothing_comes_after() -> None:
    assert {state for (state, event) in JOB_TRANSITIONS if event is E.ENDED} == set(S)
    assert {after for (state, _), after in JOB_TRANSITIONS.items() if state is S.FINISHED} == {S.FINISHED}


def test_a_waiting_job_is_canceled_at_once_and_one_with_a_device_is_stopped_first() -> None:
    assert next_job_state(S.SUBMITTED, E.CANCEL_REQUESTED) is S.FINISHED
    for state in (S.SCHEDULING, S.SCHEDULED, S.RUNNING, S.CANCELING):
        assert next_job_state(state, E.CANCEL_REQUESTED) is S.CANCELING


def test_what_cannot_happen_tells_what_did() -> None:
    with pytest.raises(InvalidTransition) as told:
        next_job_state(S.RUNNING, E.ASSIGNED, ["ASSIGNED", "STARTED"])
    assert str(told.value) == "ASSIGNED cannot happen in state Running after ASSIGNED, STARTED"


@pytest.mark.parametrize(("state", "event"), list(product(WorkerState, WorkerEvent)), ids=str)
def test_a_worker_is_online_when_seen_and_offline_when_lost(state: WorkerState, event: WorkerEvent) -> None:
    wanted = WorkerState.ONLINE if event is WorkerEvent.SEEN else WorkerState.OFFLINE
    assert next_worker_state(state, event) is wanted


@pytest.mark.parametrize(
    ("state", "passed", "health"),
    [
        (S.RUNNING, True, JobHealth.COMPLETE),
        (S.RUNNING, False, JobHealth.INCOMPLETE),
        (S.RUNNING, None, JobHealth.INCOMPLETE),
        (S.CANCELING, True, JobHealth.CANCELED),
        (S.CANCELING, None, JobHealth.CANCELED),
    ],
)
def test_the_verdict_on_a_job(state: JobState, passed: bool | None, health: JobHealth) -> None:
    assert health_of_ended_job(state, passed) is health


def test_a_job_holds_its_device_until_it_has_finished() -> None:
    assert DEVICE_STATE_OF.keys() == set(S) - {S.SUBMITTED}
    assert [state for state, device in DEVICE_STATE_OF.items() if device is DeviceState.IDLE] == [S.FINISHED]


def test_only_a_device_that_is_good_or_unknown_takes_jobs() -> None:
    assert {DeviceHealth.GOOD, DeviceHealth.UNKNOWN} == USABLE_HEALTHS


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (JobState, ["Submitted", "Scheduling", "Scheduled", "Running", "Canceling", "Finished"]),
        (JobHealth, ["Unknown", "Complete", "Incomplete", "Canceled"]),
        (DeviceState, ["Idle", "Reserved", "Running"]),
        (DeviceHealth, ["Good", "Unknown", "Looping", "Bad", "Maintenance", "Retired"]),
        (WorkerState, ["Online", "Offline"]),
        (WorkerHealth, ["Active", "Maintenance", "Retired"]),
    ],
)
def test_numbers_and_texts_are_what_clients_know(kind: type[JobState], texts: list[str]) -> None:
    assert kind.choices() == list(enumerate(texts))
