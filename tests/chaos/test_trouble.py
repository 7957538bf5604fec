"""Machines, disks and job processes in trouble: protocol specification 10, G6, G9, G10, G26, G27, G30, G33."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from checks import check
from harness.daemons import Daemon, wait_for
from harness.lab import Lab
from harness.ledger import records
from harness.work import job as work
from harness.work import numbered_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-trouble")]

CONNECTED = "Connection with the master established"
WithSlave = Callable[..., Daemon]


@pytest.fixture
def with_slave(lab: Lab) -> Iterator[WithSlave]:
    """Let another slave daemon take the place of the usual one for a while."""
    slave = lab.slaves[0]
    usual = slave.daemon

    def replace(*options: str, state: Path = slave.state) -> Daemon:
        usual.stop()
        lab.master.stop()  # it knows a slave by its state directory, and keeps the name for it for a while
        lab.master.start()
        slave.daemon = lab.slave_daemon(slave.name, slave.cables.ports, state, *options)
        before = slave.daemon.said().count(CONNECTED)
        slave.daemon.start()
        wait_for(lambda: slave.daemon.said().count(CONNECTED) > before, "the other slave")
        return slave.daemon

    yield replace
    slave.daemon.stop()
    slave.daemon = usual
    lab.master.stop()


def test_g06_the_machine_is_reset(lab: Lab) -> None:
    slave = lab.slaves[0]
    job = lab.submit(numbered_job(1000, 100, 100))
    lab.wait_for_line(job, 50)
    assert lab.kill_machine(slave) == {job}
    slave.daemon.start()
    ended = lab.wait_for_state(job, "Finished", 60)
    assert (ended["health"], ended["error_type"]) == ("Incomplete", "Infrastructure")
    assert "worker restarted" in ended["failure_comment"]
    check(lab, job, 1000, 100, killed=True)


@pytest.mark.parametrize("command", ["/no/such/program", "/etc/hostname"])
def test_g09_the_job_process_cannot_be_started(lab: Lab, with_slave: WithSlave, command: str) -> None:
    daemon = with_slave("--lava-run", command)
    job = lab.submit(numbered_job(10, 1, 0))
    ended = lab.wait_for_state(job, "Finished")
    assert (ended["health"], ended["error_type"]) == ("Incomplete", "Infrastructure")
    assert command in ended["failure_comment"]
    assert daemon.running
    assert lab.come_to_rest([job]) == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory in which a journal has room, and nothing else."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(ballast: Path) -> None:
    """Write until there is no room."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_g09_the_disk_is_full_and_then_it_is_not(lab: Lab, with_slave: WithSlave, full_disk: Path) -> None:
    daemon = with_slave("--lava-run", shlex.join([sys.executable, "-m", "lava.dispatcher.main"]), state=full_disk)
    ballast = full_disk / "ballast"
    fill(ballast)
    job = lab.submit(numbered_job(10, 1, 0))
    ended = lab.wait_for_state(job, "Finished")
    assert (ended["health"], ended["error_type"]) == ("Incomplete", "Infrastructure")
    assert "could not start the job" in ended["failure_comment"]
    assert daemon.running
    ballast.unlink()
    after = lab.submit(numbered_job(10, 1, 0))
    assert lab.wait_for_state(after, "Finished")["health"] == "Complete", lab.said()
    assert lab.come_to_rest([job, after]) == []


def test_g10_the_job_process_crashes_with_a_traceback(lab: Lab, with_slave: WithSlave) -> None:
    with_slave("--lava-run", shlex.join([sys.executable, "-c", "raise RuntimeError('the sky is falling')"]))
    job = lab.submit(numbered_job(10, 1, 0))
    ended = lab.wait_for_state(job, "Finished")
    assert (ended["health"], ended["error_type"]) == ("Incomplete", "Bug")
    assert "Traceback (most recent call last)" in ended["failure_comment"]
    assert "RuntimeError: the sky is falling" in ended["failure_comment"]
    assert lab.come_to_rest([job]) == []


def test_g26_a_job_that_fails_at_once(lab: Lab) -> None:
    document = yaml.safe_load(numbered_job(10, 1, 0))
    document["actions"][0] = {"deploy": {"to": "tmpfs", "images": {"kernel": {"url": "file:///none"}}}}
    jobs = [lab.submit(yaml.safe_dump(document)) for _ in range(5)]
    for job in jobs:
        ended = lab.wait_for_state(job, "Finished")
        assert (ended["health"], ended["error_type"]) == ("Incomplete", "Job")
        assert ended["submit_time"] <= ended["start_time"] <= ended["end_time"]
        check(lab, job, 0, 0, killed=True)


def test_g27_a_line_of_10_million_characters(lab: Lab) -> None:
    job = lab.submit(work("set +x; head -c 10000000 /dev/zero | tr '\\0' x; echo; numbered 10 1"))
    check(lab, job, 10, 1)
    log = lab.log(job)
    assert max(map(len, log.splitlines())) < 1_000_000
    text = "".join(line["msg"] for line in records(log) if line["lvl"] == "target" and isinstance(line["msg"], str))
    assert text.count("x" * 1000) == 10_000


def test_g27_many_lines_as_fast_as_they_come(lab: Lab) -> None:
    """Scaled: 50 thousand of them, not a million, so that it takes seconds."""
    job = lab.submit(numbered_job(50_000, 1000, 0))
    wait_for(lambda: lab.show(job)["state"] == "Finished", "the end", 180)
    check(lab, job, 50_000, 1000)


def test_g30_only_active_jobs_have_temporary_files(lab: Lab) -> None:
    """Scaled: 12 jobs, each fourth of them killed."""
    slave = lab.slaves[0]
    jobs = [lab.submit(numbered_job(10, 1, 1)) for _ in range(12)]
    for job in jobs[::4]:
        wait_for(lambda job=job: lab.kill_job_process(job), f"job {job} to run")
    assert lab.come_to_rest(jobs) == []
    last = lab.submit(numbered_job(100, 10, 60))
    lab.wait_for_line(last, 1)
    assert [path.name for path in slave.scratch.iterdir()] == [last]
    assert [path.name for path in slave.job_directories] == [last]
    lab.client.call("scheduler.jobs.cancel", last)
    assert lab.come_to_rest([last]) == []


def test_g33_whoever_hears_that_a_job_has_ended_finds_its_last_line_and_result(lab: Lab) -> None:
    """There are no notifications yet; this is what they will read."""
    job = lab.submit(numbered_job(500, 50, 0))
    wait_for(lambda: lab.client.call("scheduler.jobs.logs", job)[0], "the end")
    last = records(lab.log(job))[-1]
    assert (last["lvl"], last["msg"]) == ("results", {"definition": "lava", "case": "job", "result": "pass"})
    assert [record["name"] for record in lab.results(job)][-1] == "job"
