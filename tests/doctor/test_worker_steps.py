"""What each step finds on a worker up to the removal of packages, W3 to W10.  Source: R134 to R157."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lava.doctor.commands import CountJobs, ListClusters, ListDatabases
from lava.doctor.databases import parse_clusters
from lava.doctor.machine import CannotTell
from lava.doctor.worker.contact import last_times
from lava.doctor.worker.coordinator import coordinator

from .conftest import Doctor
from .trees import CLUSTERS, MASTER, MEDIA, MUST_BE_SAME, NO_DATABASE, NOW, SSHFS, MixedWorker, Tree

Obey = Callable[[Tree, list[str]], list[str]]
CONFIRM = ("--confirm", "W1", "--confirm", "W2")
LOG = "/var/log/lava-dispatcher/lava-slave.log"
COORDINATOR = "/etc/lava-coordinator/lava-coordinator.conf"


@pytest.fixture
def step(doctor: Doctor, worker: MixedWorker) -> Callable[[str], dict[str, Any]]:
    """Look at one step after all before it are done."""
    worker.do("P1", "W1", "W2")

    def look(name: str, *options: str) -> dict[str, Any]:
        return doctor("worker", worker, "--json", *options).steps[name]

    return look


Step = Callable[..., dict[str, Any]]


def texts(step: dict[str, Any]) -> str:
    return "\n".join(finding["text"] for finding in step["findings"])


def test_r134_each_v1_file_is_found(worker: MixedWorker, step: Step, obey: Obey, doctor: Doctor) -> None:
    worker.write("/etc/lava-dispatcher/device-types/a b;c.conf", "name = odd\n")
    found = step("W3")
    files = [finding["file"] for finding in found["findings"] if finding["file"]]
    assert files == [
        "/etc/lava-dispatcher/devices/panda01.conf",
        "/etc/lava-dispatcher/device-types/a b;c.conf",
        "/etc/lava-dispatcher/device-types/panda.conf",
    ]
    assert obey(worker, found["commands"]) == []
    assert step("W3")["state"] == "ok"
    assert worker.path("/var/backups/lava-dispatcher-v1.2016-11-25/panda01.conf").exists(), "nothing is destroyed"


def test_r135_files_of_another_tool_are_marked(step: Step) -> None:
    found = step("W3")
    managed = next(finding for finding in found["findings"] if finding["line"])
    assert (managed["file"], managed["line"]) == ("/etc/lava-dispatcher/device-types/panda.conf", 1)
    assert managed["value"] == "# Managed by salt: do not edit"
    assert "salt, ansible or the like" in texts(found)


@pytest.mark.parametrize(
    ("age", "answered", "state"),
    [
        (timedelta(seconds=12), True, "ok"),
        (timedelta(minutes=4, seconds=59), True, "ok"),
        (timedelta(minutes=5, seconds=1), True, "open"),
        (timedelta(seconds=12), False, "open"),
        (timedelta(hours=-2), True, "open"),
    ],
    ids=["fresh", "just-fresh", "old", "unanswered", "from-the-future"],
)
def test_r136_a_slave_pings_and_is_answered(
    worker: MixedWorker, step: Step, age: timedelta, answered: bool, state: str
) -> None:
    worker.pings(NOW - age, answered=answered)
    found = step("W4")
    assert found["state"] == state
    assert f"the master's address is tcp://{MASTER}:5556" in texts(found)
    assert f"last ping {NOW - age:%Y-%m-%d %H:%M:%S} UTC, last answer " in texts(found)


def test_r136_an_answer_that_is_old_does_not_count(worker: MixedWorker, step: Step) -> None:
    worker.write(
        LOG,
        "2016-11-25 11:50:00,001 DEBUG The master replied: ['PONG']\n2016-11-25 11:59:50,001 DEBUG => PING\ngarbage\n",
    )
    assert "the master does not answer" in texts(step("W4"))


def test_r136_no_log(worker: MixedWorker, step: Step) -> None:
    worker.remove(LOG)
    assert (step("W4")["state"], step("W4")["findings"][-1]["file"]) == ("open", LOG)


def test_r136_a_log_without_pings_says_how_to_get_them(worker: MixedWorker, step: Step) -> None:
    worker.write(LOG, "2016-11-25 11:59:50,001 INFO Connection with the master established\n")
    assert 'LOGLEVEL="DEBUG"' in texts(step("W4"))


def test_r136_the_log_may_be_rotated_or_elsewhere(worker: MixedWorker, step: Step) -> None:
    worker.do("W4")
    worker.path(LOG).rename(worker.path(f"{LOG}.1"))
    worker.write(LOG, "")
    assert step("W4")["state"] == "ok"
    worker.remove("/var/log/lava-dispatcher")
    worker.pings(NOW)
    worker.path(LOG).rename(worker.path("/var/log/slave.log"))
    worker.write("/etc/lava-dispatcher/lava-slave", f"MASTER_URL=tcp://{MASTER}:5556\nLOG_FILE=/var/log/slave.log\n")
    assert step("W4")["state"] == "ok"


def test_r136_a_local_master_is_open(worker: MixedWorker, step: Step) -> None:
    worker.do("W4")
    worker.write("/etc/lava-dispatcher/lava-slave", 'MASTER_URL="--master tcp://localhost:5556"\n')
    found = step("W4")
    assert (found["state"], found["commands"]) == (
        "open",
        ["sudo editor /etc/lava-dispatcher/lava-slave", "sudo service lava-slave restart"],
    )


def test_a_slave_that_was_not_restarted_is_found(worker: MixedWorker, step: Step) -> None:
    worker.do("W4")
    worker.process(400, "/usr/bin/lava-slave", "--master=tcp://localhost:5556")
    assert "the running slave still talks to tcp://localhost:5556" in texts(step("W4"))


@pytest.mark.parametrize(
    ("log", "ping", "answer"),
    [
        ("", None, None),
        ("2016-11-25 11:00:00,1 DEBUG Sending PING\n", datetime(2016, 11, 25, 11), None),
        ("2016-11-25 11:00:00,1 DEBUG master => PONG(20)\n", None, datetime(2016, 11, 25, 11)),
        ("2016-99-99 11:00:00,1 DEBUG PING\nPING\n", None, None),
        ("2016-11-25 11:00:00 DEBUG the pinging of the master\n", None, None),
    ],
)
def test_lines_of_a_log(log: str, ping: datetime | None, answer: datetime | None) -> None:
    found = tuple(when.replace(tzinfo=None) if when else None for when in last_times(log))
    assert found == (ping, answer)


def test_r138_r139_the_database_of_instance_conf_is_asked(doctor: Doctor, tmp_path: Path) -> None:
    worker = MixedWorker(tmp_path / "root", database="lava-lab")
    worker.do("P1", "W1", "W2")
    text = doctor("worker", worker, "--only", "W5").out
    assert "/etc/lava-server/instance.conf:2: the database lava-lab has 17 jobs" in text
    assert "sudo su postgres\n" in text
    assert "psql lava-lab\n" in text
    assert "SELECT count(id) from lava_scheduler_app_testjob;" in text


def test_r140_no_such_database(worker: MixedWorker, step: Step) -> None:
    worker.answer(CountJobs(5432, "lavaserver"), **NO_DATABASE)  # type: ignore[arg-type]
    found = step("W5")
    assert (found["state"], texts(found)) == ("ok", "the database lavaserver does not exist")


@pytest.mark.parametrize(
    "answer",
    [{"output": "0\n"}, {"status": 1, "error": 'ERROR:  relation "lava_scheduler_app_testjob" does not exist\n'}],
    ids=["no-jobs", "no-table"],
)
def test_r141_an_empty_database(worker: MixedWorker, step: Step, answer: dict[str, Any]) -> None:
    worker.answer(CountJobs(5432, "lavaserver"), **answer)
    found = step("W5")
    assert (found["state"], texts(found)) == ("ok", "the database lavaserver exists, and is empty")


def test_r142_r143_records_are_for_the_admin_to_judge(worker: MixedWorker, step: Step) -> None:
    found = step("W5")
    assert (found["state"], found["commands"]) == ("open", [])
    assert "has 17 jobs in cluster 9.4 main" in texts(found)
    assert "neither the master nor the web pages see these records" in texts(found)
    assert "became a worker, or is its LAVA configuration wrong?" in texts(found)
    confirmed = step("W5", "--confirm", "W5")
    assert confirmed["state"] == "ok"
    assert "for this run only: the records in this worker's database were investigated" in texts(confirmed)
    assert step("W5")["state"] == "open", "nothing was recorded"


@pytest.mark.parametrize(
    "error",
    ['psql: FATAL:  role "postgres" does not exist', "runuser: may not be used by non-root users", ""],
)
def test_a_database_that_does_not_answer_is_no_missing_one(worker: MixedWorker, step: Step, error: str) -> None:
    worker.answer(CountJobs(5432, "lavaserver"), status=2, error=error)
    found = step("W5")
    assert found["state"] == "cannot tell"
    assert (error or "exit status 2") in texts(found)
    assert step("W9")["blocked_by"][0] == "W5"


@pytest.mark.parametrize("name", ["host=lava.example.org dbname=lavaserver", "postgres://lava.example.org/lava", "-x"])
def test_r184_a_name_that_is_an_address_is_not_asked(worker: MixedWorker, step: Step, name: str) -> None:
    """psql would connect to the master's database."""
    worker.write("/etc/lava-server/instance.conf", f"LAVA_DB_NAME={shlex.quote(name)}\n")
    assert step("W5")["state"] == "cannot tell"
    assert "is no name of a database" in texts(step("W5"))


