"""What real daemons say from their first line on, and what they follow.  Source: seed requirements L; G21, G23."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lava.wire.certificates import create_certificate

from .conftest import Daemon, Start

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemons")]

Port = Callable[[], int]
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} +(DEBUG|INFO|WARNING|ERROR) (.*)")
#: a daemon that never comes back from a call when it is told to stop
_STUCK = """
import argparse, logging, threading
from lava.daemon.run import run_daemon
from lava.daemon.settings import Options

async def run(args, stop):
    logging.warning("works")
    await stop.wait()
    threading.Event().wait()

run_daemon("stuck", Options(argparse.Namespace(log_file="-", level="INFO"), ()), run, leave_seconds=0.1)
"""
#: words of Python and of libraries, not of the daemons
_NEVER = "Traceback|Error:|object at 0x"


class Lab:
    """One master and one slave, configured by their files only."""

    def __init__(self, directory: Path, start: Start, port: Port) -> None:
        self._start = start
        self.directory = directory
        self.slave_file, self.master_file = directory / "lava-slave", directory / "lava-master"
        self.environment = {"LAVA_DATA_DIR": str(directory)}
        self.keys = directory / "keys"
        self.slave_public, self.slave_secret = create_certificate(self.keys / "slaves", "rack-1")
        self.master_public, self.master_secret = create_certificate(self.keys, "the-master")
        self.control, self.logs = (f"tcp://127.0.0.1:{port()}" for _ in range(2))

    def write(self, *, level: str = "DEBUG", encrypted: bool = True) -> None:
        master = [
            f'MASTER_SOCKET="--master-socket {self.control}"',
            f'LOG_SOCKET="--log-socket {self.logs}"',
            f'LOGLEVEL="{level}"',
        ]
        slave = [
            f'MASTER_URL="{self.control}"',
            f'LOGGER_URL="{self.logs}"',
            'HOSTNAME="--hostname rack-1"',
            f'LOGLEVEL="{level}"',
            f'STATE_DIR="{self.directory / "state"}"',
        ]
        if encrypted:
            master += [
                'ENCRYPT="--encrypt"',
                f'MASTER_CERT="--master-cert {self.master_secret}"',
                f'SLAVES_CERTS="--slaves-certs {self.slave_public.parent}"',
            ]
            slave += [
                'ENCRYPT="--encrypt"',
                f'MASTER_CERT="--master-cert {self.master_public}"',
                f'SLAVE_CERT="--slave-cert {self.slave_secret}"',
            ]
        self.master_file.write_text("\n".join(master) + "\n")
        self.slave_file.write_text("\n".join(slave) + "\n")

    def master(self) -> Daemon:
        return self._start("lava.master.main", "--config", self.master_file, **self.environment)

    def slave(self) -> Daemon:
        return self._start("lava.slave.main", "--config", self.slave_file)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the database of a server that knows the worker."""
    directory = tmp_path_factory.mktemp("database")
    environment = {**os.environ, "LAVA_DATA_DIR": str(directory)}
    for words in (["migrate", "--verbosity", "0"], ["workers", "add", "rack-1"]):
        command = [sys.executable, "-m", "lava.server.main", "manage", *words]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return directory


@pytest.fixture
def lab(tmp_path: Path, start: Start, port: Port, database: Path) -> Lab:
    shutil.copytree(database, tmp_path, dirs_exist_ok=True)
    return Lab(tmp_path, start, port)


def said(daemon: Daemon) -> list[str]:
    """Return level and message of each line; all lines have the form of the log."""
    lines = []
    for line in daemon.said:
        match = _LINE.fullmatch(line)
        assert match, f"not of the log's form: {line!r}"
        lines.append(f"{match[2]} {match[3]}")
    return lines


def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; the test's own time limit ends what never comes."""
    while not condition():
        time.sleep(0.02)


def in_order(lines: list[str], wanted: list[str]) -> None:
    """Assert that lines stand there in this order."""
    rest = iter(lines)
    for each in wanted:
        assert any(line == each for line in rest), f"{each!r} is missing, or too early, in:\n" + "\n".join(lines)


def test_r97_an_encrypted_lab_says_what_the_manual_shows(lab: Lab) -> None:
    """R97-R104, R106-R108, and R24-R26, R84, R87: other ports, other places, one machine."""
    lab.write()
    master = lab.master()
    master.expect("INIT")
    slave = lab.slave()
    slave.expect("established")
    for _ in range(2):
        slave.expect("=> PING")
        slave.expect(re.escape("The master replied: ['PONG']"))
    assert (slave.stop(), master.stop()) == (0, 0)
    words = f"--master {lab.control} --socket-addr {lab.logs} --hostname rack-1 --level DEBUG --encrypt "
    words += f"--master-cert {lab.master_public} --slave-cert {lab.slave_secret} "
    words += f"--state-dir {lab.directory}/state --config {lab.slave_file}"
    in_order(
        said(slave),
        [
            f"INFO LAVA Daemon: lava-slave {words} pid: {slave.process.pid}",
            "INFO Creating ZMQ context and socket connections",
            "INFO Starting encryption",
            f"DEBUG Opening slave certificate: {lab.slave_secret}",
            f"DEBUG Opening master certificate: {lab.master_public}",
            "INFO Connecting to master as <rack-1>",
            f"INFO Connection is encrypted using {lab.slave_secret}",
            "DEBUG Greeting the master => 'HELLO'",
            "INFO Waiting for the master to reply",
            "DEBUG The master replied: ['HELLO_OK']",
            "INFO Connection with the master established",
        ],
    )
    words = f"--master-socket {lab.control} --log-socket {lab.logs} --level DEBUG --encrypt "
    words += f"--master-cert {lab.master_secret} --slaves-certs {lab.slave_public.parent} --config {lab.master_file}"
    in_order(
        said(master),
        [
            f"INFO LAVA Daemon: lava-master {words} pid: {master.process.pid}",
            "INFO Starting encryption",
            f"DEBUG Opening master certificate: {lab.master_secret}",
            f"DEBUG Using slaves certificates from: {lab.slave_public.parent}",
            "INFO [INIT] LAVA dispatcher-master has started.",
        ],
    )


