"""What the doctor may look at, and the commands it may run.  Source: R183, R184."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from lava.doctor.commands import (
    ANSWERS,
    Answer,
    Command,
    CountJobs,
    ListClusters,
    ListDatabases,
    RecordedRunner,
    SimulateAutoremove,
    SystemRunner,
)
from lava.doctor.facts import files_below, packages
from lava.doctor.machine import CannotTell
from lava.doctor.machine import Tree as Machine
from lava.doctor.settings import host_of, is_local, shell_settings

from .trees import BOOT, NOW, Tree

COMMANDS: list[Command] = [ListClusters(), CountJobs(5432, "lava"), ListDatabases(5432), SimulateAutoremove()]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "root")


def machine(tree: Tree) -> Machine:
    return Machine(tree.root, RecordedRunner.of(tree.root), lambda: NOW)


def test_files_are_read_below_the_root(tree: Tree) -> None:
    tree.write("/etc/x", "one\ntwo\n")
    looked = machine(tree)
    assert looked.read("/etc/x") == "one\ntwo\n"
    assert looked.read("/etc/x", last_bytes=4) == "two\n"
    assert looked.read("/etc/x", last_bytes=400) == "one\ntwo\n"
    assert (looked.read("/etc/y"), looked.read("/etc/x/y"), looked.entry("/etc/y")) == (None, None, None)
    assert (looked.names("/etc"), looked.names("/nowhere"), looked.names("/etc/x")) == (("debian_version", "x"), (), ())


@pytest.mark.parametrize("target", ["/etc/real", "real", "../etc/real", "../../../../etc/real"])
def test_links_stay_below_the_root(tree: Tree, target: str) -> None:
    tree.write("/etc/real", "mine")
    tree.link("/etc/link", target)
    tree.link("/linked", "/etc")
    assert machine(tree).read("/etc/link") == "mine"
    assert machine(tree).read("/linked/link") == "mine"
    entry = machine(tree).entry("/etc/link")
    assert entry is not None
    assert (entry.is_link, entry.is_dangling) == (True, False)


def test_links_to_nowhere(tree: Tree) -> None:
    tree.link("/etc/gone", "/etc/nothing")
    tree.link("/etc/loop", "loop")
    entry = machine(tree).entry("/etc/gone")
    assert entry is not None
    assert entry.is_dangling
    assert machine(tree).read("/etc/gone") is None
    with pytest.raises(CannotTell, match="too many links"):
        machine(tree).read("/etc/loop")


@pytest.mark.parametrize("path", ["/mnt/fuse", "/mnt/fuse/x", "/mnt/fuse/../fuse/x", "/link/x", "/up"])
def test_nothing_on_a_fuse_mount_is_touched(tree: Tree, path: str) -> None:
    """A dead connection would hang even the question whether it exists."""
    tree.mounts("host:/x /mnt/fuse fuse.sshfs", "host:/y /mnt/with\\040blank fuse.sshfs")
    tree.write("/mnt/fuse/x", "the master's")
    tree.link("/link", "mnt/fuse")
    tree.link("/up", "/mnt/fuse/x")
    looked = machine(tree)
    for look in (looked.read, looked.names):
        with pytest.raises(CannotTell, match="not looked into"):
            look(path)  # type: ignore[operator]
    assert looked.names("/mnt") == ("fuse",), "its name is not on it"
    assert [mount.point for mount in looked.mounts()] == ["/", "/mnt/fuse", "/mnt/with blank"]
    link = looked.entry("/up")
    assert link is not None
    assert link.is_link
    assert not link.is_dangling, "nobody looked"


def test_what_may_not_be_read_is_said(tree: Tree) -> None:
    if os.access(tree.write("/etc/secret", "x", mode=0), os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(CannotTell, match="/etc/secret cannot be read: Permission denied; run the doctor as root"):
        machine(tree).read("/etc/secret")


def test_a_directory_in_place_of_a_file_is_said(tree: Tree) -> None:
    tree.write("/etc/dir/file", "")
    with pytest.raises(CannotTell, match="/etc/dir cannot be read"):
        machine(tree).read("/etc/dir")


def test_processes_with_their_start(tree: Tree) -> None:
    """The name in a stat line may hold blanks and brackets."""
    tree.end(1)
    tree.process(12, "/usr/bin/python3", "-m", "x", started=NOW - timedelta(hours=2))
    tree.write("/proc/2/cmdline", "")  # of the kernel
    tree.write(f"/proc/{os.getpid()}/cmdline", "the doctor\0")
    (found,) = machine(tree).processes()
    assert (found.pid, found.argv) == (12, ("/usr/bin/python3", "-m", "x"))
    assert found.started is not None
    assert abs(found.started - (NOW - timedelta(hours=2))) < timedelta(seconds=1)
    assert NOW.timestamp() > BOOT


def test_no_process_list_is_not_an_empty_one(tree: Tree) -> None:
    tree.remove("/proc/1")
    with pytest.raises(CannotTell):
        machine(tree).processes()


def test_this_machine_has_mounts_and_processes() -> None:
    here = Machine(Path("/"), SystemRunner())
    assert any(mount.point == "/" for mount in here.mounts())
    assert os.getppid() in {process.pid for process in here.processes()}


def test_files_below_a_directory_without_following_links(tree: Tree) -> None:
    for name in ("/a/b/c", "/a/d"):
        tree.write(name, "")
    tree.link("/a/loop", "/a")
    assert list(files_below(machine(tree), "/a")) == ["/a/b/c", "/a/d", "/a/loop"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_r184_every_command_reads_only_and_stays_here(command: Command) -> None:
    """The list is fixed; psql asks the socket of this machine."""
    argv = command.argv
    assert argv[0] in ("pg_lsclusters", "runuser", "apt-get")
    if argv[0] == "apt-get":
        assert "--simulate" in argv
    if "psql" in argv:
        assert argv[:5] == ("runuser", "-u", "postgres", "--", "psql")
        assert "--host=/var/run/postgresql" in argv
        assert argv[-1].startswith("--command=SELECT ")


def test_r184_nothing_else_is_run() -> None:
    class Other:
        argv = ("touch", "/tmp/doctor")

    with pytest.raises(TypeError, match="not in the list"):
        SystemRunner().run(Other())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "host=x", "postgres://x/y", "-d", "a\nb"])
def test_r184_an_address_is_no_database(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a database"):
        CountJobs(5432, name)


def test_commands_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that leads psql elsewhere is handed on; what is missing is no failure of the doctor."""
    program = tmp_path / "pg_lsclusters"
    program.write_text("#!/bin/sh\necho host=$PGHOST lang=$LC_ALL; echo trouble >&2; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PGHOST", "lava.example.org")
    assert SystemRunner().run(ListClusters()) == Answer(3, "host= lang=C\n", "trouble\n")
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = SystemRunner().run(ListClusters())
    assert answer.status != 0 or answer.output.startswith("Ver")


