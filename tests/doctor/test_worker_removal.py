"""What each step finds from the removal of packages on, W11 to W19.  Source: R47, R48, R158 to R167, R186."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lava.doctor.commands import RecordedRunner, SimulateAutoremove
from lava.doctor.context import Context
from lava.doctor.machine import Tree as Machine
from lava.doctor.result import State
from lava.doctor.worker.packages import server_package

from .conftest import Doctor
from .trees import MASTER, MUST_BE_SAME, NOW, PULLED_IN, FreshWorker, MixedWorker, Tree, V1Master

Obey = Callable[[Tree, list[str]], list[str]]
Step = Callable[..., dict[str, Any]]
COORDINATOR = "/etc/lava-coordinator/lava-coordinator.conf"
RESTART = "sudo service apache2 restart"


@pytest.fixture
def step(doctor: Doctor, worker: MixedWorker) -> Step:
    def look(name: str, *options: str) -> dict[str, Any]:
        return doctor("worker", worker, "--json", *options).steps[name]

    return look


def texts(step: dict[str, Any]) -> str:
    return "\n".join(finding["text"] for finding in step["findings"])


def test_r158_the_server_package(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W10")
    found = step("W11")
    assert found["commands"][-1] == "sudo apt-get --purge remove lava-server"
    assert found["commands"][0].startswith(
        "sudo sh -c 'umask 077 && tar -czf /var/backups/lava-server-etc.2016-11-25.tar.gz /etc/lava-server"
    )


def test_r158_on_the_master_it_is_refused(worker: MixedWorker) -> None:
    """Also by the check itself, which W0 keeps from being asked."""
    worker.do_until("W10")
    worker.remove("/etc/lava-server/worker.conf")
    machine = Machine(worker.root, RecordedRunner.of(worker.root), lambda: NOW)
    result = server_package(machine, Context())
    assert (result.state, result.commands) == (State.OPEN, ())
    assert result.findings[0].text == "refused: this is the master"


def test_r158_a_package_that_left_its_configuration_counts(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W11")
    worker.packages(installed=worker.installed, removed=["lava-server"])
    assert (step("W11")["state"], texts(step("W11"))) == ("open", "package lava-server: config-files")


def test_r159_r160_the_list_is_looked_at_first(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W11")
    worker.answer(SimulateAutoremove(), "Reading\nRemv uwsgi-core [1]\nPurg postgresql [1]\nPurg printer-driver [2]\n")
    found = step("W12")
    assert found["commands"][0] == "apt-get --simulate --purge autoremove"
    assert found["commands"][-1] == "sudo apt-get --purge autoremove"
    assert texts(found).splitlines() == [
        "postgresql: came with lava-server",
        "uwsgi-core: came with lava-server",
        "printer-driver: not in the documented list, check why it is here",
    ]


def test_r160_the_dispatcher_must_not_go(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W11")
    worker.answer(SimulateAutoremove(), "Purg uwsgi-core [1]\nPurg lava-dispatcher [1]\n")
    found = step("W12")
    assert (found["state"], found["commands"]) == ("open", [])
    assert texts(found).startswith("error: lava-dispatcher would be removed")


def test_w12_packages_of_others_are_not_its_business(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W12")
    worker.answer(SimulateAutoremove(), "Remv linux-image-4 [1]\n")
    assert (step("W12")["state"], step("W12")["commands"]) == ("advice", [])


def test_w12_without_an_answer_of_apt(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W11")
    worker.answer(SimulateAutoremove(), status=100, error="E: something\n")
    assert step("W12")["state"] == "cannot tell"
    assert "E: something" in texts(step("W12"))
    worker.uninstall(*PULLED_IN)
    assert step("W12")["state"] == "ok"


def test_r161_a_slave_that_lost_its_master_in_the_removal(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W12")
    worker.pings(NOW - timedelta(seconds=12), answered=False)
    found = step("W13")
    assert (found["state"], found["findings"][-1]["text"]) == ("open", "the master does not answer")


def test_r162_leftover_files_are_put_aside(worker: MixedWorker, step: Step, obey: Obey) -> None:
    worker.do_until("W13")
    worker.write("/etc/lava-server/settings.d/x.conf", "{}")
    found = step("W14")
    assert [finding["file"] for finding in found["findings"]] == [
        "/etc/lava-server/instance.conf",
        "/etc/lava-server/settings.d/x.conf",
        "/etc/lava-server/worker.conf",
    ]
    assert obey(worker, found["commands"]) == []
    assert step("W14")["state"] == "ok"
    assert worker.path("/var/backups/lava-server-left.2016-11-25/x.conf").exists()


def test_r163_the_configuration_comes_back(worker: MixedWorker, step: Step, obey: Obey) -> None:
    worker.do_until("W14")
    found = step("W15")
    assert found["commands"] == [
        "sudo mkdir -p /etc/lava-coordinator",
        f"sudo cp -p /var/backups/lava-coordinator.conf.2016-11-24 {COORDINATOR}",
    ]
    assert obey(worker, found["commands"]) == []
    assert worker.path(COORDINATOR).read_text() == MUST_BE_SAME
    assert step("W15")["state"] == "ok"


def test_r163_both_names_are_shown_when_they_differ(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W15")
    worker.write(COORDINATOR, MUST_BE_SAME.replace(MASTER, "other.example.org"))
    found = step("W15")
    assert found["state"] == "open"
    assert texts(found) == f"names the coordinator other.example.org\nthe copy names {MASTER}: which is right?"
    assert step("W15", "--confirm", "W15")["state"] == "ok"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("/usr/bin/python", "/usr/bin/lava-server", "manage", "runserver"), "lava-server"),
        (("/usr/bin/python3", "/usr/bin/lava-master"), "lava-master"),
        (("python", "/usr/bin/lava-server", "manage", "--instance=x", "dispatcher-master"), "lava-master"),
        (("lava-coordinator",), "lava-coordinator"),
        (("/usr/bin/uwsgi", "--ini", "/etc/lava-server/uwsgi.ini"), "lava-server"),
    ],
)
def test_r164_every_daemon_but_the_slave(worker: MixedWorker, step: Step, argv: tuple[str, ...], name: str) -> None:
    worker.do_until("W20")
    worker.process(900, *argv)
    found = step("W16")
    assert (found["state"], texts(found)) == ("open", f"{name} runs, process 900")
    assert found["commands"] == ["sudo kill 900"]
    worker.write(f"/etc/init.d/{name}", "")
    assert step("W16")["commands"] == [f"sudo service {name} stop"]


@pytest.mark.parametrize(
    "argv",
    [
        ("/usr/bin/python3", "/usr/bin/lava-server", "doctor", "worker"),
        ("vi", "/etc/lava-server/instance.conf"),
        ("/usr/bin/uwsgi", "--ini", "/etc/wiki.ini"),
        ("lava-dispatcher-slave",),
    ],
)
def test_r164_other_processes_stay(worker: MixedWorker, step: Step, argv: tuple[str, ...]) -> None:
    worker.do_until("W20")
    worker.process(900, *argv)
    assert step("W16")["state"] == "ok"


def test_r164_the_slave_has_to_run(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W20")
    worker.end(400)
    assert step("W16")["commands"] == ["sudo service lava-slave start"]


def test_r165_links_to_what_is_gone(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W16")
    found = step("W17")
    assert [finding["file"] for finding in found["findings"]] == [
        "/etc/apache2/mods-enabled/uwsgi.load",
        "/etc/apache2/sites-enabled/lava-server.conf",
    ]
    assert found["commands"] == ["sudo a2dismod uwsgi", "sudo a2dissite lava-server", RESTART]


def test_r165_the_site_of_a_server_that_is_not_there(worker: MixedWorker, step: Step) -> None:
    """The file may be an admin's own and stay when the package goes."""
    worker.do_until("W17")
    worker.write("/etc/apache2/sites-available/lava-server.conf", "")
    worker.link("/etc/apache2/sites-enabled/lava-server.conf", "../sites-available/lava-server.conf")
    found = step("W17")
    assert (found["state"], found["commands"]) == ("open", ["sudo a2dissite lava-server", RESTART])


