"""Slave and master keep nothing of jobs that are over; `benchmarks/memory.py` has the figures of a long run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.lab import Lab
from harness.memory import resident, run_jobs, short_jobs_lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-memory")]

IDLE_BYTES = 60_000_000
#: of the 100 kB that each job's log has
KEPT_BYTES = 30_000


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = short_jobs_lab(tmp_path_factory.mktemp("lab"), 4)
    lab.start()
    yield lab
    lab.close()


def test_daemons_do_not_grow_with_the_jobs_they_have_seen(lab: Lab) -> None:
    daemons = [lab.slaves[0].daemon, lab.master]
    assert resident(lab.slaves[0].daemon) < IDLE_BYTES
    run_jobs(lab, 100)
    before = [resident(daemon) for daemon in daemons]
    run_jobs(lab, 100)
    for daemon, weight in zip(daemons, before, strict=True):
        assert (resident(daemon) - weight) / 100 < KEPT_BYTES, daemon.name
