"""Daemons that are stopped and killed while jobs run: protocol specification 10, G1, G2, G5, G7, G32."""

from __future__ import annotations

import signal

import pytest
from checks import KILL, TERM, check
from harness.daemons import wait_for
from harness.lab import Lab
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-restarts")]


@pytest.mark.parametrize("number", [TERM, KILL])
def test_g01_g02_the_master_is_restarted_20_times(lab: Lab, number: signal.Signals) -> None:
    """R10."""
    job = lab.submit(numbered_job(2000, 200, 30))
    for turn in range(20):
        lab.wait_for_line(job, 1 + turn * 40)
        lab.master.stop(number)
        lab.master.start()
    check(lab, job, 2000, 200)


@pytest.mark.parametrize("number", [TERM, KILL])
def test_g05_g32_job_processes_survive_the_slave_and_are_adopted(lab: Lab, number: signal.Signals) -> None:
    """R11."""
    slave = lab.slaves[0].daemon
    job = lab.submit(numbered_job(600, 60, 10))
    for line in (20, 200):
        lab.wait_for_line(job, line)
        before = lab.job_processes()[job]
        slave.stop(number)
        written = lab.starts(job)[0].stat().st_size
        wait_for(lambda written=written: lab.starts(job)[0].stat().st_size > written, "the job to go on alone")
        slave.start()
        adopted = f"[{job}] adopted, process {before.pid}"
        wait_for(lambda adopted=adopted: adopted in slave.said(), "the job to be adopted")
        assert lab.job_processes()[job] == before
    check(lab, job, 600, 60)


@pytest.mark.parametrize("number", [TERM, KILL])
@pytest.mark.parametrize("first", ["master", "slave"])
def test_g07_a_job_ends_while_master_and_slave_are_away(lab: Lab, number: signal.Signals, first: str) -> None:
    daemons = [lab.master, lab.slaves[0].daemon]
    job = lab.submit(numbered_job(200, 20, 3))
    lab.wait_for_line(job, 50)
    for daemon in daemons:
        daemon.stop(number)
    wait_for(lambda: job not in lab.job_processes(), "the end of the job process")
    for daemon in daemons if first == "master" else reversed(daemons):
        daemon.start()
    check(lab, job, 200, 20)


def test_g02_the_master_is_killed_between_receiving_lines_and_storing_them(lab: Lab) -> None:
    cables = lab.slaves[0].cables
    job = lab.submit(numbered_job(600, 60, 10))
    for line in (20, 100, 200):
        lab.wait_for_line(job, line)
        with lab.locked_database():
            sent = int(cables.tell("count").split()[0])
            wait_for(lambda sent=sent: int(cables.tell("count").split()[0]) > sent + 4000, "lines to be sent")
            lab.master.kill()
        lab.master.start()
    check(lab, job, 600, 60)
