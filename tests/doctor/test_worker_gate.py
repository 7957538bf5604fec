"""Which machine it is, the useless master, the gate, and the proof.  Source: R121 to R133, R168."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lava.doctor.commands import CountJobs, ListClusters

from .conftest import Doctor
from .trees import CLUSTERS, MASTER, NOW, FreshWorker, MixedWorker

STOP_MASTER = [
    "sudo invoke-rc.d lava-master stop",
    "sudo update-rc.d lava-master remove",
    "sudo chmod a-x /etc/init.d/lava-master",
    "sudo service lava-master status",
]


def test_r121_a_mixed_worker_is_named_with_the_evidence(doctor: Doctor, worker: MixedWorker) -> None:
    said = doctor("worker", worker, "--json")
    files = {finding["file"] for finding in said.steps["W0"]["findings"]}
    assert "a mixed worker" in said.found("W0")
    assert files >= {
        "/var/lib/dpkg/status",
        "/etc/lava-server/worker.conf",
        "/etc/lava-dispatcher/devices/panda01.conf",
        "/proc/mounts",
        "/proc/502",
    }


def test_r122_r123_the_four_commands_in_order(doctor: Doctor, worker: MixedWorker) -> None:
    step = doctor("worker", worker, "--json").steps["P1"]
    assert "lava-master is active on a worker" in step["findings"][0]["text"]
    assert step["commands"] == STOP_MASTER


@pytest.mark.parametrize(
    "url", ["tcp://localhost:5556", "tcp://127.0.0.1:5556", "tcp://[::1]:5556", "tcp://worker1:5556"]
)
def test_r123_with_a_local_master_the_address_comes_first(doctor: Doctor, worker: MixedWorker, url: str) -> None:
    worker.write("/etc/lava-dispatcher/lava-slave", f'\nMASTER_URL="{url}"\n')
    step = doctor("worker", worker, "--json").steps["P1"]
    assert (step["state"], step["commands"]) == ("open", [])
    last = step["findings"][-1]
    assert (last["file"], last["line"], last["value"]) == ("/etc/lava-dispatcher/lava-slave", 2, url)
    assert "MASTER_URL" in last["text"]


def test_r123_an_unset_address_is_localhost(doctor: Doctor, worker: MixedWorker) -> None:
    worker.write("/etc/lava-dispatcher/lava-slave", f'# MASTER_URL="tcp://{MASTER}:5556"\n')
    assert doctor("worker", worker, "--json").steps["P1"]["commands"] == []


def test_r124_an_executable_script_is_found_when_the_service_is_stopped(doctor: Doctor, worker: MixedWorker) -> None:
    worker.end(501)
    step = doctor("worker", worker, "--json").steps["P1"]
    assert [finding["file"] for finding in step["findings"]] == ["/etc/init.d/lava-master"]
    assert "next package update" in step["findings"][0]["text"]
    worker.path("/etc/init.d/lava-master").chmod(0o644)
    assert doctor("worker", worker, "--json").states()["P1"] == "ok"


def test_r125_nothing_is_printed_on_a_master_with_the_site(doctor: Doctor, worker: MixedWorker) -> None:
    worker.remove("/etc/lava-server/worker.conf")
    said = doctor("worker", worker, "--json")
    assert said.states() == {"W0": "open", **dict.fromkeys(list(said.steps)[1:], "blocked by W0")}
    assert {name for name, step in said.steps.items() if step["commands"]} == set()
    assert "/etc/apache2/sites-enabled/lava-server.conf" in {row["file"] for row in said.steps["W0"]["findings"]}


@pytest.mark.parametrize(("jobs", "is_master"), [("17\n", True), ("0\n", False)])
def test_r125_a_database_with_jobs_is_a_masters(
    doctor: Doctor, worker: MixedWorker, jobs: str, is_master: bool
) -> None:
    worker.remove("/etc/lava-server/worker.conf")
    worker.remove("/etc/apache2/sites-enabled/lava-server.conf")
    worker.answer(CountJobs(5432, "lavaserver"), jobs)
    states = doctor("worker", worker, "--json").states()
    assert states["W0"] == ("open" if is_master else "ok")
    assert (states["P1"] == "blocked by W0") is is_master


def test_r125_a_master_that_cannot_be_asked_is_taken_for_one(doctor: Doctor, worker: MixedWorker) -> None:
    worker.remove("/etc/lava-server/worker.conf")
    worker.remove("/etc/apache2/sites-enabled/lava-server.conf")
    worker.answer(ListClusters(), CLUSTERS.replace("online", "down"))
    states = doctor("worker", worker, "--json").states()
    assert (states["W0"], states["P1"], states["W11"]) == ("cannot tell", "blocked by W0", "blocked by W0")


@pytest.mark.parametrize(
    ("hosts", "url", "state"),
    [
        ("", "tcp://localhost:5556", "open"),
        ("127.0.1.1 lava.example.org lava # own\n", f"tcp://{MASTER}:5556", "open"),
        ("192.0.2.1 lava.example.org lava\n", f"tcp://{MASTER}:5556", "ok"),
    ],
    ids=["own-slave-on-localhost", "own-slave-by-name", "slave-of-another"],
)
@pytest.mark.parametrize("as_service", [True, False])
def test_r125_a_master_without_the_package_is_one(
    doctor: Doctor, tmp_path: Path, hosts: str, url: str, state: str, as_service: bool
) -> None:
    """Its slave talks to itself; a useless lava-master is on a worker whose slave talks to another machine."""
    tree = FreshWorker(tmp_path / "root")
    tree.write("/etc/hosts", hosts)
    tree.write("/etc/lava-dispatcher/lava-slave", f"MASTER_URL={url}\n")
    if as_service:
        tree.write("/etc/systemd/system/lava-master.service", "[Unit]\n")
    else:
        tree.process(900, "/opt/lava/bin/python", "/opt/lava/bin/lava-master")
    said = doctor("worker", tree, "--json")
    assert said.states()["W0"] == state
    if state == "open":
        assert {name for name, step in said.steps.items() if step["commands"]} == set()


def test_r126_the_reason_and_all_workers_are_named(doctor: Doctor, worker: MixedWorker) -> None:
    out = doctor("worker", worker, "--only", "p1").out
    assert "can take a job from the real master" in out
    assert "on all remote workers before V2 jobs are submitted" in out


def test_r132_types_without_a_health_check_are_listed(doctor: Doctor, worker: MixedWorker) -> None:
    """The type of the other worker's device does not count."""
    step = doctor("worker", worker, "--json").steps["W1"]
    assert step["state"] == "open"
    assert [finding["value"] for finding in step["findings"] if finding["value"]] == ["panda"]
    confirmed = doctor("worker", worker, "--json", "--confirm", "W1").states()
    assert confirmed["W1"] == "open", "no word goes against the master's list"


