"""Nonsense on both ports, from strangers and from a slave that was let in: G12, seed requirements R68, R80."""

from __future__ import annotations

import shutil

import psutil
import pytest
from checks import check
from harness.fuzz import Fuzzer
from harness.lab import Lab
from harness.work import numbered_job

from lava.wire.certificates import create_certificate, load_certificate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-fuzz")]

GROWTH_BYTES = 30 * 2**20


@pytest.mark.parametrize("seed", [1, 2])
def test_g12_r68_r80_a_job_is_whole_whatever_others_send(lab: Lab, seed: int) -> None:
    """G12, R68, R80: both daemons live, nobody but its slave speaks for the job, and the master does not swell."""
    name = f"fuzz-{seed}"
    public, secret = create_certificate(lab.layout.certificates, name)
    shutil.copy(public, lab.known)
    lab.manage("workers", "add", name)
    assert lab.master.process is not None
    master = psutil.Process(lab.master.process.pid)
    slave = lab.slaves[0].daemon.process
    job = lab.submit(numbered_job(600, 60, 15))
    own = load_certificate(secret, secret=True)
    master_key = load_certificate(lab.layout.certificates / "master" / "master.key", secret=False)
    with Fuzzer(seed, lab.ports, name, own, master_key, [job]) as fuzzer:
        for line in (50, 100):  # it has met everything by then
            while f"line {line:06}".encode() not in lab.log(job):
                fuzzer.step()
        assert lab.worker(name) == "Online"
        before = master.memory_info().rss
        while lab.show(job)["state"] != "Finished":
            fuzzer.step()
    assert master.memory_info().rss - before < GROWTH_BYTES
    assert fuzzer.sent > 1000
    check(lab, job, 600, 60)
    assert lab.master.running
    assert (lab.slaves[0].daemon.running, lab.slaves[0].daemon.process) == (True, slave)
    assert lab.crashes() == []
    complaints = [line.split(" ERROR ", 1)[1] for line in lab.master.said().splitlines() if " ERROR " in line]
    assert 10 < len(complaints) < 3000 < fuzzer.sent
