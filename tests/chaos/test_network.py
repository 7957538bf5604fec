"""Cables that are cut, silent, and bad, while jobs run: protocol specification 10, G3, G4, G31."""

from __future__ import annotations

import pytest
from checks import check
from harness.daemons import wait_for
from harness.lab import Lab
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos")]


@pytest.mark.parametrize("fault", ["cut", "stall", "half-open"])
def test_g03_a_cable_is_out_until_the_worker_is_offline(lab: Lab, fault: str) -> None:
    """Scaled: not ten minutes, but until the master has given up; nobody counts the time after that."""
    slave = lab.slaves[0]
    job = lab.submit(numbered_job(1500, 150, 45))
    lab.wait_for_line(job, 50)
    slave.cables.tell(fault)
    lab.wait_for_worker(slave.name, "Offline", 90)
    assert lab.show(job)["state"] == "Running"
    written = lab.starts(job)[0].stat().st_size
    assert written > len(lab.log(job))
    wait_for(lambda: job not in lab.job_processes() or lab.starts(job)[0].stat().st_size > written, "more lines")
    slave.cables.tell("restore")
    lab.wait_for_worker(slave.name, "Online")
    check(lab, job, 1500, 150)


@pytest.mark.parametrize("fault", ["drop up 1", "drop down 1", "corrupt up 1", "corrupt down 1"])
def test_g04_whatever_is_lost_or_damaged_is_said_again(lab: Lab, fault: str) -> None:
    """A message at each stage of a job's life, whichever it is: after every byte more that went up or down."""
    slave = lab.slaves[0]
    jobs = []
    for stage in range(4):
        job = lab.submit(numbered_job(100, 10, 0.5))
        jobs.append(job)
        for more in range(stage, 4):
            passed = slave.cables.tell("count")
            wait_for(lambda passed=passed: slave.cables.tell("count") != passed, "traffic")
            if more % 2 == stage % 2:
                slave.cables.tell(fault)
        lab.wait_for_state(job, "Finished", 90)
    for job in jobs:
        check(lab, job, 100, 10)


def test_g31_a_job_waits_for_a_worker_that_is_offline_and_says_so(lab: Lab) -> None:
    slave = lab.slaves[0]
    slave.daemon.kill()
    lab.wait_for_worker(slave.name, "Offline", 90)
    job = lab.submit(numbered_job(20, 2, 0))
    reason = wait_for(lambda: lab.show(job)["waiting_reason"], "the reason")
    assert slave.name in reason
    assert "offline" in reason.lower()
    assert lab.starts(job) == []
    slave.daemon.start()
    check(lab, job, 20, 2)