@pytest.mark.parametrize("encrypted", [True, False])
def test_r98_at_info_only_the_info_lines_appear(lab: Lab, encrypted: bool) -> None:
    """R98-R103: and of encryption only when there is some (R61, R82)."""
    lab.write(level="INFO", encrypted=encrypted)
    master = lab.master()
    master.expect("INIT")
    slave = lab.slave()
    slave.expect("established")
    slave.stop()
    master.stop()
    for daemon, also in ((master, []), (slave, [f"INFO Connection is encrypted using {lab.slave_secret}"])):
        lines = said(daemon)
        assert not [line for line in lines if line.startswith("DEBUG")]
        of_encryption = [line for line in lines if "encrypt" in line and "LAVA Daemon" not in line]
        assert of_encryption == (["INFO Starting encryption", *also] if encrypted else [])


def test_r97_times_are_utc_wherever_the_daemon_runs(start: Start, port: Port, tmp_path: Path) -> None:
    """R97."""
    slave = start(
        *("lava.slave.main", "--master", f"tcp://127.0.0.1:{port()}", "--hostname", "rack-1"),
        *("--state-dir", tmp_path, "--config", "/dev/null"),
        TZ="Asia/Tokyo",
    )
    before = datetime.now(UTC).replace(tzinfo=None)
    match = _LINE.fullmatch(slave.expect("LAVA Daemon"))
    assert match
    assert abs((datetime.fromisoformat(match[1]) - before).total_seconds()) < 3600


def test_r33_a_restart_applies_what_was_edited(lab: Lab, port: Port) -> None:
    """R33: the new address is in the log, and is where the slave connects to."""
    there, lab.control = lab.control, f"tcp://127.0.0.1:{port()}"
    lab.write()
    first = lab.slave()
    first.expect(f"LAVA Daemon: .* --master {lab.control} ")
    first.expect("Waiting for the master")
    lab.control = there
    lab.write()
    master = lab.master()
    master.expect("INIT")
    assert first.stop() == 0
    assert not any("established" in line for line in first.said)
    second = lab.slave()
    second.expect(f"LAVA Daemon: .* --master {there} ")
    second.expect("established")


def test_r66_encryption_is_prepared_while_everything_runs(lab: Lab) -> None:
    """R63, R64, R66, R81, R87: it begins when the master restarts; a slave gets in after its own restart."""
    lab.write(encrypted=False)
    master = lab.master()
    master.expect("INIT")
    slave = lab.slave()
    slave.expect("established")
    lab.write()
    slave.expect("=> PING")
    slave.expect(re.escape("The master replied: ['PONG']"))
    assert master.stop() == 0
    master = lab.master()
    master.expect("INFO Starting encryption")
    slave.expect("ERROR .*the master demands encryption: use --encrypt")
    slave.expect("Waiting for the master to reply")
    assert slave.stop() == 0
    slave = lab.slave()
    slave.expect("INFO Starting encryption")
    slave.expect("established")


def test_g21_a_log_that_is_rotated_away_goes_on_in_a_new_file(start: Start, port: Port, tmp_path: Path) -> None:
    """G21, R105: in the directory that systemd names, the next line appears in a new file."""
    log = tmp_path / "lava-slave.log"
    slave = start(
        *("lava.slave.main", "--master", f"tcp://127.0.0.1:{port()}", "--hostname", "rack-1"),
        *("--state-dir", tmp_path / "state", "--config", "/dev/null"),
        LOGS_DIRECTORY=str(tmp_path),
    )
    until(lambda: log.exists() and "Waiting for the master" in log.read_text())
    log.rename(tmp_path / "lava-slave.log.1")
    until(lambda: log.exists() and "Waiting for the master" in log.read_text())
    assert slave.stop() == 0
    assert "LAVA Daemon" in (tmp_path / "lava-slave.log.1").read_text()
    assert "LAVA Daemon" not in log.read_text()
    assert slave.said == []


@pytest.mark.parametrize("host", ["no-such-master.invalid", "127.0.0.1"])
def test_g23_a_slave_without_a_master_waits_and_can_be_stopped(
    host: str, start: Start, port: Port, tmp_path: Path
) -> None:
    """G23, R8: a name that nobody knows, a port that nobody listens on."""
    slave = start(
        *("lava.slave.main", "--master", f"tcp://{host}:{port()}", "--socket-addr", f"tcp://{host}:{port()}"),
        *("--hostname", "rack-1", "--state-dir", tmp_path, "--config", "/dev/null"),
    )
    for _ in range(3):
        slave.expect("Waiting for the master to reply")
    assert slave.stop() == 0
    assert not [line for line in slave.said if re.search(_NEVER, line)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_g23_what_cannot_be_interrupted_does_not_keep_a_daemon(
    number: signal.Signals, start: Start, tmp_path: Path
) -> None:
    """G23: while a resolver does not answer, ZeroMQ's context and the event loop wait for their threads."""
    (tmp_path / "stuck.py").write_text(_STUCK)
    daemon = start("stuck", PYTHONPATH=str(tmp_path))
    daemon.expect("works")
    daemon.process.send_signal(number)
    assert daemon.stop() == 0
    assert not [line for line in daemon.said if re.search(_NEVER, line)]