def test_r132_without_the_masters_word_the_types_are_listed(doctor: Doctor, worker: MixedWorker) -> None:
    worker.lab = {}
    said = doctor("worker", worker, "--json")
    assert said.states()["W1"] == "open", "a lab without health checks"
    worker.lab = None  # type: ignore[assignment]
    said = doctor("worker", worker, "--json")
    assert said.states()["W1"] == "cannot tell"
    assert "panda" in said.found("W1")
    assert said.states()["W2"] == "blocked by W1"
    confirmed = doctor("worker", worker, "--json", "--confirm", "W1", "--confirm", "w2").states()
    assert (confirmed["W1"], confirmed["W2"], confirmed["W3"]) == ("ok", "ok", "open")


def test_r133_devices_that_take_v1_jobs_are_listed(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do("W1")
    step = doctor("worker", worker, "--json").steps["W2"]
    assert (step["state"], [finding["value"] for finding in step["findings"]]) == ("open", ["panda01"])


def test_r133_a_v1_device_that_the_master_does_not_list_is_not_exclusive(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do("W1", "W2")
    worker.write("/etc/lava-dispatcher/devices/lost.conf", "device_type = panda\n")
    assert "device lost is configured for V1" in doctor("worker", worker, "--json").found("W2")


def test_r120_a_device_without_a_dictionary_cannot_run_v2(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do("W1", "W2")
    worker.lab["devices"][1]["dictionary"] = False
    assert doctor("worker", worker, "--json").found("W2") == ("device board02 has no dictionary: it cannot run V2 jobs")


@pytest.mark.parametrize(
    ("check", "state"),
    [
        ({"last_health_check": NOW, "last_health_result": "Complete"}, "ok"),
        ({"last_health_check": NOW}, "ok"),
        ({"last_health_check": NOW, "last_health_result": "Incomplete"}, "open"),
        ({"last_health_check": NOW - timedelta(minutes=11), "last_health_result": "Complete"}, "open"),
        ({"last_health_check": None}, "open"),
    ],
    ids=["passed", "no-result-given", "failed", "before-the-last-change", "never"],
)
def test_r168_health_checks_end_the_migration(
    doctor: Doctor, worker: MixedWorker, check: dict[str, object], state: str
) -> None:
    """The last change of the tree is /etc/fuse.conf, ten minutes ago."""
    worker.do_until("W20")
    worker.lab["devices"][0] = {"name": "panda01", "device_type": "panda", "worker": "worker1", **check}
    said = doctor("worker", worker, "--json")
    assert said.states()["W20"] == state
    assert "panda01: " in said.found("W20")


def test_r168_the_removal_of_the_server_is_a_change(doctor: Doctor, worker: MixedWorker) -> None:
    """dpkg's log is in local time."""
    worker.do_until("W20")
    worker.write("/etc/timezone", "America/New_York\n")
    worker.write("/var/log/dpkg.log", "2016-11-25 06:58:00 purge lava-server:all 1 <none>\n")
    assert "last change of this migration: 2016-11-25 11:58" in doctor("worker", worker, "--json").found("W20")
