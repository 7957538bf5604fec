"""The files of ``packaging/`` fit the programs and do what the manual says.  Source: seed requirements D, F, K, M."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lava.daemon.options import default_log_file
from lava.daemon.settings import read_options
from lava.dispatcher.configuration import DEFAULT_SCRATCH
from lava.master import main as master
from lava.slave import main as slave

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "packaging"
UNITS = SHIPPED / "etc" / "systemd" / "system"
APACHE = SHIPPED / "usr" / "share" / "lava-dispatcher" / "apache2"
PROGRAMS = Path("/opt/lava/bin")
#: writes of a setting that is commented out, in the shipped files
_COMMENTED = re.compile(r'^# ([A-Z][A-Z_0-9]*=".*")$', re.MULTILINE)
DAEMONS = pytest.mark.parametrize("daemon", [slave, master], ids=["slave", "master"])


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=["="])
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((UNITS / name).read_text())
    return parser


def command(name: str) -> list[str]:
    """Return the words by which a unit starts its program."""
    return shlex.split(unit(name)["Service"]["ExecStart"])


# --- settings


@DAEMONS
def test_r22_every_assignment_is_commented_out(daemon: ModuleType) -> None:
    """R22, R92: the daemon uses what is built in."""
    parser = daemon.parser()
    options = read_options(parser, daemon.SETTINGS, [], default_file=SHIPPED / daemon.SETTINGS_FILE)
    assert options.words == ()


@DAEMONS
def test_r22_each_setting_can_be_uncommented(daemon: ModuleType, tmp_path: Path) -> None:
    """R22, G36: all are there, and none is a trap."""
    examples = _COMMENTED.findall((SHIPPED / daemon.SETTINGS_FILE).read_text())
    assert {line.partition("=")[0] for line in examples} == {setting.name for setting in daemon.SETTINGS}
    flags = {setting.name: setting.option for setting in daemon.SETTINGS if setting.flag}
    for line in examples:
        name, _, value = line.partition("=")
        (tmp_path / "settings").write_text(re.sub(r"<(host)>:<port>", r"\1:1080", line) + "\n")
        words = read_options(daemon.parser(), daemon.SETTINGS, [], default_file=tmp_path / "settings").words
        assert len(words) == (1 if name in flags else 2), line
        assert name not in flags or value == f'"{flags[name]}"'


def test_r31_the_files_say_what_the_seed_shows() -> None:
    """R24, R25, R27-R31, R93-R95: the lines that people know."""
    text = (SHIPPED / slave.SETTINGS_FILE).read_text()
    for line in (
        'MASTER_URL="tcp://<lava-master-dns>:5556"',
        'LOGGER_URL="tcp://<lava-master-dns>:5555"',
        'LOGLEVEL="DEBUG"',
        'ENCRYPT="--encrypt"',
        'MASTER_CERT="--master-cert /etc/lava-dispatcher/certificates.d/<master.key>"',
        'SLAVE_CERT="--slave-cert /etc/lava-dispatcher/certificates.d/<slave.key_secret>"',
    ):
        assert f"\n# {line}\n" in text
    assert "\n# DEBUG, INFO, WARNING or ERROR\n" in text
    above = text[: text.index("# ENCRYPT")].split("\n\n")[-1]
    assert "encrypted" in above
    assert re.search(r"public key of the master .*secret \(private\) key of this slave", above.replace("\n# ", " "))
    text = (SHIPPED / master.SETTINGS_FILE).read_text()
    for line in (
        'ENCRYPT="--encrypt"',
        'MASTER_CERT="--master-cert /etc/lava-dispatcher/certificates.d/<master.key_secret>"',
        'SLAVES_CERTS="--slaves-certs /etc/lava-dispatcher/certificates.d"',
    ):
        assert f"\n# {line}\n" in text


# --- units


@pytest.mark.parametrize("path", sorted(UNITS.iterdir()), ids=lambda path: str(path.name))
def test_r109_systemd_takes_the_units(path: Path, tmp_path: Path) -> None:
    """R32, R109: names of sections and keys, and what they refer to."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for each in UNITS.iterdir():
        # The programs of this environment, for those of an installed lab.
        text = each.read_text().replace(str(PROGRAMS), str(Path(sys.executable).parent))
        (tmp_path / each.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / path.name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in done.stderr.splitlines() if "lava" in line]
    assert ours == []


