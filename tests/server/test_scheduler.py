"""Rounds on a real database: what is decided is written once, whoever else decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from lava.master.scheduler import run_round
from lava.master.scheduler.apply import give_all
from lava.master.scheduler.snapshot import take_snapshot
from lava.model.states import DeviceHealth, DeviceState, JobHealth, JobState, WorkerState
from lava.server.models import Device, Tag, TestJob, Worker

pytestmark = pytest.mark.django_db

Submit = Callable[..., TestJob]


def test_a_free_device_is_given_and_the_next_job_is_told_why_it_waits(submit: Submit) -> None:
    first, second = submit(), submit()
    assert run_round() == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.job_state, first.actual_device_id) == (JobState.SCHEDULED, "qemu-01")
    assert (second.job_state, second.waiting_reason) == (JobState.SUBMITTED, "1 device of type qemu busy")
    assert run_round() == 0


def test_a_device_is_never_given_twice(submit: Submit) -> None:
    first, second = submit(), submit()
    assert give_all({first.pk: "qemu-01"}) == 1
    assert give_all({second.pk: "qemu-01"}) == 0
    assert give_all({first.pk: "qemu-01"}) == 0
    # Even if its state were wrong, the database would not have it.
    Device.objects.update(state=DeviceState.IDLE)
    assert give_all({second.pk: "qemu-01"}) == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        TestJob.objects.filter(pk=second.pk).update(actual_device="qemu-01", state=JobState.SCHEDULED)


def test_a_job_that_was_canceled_meanwhile_gets_nothing(submit: Submit) -> None:
    job = submit()
    TestJob.objects.filter(pk=job.pk).update(state=JobState.FINISHED, health=JobHealth.CANCELED)
    assert give_all({job.pk: "qemu-01"}) == 0
    assert Device.objects.get().state == DeviceState.IDLE


def test_priority_comes_before_age(submit: Submit) -> None:
    low, high = submit(), submit()
    TestJob.objects.filter(pk=high.pk).update(priority=TestJob.HIGH)
    run_round()
    low.refresh_from_db()
    high.refresh_from_db()
    assert (low.job_state, high.job_state) == (JobState.SUBMITTED, JobState.SCHEDULED)


def test_tags_choose_the_device(submit: Submit, new_device: Any) -> None:
    other = new_device("qemu-02")
    tag = Tag.objects.create(name="usb")
    other.tags.add(tag)
    job = submit(more="tags: [usb]")
    run_round()
    job.refresh_from_db()
    assert job.actual_device_id == "qemu-02"


@pytest.mark.parametrize("health", set(DeviceHealth) - {DeviceHealth.GOOD, DeviceHealth.UNKNOWN})
def test_a_device_that_must_not_be_used_is_not(submit: Submit, health: DeviceHealth) -> None:
    job = submit()
    Device.objects.update(health=health)
    assert run_round() == 0
    job.refresh_from_db()
    assert job.waiting_reason


def test_a_device_of_a_worker_that_is_away_is_not_used(submit: Submit) -> None:
    job = submit()
    Worker.objects.update(state=WorkerState.OFFLINE)
    assert run_round() == 0
    job.refresh_from_db()
    assert job.waiting_reason == "worker worker-1 is offline"


def test_a_job_that_waited_too_long_is_canceled(submit: Submit) -> None:
    job = submit()
    Device.objects.update(health=DeviceHealth.BAD)
    TestJob.objects.update(queue_timeout=0)
    run_round()
    job.refresh_from_db()
    assert (job.job_state, job.job_health) == (JobState.FINISHED, JobHealth.CANCELED)


def test_a_round_costs_the_same_number_of_queries_for_any_lab(submit: Submit, new_device: Any) -> None:
    for number in range(10):
        new_device(f"board-{number}")
        submit()
    with CaptureQueriesContext(connection) as counted:
        snapshot = take_snapshot()
    assert len(snapshot.jobs) == 10
    assert len(snapshot.devices) == 11
    assert len([query for query in counted.captured_queries if query["sql"].startswith("SELECT")]) == 5


def test_many_are_given_in_one_go_with_the_same_number_of_queries(submit: Submit, new_device: Any) -> None:
    devices = [new_device(f"board-{number}").pk for number in range(20)]
    jobs = [submit().pk for _ in devices]
    with CaptureQueriesContext(connection) as counted:
        assert give_all(dict(zip(jobs, devices, strict=True))) == 20
    assert len([query for query in counted.captured_queries if query["sql"].startswith(("UPDATE", "WITH"))]) == 2
    assert set(TestJob.objects.values_list("state", "actual_worker")) == {(JobState.SCHEDULED, "worker-1")}
    assert dict(TestJob.objects.values_list("pk", "actual_device")) == dict(zip(jobs, devices, strict=True))


def test_where_somebody_came_first_the_others_still_get_theirs(submit: Submit, new_device: Any) -> None:
    devices = [new_device(f"board-{number}").pk for number in range(4)]
    jobs = [submit().pk for _ in devices]
    Device.objects.filter(pk=devices[1]).update(state=DeviceState.RESERVED)
    TestJob.objects.filter(pk=jobs[2]).update(state=JobState.FINISHED)
    assert give_all(dict(zip(jobs, devices, strict=True))) == 2
    given = TestJob.objects.filter(state=JobState.SCHEDULED).values_list("pk", "actual_device")
    assert dict(given) == {jobs[0]: devices[0], jobs[3]: devices[3]}
    assert Device.objects.get(pk=devices[2]).state == DeviceState.IDLE
