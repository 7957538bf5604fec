"""Who is let in, and what the others do not harm.  Source: seed requirements B, E, G, H, I; G11, G14, G16, G35."""

from __future__ import annotations

import contextlib
import html
import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from checks import check
from harness.daemons import Daemon, wait_for
from harness.lab import Lab
from harness.work import job as work

from lava.wire.certificates import create_certificate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("chaos-admission")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(3, 1))
    lab.start()
    yield lab
    lab.close()


def numbered(lines: int, seconds: float, **keys: Any) -> str:
    """Return a job of so many lines, and a tenth of it results, with more keys of the definition."""
    return work(f"numbered {lines} {lines // 10} {seconds / max(1, lines // 10):.3f}", **keys)


def lines_more(lab: Lab, job: str, count: int) -> None:
    """Return when the board has written so many more lines, stored or not."""
    (written,) = lab.starts(job)
    before = written.read_bytes().count(b"line 0")
    wait_for(lambda: written.read_bytes().count(b"line 0") >= before + count, f"more lines of job {job}")


def shown(lab: Lab, worker: str) -> list[str]:
    """Return what the worker's page, the API and the command say of the worker."""
    page = html.unescape(urlopen(f"{lab.client.url}/scheduler/worker/{worker}").read().decode())  # noqa: S310 (our own address)
    return [page, str(lab.call("scheduler.workers.show", worker)["refusal"]), lab.manage("workers", "details", worker)]


@pytest.mark.parametrize("restarted", [False, True], ids=["while it runs", "with a restart"])
def test_r71_g16_a_removed_certificate_cuts_its_slave_and_only_that(lab: Lab, restarted: bool) -> None:
    """R71, R80: nothing of its job is taken until the certificate is there again; then nothing is missing."""
    first, second = lab.slaves
    cut = lab.submit(numbered(600, 20, worker=first.name))
    other = lab.submit(numbered(600, 20, worker=second.name))
    for job in (cut, other):
        lab.wait_for_line(job, 20)
    certificate = lab.known / f"{first.name}.key"
    with taken_away(lab, certificate) as key:
        master_said, slave_said = Said(lab.master), Said(first.daemon)
        if restarted:  # a new connection is refused before a name is said
            lab.master.stop()
            lab.master.start()
            slave_said.wait_for("the master does not admit this slave's key")
            master_said.wait_for("its key is not among the slaves' certificates")
        else:
            lab.wait_for_worker(first.name, "Offline", 30)
            reason = f"its certificate (key {key[:8]}…) was removed from the master"
            slave_said.wait_for(f"the master refuses this slave: {reason}")
            master_said.wait_for(f"{first.name}: {reason}")
            wait_for(lambda: all(reason in said for said in shown(lab, first.name)), "everybody to say why")
        stored = lab.log(cut)
        assert cut in lab.job_processes()
        lines_more(lab, cut, 20)
        assert lab.log(cut) == stored
        assert lab.wait_for_state(other, "Finished")["health"] == "Complete"
        wait_for(lambda: cut not in lab.job_processes(), "the job of the blocked slave to end")
        assert (lab.log(cut), lab.show(cut)["state"]) == (stored, "Running")
        assert lab.worker(second.name) == "Online"
    for job in (cut, other):
        check(lab, job, 600, 60)
    lab.wait_for_worker(first.name, "Online")
    assert not any("was removed" in said for said in shown(lab, first.name))


class Said:
    """What a daemon says from now on."""

    def __init__(self, daemon: Daemon, before: int | None = None) -> None:
        self._daemon = daemon
        self._before = len(daemon.said()) if before is None else before

    def wait_for(self, text: str) -> None:
        wait_for(lambda: text in self._daemon.said()[self._before :], f"{self._daemon.name} to say {text!r}")


@contextlib.contextmanager
def taken_away(lab: Lab, certificate: Path) -> Iterator[str]:
    """Remove a slave's certificate from the master, and put it back; return its key."""
    text = certificate.read_text()
    certificate.unlink()
    try:
        yield text.split('public-key = "')[1].split('"')[0]
    finally:
        certificate.write_text(text)


def intruder(lab: Lab, *options: str) -> Daemon:
    """Return another slave that says it is the first."""
    name = lab.slaves[0].name
    state = lab.layout.root / "intruder"
    return lab.slave_daemon(name, lab.ports, state, *options, log=f"intruder-{time.monotonic_ns()}")


