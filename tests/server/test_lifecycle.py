"""Jobs through their lives: states, devices, verdicts, and everything twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from lava.master.scheduler import run_round
from lava.model.states import DeviceHealth, DeviceState, JobHealth, JobState
from lava.server.actions import ingest, lifecycle
from lava.server.logs import JobFiles
from lava.server.models import Device, TestJob, Worker

pytestmark = pytest.mark.django_db

WHEN = b'"dt": "2026-01-02T03:04:05.000006+00:00"'
PASS = b'- {%s, "lvl": "results", "msg": {"definition": "lava", "case": "job", "result": "pass"}}\n' % WHEN
FAIL = PASS.replace(b'"pass"', b'"fail", "error_type": "Infrastructure", "error_msg": "the board is on fire"')

Submit = Callable[..., TestJob]


def scheduled(submit: Submit) -> TestJob:
    job = submit()
    assert run_round() == 1
    job.refresh_from_db()
    return job


def running(submit: Submit) -> TestJob:
    job = scheduled(submit)
    assert lifecycle.job_started("worker-1", job.display_id)
    job.refresh_from_db()
    return job


def end(job: TestJob, log: bytes = b"", **fields: object) -> bool:
    ingest.store_chunks([ingest.Chunk("worker-1", job.display_id, 0, log)])
    report = {"log_length": len(log), "exit_status": 0, "error_text": "", "description": "", **fields}
    return lifecycle.job_ended("worker-1", job.display_id, **report)  # type: ignore[arg-type]


def look(job: TestJob) -> tuple[JobState, JobHealth, DeviceState]:
    job.refresh_from_db()
    device = Device.objects.get(pk="qemu-01")
    return job.job_state, job.job_health, DeviceState(device.state)


def test_a_job_goes_from_submission_to_complete(submit: Submit) -> None:
    job = submit()
    assert look(job) == (JobState.SUBMITTED, JobHealth.UNKNOWN, DeviceState.IDLE)
    run_round()
    assert look(job) == (JobState.SCHEDULED, JobHealth.UNKNOWN, DeviceState.RESERVED)
    lifecycle.job_started("worker-1", job.display_id)
    assert look(job) == (JobState.RUNNING, JobHealth.UNKNOWN, DeviceState.RUNNING)
    assert end(job, PASS)
    assert look(job) == (JobState.FINISHED, JobHealth.COMPLETE, DeviceState.IDLE)
    assert job.start_time is not None
    assert job.end_time is not None
    assert job.start_time <= job.end_time


def test_what_is_said_twice_changes_nothing(submit: Submit) -> None:
    job = running(submit)
    began = job.start_time
    assert lifecycle.job_started("worker-1", job.display_id)
    assert end(job, PASS)
    ended = look(job)
    assert lifecycle.job_started("worker-1", job.display_id)
    assert end(job, PASS)
    assert look(job) == ended
    assert job.start_time == began


def test_an_end_waits_for_the_whole_log(submit: Submit) -> None:
    job = running(submit)
    assert not lifecycle.job_ended(
        "worker-1", job.display_id, log_length=len(PASS), exit_status=0, error_text="", description=""
    )
    assert look(job)[0] is JobState.RUNNING
    assert end(job, PASS)
    assert look(job)[1] is JobHealth.COMPLETE


def test_an_end_may_overtake_the_start(submit: Submit) -> None:
    job = scheduled(submit)
    assert end(job, PASS)
    assert look(job) == (JobState.FINISHED, JobHealth.COMPLETE, DeviceState.IDLE)
    assert job.start_time is not None


def test_a_failed_job_is_incomplete_and_says_why(submit: Submit) -> None:
    job = running(submit)
    end(job, FAIL, exit_status=1)
    assert look(job)[1] is JobHealth.INCOMPLETE
    assert (job.error_type, job.error_msg) == ("Infrastructure", "the board is on fire")
    assert DeviceHealth(Device.objects.get().health) is DeviceHealth.UNKNOWN


@pytest.mark.parametrize("health", [DeviceHealth.MAINTENANCE, DeviceHealth.RETIRED])
def test_what_people_decided_about_a_device_stays(submit: Submit, health: DeviceHealth) -> None:
    job = running(submit)
    Device.objects.update(health=health)
    end(job, FAIL)
    assert DeviceHealth(Device.objects.get().health) is health


def test_a_process_that_dies_without_a_result_is_a_bug_of_ours(submit: Submit) -> None:
    job = running(submit)
    end(job, b"", exit_status=-9, error_text="Killed\n")
    assert look(job)[1] is JobHealth.INCOMPLETE
    assert (job.error_type, job.error_msg) == ("Bug", "Killed")


def test_a_process_that_could_not_start_is_the_labs_fault(submit: Submit) -> None:
    job = scheduled(submit)
    end(job, b"", exit_status=None, error_text="no space left on device")
    look(job)
    assert (job.error_type, job.error_msg) == ("Infrastructure", "no space left on device")


def test_a_waiting_job_is_canceled_at_once(submit: Submit, user: User) -> None:
    job = submit()
    assert lifecycle.cancel_job(user, job.pk) is JobState.FINISHED
    assert look(job) == (JobState.FINISHED, JobHealth.CANCELED, DeviceState.IDLE)
    assert job.failure_comment == "canceled by user before it started"
    assert run_round() == 0


@pytest.mark.parametrize("prepare", [scheduled, running])
def test_a_job_with_a_device_is_canceled_by_its_worker(
    submit: Submit, user: User, prepare: Callable[[Submit], TestJob]
) -> None:
    job = prepare(submit)
    assert lifecycle.cancel_job(user, job.pk) is JobState.CANCELING
    assert lifecycle.cancel_job(user, job.pk) is JobState.CANCELING
    assert lifecycle.unanswered(["worker-1"]) == [("worker-1", job.display_id, False)]
    assert lifecycle.job_started("worker-1", job.display_id)
    assert look(job)[0] is JobState.CANCELING
    # It passed before the cancel reached it; it was asked for all the same.
    end(job, PASS)
    assert look(job) == (JobState.FINISHED, JobHealth.CANCELED, DeviceState.IDLE)


def test_a_finished_job_stays_as_it_is(submit: Submit, user: User) -> None:
    job = running(submit)
    end(job, PASS)
    ended = look(job)
    assert lifecycle.cancel_job(user, job.pk) is JobState.FINISHED
    assert look(job) == ended


def test_jobs_that_nobody_knows(db: None) -> None:
    assert lifecycle.cancel_job(None, 4711) is None
    assert not lifecycle.job_started("worker-1", "4711")
    assert lifecycle.job_ended("worker-1", "4711.1", log_length=5, exit_status=0, error_text="", description="")


def test_a_worker_speaks_for_its_own_jobs_only(submit: Submit) -> None:
    """G16: what an admitted slave says of the jobs of others changes nothing."""
    job = scheduled(submit)
    name = job.display_id
    assert not lifecycle.job_started("worker-2", name)
    assert look(job)[0] is JobState.SCHEDULED
    # It is told to forget the job: it must have it from another instance.
    assert lifecycle.job_ended("worker-2", name, log_length=0, exit_status=0, error_text="", description="")
    assert look(job)[0] is JobState.SCHEDULED
    assert ingest.store_chunks([ingest.Chunk("worker-2", name, 0, b"- {}\n")]) == [None]
    lifecycle.job_started("worker-1", name)
    assert look(job)[0] is JobState.RUNNING
    assert ingest.store_chunks([ingest.Chunk("worker-1", name, 0, b"- {}\n")]) == [5]


def test_a_job_stays_with_its_worker_when_its_device_is_moved(submit: Submit) -> None:
    job = scheduled(submit)
    Device.objects.update(worker_host=Worker.objects.create(hostname="worker-2"))
    assert lifecycle.unanswered(["worker-1", "worker-2"]) == [("worker-1", job.display_id, True)]
    assert lifecycle.start_order("worker-2", job.display_id) is None
    assert lifecycle.start_order("worker-1", job.display_id) is not None


def test_an_order_has_what_the_slave_needs_and_is_kept(submit: Submit) -> None:
    job = scheduled(submit)
    order = lifecycle.start_order("worker-1", job.display_id)
    assert order is not None
    assert order.job_id == job.display_id
    assert "job_name: a job" in order.definition
    assert "qemu-system-x86_64" in order.device
    assert JobFiles.of(job).text("device.yaml") == order.device
    assert lifecycle.start_order("another", job.display_id) is None


def test_a_device_without_a_dictionary_ends_the_job_with_the_file_named(submit: Submit, data_directory: object) -> None:
    """R39."""
    job = scheduled(submit)
    (data_directory / "devices" / "qemu-01.jinja2").unlink()  # type: ignore[operator]
    assert lifecycle.start_order("worker-1", job.display_id) is None
    assert look(job) == (JobState.FINISHED, JobHealth.INCOMPLETE, DeviceState.IDLE)
    assert job.error_type == "Configuration"
    assert "qemu-01.jinja2" in job.error_msg


@pytest.mark.parametrize("text", [b"a: [", b"\xff\xfe", None], ids=["no YAML", "no UTF-8", "a directory"])
@pytest.mark.parametrize("name", ["dispatcher.yaml", "env.yaml", "env-dut.yaml"])
def test_g11_a_file_of_the_worker_that_is_no_use_ends_the_job_with_the_file_named(
    submit: Submit, data_directory: Path, name: str, text: bytes | None
) -> None:
    """G11: it is not taken for a missing one."""
    file = data_directory / "dispatcher.d" / "worker-1" / name
    (file if text is None else file.parent).mkdir(parents=True)
    if text is not None:
        file.write_bytes(text)
    job = submit()
    run_round()
    assert lifecycle.start_order("worker-1", job.display_id) is None
    job.refresh_from_db()
    assert (job.job_health, job.error_type) == (JobHealth.INCOMPLETE, "Configuration")
    assert name in job.error_msg


def test_the_description_of_the_pipeline_is_kept(submit: Submit) -> None:
    job = running(submit)
    end(job, PASS, description="pipeline: []\n")
    assert JobFiles.of(job).text("description.yaml") == "pipeline: []\n"
