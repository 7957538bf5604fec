"""Two slaves on one machine, two masters on one database: protocol specification 10, G29, G34."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from checks import KILL, TERM, check
from harness.daemons import free_port, wait_for
from harness.lab import Lab
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-two")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(1, 1))
    lab.start()
    yield lab
    lab.close()


def test_g29_two_slaves_on_one_machine_do_not_meddle(lab: Lab) -> None:
    first, second = lab.slaves
    jobs = [lab.submit(numbered_job(600, 60, 10)) for _ in range(2)]
    for job in jobs:
        lab.wait_for_line(job, 20)
    places = {slave.name: [path.name for path in slave.job_directories] for slave in lab.slaves}
    assert sorted(len(names) for names in places.values()) == [1, 1]
    first.daemon.kill()
    first.daemon.start()
    second.daemon.stop(TERM)
    second.daemon.start()
    for job in jobs:
        check(lab, job, 600, 60)


def test_g29_a_slave_refuses_the_directory_of_another(lab: Lab) -> None:
    first, second = lab.slaves
    intruder = lab.slave_daemon(second.name, second.cables.ports, first.state, log="intruder")
    intruder.start()
    assert intruder.process is not None
    assert intruder.process.wait(30) != 0
    assert str(first.state) in intruder.said()
    assert "Traceback" not in intruder.said()
    assert first.daemon.running
    check(lab, lab.submit(numbered_job(20, 2, 0)), 20, 2)


def test_g34_a_second_master_on_the_same_ports_is_refused(lab: Lab) -> None:
    second = lab.another_master("second", lab.ports)
    second.start()
    assert second.process is not None
    assert second.process.wait(60) != 0
    assert str(lab.ports[0]) in second.said()
    assert "Traceback" not in second.said()
    check(lab, lab.submit(numbered_job(20, 2, 0)), 20, 2)


def test_g34_a_second_master_on_the_same_database_starts_nothing_twice(lab: Lab) -> None:
    second = lab.another_master("other", (free_port(), free_port()))
    second.start()
    assert second.process is not None
    try:
        wait_for(lambda: "has started" in second.said() or not second.running, "the second master")
        jobs = [lab.submit(numbered_job(100, 10, 1)) for _ in range(6)]
        for job in jobs:
            check(lab, job, 100, 10)
    finally:
        second.stop(KILL)