@pytest.mark.parametrize(
    ("key", "slave_hears", "master_says"),
    [
        ("the other slave's", "the name 's1' is in use by another slave", "s1: the name 's1' is in use"),
        ("unknown", "the master does not admit this slave's key", "its key is not among the slaves' certificates"),
        ("none", "the master demands encryption", "it does not encrypt, and this master demands it"),
    ],
)
def test_r76_r80_g16_whoever_has_not_the_workers_key_changes_nothing(
    lab: Lab, key: str, slave_hears: str, master_says: str
) -> None:
    """R64, R68, R69, R76, R80; G13, G16: refused, with the reason in both logs; who was there first goes on."""
    first, second = lab.slaves
    words = {
        "the other slave's": ["--slave-cert", str(lab.layout.certificates / second.name / f"{second.name}.key_secret")],
        "unknown": ["--slave-cert", str(new_key(lab))],
        "none": ["--plain"],
    }[key]
    job = lab.submit(numbered(400, 12, worker=first.name))
    lab.wait_for_line(job, 20)
    master_said = Said(lab.master)
    stranger = intruder(lab, *words)
    stranger.start()
    try:
        Said(stranger, 0).wait_for(slave_hears)
        master_said.wait_for(master_says)
        lab.wait_for_line(job, 300)
        assert "established" not in stranger.said()
        assert lab.worker(first.name) == "Online"
    finally:
        stranger.stop()
    check(lab, job, 400, 40)


def new_key(lab: Lab) -> Path:
    name = f"stranger-{time.monotonic_ns()}"
    return create_certificate(lab.layout.certificates, name)[1]


def test_r76_another_slaves_key_does_not_get_the_name_of_one_that_is_away(lab: Lab) -> None:
    """R76, G16: the first key that spoke for a worker is the only one; the log says which file let it in."""
    first, second = lab.slaves
    assert f"{first.name} is online, by its certificate {first.name}.key" in lab.master.said()
    first.daemon.stop()
    lab.wait_for_worker(first.name, "Offline", 90)
    stranger = intruder(lab, "--slave-cert", str(lab.layout.certificates / second.name / f"{second.name}.key_secret"))
    stranger.start()
    claim = "claims the name 's1'"
    try:
        wait_for(lambda: claim in stranger.said(), "the stranger to hear why")
        assert lab.worker(first.name) == "Offline"
        assert all(claim in said for said in shown(lab, first.name))
    finally:
        stranger.stop()
        first.daemon.start()
    lab.wait_for_worker(first.name, "Online")


def test_r76_where_names_must_match_no_other_certificate_does(lab: Lab) -> None:
    """R76: even for a worker that nobody has spoken for yet."""
    lab.manage("workers", "add", "s3")
    lab.master.stop()
    usual = lab.master.command
    lab.master.command = (*usual, "--match-names")
    lab.start()
    second = lab.slaves[1]
    secret = str(lab.layout.certificates / second.name / f"{second.name}.key_secret")
    stranger = lab.slave_daemon("s3", lab.ports, lab.layout.root / "third", "--slave-cert", secret, log="third")
    stranger.start()
    try:
        wait_for(lambda: "admits 's3' with s3.key only" in stranger.said(), "the stranger to hear why")
        assert lab.worker("s3") == "Offline"
        check(lab, lab.submit(numbered(20, 0)), 20, 2)
    finally:
        stranger.stop()
        lab.master.stop()
        lab.master.command = usual


def test_g14_r38_r49_a_slave_changes_its_name(lab: Lab) -> None:
    """The old worker is offline, jobs say so, nobody is added by itself; once the device is moved, the job starts."""
    slave = lab.slaves[1]
    (board,) = slave.boards
    slave.daemon.stop()
    secret = str(lab.layout.certificates / slave.name / f"{slave.name}.key_secret")
    renamed = lab.slave_daemon("renamed", slave.cables.ports, slave.state, "--slave-cert", secret, log="renamed")
    renamed.start()
    try:
        remedy = "no worker is called 'renamed': add it with 'lava-server manage workers add renamed'"
        wait_for(lambda: remedy in renamed.said(), "the new name to be refused")
        assert remedy in lab.master.said()
        assert "renamed" not in lab.call("scheduler.workers.list")
        lab.wait_for_worker(slave.name, "Offline", 90)
        assert lab.call("scheduler.workers.show", slave.name)["devices"] == [board]
        job = lab.submit(numbered(100, 1, device=board))
        wait_for(lambda: lab.show(job)["waiting_reason"] == f"worker {slave.name} is offline", "why it waits")
        lab.manage("workers", "add", "renamed")
        lab.wait_for_worker("renamed", "Online")
        assert lab.starts(job) == []
        lab.manage("devices", "update", board, "--worker", "renamed")
        check(lab, job, 100, 10)
    finally:
        renamed.stop()
        lab.manage("devices", "update", board, "--worker", slave.name)


