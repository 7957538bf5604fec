"""Deadlines, attempts, clean-up and verdicts: dispatcher specification 2.5, 4.4-4.7, 5, 6, 9.

The clock of these tests jumps to the next timer as soon as nothing else is left to do: minutes pass in microseconds,
and at the very same moments every time.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.dispatcher.action import Action, Node, Retry, Sequence
from lava.dispatcher.configuration import DispatcherConfiguration, Environment
from lava.dispatcher.executor import Executor, Verdict, closing_lines
from lava.dispatcher.job import Job, StepContext
from lava.dispatcher.joblog import JobLog
from lava.dispatcher.plan import Pipeline, Step
from lava.model.device import DeviceConfiguration
from lava.model.errors import (
    ConfigurationError,
    ConnectionClosedError,
    InfrastructureError,
    JobCanceled,
    JobError,
    LavaBug,
    LavaError,
    TestError,
    TestTimeoutError,
)
from lava.model.job import parse_job_text
from lava.spool import LogFile

JOB = {
    "job_name": "clock",
    "device_type": "none",
    "visibility": "public",
    "timeouts": {"job": {"seconds": 100}, "action": {"seconds": 50}, "connection": {"seconds": 5}},
    "actions": [{"command": {"name": "power_on"}}],
}


class _JumpingSelector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events:
            assert timeout is not None, "everybody waits for something that will never come"
            self.now += max(0.0, timeout)
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@dataclass
class World:
    """What the actions of a test did, and when."""

    events: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def text(self, *levels: str) -> list[str]:
        return [line["msg"] for line in self.log if line["lvl"] in levels]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [line["msg"] for line in self.log if line["lvl"] == "results"]

    @property
    def error(self) -> LavaError | None:
        assert self.verdict is not None
        return self.verdict.error


class Work(Action):
    """Takes its time, then does what the test says; each run takes the next outcome."""

    summary = "work"

    def __init__(
        self,
        world: World,
        name: str,
        *outcomes: float | BaseException,
        cleanup: float | BaseException = 0.0,
        check: BaseException | list[str] | float = 0.0,
        on_timeout: type[LavaError] = JobError,
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.on_timeout = on_timeout  # type: ignore[misc]
        self._world = world
        self._outcomes = list(outcomes) or [0.0]
        self._cleanup = cleanup
        self._check = check

    async def check(self, job: StepContext) -> list[str]:
        match self._check:
            case list():
                return self._check
            case BaseException():
                raise self._check
            case seconds:
                await asyncio.sleep(seconds)
                return []

    async def run(self, job: StepContext) -> None:
        self._world.events.append(self.name)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        await asyncio.sleep(outcome)

    async def cleanup(self, job: StepContext) -> None:
        self._world.events.append(f"-{self.name}")
        if isinstance(self._cleanup, BaseException):
            raise self._cleanup
        await asyncio.sleep(self._cleanup)


def step(node: Node, level: str = "1", *, seconds: float | dict[str, float] = 50, skip: bool = False) -> Step:
    """Return the node as a step; the time is for all below it, or by name."""
    own = seconds.get(node.name, 50) if isinstance(seconds, dict) else seconds
    body = () if isinstance(node, Action) else node.body
    return Step(
        level=level,
        name=node.name,
        summary=node.summary,
        section="test",
        namespace="common",
        connection_namespace="common",
        timeout=timedelta(seconds=own),
        timeout_source="test",
        connection_timeout=timedelta(seconds=5),
        max_retries=node.times if isinstance(node, Retry) else 1,
        retry_interval=node.interval if isinstance(node, Retry) else timedelta(seconds=1),
        repeat=isinstance(node, Retry) and node.repeat,
        on_timeout=node.on_timeout,
        skip=skip,
        character_delay=timedelta(0),
        block=None,
        action=node if isinstance(node, Action) else None,
        children=tuple(
            step(child, f"{level}.{number}", seconds=seconds, skip=skip) for number, child in enumerate(body, start=1)
        ),
    )


Run = Callable[..., World]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a pipeline of these steps; ``cancel_at`` gives the moments at which somebody cancels."""

    def run(
        world: World,
        *steps: Step,
        finalize: Action | None = None,
        cancel_at: tuple[float, ...] = (),
        validate_only: bool = False,
    ) -> World:
        log = JobLog(LogFile(tmp_path / "logs.yaml"))
        ending = step(finalize or Work(world, "power-off"), str(len(steps) + 1))
        job = Job(
            "1",
            parse_job_text(yaml.safe_dump(JOB)),
            DeviceConfiguration({}),
            DispatcherConfiguration(),
            Environment(),
            log,
            tmp_path,
            tmp_path,
        )

        async def main() -> Verdict:
            task = asyncio.current_task()
            assert task is not None
            loop = asyncio.get_running_loop()
            for moment in cancel_at:
                loop.call_at(moment, task.cancel)
            executor = Executor(job, Pipeline((*steps, ending)), canceled=lambda: "asked for")
            return await executor.run(validate_only=validate_only)

        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            world.verdict = runner.run(main())
            world.seconds = runner.get_loop().time()
        log.close()
        lines = (tmp_path / "logs.yaml").read_text().splitlines()
        world.log = [json.loads(line.removeprefix("- ")) for line in lines]
        return world

    return run