def test_r144_the_scheduler_is_stopped(worker: MixedWorker, step: Step) -> None:
    worker.do("W5")
    found = step("W6")
    assert (found["state"], found["commands"]) == ("open", ["sudo service lava-server stop"])
    assert "process 502" in texts(found)


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        ("/var/lib/lava-server", None),
        ("/srv/lava", 'LAVA_PREFIX="/srv/lava"'),
        ("/srv/lava", "LAVA_PREFIX='/srv/lava/'  # moved"),
        ("/srv/lava", "BASE=/srv\nexport LAVA_PREFIX=${BASE}/lava"),
        ("/srv/la va", 'LAVA_PREFIX="/srv/la va"'),
    ],
)
def test_r145_r146_r147_the_mount_and_how_to_take_it_away(
    worker: MixedWorker, step: Step, prefix: str, line: str | None
) -> None:
    worker.do("W5", "W6")
    worker.write("/etc/lava-server/instance.conf", f"{line or ''}\n")
    worker.mounts(f"{SSHFS} {prefix}/default/media fuse.sshfs".replace("la va", r"la\040va"))
    point = shlex.quote(f"{prefix}/default/media")
    found = step("W7")
    assert found["state"] == "open"
    assert found["commands"] == [f"mountpoint {point}", f"sudo umount {point}", f"sudo ls -a {point}"]
    assert texts(found).startswith(f"{SSHFS} is mounted on {prefix}/default/media")