def test_a_copy_answers_from_its_file(tree: Tree) -> None:
    tree.answer(ListClusters(), "Ver\n", status=1, error="why")
    runner = RecordedRunner.of(tree.root)
    assert runner.run(ListClusters()) == Answer(1, "Ver\n", "why")
    missing = runner.run(SimulateAutoremove())
    assert missing.status == 1
    assert shlex.join(SimulateAutoremove().argv) in missing.error
    assert ANSWERS in missing.error


@pytest.mark.parametrize("text", ["3", "- 3", "- {output: x}", "- {command: x, status: many}", "{"])
def test_a_file_of_answers_that_is_none(tree: Tree, text: str) -> None:
    tree.write(f"/{ANSWERS}", text)
    with pytest.raises(ValueError, match=ANSWERS):
        RecordedRunner.of(tree.root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('NAME="a b"\n', ("a b", 1)),
        ("# NAME=1\nNAME=2 # two\n", ("2", 2)),
        ("NAME=1\nexport NAME='3'\n", ("3", 2)),
        ('A=/x\nNAME="${A}/y$A"\n', ("/x/y/x", 2)),
        ('NAME="open\n', None),
        ("other line\nNAME\n", None),
    ],
)
def test_settings_of_a_shell_file(tree: Tree, text: str, value: tuple[str, int] | None) -> None:
    tree.write("/etc/conf", text)
    found = shell_settings(machine(tree), "/etc/conf").get("NAME")
    assert (found and (found.value, found.line)) == value


@pytest.mark.parametrize(
    ("url", "host", "local"),
    [
        ("tcp://localhost:5556", "localhost", True),
        ("tcp://[::1]:5556", "[::1]", True),
        ("tcp://127.0.1.1:5556", "127.0.1.1", True),
        ("tcp://*:5556", "*", False),
        ("tcp://me:5556", "me", True),
        ("tcp://lava.example.org:5556", "lava.example.org", False),
        ("lava.example.org", "lava.example.org", False),
    ],
)
def test_hosts_of_addresses(tree: Tree, url: str, host: str, local: bool) -> None:
    tree.write("/etc/hostname", "me\n")
    assert (host_of(url), is_local(host, machine(tree))) == (host, local)


def test_packages_by_their_state(tree: Tree) -> None:
    tree.packages(installed=["a"], removed=["b"])
    with tree.path("/var/lib/dpkg/status").open("a") as file:
        file.write("\nPackage: c\nStatus: purge ok not-installed\n")
    assert packages(machine(tree)) == {"a": "installed", "b": "config-files"}


def test_packages_of_another_distribution(tree: Tree) -> None:
    tree.remove("/var/lib/dpkg")
    with pytest.raises(CannotTell):
        packages(machine(tree))
    tree.remove("/etc/debian_version")
    assert packages(machine(tree)) == {}