def test_steps_run_in_order_and_say_when_they_start_and_end(run: Run) -> None:
    world = World()
    body = (Work(world, "inner-a", 3.0), Work(world, "inner-b", 4.0))
    run(world, step(Sequence("outer", "s", body), "1", seconds={"outer": 20, "inner-b": 90}), step(Work(world, "b")))
    assert world.error is None
    assert world.events == ["inner-a", "inner-b", "b", "power-off", "-inner-a", "-inner-b", "-b", "-power-off"]
    spoken = [line for line in world.log if str(line["msg"]).startswith(("start: 1", "end: 1"))][:6]
    assert [(line["lvl"], line["msg"]) for line in spoken] == [
        ("info", "start: 1 outer (timeout 00:00:20) [common]"),
        ("debug", "start: 1.1 inner-a (timeout 00:00:19) [common]"),
        ("debug", "end: 1.1 inner-a (duration 00:00:03) [common]"),
        ("debug", "start: 1.2 inner-b (timeout 00:00:16) [common]"),
        ("debug", "end: 1.2 inner-b (duration 00:00:04) [common]"),
        ("info", "end: 1 outer (duration 00:00:07) [common]"),
    ]


def test_an_action_out_of_time_is_blamed_by_its_own_class(run: Run) -> None:
    world = World()
    slow = Work(world, "slow", 60.0, on_timeout=InfrastructureError)
    run(world, step(slow, seconds=7), step(Work(world, "never")))
    assert isinstance(world.error, InfrastructureError)
    assert str(world.error) == "slow timed out after 7 seconds"
    assert world.events == ["slow", "-slow", "-never", "-power-off", "power-off"]
    failed = next(record for record in world.results if record["case"] == "slow")
    assert failed == {
        "case": "slow",
        "definition": "lava",
        "duration": "7.00",
        "extra": {"fail": "slow timed out after 7 seconds"},
        "level": "1",
        "namespace": "common",
        "result": "fail",
    }


def test_the_innermost_is_blamed_when_its_parents_time_is_over(run: Run) -> None:
    world = World()
    outer = Sequence("outer", "s", (Work(world, "inner", 60.0, on_timeout=InfrastructureError),))
    run(world, step(outer, seconds={"outer": 10, "inner": 40}))
    assert str(world.error) == "inner timed out after 10 seconds"
    assert isinstance(world.error, InfrastructureError)


def test_the_jobs_deadline_ends_everything(run: Run) -> None:
    world = World()
    run(world, *(step(Work(world, name, 45.0), str(n)) for n, name in enumerate(("a", "b", "c", "d"), start=1)))
    assert str(world.error) == "c timed out after 10 seconds"
    assert world.events[:3] == ["a", "b", "c"]
    assert world.events[-1] == "power-off"


def test_the_device_is_switched_off_however_late_the_job_is(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "long", 99.9), seconds=1000), finalize=Work(world, "power-off", 20.0))
    assert world.error is None
    assert world.events == ["long", "power-off", "-long", "-power-off"]
    assert world.seconds == pytest.approx(119.9)


def test_a_timeout_that_an_action_forgot_is_no_bug(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "waits", TimeoutError())))
    assert isinstance(world.error, JobError)
    assert str(world.error) == "waits: nothing of what was waited for came in time"
    assert not world.text("exception")


def test_another_attempt_after_a_pause_and_a_clean_up(run: Run) -> None:
    world = World()
    flaky = Work(world, "flaky", InfrastructureError("no carrier"), 2.0)
    retry = Retry("again", "r", (flaky,), times=3, interval=timedelta(seconds=5))
    run(world, step(retry, "1"))
    assert world.error is None
    assert world.events == ["flaky", "-flaky", "flaky", "power-off", "-flaky", "-power-off"]
    assert world.seconds == pytest.approx(7.0)
    assert world.text("error") == ["1 again failed: 1 of 3 attempts: no carrier"]
    assert world.text("warning") == ["Retrying: 1 again (timeout 00:00:45) [common]"]
    record = next(record for record in world.results if record["case"] == "again")
    assert (record["result"], record["extra"]) == ("pass", {"attempts": 2})


