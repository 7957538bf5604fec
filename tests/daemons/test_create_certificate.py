"""The certificate tool: both files or neither, nothing overwritten unasked.  Source: seed requirements J."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq.auth

from lava.daemon import create_certificate as tool
from lava.wire.certificates import load_certificate

SHIPPED = Path(__file__).parents[2] / "packaging" / "usr" / "share" / "lava-dispatcher" / "create_certificate.py"
PROGRAMS = pytest.mark.parametrize(
    "program", [["-m", "lava.daemon.create_certificate"], [str(SHIPPED)]], ids=["lava-create-certificate", "shipped"]
)


def make(directory: Path, name: str = "foo_slave_1", *options: str) -> int:
    return tool.main([name, "--directory", str(directory), *options])


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@contextlib.contextmanager
def without_rights(directory: Path) -> Iterator[None]:
    """Be somebody who may not write into the directory, also when the tests run as root."""
    directory.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        directory.chmod(0o755)


@PROGRAMS
def test_r88_it_says_directory_and_files(program: list[str], tmp_path: Path) -> None:
    """R73, R74, R88: under both of its names."""
    directory = tmp_path / "certificates.d"
    done = subprocess.run(
        [sys.executable, *program, "foo_slave_1", "--directory", directory], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"Creating the certificate in {directory}",
        "  foo_slave_1.key: public, copy it to the other side",
        "  foo_slave_1.key_secret: secret, leave it here",
    ]
    assert files(directory) == {"foo_slave_1.key", "foo_slave_1.key_secret"}


def test_r88_the_default_directory() -> None:
    """R88."""
    assert tool.parser().parse_args(["master"]).directory == Path("/etc/lava-dispatcher/certificates.d")


def test_r90_only_the_owner_reads_the_secret_file(tmp_path: Path) -> None:
    """R90: whatever the umask says; and everybody may read the public one."""
    for umask, name in ((0o000, "open"), (0o077, "closed")):
        before = os.umask(umask)
        try:
            assert make(tmp_path, name) == 0
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{name}.key_secret").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / f"{name}.key").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "there", [["foo_slave_1.key"], ["foo_slave_1.key_secret"], ["foo_slave_1.key", "foo_slave_1.key_secret"]]
)
def test_r90_what_is_there_stays(tmp_path: Path, there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """R90: one of the two is enough."""
    for name in there:
        (tmp_path / name).write_text("mine")
    assert make(tmp_path) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "File exists: foo_slave_1.key" in said.err
    assert files(tmp_path) == set(there)
    assert all((tmp_path / name).read_text() == "mine" for name in there)


def test_r90_a_pair_is_replaced_when_it_is_asked_for(tmp_path: Path) -> None:
    """R90: both halves, and with the right modes whatever the old ones were."""
    make(tmp_path)
    before = load_certificate(tmp_path / "foo_slave_1.key_secret", secret=True)
    (tmp_path / "foo_slave_1.key_secret").chmod(0o644)
    assert make(tmp_path, "foo_slave_1", "--force") == 0
    after = load_certificate(tmp_path / "foo_slave_1.key_secret", secret=True)
    assert after.public != before.public
    assert load_certificate(tmp_path / "foo_slave_1.key", secret=False).public == after.public
    assert files(tmp_path) == {"foo_slave_1.key", "foo_slave_1.key_secret"}


def test_r89_without_rights_it_says_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R89."""
    directory = tmp_path / "certificates.d"
    directory.mkdir()
    with without_rights(directory):
        assert make(directory) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"lava-create-certificate: cannot write the certificate 'foo_slave_1' in {directory}: Permission denied\n"
    )
    assert files(directory) == set()


def test_r89_a_place_that_is_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R89."""
    (tmp_path / "file").touch()
    assert make(tmp_path / "file" / "certificates.d") == 1
    assert capsys.readouterr().err.endswith(": Not a directory\n")


@pytest.mark.parametrize("option", [[], ["--force"]])
def test_r89_a_full_disk_leaves_no_partial_file(tmp_path: Path, option: list[str]) -> None:
    """R89: a pair that cannot be written whole is not written at all; the old one stays."""
    if option:
        make(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = f"ulimit -f 0; trap '' XFSZ; exec {sys.executable} -m lava.daemon.create_certificate foo_slave_1 "
    command += f"--directory {tmp_path} {' '.join(option)}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"lava-create-certificate: cannot write the certificate 'foo_slave_1' in {tmp_path}: File too large"
    ]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["", "../slave", "/etc/slave", ".hidden", "a b", "a\nb", "ä"])
def test_r88_a_name_that_is_none_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """R88: nothing is written outside the directory."""
    directory = tmp_path / "certificates.d"
    assert make(directory, name) == 1
    assert "is no name of a certificate" in capsys.readouterr().err
    assert files(tmp_path) == set()


def test_r91_files_are_those_of_the_standard_helper(tmp_path: Path) -> None:
    """R91, both ways: theirs are read by us, ours by them, keys and all."""
    make(tmp_path)
    ours = load_certificate(tmp_path / "foo_slave_1.key_secret", secret=True)
    assert zmq.auth.load_certificate(tmp_path / "foo_slave_1.key_secret") == (ours.public, ours.secret)
    assert zmq.auth.load_certificate(tmp_path / "foo_slave_1.key") == (ours.public, None)
    public, secret = map(Path, zmq.auth.create_certificates(tmp_path, "theirs", metadata={"lab": "rack 1"}))
    secret.chmod(0o600)
    theirs = zmq.auth.load_certificate(secret)
    assert (read := load_certificate(secret, secret=True)).public == theirs[0]
    assert read.secret == theirs[1]
    assert load_certificate(public, secret=False).public == theirs[0]
