"""Cables that are cut, silent, and bad, while jobs run: protocol specification 10, G3, G4, G31."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from checks import check
from harness.daemons import wait_for
from harness.lab import Lab, Slave
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-network")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(1, 1, 1))
    lab.start()
    yield lab
    lab.close()


def slave_of(lab: Lab, job: str) -> Slave:
    device = str(lab.show(job)["device"])
    return next(slave for slave in lab.slaves if device in slave.boards)


def test_g03_cables_are_out_until_their_workers_are_offline(lab: Lab) -> None:
    """R12.  Scaled: not ten minutes, but until the master has given up; nobody counts the time after that."""
    jobs = {fault: lab.submit(numbered_job(1500, 150, 45)) for fault in ("cut", "stall", "half-open")}
    for job in jobs.values():
        lab.wait_for_line(job, 20)
    slaves = {job: slave_of(lab, job) for job in jobs.values()}
    for fault, job in jobs.items():
        slaves[job].cables.tell(fault)
    for job, slave in slaves.items():
        lab.wait_for_worker(slave.name, "Offline", 90)
        assert lab.show(job)["state"] == "Running"
        assert lab.starts(job)[0].stat().st_size > 2 * len(lab.log(job))  # nobody has held it up
    for slave in slaves.values():
        slave.cables.tell("restore")
    for job, slave in slaves.items():
        lab.wait_for_worker(slave.name, "Online")
        check(lab, job, 1500, 150)


@pytest.mark.parametrize("fault", ["drop up 1", "drop down 1", "corrupt up 1", "corrupt down 1"])
def test_g04_whatever_is_lost_or_damaged_is_said_again(lab: Lab, fault: str) -> None:
    """Messages at each stage of a job's life, whichever they are, to and from three slaves."""
    jobs = [lab.submit(numbered_job(100, 10, 0.5)) for _ in lab.slaves]
    for turn in range(6):
        for slave in lab.slaves:
            passed = slave.cables.tell("count")
            wait_for(lambda slave=slave, passed=passed: slave.cables.tell("count") != passed, "traffic")
            if turn % 2:
                slave.cables.tell(fault)
    for slave in lab.slaves:
        slave.cables.tell("restore")
    for job in jobs:
        check(lab, job, 100, 10)


def test_g31_a_job_waits_for_a_worker_that_is_offline_and_says_so(lab: Lab) -> None:
    for slave in lab.slaves:
        slave.daemon.kill()
    for slave in lab.slaves:
        lab.wait_for_worker(slave.name, "Offline", 90)
    job = lab.submit(numbered_job(20, 2, 0))
    reason = wait_for(lambda: lab.show(job)["waiting_reason"], "the reason")
    assert any(slave.name in reason for slave in lab.slaves)
    assert "offline" in reason.lower()
    assert lab.starts(job) == []
    lab.slaves[1].daemon.start()
    check(lab, job, 20, 2)
    assert slave_of(lab, job) is lab.slaves[1]