def test_the_last_attempts_error_is_the_jobs(run: Run) -> None:
    world = World()
    flaky = Work(world, "flaky", InfrastructureError("first"), TestError("second"))
    run(world, step(Retry("again", "r", (flaky,), times=2), "1"))
    assert isinstance(world.error, TestError)
    assert str(world.error) == "second"
    assert [record["case"] for record in world.results] == ["validate", "flaky", "flaky", "again"]


@pytest.mark.parametrize("error", [ConfigurationError("wrong"), LavaBug("ours"), ValueError("ours, too")])
def test_what_another_attempt_cannot_mend_is_not_tried_again(run: Run, error: Exception) -> None:
    world = World()
    run(world, step(Retry("again", "r", (Work(world, "bad", error),), times=3), "1"))
    assert world.events.count("bad") == 1
    assert isinstance(world.error, ConfigurationError | LavaBug)


def test_no_attempt_starts_when_the_pause_would_outlast_the_time(run: Run) -> None:
    world = World()
    retry = Retry("again", "r", (Work(world, "bad", JobError("no")),), times=3, interval=timedelta(seconds=30))
    run(world, step(retry, "1", seconds=20))
    assert world.events.count("bad") == 1
    assert str(world.error) == "no"
    assert "no time left for the remaining 2 attempts" in world.text("error")


def test_repeat_runs_all_the_times_and_tells_the_failure_at_the_end(run: Run) -> None:
    world = World()
    work = Work(world, "work", 1.0, JobError("once"), 1.0)
    run(world, step(Retry("again", "r", (work,), times=3, repeat=True), "1"))
    assert world.events.count("work") == 3
    assert str(world.error) == "once"
    assert [line for line in world.text("error") if "attempts" in line] == ["1 again failed: 2 of 3 attempts: once"]


@pytest.mark.parametrize("times", [1, 3])
def test_a_test_that_may_be_skipped_is_left_behind(run: Run, times: int) -> None:
    world = World()
    hangs = Retry("test-retry", "r", (Work(world, "hangs", 60.0, on_timeout=TestTimeoutError),), times=times)
    run(world, step(hangs, "1", seconds={"hangs": 5}, skip=True), step(Work(world, "next"), "2"))
    assert world.error is None
    assert world.events.count("hangs") == 1
    assert "next" in world.events
    assert world.text("warning") == ["hangs timed out after 5 seconds: going on with the next block"]
    assert ("test-retry", "fail") in [(record["case"], record["result"]) for record in world.results]


@pytest.mark.parametrize("times", [1, 2])
def test_a_test_out_of_time_is_a_test_error(run: Run, times: int) -> None:
    world = World()
    hangs = Retry("test-retry", "r", (Work(world, "hangs", 60.0, on_timeout=TestTimeoutError),), times=times)
    run(world, step(hangs, "1", seconds={"hangs": 5}), step(Work(world, "next"), "2"))
    assert isinstance(world.error, TestError)
    assert world.events.count("hangs") == times
    assert "next" not in world.events


def test_the_clean_up_goes_on_after_a_failure_and_fails_the_job(run: Run) -> None:
    world = World()
    steps = [step(Work(world, "a", cleanup=OSError("stuck")), "1"), step(Work(world, "b"), "2")]
    run(world, *steps)
    assert isinstance(world.error, InfrastructureError)
    assert str(world.error) == "the clean-up of the job failed: stuck"
    assert world.events == ["a", "b", "power-off", "-a", "-b", "-power-off"]
    assert "cleaning up after 1 a failed: stuck" in world.text("error")


def test_the_first_failure_wins(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "a", JobError("first"), cleanup=OSError("later"))), step(Work(world, "b"), "2"))
    assert str(world.error) == "first"
    assert "b" not in world.events


def test_a_clean_up_that_hangs_does_not_keep_the_device_on(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "a", JobError("no"), cleanup=100_000.0)))
    assert world.events == ["a", "-a", "power-off"]
    assert "job-cleanup: job-cleanup timed out after 300 seconds" in world.text("error")
    assert str(world.error) == "no"


