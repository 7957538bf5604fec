"""What keeps a daemon from starting, what it warns of, and its names.  Source: seed requirements I, R126, R195; G15."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import zmq

from lava.daemon.options import is_loopback
from lava.master import main as master
from lava.slave import main as slave
from lava.wire.certificates import create_certificate

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("own_logging")

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    directory = tmp_path / "certificates.d"
    for name in ("master", "slave"):
        create_certificate(directory, name)
    return directory


class NeverRuns:
    """Stands where the daemon would begin its work."""

    def __init__(self, *_: object) -> None: ...

    async def run(self, stop: asyncio.Event) -> None:
        stop.set()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Start a daemon up to its work; return its exit status and what it said."""
    monkeypatch.setattr(slave, "Slave", NeverRuns)
    monkeypatch.setattr(importlib.import_module("lava.master.daemon"), "Master", NeverRuns)

    def run_daemon(daemon: ModuleType, *words: str | Path, **options: object) -> tuple[int, str]:
        own = ["--state-dir", str(tmp_path / "state"), "--hostname", "rack-1"] if daemon is slave else []
        status = daemon.main(["--config", os.devnull, "--log-file", "-", *own, *map(str, words)], **options)
        return status, capsys.readouterr().err

    return run_daemon


def slave_options(keys: Path, **changed: str) -> list[str]:
    files = {"master-cert": "master.key", "slave-cert": "slave.key_secret", **changed}
    return ["--encrypt", *(word for name, file in files.items() for word in (f"--{name}", str(keys / file)))]


def master_options(keys: Path, **changed: str) -> list[str]:
    files = {"master-cert": "master.key_secret", "slaves-certs": "", **changed}
    return ["--encrypt", *(word for name, file in files.items() for word in (f"--{name}", str(keys / file)))]


def test_good_keys_start_both(run: Run, keys: Path) -> None:
    """R85, R86: so that the refusals below are for their own reasons."""
    assert run(slave, *slave_options(keys))[0] == 0
    assert run(master, *master_options(keys))[0] == 0


@pytest.mark.parametrize(
    ("daemon", "changed", "message"),
    [
        (
            slave,
            {"slave-cert": "slave.key"},
            "slave.key has only the public key; name the file that ends in .key_secret",
        ),
        (slave, {"slave-cert": "none.key_secret"}, "none.key_secret: No such file or directory"),
        (slave, {"slave-cert": ""}, ": Is a directory"),
        (slave, {"slave-cert": "readable.key_secret"}, "others can read the secret key"),
        (slave, {"master-cert": "none.key"}, "none.key: No such file or directory"),
        (slave, {"master-cert": ""}, ": Is a directory"),
        (slave, {"master-cert": "text.key"}, "text.key is no certificate"),
        (master, {"master-cert": "master.key"}, "has only the public key; name the file that ends in .key_secret"),
        (master, {"master-cert": "none.key_secret"}, "none.key_secret: No such file or directory"),
        (master, {"master-cert": ""}, ": Is a directory"),
        (master, {"master-cert": "readable.key_secret"}, "others can read the secret key"),
        (master, {"slaves-certs": "slave.key"}, "slave.key is no directory of the slaves' public keys"),
        (master, {"slaves-certs": "none"}, "none: No such file or directory"),
    ],
)
def test_r86_a_daemon_that_cannot_read_its_keys_ends(
    daemon: ModuleType, changed: dict[str, str], message: str, run: Run, keys: Path
) -> None:
    """R70, R85, R86: with status 1 and one clear line; it never runs unencrypted."""
    (keys / "readable.key_secret").write_text((keys / "slave.key_secret").read_text())
    (keys / "readable.key_secret").chmod(0o644)
    (keys / "text.key").write_text("hello\n")
    options = slave_options if daemon is slave else master_options
    status, said = run(daemon, *options(keys, **changed))
    assert status == 1
    errors = [line for line in said.splitlines() if " ERROR " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in said
    assert "Connecting to master" not in said


@pytest.mark.parametrize("name", ["lava-logs", "a b", "rack/1", "räck", "a\nb", "../x", "x" * 300])
def test_g15_a_name_that_is_none_is_refused(name: str, run: Run) -> None:
    """G15: reserved, or with characters that no host name has."""
    status, said = run(slave, "--hostname", name)
    assert status == 1
    assert "the name 'lava-logs' is reserved" in said if name == "lava-logs" else "is no name of a worker" in said


@pytest.mark.parametrize("daemon", [slave, master], ids=["slave", "master"])
def test_a_log_that_cannot_be_written_is_named(
    daemon: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R105."""
    log = tmp_path / "none" / "daemon.log"
    assert daemon.main(["--config", os.devnull, "--log-file", str(log)]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f": cannot write the log {log}: No such file or directory; name another one with --log-file\n")


def test_a_fault_is_also_on_standard_error_when_the_log_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R86: who starts the daemon by hand sees why it ends."""
    log = tmp_path / "slave.log"
    assert slave.main(["--config", os.devnull, "--log-file", str(log), "--hostname", "lava-logs"]) == 1
    assert capsys.readouterr().err == "lava-slave: the name 'lava-logs' is reserved\n"
    assert "ERROR the name 'lava-logs' is reserved" in log.read_text()


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("tcp://localhost:5556", True),
        ("tcp://127.0.0.1:5556", True),
        ("tcp://127.1.2.3:5556", True),
        ("tcp://[::1]:5556", True),
        ("tcp://ip6-localhost:5556", True),
        ("tcp://lo:5556", True),
        ("ipc:///run/lava", True),
        ("tcp://*:5556", False),
        ("tcp://0.0.0.0:5556", False),
        ("tcp://[::]:5556", False),
        ("tcp://lava.example.org:5556", False),
        ("tcp://localhost.example.org:5556", False),
        ("tcp://127.0.0.1.example.org:5556", False),
        ("tcp://192.0.2.1:5556", False),
        ("tcp://[::1:5556", False),
        ("nonsense", False),
    ],
)
def test_r62_which_addresses_stay_on_the_machine(address: str, stays: bool) -> None:
    """R61, R62."""
    assert is_loopback(address) is stays


