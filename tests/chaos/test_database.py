"""The database is restarted, holds everybody up, or forgets: protocol specification 10, G18, G24, G25, G28."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
from checks import check
from harness.daemons import wait_for
from harness.lab import Lab
from harness.postgresql import PostgreSQL
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-database")]


@pytest.fixture(scope="module")
def postgresql_lab(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(2,), database=postgresql)
    lab.start()
    yield lab
    lab.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
def test_g18_postgresql_is_restarted_under_load(postgresql_lab: Lab, number: signal.Signals) -> None:
    lab = postgresql_lab
    assert lab.database is not None
    jobs = [lab.submit(numbered_job(1000, 100, 12)) for _ in range(2)]
    before = [daemon.process for daemon in lab.daemons]
    for turn in range(3):
        for job in jobs:
            lab.wait_for_line(job, 10 + turn * 100)
        lab.database.stop(number)
        lab.database.start()
        stored = [len(lab.log(job)) for job in jobs]
        began = time.monotonic()
        wait_for(
            lambda stored=stored: all(len(lab.log(job)) > size for job, size in zip(jobs, stored, strict=True)),
            "more lines to be stored",
            10,  # G18 promises it
        )
        assert time.monotonic() - began < 10
    for job in jobs:
        check(lab, job, 1000, 100)
    assert [daemon.process for daemon in lab.daemons] == before
    assert all(daemon.running for daemon in lab.daemons)


def test_g18_sqlite_is_locked_by_somebody_for_seconds(lab: Lab) -> None:
    job = lab.submit(numbered_job(600, 60, 8))
    before = [daemon.process for daemon in lab.daemons]
    lab.wait_for_line(job, 10)
    with lab.locked_database():
        written = lab.starts(job)[0].stat().st_size
        wait_for(lambda: lab.starts(job)[0].stat().st_size > 3 * written, "the job to go on")
    check(lab, job, 600, 60)
    assert [daemon.process for daemon in lab.daemons] == before


def forget_the_start(lab: Lab, job: str) -> None:
    """Set a job back to where its START is not answered, as a restored database does."""
    lab.in_database(
        f"job = TestJob.objects.get(pk={job}); job.state = JobState.SCHEDULED; job.save(update_fields=['state'])"
    )


def test_g24_start_comes_again_for_a_job_that_runs(lab: Lab) -> None:
    job = lab.submit(numbered_job(600, 60, 10))
    lab.wait_for_line(job, 50)
    forget_the_start(lab, job)
    lab.wait_for_state(job, "Running")
    check(lab, job, 600, 60)


def test_g24_start_comes_again_for_a_job_that_has_ended(lab: Lab) -> None:
    job = lab.submit(numbered_job(20, 2, 0))
    check(lab, job, 20, 2)
    lab.in_database(
        f"job = TestJob.objects.get(pk={job}); job.state = JobState.SCHEDULED; job.health = JobHealth.UNKNOWN;"
        "job.end_time = None; job.save();"
        "Device.objects.filter(pk=job.actual_device_id).update(state=DeviceState.RESERVED)"
    )
    lab.wait_for_state(job, "Finished")
    check(lab, job, 20, 2)


def test_g25_an_end_of_a_job_that_nobody_knows_is_acknowledged(lab: Lab) -> None:
    slave = lab.slaves[0]
    job = lab.submit(numbered_job(200, 20, 3))
    lab.wait_for_line(job, 20)
    slave.daemon.stop()
    wait_for(lambda: job not in lab.job_processes(), "the end of the job process")
    assert [path.name for path in slave.job_directories] == [job]
    forget_the_job(lab, job)
    slave.daemon.start()
    wait_for(lambda: not slave.job_directories, "the slave to forget the job")
    check(lab, lab.submit(numbered_job(20, 2, 0)), 20, 2)


def test_g28_a_job_is_deleted_while_it_runs(lab: Lab) -> None:
    slave = lab.slaves[0]
    job = lab.submit(numbered_job(1000, 100, 100))
    lab.wait_for_line(job, 20)
    forget_the_job(lab, job)
    wait_for(lambda: job not in lab.job_processes(), "the job to be stopped")
    wait_for(lambda: not slave.job_directories, "the slave to forget the job")
    check(lab, lab.submit(numbered_job(20, 2, 0)), 20, 2)


def forget_the_job(lab: Lab, job: str) -> None:
    """Delete a job, as an admin does who frees its device as well."""
    lab.in_database(
        f"job = TestJob.objects.get(pk={job});"
        "Device.objects.filter(pk=job.actual_device_id).update(state=DeviceState.IDLE); job.delete()"
    )
