"""One look at the database for all who watch; nothing is missed, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Self

import pytest
from django.db import OperationalError

from lava.model.states import JobHealth, JobState
from lava.server import wake
from lava.server.live.hub import Hub
from lava.server.live.snapshot import Snapshot, Status

NEVER = 3600.0
SUBMITTED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def snapshot(length: int = 0, *, state: JobState = JobState.RUNNING, reason: str = "") -> Snapshot:
    health = JobHealth.COMPLETE if state is JobState.FINISHED else JobHealth.UNKNOWN
    return Snapshot(Status(state, health, None, reason, "", "", SUBMITTED, None, None), length)


class Lab:
    """What is in the database, and how often it was asked."""

    def __init__(self) -> None:
        self.jobs: dict[int, Snapshot] = {}
        self.asked: list[set[int]] = []
        self.broken = False

    def read(self, jobs: Collection[int]) -> Mapping[int, Snapshot]:
        self.asked.append(set(jobs))
        if self.broken:
            self.broken = False
            raise OperationalError("database is locked")
        return {job: self.jobs[job] for job in jobs if job in self.jobs}


class Bell:
    """A listener that the test rings."""

    def __init__(self) -> None:
        self.rung: asyncio.Queue[wake.WakeUp | OSError] = asyncio.Queue()
        self.ears = 0

    async def __aenter__(self) -> Self:
        self.ears += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self.ears -= 1

    async def __aiter__(self) -> AsyncIterator[wake.WakeUp]:
        while True:
            heard = await self.rung.get()
            if isinstance(heard, OSError):
                raise heard
            yield heard

    def ring(self, topic: str = wake.LOG, job: int = 0) -> None:
        self.rung.put_nowait(wake.WakeUp(topic, job))


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def bell() -> Bell:
    return Bell()


def make_hub(lab: Lab, bell: Bell, look_again_seconds: float = NEVER) -> Hub:
    return Hub(lab.read, lambda: bell, look_again_seconds)


async def test_a_wake_up_brings_news_to_all_who_watch_that_job(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell)
    lab.jobs = {1: snapshot(), 2: snapshot()}
    async with hub.watch(1, snapshot()) as first, hub.watch(1, snapshot()) as second, hub.watch(2, snapshot()):
        lab.jobs[1] = snapshot(100)
        bell.ring(job=1)
        assert await first.news() == snapshot(100)
        assert await second.news() == snapshot(100)


async def test_what_happened_before_the_watch_began_is_found(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell)
    lab.jobs = {1: snapshot(100)}
    async with hub.watch(1, snapshot()) as watch:
        assert await watch.news() == snapshot(100)


async def test_a_lost_wake_up_costs_time_not_truth(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell, look_again_seconds=0.01)
    lab.jobs = {1: snapshot()}
    async with hub.watch(1, snapshot()) as watch:
        lab.jobs[1] = snapshot(100)
        assert await watch.news() == snapshot(100)


async def test_a_slow_watcher_is_given_the_newest_and_nothing_else(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell, look_again_seconds=0.001)
    lab.jobs = {1: snapshot(), 2: snapshot()}
    async with hub.watch(1, snapshot()) as slow, hub.watch(2, snapshot()) as quick:
        for length in range(1, 6):
            lab.jobs = {1: snapshot(length), 2: snapshot(length)}
            while (await quick.news()).log_length != length:
                pass
        assert (await slow.news()).log_length == 5


async def test_one_query_serves_all_jobs(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell, look_again_seconds=0.01)
    async with AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(hub.watch(job, snapshot())) for job in range(100)]
        lab.jobs = {job: snapshot(1) for job in range(100)}
        for watch in watches:
            await watch.news()
        assert len(lab.asked) <= 3
        assert lab.asked[-1] == set(range(100))


async def test_the_queue_moving_concerns_those_who_wait(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell)
    waiting = snapshot(state=JobState.SUBMITTED, reason="no device is free")
    lab.jobs = {1: waiting}
    async with hub.watch(1, waiting) as watch:
        lab.jobs = {1: snapshot(state=JobState.SUBMITTED, reason="three jobs are before it")}
        bell.ring(wake.QUEUE)
        assert (await watch.news()).status.reason == "three jobs are before it"


async def test_a_database_that_fails_is_asked_again(
    lab: Lab, bell: Bell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lava.server.live.hub._AFTER_FAILURE_SECONDS", 0.0)
    hub = make_hub(lab, bell)
    lab.jobs, lab.broken = {1: snapshot(100)}, True
    async with hub.watch(1, snapshot()) as watch:
        assert await watch.news() == snapshot(100)
    assert "database is locked" in caplog.text


async def test_an_ear_that_is_lost_is_opened_again(
    lab: Lab, bell: Bell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lava.server.live.hub._AFTER_FAILURE_SECONDS", 0.0)
    hub = make_hub(lab, bell)
    lab.jobs = {1: snapshot()}
    async with hub.watch(1, snapshot()) as watch:
        bell.rung.put_nowait(OSError("the socket is gone"))
        lab.jobs[1] = snapshot(100)
        bell.ring(job=1)
        assert await watch.news() == snapshot(100)
    assert "the socket is gone" in caplog.text


async def test_with_the_last_watcher_everything_goes(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell)
    lab.jobs = {1: snapshot(1)}
    tasks = asyncio.all_tasks()
    async with hub.watch(1, snapshot()) as watch:
        async with hub.watch(2, snapshot()):
            await watch.news()
        bell.ring(job=1)
        lab.jobs[1] = snapshot(2)
        await watch.news()
        assert set(hub.watched) == {1}
        assert bell.ears == 1
    assert not hub.watched
    assert bell.ears == 0
    assert asyncio.all_tasks() == tasks
    async with hub.watch(1, snapshot()) as watch:
        assert await watch.news() == snapshot(2)


async def test_a_watcher_that_is_cancelled_is_forgotten(lab: Lab, bell: Bell) -> None:
    hub = make_hub(lab, bell)
    began = asyncio.Event()

    async def watch_for_ever() -> None:
        async with hub.watch(1, snapshot()) as watch:
            began.set()
            await watch.news()

    watching = asyncio.create_task(watch_for_ever())
    await began.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert not hub.watched
    assert bell.ears == 0