@pytest.mark.parametrize(
    ("mount", "state"),
    [
        (f"{SSHFS} /mnt/old fuse.sshfs", "open"),
        (f"x@{MASTER}:/lava /var/lib/lava-server fuse.sshfs", "open"),
        (f"x@{MASTER}:/y {MEDIA}/job-output fuse.sshfs", "open"),
        (f"x@{MASTER}:/y /srv/elsewhere/default/media fuse.sshfs", "open"),
        (f"/dev/sdb1 {MEDIA} ext4", "open"),
        ("/dev/sdb1 /var/lib/lava-server ext4", "ok"),
        ("lxcfs /var/lib/lxcfs fuse.lxcfs", "ok"),
        ("fusectl /sys/fs/fuse/connections fusectl", "ok"),
    ],
)
def test_r146_every_mount_of_the_masters_files_counts(worker: MixedWorker, step: Step, mount: str, state: str) -> None:
    worker.do("W5", "W6")
    worker.mounts(mount)
    assert step("W7")["state"] == state


def test_r147_not_mounted_and_empty(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7")
    assert step("W7")["state"] == "ok"
    worker.remove(MEDIA)
    assert step("W7")["state"] == "nothing to do"


def test_r147_local_data_is_inspected_never_deleted(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7")
    worker.write(f"{MEDIA}/job-output/1.yaml", "")
    found = step("W7")
    assert (found["state"], found["commands"]) == ("open", [])
    assert "local data here, inspect (job-output)" in texts(found)
    assert step("W8")["state"] == "blocked by W7"
    assert step("W7", "--confirm", "W7")["state"] == "ok"


def test_without_a_mount_table_nothing_is_risked(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7")
    worker.remove("/proc/mounts")
    assert "/proc/mounts cannot be read" in texts(step("W7", "--confirm", "W7"))
    assert step("W0")["state"] == "cannot tell"
    assert step("W11")["blocked_by"] == ["W0", "W1", "W2", "W7", "W10"]


def test_r148_r149_lavapdu_is_optional(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7")
    found = step("W8")
    assert found["state"] == "advice"
    assert found["commands"] == [
        "sudo service lavapdu-listen stop",
        "sudo service lavapdu-runner stop",
        "sudo apt-get --purge remove lavapdu-client lavapdu-daemon",
    ]
    assert "optional" in texts(found)
    worker.uninstall("lavapdu-client", "lavapdu-daemon")
    assert step("W8")["state"] == "ok"


def test_r148_devices_that_call_pduclient_keep_it(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7")
    command = "pduclient --daemon localhost --hostname pdu1 --port 04 --command reboot"
    worker.lab["devices"][1]["power_commands"] = ["true", command]
    found = step("W8")
    assert (found["state"], found["commands"]) == ("ok", [])
    assert f"board02 needs it: {command}" in texts(found)


def test_r150_r151_r153_a_cluster_of_lava_only_is_dropped(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7", "W8")
    found = step("W9")
    assert found["state"] == "open"
    assert found["commands"] == [
        "sudo sh -c 'cd / && umask 077 && runuser -u postgres -- pg_dumpall --port=5432"
        " > /var/backups/postgresql-9.4-main.sql.2016-11-25'",
        "sudo su postgres",
        "pg_lsclusters",
        "pg_dropcluster 9.4 main --stop",
        "exit",
    ]
    assert "dropping it deletes all its databases (2.0 MB)" in texts(found)
    assert "only dropping the cluster frees the disk" in texts(found)


def test_r150_a_cluster_with_another_database_is_not_dropped(worker: MixedWorker, step: Step) -> None:
    worker.do("W5", "W6", "W7", "W8")
    worker.answer(ListDatabases(5432), "postgres\nlavaserver\nwiki\n")
    found = step("W9")
    assert (found["state"], found["commands"]) == ("advice", [])
    assert "do not drop it, other databases are in it: wiki" in texts(found)


def test_r151_data_without_a_package(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W20")
    worker.write("/var/lib/postgresql/9.1/main/base/1", "x" * 3_000_000)
    found = step("W9", "--confirm", "W5")
    assert (found["state"], found["commands"]) == ("open", [])
    assert "PostgreSQL is not installed, and its data is still here (3.0 MB)" in texts(found)


def test_r153_no_drop_while_there_are_records(worker: MixedWorker, step: Step) -> None:
    worker.do("W6", "W7")
    assert (step("W9")["state"], step("W9")["commands"]) == ("blocked by W5", [])


OLD_LAYOUT = """\
Version Cluster   Port Status Owner    Data directory                     Log file
"""
SHORT_LAYOUT = "Cluster Ver Status Port\nmain 9.1 online 5433\nold 8.4 down 5434\n"


def test_r152_columns_are_found_by_their_headers() -> None:
    (usual,) = parse_clusters(CLUSTERS)
    assert (usual.version, usual.name, usual.port, usual.is_online) == ("9.4", "main", 5432, True)
    assert usual.directory == "/var/lib/postgresql/9.4/main"
    first, second = parse_clusters(SHORT_LAYOUT)
    assert (first.version, first.name, first.port, first.is_online) == ("9.1", "main", 5433, True)
    assert (second.version, second.name, second.is_online) == ("8.4", "old", False)
    assert parse_clusters("") == []


@pytest.mark.parametrize("output", [OLD_LAYOUT, "Ver Cluster Port Status\n9.4 main\n"])
def test_r152_a_layout_that_is_not_understood_is_not_guessed_at(output: str) -> None:
    with pytest.raises(CannotTell, match="was not understood"):
        parse_clusters(output)


def test_a_cluster_that_does_not_run_cannot_be_asked(worker: MixedWorker, step: Step) -> None:
    worker.answer(ListClusters(), CLUSTERS.replace("online", "down"))
    assert step("W5")["state"] == "cannot tell"
    assert "the cluster 9.4 main does not run" in texts(step("W5"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "worker1"])
def test_r154_the_real_coordinator_comes_first(worker: MixedWorker, step: Step, host: str) -> None:
    worker.do("W5", "W6", "W7", "W8", "W9")
    worker.write(COORDINATOR, MUST_BE_SAME.replace(MASTER, host))
    found = step("W10")
    assert found["state"] == "open"
    (finding,) = found["findings"]
    assert "set the real coordinator first" in finding["text"]
    assert (finding["file"], finding["line"], finding["value"]) == (COORDINATOR, 3, host)


def test_r155_r156_stop_and_keep_a_copy(worker: MixedWorker, step: Step, obey: Obey) -> None:
    worker.do("W5", "W6", "W7", "W8", "W9")
    worker.write(COORDINATOR, MUST_BE_SAME)
    found = step("W10")
    assert found["commands"] == [
        "sudo service lava-coordinator stop",
        f"sudo cp -p {COORDINATOR} /var/backups/lava-coordinator.conf.2016-11-25",
    ]
    assert "a worker needs its configuration only" in texts(found), "R157"
    assert step("W11")["state"] == step("W12")["state"] == "blocked by W10"
    worker.path("/var/backups").mkdir()
    assert obey(worker, found["commands"]) == ["sudo service lava-coordinator stop"]
    worker.end(504)
    assert (step("W10")["state"], step("W11")["state"]) == ("ok", "open")


def test_r156_a_copy_with_other_content_is_none(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W10")
    assert step("W11")["state"] == "open"
    worker.write("/var/backups/lava-coordinator.conf.2016-11-24", MUST_BE_SAME + "\n")
    assert (step("W10")["state"], step("W11")["state"]) == ("open", "blocked by W10")
    assert "a copy with other content" in texts(step("W10"))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ('{"port": 3079, "coordinator_hostname": "a.example.org"}', "a.example.org"),
        ("{'coordinator_hostname' : 'b'}", "b"),
        ("coordinator_hostname: c", "c"),
        ('{"port": 3079}', "localhost"),
        ("", "localhost"),
    ],
)
def test_the_name_of_the_coordinator(text: str, host: str) -> None:
    assert coordinator(text)[0] == host
