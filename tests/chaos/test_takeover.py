"""Two masters, one slave that knows both: when the one that works goes, the other follows.  Decision record 0010.

Takeover after a kill takes as long as the lease, some 8 seconds; after a clean stop one look at it, some 2 seconds.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from checks import KILL, TERM, check
from harness.daemons import Daemon, free_port, wait_for
from harness.lab import Lab
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-takeover")]

Both = tuple[Lab, Daemon]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A lab with two masters, of which the first works, and a slave that dials both."""
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(1,))
    ports = (free_port(), free_port())
    other = lab.another_master("other", ports)
    (slave,) = lab.slaves
    addresses = [f"tcp://127.0.0.1:{one},tcp://127.0.0.1:{two}" for one, two in zip(lab.ports, ports, strict=True)]
    options = ("--master", addresses[0], "--socket-addr", addresses[1])
    slave.daemon = lab.slave_daemon("s1", lab.ports, slave.state, *options)
    lab.start()
    other.start()
    wait_for(lambda: "has started" in other.said(), "the second master")
    yield lab, other
    other.kill()
    lab.close()


def terms(daemon: Daemon) -> int:
    """How often a master began to work."""
    return daemon.said().count("this master works, term")


@pytest.mark.parametrize("number", [KILL, TERM], ids=["KILL", "TERM"])
def test_the_other_follows_and_the_job_goes_on(both: Both, number: signal.Signals) -> None:
    lab, other = both
    first, second = (lab.master, other) if terms(lab.master) > terms(other) else (other, lab.master)
    job = lab.submit(numbered_job(600, 60, 20))
    lab.wait_for_line(job, 50)
    before = terms(second)
    first.stop(number)
    wait_for(lambda: terms(second) > before, "the other master to follow", 30)
    lab.wait_for_line(job, 600)
    check(lab, job, 600, 60)
    check(lab, lab.submit(numbered_job(20, 2, 0)), 20, 2)
    first.start()
    wait_for(lambda: "has started" in first.said(), "the first master")


def test_a_master_that_slept_through_it_writes_nothing_and_starts_nothing(both: Both) -> None:
    lab, other = both
    first, second = (lab.master, other) if terms(lab.master) > terms(other) else (other, lab.master)
    assert first.process is not None
    job = lab.submit(numbered_job(600, 60, 20))
    lab.wait_for_line(job, 50)
    before = terms(second)
    first.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: terms(second) > before, "the other master to follow", 30)
        waiting = lab.submit(numbered_job(20, 2, 0))
    finally:
        first.process.send_signal(signal.SIGCONT)
    check(lab, job, 600, 60)
    check(lab, waiting, 20, 2)
    wait_for(lambda: "another master has followed: standing by" in first.said(), "the first to notice")