REMOTE = "tcp://lava.example.org:5556"


@pytest.mark.parametrize(
    ("daemon", "words", "warned"),
    [
        (slave, [], False),
        (slave, ["--master", "tcp://127.0.0.1:1"], False),
        (slave, ["--master", REMOTE], True),
        (slave, ["--socket-addr", REMOTE], True),
        (slave, ["--master", REMOTE, "--plain"], False),
        (master, [], True),
        (master, ["--plain"], False),
        (master, ["--master-socket", "tcp://127.0.0.1:1", "--log-socket", "tcp://127.0.0.1:2"], False),
        (master, ["--master-socket", "tcp://127.0.0.1:1"], True),
    ],
)
def test_r62_no_encryption_beyond_the_machine_is_warned_of(
    daemon: ModuleType, words: list[str], warned: bool, run: Run
) -> None:
    """R61, R62, R82: a warning, and the daemon starts; none when it is said by name."""
    status, said = run(daemon, *words)
    assert status == 0
    assert (" WARNING " in said) is warned
    assert ("--encrypt" in said and "--plain if it is meant so" in said) is warned


def test_r62_encryption_is_not_warned_of(run: Run, keys: Path) -> None:
    """R62."""
    assert " WARNING " not in run(slave, "--master", REMOTE, *slave_options(keys))[1]
    assert " WARNING " not in run(master, *master_options(keys))[1]


def test_r75_a_key_for_tests_is_warned_of_once_there_is_another(run: Run, keys: Path) -> None:
    """R75."""
    create_certificate(keys, "rack-2")
    assert "slave.key is a name for tests" in run(master, *master_options(keys))[1]
    (keys / "slave.key").unlink()
    assert " WARNING " not in run(master, *master_options(keys))[1]


def test_r76_names_that_cannot_be_matched_are_warned_of(run: Run, keys: Path) -> None:
    """R76."""
    assert "--match-names has no effect" in run(master, "--plain", "--match-names")[1]
    assert " WARNING " not in run(master, "--match-names", *master_options(keys))[1]


def test_r86_a_directory_without_any_slave_is_warned_of(run: Run, keys: Path) -> None:
    """R78, R86: the master's own key is no slave's."""
    (keys / "slave.key").unlink()
    assert "has no public key of a slave" in run(master, *master_options(keys))[1]


def test_r126_a_master_refuses_to_run_on_a_remote_worker(run: Run, tmp_path: Path) -> None:
    """R126: status 2, and why."""
    assert run(master, "--plain", root=tmp_path)[0] == 0
    mark = tmp_path / "etc" / "lava-server" / "worker.conf"
    mark.parent.mkdir(parents=True)
    mark.touch()
    status, said = run(master, "--plain", root=tmp_path)
    assert status == 2
    assert said.startswith(f"lava-master: {mark} says that this machine is a remote worker.")
    assert "jobs of the true master" in said


def test_r195_programs_of_every_name_exist() -> None:
    """R102, R195: and each leads to a function."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["lava-dispatcher-slave"] == scripts["lava-slave"] == "lava.slave.main:main"
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_r72_encryption_is_always_installed() -> None:
    """R72: what it needs comes with the base install, and can do it."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(re.match(r"pyzmq\b", each) for each in dependencies)
    assert zmq.has("curve")


def test_r102_the_slave_takes_the_options_of_2016() -> None:
    """R102: spelt as the manual of that time shows them."""
    words = "--master tcp://localhost:5556 --hostname rack-1 --socket-addr tcp://localhost:5555 --level=DEBUG --encrypt"
    words += " --master-cert /etc/a.key --slave-cert /etc/b.key_secret"
    args = slave.parser().parse_args(words.split())
    assert (args.hostname, args.level, str(args.slave_cert)) == ("rack-1", "DEBUG", "/etc/b.key_secret")


@pytest.mark.parametrize("name", ["dispatcher-master", "lava-master"])
def test_r195_the_master_among_the_commands_of_the_server(name: str, tmp_path: Path) -> None:
    """R97, R195: its words are passed on, and its exit status comes back."""
    command = [sys.executable, "-m", "lava.server.main", "manage", name, "--config", os.devnull, "--encrypt"]
    command += ["--master-cert", str(tmp_path / "none"), "--slaves-certs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    first, *_, last = done.stderr.splitlines()
    assert f"INFO LAVA Daemon: lava-server manage {name} --config {os.devnull} --encrypt --master-cert" in first
    assert f"ERROR cannot read the certificate {tmp_path}/none: No such file or directory" in last
