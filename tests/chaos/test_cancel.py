"""Cancel a job wherever it is: protocol specification 10, G8.  One board, so that the next job waits for it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest
from checks import check
from harness.daemons import Daemon, wait_for
from harness.lab import Lab
from harness.work import job as work
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-cancel")]

#: Scaled: a job process that does not heed TERM is killed after 4 seconds, not after 120.
HASTY = (
    "import sys, lava.slave.processes as p; p.CANCEL_STEPS = tuple((2.0, number) for _, number in p.CANCEL_STEPS);"
    "from lava.slave.main import main; sys.exit(main())"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(1,))
    slave = lab.slaves[0]
    _, _, module, *options = slave.daemon.command
    assert module == "lava.slave.main"
    command = (sys.executable, "-c", HASTY, *options)
    slave.daemon = Daemon(slave.name, command, slave.daemon.environment, slave.daemon.log)
    lab.start()
    yield lab
    lab.close()


def cancel(lab: Lab, job: str) -> None:
    assert lab.client.call("scheduler.jobs.cancel", job) is True


def process_of(lab: Lab) -> int:
    process = lab.slaves[0].daemon.process
    assert process is not None
    return process.pid


def next_job(lab: Lab) -> None:
    """The board is free and works."""
    check(lab, lab.submit(numbered_job(10, 1, 0)), 10, 1)


def test_g08_scheduled(lab: Lab) -> None:
    slave = lab.slaves[0]
    slave.cables.tell("stall")  # it is online, and START does not arrive
    job = lab.submit(numbered_job(1000, 10, 100))
    lab.wait_for_state(job, "Scheduled")
    cancel(lab, job)
    slave.cables.tell("restore")
    ended = lab.wait_for_state(job, "Finished")
    assert ended["health"] == "Canceled"
    assert lab.come_to_rest([job]) == [], lab.said()
    assert len(lab.starts(job)) <= 1
    next_job(lab)


def test_g08_starting(lab: Lab) -> None:
    job = lab.submit(numbered_job(1000, 10, 100))
    wait_for(lambda: lab.starts(job), "the job process")
    cancel(lab, job)
    check(lab, job, 1000, 10, canceled=True)
    assert lab.show(job)["health"] == "Canceled"
    next_job(lab)


def test_g08_running(lab: Lab) -> None:
    job = lab.submit(numbered_job(1000, 100, 100))
    lab.wait_for_line(job, 5)
    cancel(lab, job)
    check(lab, job, 1000, 100, canceled=True)
    assert lab.show(job)["health"] == "Canceled"
    assert b"canceled by admin" in lab.show(job)["failure_comment"].encode()
    next_job(lab)


def test_g08_hung_and_deaf_the_board_is_not_given_away_before_the_process_is_gone(lab: Lab) -> None:
    job = lab.submit(work("sleep 1000"))
    wait_for(lambda: b"sleep 1000" in lab.log(job), "the step")
    process = lab.job_processes()[job]
    lab.kill_job_process(job, signal.SIGSTOP)
    waiting = lab.submit(numbered_job(10, 1, 0))
    cancel(lab, job)
    wait_for(lambda: f"[{job}] canceling" in lab.slaves[0].daemon.said(), "the order to reach the slave")
    wait_for(lambda: lab.starts(waiting) or not process.is_running(), "the process to be killed")
    assert not process.is_running() or process.status() == "zombie"
    check(lab, waiting, 10, 1)
    check(lab, job, 0, 0, canceled=True)
    assert lab.show(job)["health"] == "Canceled"


def test_g08_already_finished(lab: Lab) -> None:
    job = lab.submit(numbered_job(10, 1, 0))
    check(lab, job, 10, 1)
    cancel(lab, job)
    check(lab, job, 10, 1)
    assert lab.show(job)["health"] == "Complete"


def test_g08_the_slave_is_away(lab: Lab) -> None:
    slave = lab.slaves[0]
    job = lab.submit(numbered_job(1000, 100, 100))
    lab.wait_for_line(job, 5)
    slave.daemon.kill()
    cancel(lab, job)
    waiting = lab.submit(numbered_job(10, 1, 0))
    assert lab.show(job)["state"] == "Canceling"
    assert lab.device(slave.boards[0]) != "Idle"
    assert job in lab.job_processes()
    slave.daemon.start()
    check(lab, waiting, 10, 1)
    check(lab, job, 1000, 100, canceled=True)
    assert lab.show(job)["health"] == "Canceled"