def test_r166_a_link_to_nothing_serves_nothing(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W18")
    worker.remove("/etc/apache2/sites-enabled/lava-dispatcher.conf")
    worker.link("/etc/apache2/sites-enabled/lava-dispatcher.conf", "../sites-available/other.conf")
    assert step("W18")["state"] == "open"


LAST = [RESTART, "sudo apache2ctl -M", "wget http://localhost/tmp/", "rm index.html"]


@pytest.mark.parametrize(
    ("copied", "enabled", "commands"),
    [
        (
            False,
            False,
            [
                "sudo cp /usr/share/lava-dispatcher/apache2/lava-dispatcher.conf /etc/apache2/sites-available/",
                "sudo a2ensite lava-dispatcher",
                *LAST,
            ],
        ),
        (True, False, ["sudo a2ensite lava-dispatcher", *LAST]),
        (True, True, []),
    ],
    ids=["not-copied", "copied", "enabled"],
)
def test_r166_the_remaining_commands_in_order(
    worker: MixedWorker, step: Step, copied: bool, enabled: bool, commands: list[str]
) -> None:
    worker.do_until("W17")
    if copied:
        worker.write("/etc/apache2/sites-available/lava-dispatcher.conf", "")
    if enabled:
        worker.link("/etc/apache2/sites-enabled/lava-dispatcher.conf", "../sites-available/lava-dispatcher.conf")
    found = step("W18")
    assert (found["commands"], found["state"]) == (commands, "ok" if enabled else "open")


def test_r47_the_stock_site_is_reported(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W17")
    worker.link("/etc/apache2/sites-enabled/000-default.conf", "../sites-available/000-default.conf")
    worker.write("/etc/apache2/sites-available/000-default.conf", "")
    assert "sudo a2dissite 000-default" in step("W18")["commands"]
    worker.enable_apache()
    found = step("W18")
    assert (found["state"], found["commands"]) == ("advice", ["sudo a2dissite 000-default", RESTART])
    assert found["findings"][0]["file"] == "/etc/apache2/sites-enabled/000-default.conf"


def test_r48_with_v1_the_plain_recipe_is_not_proposed(worker: MixedWorker, step: Step) -> None:
    worker.do_until("W10")
    found = step("W18")
    assert found["commands"] == []
    assert "lava-server is here for V1" in texts(found)


@pytest.mark.parametrize(
    ("text", "line"),
    [("user_allow_other\n", 1), ("# x\n\n  user_allow_other # for sshfs\n", 3), ("#user_allow_other\n", 0), ("", 0)],
)
def test_r167_fuse(worker: MixedWorker, step: Step, obey: Obey, text: str, line: int) -> None:
    worker.do_until("W18")
    worker.write("/etc/fuse.conf", text)
    found = step("W19")
    if not line:
        assert found["state"] == "ok"
        return
    assert (found["state"], found["findings"][0]["line"]) == ("advice", line)
    assert obey(worker, found["commands"]) == []
    assert step("W19")["state"] == "ok"
    assert "#" in worker.path("/etc/fuse.conf").read_text().splitlines()[line - 1]
    assert worker.path("/etc/fuse.conf.bak").read_text() == text


@pytest.mark.parametrize("name", ["W8", "W9", "W11", "W12", "W19"])
def test_r186_what_destroys_comes_after_a_copy(worker: MixedWorker, step: Step, name: str) -> None:
    worker.write("/etc/lavapdu/lavapdu.conf", "{}")
    before = [*worker.by_name]
    worker.do_until(before[before.index(name) - 1])
    commands = step(name)["commands"]
    copying = ("tar -czf /var/backups/", "pg_dumpall", "sed -i.bak")
    destroying = ("apt-get --purge remove", "sudo apt-get --purge autoremove", "pg_dropcluster", "sed -i.bak")

    def first(words: tuple[str, ...]) -> int:
        return next(number for number, command in enumerate(commands) if any(word in command for word in words))

    assert first(copying) <= first(destroying)


def test_r186_an_open_step_says_what_why_how_and_how_to_see_it(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do_until("W6")
    assert doctor("worker", worker, "--only", "W7").out.split("\n\n")[2] == (
        "W7  open             the V1 SSHFS mount is gone\n"
        "    found:    /proc/mounts: lavaserver@lava.example.org:/var/lib/lava-server/default/media is mounted on"
        " /var/lib/lava-server/default/media: what is deleted below it is deleted on the master\n"
        "    why:      It gives read and write access to the master's job logs:"
        " what is deleted here is deleted there.\n"
        "    do:       mountpoint /var/lib/lava-server/default/media\n"
        "              sudo umount /var/lib/lava-server/default/media\n"
        "              sudo ls -a /var/lib/lava-server/default/media\n"
        "    verify:   the last command shows . and .. only"
    )


def test_r186_every_command_can_be_typed(doctor: Doctor, worker: MixedWorker, tmp_path: Path) -> None:
    """Whatever the names on the machine are, a shell reads each command as one command."""
    worker.write('/etc/lava-dispatcher/device-types/it\'s "$(odd)".conf', "")
    worker.write("/etc/lavapdu/lavapdu.conf", "{}")
    commands: list[str] = []
    for name in worker.by_name:
        step = doctor("worker", worker, "--json").steps[name]
        commands += step["commands"]
        worker.do(name)
    master = V1Master(tmp_path / "master")
    for step in doctor("master", master, "--json", "--confirm", "M0").steps.values():
        commands += step["commands"]
    assert len(commands) > 40
    for command in commands:
        subprocess.run(["sh", "-n", "-c", command], check=True)
        assert ";" not in re.sub(r"'[^']*'", "", command)
    odd = next(shlex.split(command) for command in commands if "odd" in command)
    assert odd[-1] == '/etc/lava-dispatcher/device-types/it\'s "$(odd)".conf'


def test_a_worker_without_apache_serves_files_itself(doctor: Doctor, tmp_path: Any) -> None:
    fresh = FreshWorker(tmp_path / "root")
    fresh.remove("/etc/apache2")
    states = doctor("worker", fresh, "--json").states()
    assert (states["W17"], states["W18"]) == ("nothing to do", "nothing to do")