def test_g35_a_worker_never_runs_more_jobs_than_its_limit(lab: Lab) -> None:
    worker = lab.slaves[0].name
    lab.manage("workers", "update", worker, "--job-limit", "2")
    try:
        jobs = [lab.submit(numbered(30, 1, worker=worker)) for _ in range(8)]
        reason = f"worker {worker} runs its limit of 2 jobs"
        wait_for(lambda: reason in lab.show(jobs[-1])["waiting_reason"], "the last job to say what it waits for")
        assert lab.come_to_rest(jobs) == []
    finally:
        lab.manage("workers", "update", worker, "--job-limit", "0")
    ends = [(lab.show(job)["start_time"], lab.show(job)["end_time"]) for job in jobs]
    assert max(sum(start <= moment < end for start, end in ends) for moment, _ in ends) == 2
    for job in jobs:
        check(lab, job, 30, 3)


@pytest.mark.parametrize("broken", ["template", "environment"])
def test_g11_one_job_with_a_broken_file_among_20_good_ones(lab: Lab, broken: str) -> None:
    """G11: it is Incomplete, with the file named; the others run."""
    first, second = lab.slaves
    (board,) = second.boards
    dictionary = lab.layout.devices / f"{board}.jinja2"
    usual = dictionary.read_text()
    environment = lab.layout.root / "dispatcher.d" / second.name / "env.yaml"
    if broken == "template":
        dictionary.write_text(usual + "{% if %}")
    else:
        environment.write_text("overrides: {PATH: [\n")
    named = dictionary.name if broken == "template" else environment.name
    try:
        boards = itertools.cycle(first.boards)
        jobs = [lab.submit(numbered(10, 0, device=next(boards))) for _ in range(10)]
        bad = lab.submit(numbered(10, 0, device=board))
        jobs += [lab.submit(numbered(10, 0, device=next(boards))) for _ in range(10)]
        ended = lab.wait_for_state(bad, "Finished")
        assert (ended["health"], ended["error_type"]) == ("Incomplete", "Configuration")
        assert named in ended["failure_comment"]
        assert lab.come_to_rest([bad, *jobs]) == []
        for job in jobs:
            check(lab, job, 10, 1)
    finally:
        dictionary.write_text(usual)
        environment.unlink(missing_ok=True)
    check(lab, lab.submit(numbered(10, 0, device=board)), 10, 1)


def test_r55_r56_a_worker_in_maintenance_drains(lab: Lab) -> None:
    """R55, R56: what runs ends as it would have; nothing starts, and every job that waits says for what."""
    slave = lab.slaves[1]
    running = lab.submit(numbered(200, 6, worker=slave.name))
    lab.wait_for_line(running, 20)
    said = lab.manage("workers", "update", slave.name, "--health", "maintenance")
    assert said == ""
    waiting = lab.submit(numbered(20, 0, worker=slave.name))
    wait_for(lambda: "is in maintenance" in lab.show(waiting)["waiting_reason"], "why it waits")
    assert lab.wait_for_state(running, "Finished")["health"] == "Complete"
    elsewhere = lab.submit(numbered(20, 0, worker=lab.slaves[0].name))
    assert lab.wait_for_state(elsewhere, "Finished")["health"] == "Complete"  # several rounds later
    assert (lab.starts(waiting), lab.show(waiting)["waiting_reason"]) == ([], f"worker {slave.name} is in maintenance")
    lab.manage("workers", "update", slave.name, "--enable")
    for job, lines in ((running, 200), (waiting, 20), (elsewhere, 20)):
        check(lab, job, lines, lines // 10)


def test_r13_r14_all_connections_come_from_the_slaves(lab: Lab) -> None:
    """R13-R16, R42: slaves listen nowhere, even while jobs run; the master connects to nobody."""
    jobs = [lab.submit(numbered(200, 6)) for _ in range(2)]
    for job in jobs:
        lab.wait_for_line(job, 20)
    for slave in lab.slaves:
        assert slave.daemon.process is not None
        connections = psutil.Process(slave.daemon.process.pid).net_connections("inet")
        assert {c.status for c in connections} <= {psutil.CONN_ESTABLISHED}
        assert {c.raddr.port for c in connections} == set(slave.cables.ports)
    assert lab.master.process is not None
    for connection in psutil.Process(lab.master.process.pid).net_connections("inet"):
        assert connection.laddr.port in lab.ports
    lab.client.call("scheduler.jobs.cancel", jobs[0])
    check(lab, jobs[0], 200, 20, canceled=True)
    check(lab, jobs[1], 200, 20)


def test_r36_r37_everything_that_a_slave_knows_comes_from_the_master(lab: Lab) -> None:
    """R36, R37: no file of a device is on the slave; its state is taken away, and the same job runs again."""
    slave = lab.slaves[1]
    text = numbered(20, 0, worker=slave.name)
    check(lab, lab.submit(text), 20, 2)
    kept = [path for path in slave.state.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if slave.boards[0].encode() in path.read_bytes()]
    slave.daemon.stop()
    shutil.rmtree(slave.state)
    lab.master.stop()  # without its state it is another slave; a master keeps the name for the first one for a while
    lab.start()
    check(lab, lab.submit(text), 20, 2)