def test_what_fails_while_the_device_is_switched_off_is_logged(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "a")), finalize=Work(world, "power-off", InfrastructureError("no relay")))
    assert world.error is None
    assert "finalize failed: no relay" in world.text("error")
    assert world.events.count("power-off") == 1


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 2.5, 4.0, 7.0, 8.5, 10.5])
def test_canceled_at_any_moment_the_job_ends_in_good_order(run: Run, moment: float) -> None:
    world = World()
    retry = Retry("again", "r", (Work(world, "b", JobError("no"), 3.0),), times=2, interval=timedelta(seconds=2))
    steps = (step(Work(world, "a", 1.5, check=1.0), "1"), step(retry, "2"))
    run(world, *steps, finalize=Work(world, "power-off", 4.0), cancel_at=(moment,))
    assert isinstance(world.error, JobCanceled)
    assert str(world.error) == "asked for"
    begun = "a" in world.events
    assert ("power-off" in world.events) == begun
    if begun:  # switched off to the end, even if that was what was interrupted
        assert "end: 3 power-off (duration 00:00:04) [common]" in world.text("info")
    assert [event for event in world.events[-4:] if event.startswith("-")] == ["-a", "-b", "-power-off"]


def test_canceled_again_the_clean_up_is_abandoned_but_the_device_switched_off(run: Run) -> None:
    world = World()
    steps = (step(Work(world, "a", 30.0, cleanup=200.0), "1"), step(Work(world, "b"), "2"))
    run(world, *steps, finalize=Work(world, "power-off", 10.0), cancel_at=(5.0, 8.0))
    assert isinstance(world.error, JobCanceled)
    assert world.events == ["a", "-a", "power-off"]
    assert world.seconds == pytest.approx(18.0)


def test_canceled_a_third_time_nothing_is_waited_for(run: Run) -> None:
    world = World()
    run(
        world,
        step(Work(world, "a", 30.0, cleanup=200.0), "1"),
        finalize=Work(world, "power-off", 20.0),
        cancel_at=(5.0, 8.0, 9.0),
    )
    assert isinstance(world.error, JobCanceled)
    assert world.seconds == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (JobError("x"), "Job"),
        (InfrastructureError("x"), "Infrastructure"),
        (ConnectionClosedError("x"), "Infrastructure"),
        (TestError("x"), "Test"),
        (TestTimeoutError("x"), "Test"),
        (ConfigurationError("x"), "Configuration"),
        (LavaBug("x"), "Bug"),
        (LavaError("x"), "Unknown"),
    ],
)
def test_each_class_of_error_has_its_type(run: Run, error: LavaError, error_type: str) -> None:
    world = World()
    run(world, step(Work(world, "a", error)))
    assert world.verdict is not None
    assert world.verdict.record == {
        "definition": "lava",
        "case": "job",
        "result": "fail",
        "error_msg": "x",
        "error_type": error_type,
    }
    assert not world.text("exception")


def test_an_unexpected_exception_is_our_bug_and_shows_its_traceback(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "a", KeyError("gone"))))
    assert isinstance(world.error, LavaBug)
    assert str(world.error) == "a: KeyError: 'gone'"
    assert world.text("exception")[0] == "Traceback (most recent call last):"


def test_a_verdict_without_a_message() -> None:
    assert Verdict(JobError()).record["error_msg"] == "Unknown error"
    assert Verdict().record == {"definition": "lava", "case": "job", "result": "pass"}
    assert closing_lines(None) == ["Job finished correctly"]
    assert closing_lines(JobError("a\nb")) == ["a", "b", JobError.help_text]


def test_validation_tells_every_fault_before_anything_runs(run: Run) -> None:
    world = World()
    run(
        world,
        step(Work(world, "a", check=["no such file"]), "1"),
        step(Work(world, "b", check=JobError("no such program")), "2"),
    )
    assert str(world.error) == "Invalid job data: ['1 a: no such file', '2 b: no such program']"
    assert world.results == [{"case": "validate", "definition": "lava", "result": "fail"}]
    assert world.events == ["-a", "-b", "-power-off"]


def test_validation_stops_at_what_is_not_the_submitters_fault(run: Run) -> None:
    world = World()
    run(
        world,
        step(Work(world, "a", check=30.0), "1"),
        step(Work(world, "b", check=InfrastructureError("no qemu here")), "2"),
    )
    assert isinstance(world.error, InfrastructureError)
    assert str(world.error) == "no qemu here"
    assert world.seconds == 0.0


def test_validation_is_within_the_jobs_time(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "a", check=1000.0), "1"))
    assert str(world.error) == "validate timed out after 100 seconds"


def test_validation_alone_runs_nothing(run: Run) -> None:
    world = World()
    run(world, step(Work(world, "a"), "1"), validate_only=True)
    assert world.error is None
    assert world.events == ["-a", "-power-off"]
    assert world.results == [{"case": "validate", "definition": "lava", "result": "pass"}]