@pytest.mark.parametrize(("name", "daemon"), [("lava-slave", slave), ("lava-master", master)])
def test_r109_units_start_programs_that_exist_with_options_that_exist(name: str, daemon: ModuleType) -> None:
    """R22, R109: and with nothing on the command line that a setting could not change."""
    program, *words = command(f"{name}.service")
    assert Path(program) == PROGRAMS / name
    assert daemon.parser().parse_args(words)
    assert words == []


@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("lava-slave", "/var/log/lava-dispatcher/lava-slave.log"),
        ("lava-master", "/var/log/lava-server/lava-master.log"),
    ],
)
def test_r105_logs_of_the_services(name: str, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """R105: by the directory that the unit lets systemd make; it is the one that is rotated."""
    assert default_log_file(name) == "-"
    monkeypatch.setenv("LOGS_DIRECTORY", f"/var/log/{unit(f'{name}.service')['Service']['LogsDirectory']}")
    assert default_log_file(name) == log
    rotation = (SHIPPED / "etc" / "logrotate.d" / Path(log).parent.name).read_text()
    assert f"\n{log} {{\n" in rotation


def test_g32_jobs_survive_the_slaves_service() -> None:
    """R11, G32: a stop ends the daemon only, and it comes back when it dies."""
    service = unit("lava-slave.service")["Service"]
    assert (service["KillMode"], service["Restart"], service["OOMPolicy"]) == ("process", "always", "continue")
    assert "User" not in service
    assert Path("/var/lib") / service["StateDirectory"] == slave.parser().get_default("state_dir")


@pytest.mark.parametrize("name", ["lava-slave", "lava-master"])
def test_r86_a_fault_that_an_admin_must_mend_is_not_tried_again_for_ever(name: str) -> None:
    """R86, R126: status 2 is for what a restart does not mend."""
    service = unit(f"{name}.service")["Service"]
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2")


def test_r09_there_is_one_instance_on_a_machine() -> None:
    """R2, R9: no unit is a template, one directory of settings, and no option says which instance is meant."""
    assert not [path for path in SHIPPED.rglob("*@*")]
    assert [path.name for path in (SHIPPED / "etc").glob("lava-server*")] == ["lava-server"]
    for daemon in (slave, master):
        assert "instance" not in daemon.parser().format_help()


def test_r111_a_worker_has_no_service_of_the_server() -> None:
    """R111: what the manual lets people copy to a worker."""
    worker = (ROOT / "docs" / "how-to" / "install-a-lab.md").read_text().split("\n## A worker\n")[1]
    copied = re.findall(r"systemd/system/(\S+)", worker.split("\n## ")[0])
    assert set(copied) - {""} == {"lava-slave.service"}


@pytest.mark.slow
def test_the_port_of_the_web_server_stays_open_while_it_restarts(tmp_path: Path) -> None:
    """M: as the units run it, with the socket as descriptor 3; who asks meanwhile is answered."""
    program, *words = command("lava-server.service")
    assert unit("lava-server.socket")["Socket"]["ListenStream"] == "127.0.0.1:8000"
    assert Path(program) == PROGRAMS / "uvicorn"
    environment = {**os.environ, "LAVA_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "lava.server.settings"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/healthz/"

        def serve() -> subprocess.Popen[bytes]:
            python = sys.executable
            give = f"import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv({python!r}, [{python!r}, *sys.argv[2:]])"
            return subprocess.Popen(
                [sys.executable, "-c", give, str(listening.fileno()), "-m", "uvicorn", *words],
                pass_fds=[listening.fileno()],
                env=environment,
            )

        for _ in range(2):
            with socket.create_connection(listening.getsockname()):  # accepted by the kernel, with nobody there
                server = serve()
                try:
                    with urllib.request.urlopen(url, timeout=60) as answer:
                        assert answer.status == 200
                finally:
                    server.terminate()
                    server.wait()


# --- log rotation


@pytest.mark.parametrize("name", ["lava-dispatcher", "lava-server"])
def test_g21_rotation_renames(name: str) -> None:
    """G21, R105: the daemons open a new file by themselves; a copy would lose lines."""
    words = [
        line.strip()
        for line in (SHIPPED / "etc" / "logrotate.d" / name).read_text().splitlines()
        if not line.startswith("#")
    ]
    assert words[0].endswith(".log {")
    assert words[-1] == "}"
    assert {"delaycompress", "missingok", "nocreate"} <= set(words)
    assert not any(word.startswith(("copy", "postrotate", "create")) for word in words)


@pytest.mark.parametrize("name", ["lava-dispatcher", "lava-server"])
def test_g21_logrotate_takes_the_file_and_renames(name: str, tmp_path: Path) -> None:
    """G21, R105: the real one, with the log in a directory of the test's own."""
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("logrotate is not installed")
    text = (SHIPPED / "etc" / "logrotate.d" / name).read_text()
    found = re.search(r"^/var/log/\S+", text, re.MULTILINE)
    assert found
    log = tmp_path / "a.log"
    log.write_text("a line\n")
    (tmp_path / "configuration").write_text(text.replace(found[0], str(log)))
    (tmp_path / "configuration").chmod(0o644)
    inode = log.stat().st_ino
    subprocess.run(
        [program, "--force", "--state", tmp_path / "state", tmp_path / "configuration"], check=True, capture_output=True
    )
    assert not log.exists()
    assert (tmp_path / "a.log.1").stat().st_ino == inode


# --- Apache


def test_r44_the_site_maps_tmp_to_the_download_directory() -> None:
    """R44: a virtual host on port 80; no listing."""
    text = (APACHE / "lava-dispatcher.conf").read_text()
    assert re.search(r"^<VirtualHost \*:80>$", text, re.MULTILINE)
    assert f'Alias "/tmp/" "{DEFAULT_SCRATCH}/"' in text
    assert f'<Directory "{DEFAULT_SCRATCH}">' in text
    assert not re.search(r"Options.*Indexes", text)
    served = re.findall(r'AliasMatch "\S+" "/usr/share/lava-dispatcher/apache2/(\S+)"', text)
    assert [(APACHE / name).is_file() for name in served] == [True]


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A directory that Apache's user can reach, also when the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def apache(public_path: Path) -> Iterator[tuple[str, Path]]:
    """The shipped site in a real Apache; its address, and its download directory."""
    program = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("apache2 is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    downloads = public_path / "downloads"
    downloads.mkdir()
    shutil.copytree(APACHE, public_path / "apache2")
    site = (APACHE / "lava-dispatcher.conf").read_text().replace("*:80", f"*:{port}")
    site = site.replace(str(DEFAULT_SCRATCH), str(downloads)).replace("${APACHE_LOG_DIR}", str(public_path))
    site = site.replace("/usr/share/lava-dispatcher/apache2", str(public_path / "apache2")).replace(" combined", " %h")
    modules = Path(program).resolve().parents[1] / "lib" / "apache2" / "modules"
    lines = [f"LoadModule {name}_module {modules}/mod_{name}.so" for name in ("mpm_event", "authz_core", "alias")]
    lines += [f"Listen 127.0.0.1:{port}", "ServerName localhost"]
    lines += [f"PidFile {public_path}/pid", f"ErrorLog {public_path}/log"]
    lines += ["User nobody", "Group nogroup"] if os.geteuid() == 0 else []
    lines += ["<Directory />", "Require all denied", "</Directory>", site]
    (public_path / "apache.conf").write_text("\n".join(lines))
    server = subprocess.Popen([program, "-f", public_path / "apache.conf", "-DFOREGROUND"])
    try:
        while server.poll() is None and not (public_path / "pid").exists():
            time.sleep(0.01)
        assert server.poll() is None, (public_path / "log").read_text()
        yield f"http://127.0.0.1:{port}", downloads
    finally:
        server.terminate()
        server.wait()


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 (our own address)
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_r46_apache_serves_the_files_of_jobs(apache: tuple[str, Path]) -> None:
    """R44, R46: the check of the manual, a file's bytes, and no listing below."""
    url, downloads = apache
    (downloads / "12").mkdir()
    (downloads / "12" / "zImage").write_bytes(b"\x00kernel\xff")
    assert fetch(f"{url}/tmp/12/zImage") == (200, b"\x00kernel\xff")
    assert fetch(f"{url}/tmp/") == (200, (APACHE / "empty" / "index.html").read_bytes())
    assert fetch(f"{url}/tmp/12/")[0] in (403, 404)
    assert fetch(f"{url}/tmp/13")[0] == 404
    assert fetch(f"{url}/tmp/12/../../../etc/passwd")[0] in (400, 403, 404)
    (downloads / "12" / "link").symlink_to("/etc/passwd")
    assert fetch(f"{url}/tmp/12/link")[0] == 403


# --- the certificate tool


def test_r88_the_script_runs_with_the_python_of_the_services() -> None:
    """R73, R88: it is a program, for the same installation as the units."""
    script = SHIPPED / "usr" / "share" / "lava-dispatcher" / "create_certificate.py"
    assert script.read_text().startswith(f"#!{PROGRAMS}/python3\n")
    assert os.access(script, os.X_OK)
