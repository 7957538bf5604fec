"""Key files: made with the right modes, exchanged with pyzmq's, refused with a word on what to do.  G16."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth
from hypothesis import given
from hypothesis import strategies as st

from lava.wire.certificates import (
    Certificate,
    CertificateError,
    create_certificate,
    ensure_certificate,
    load_certificate,
    load_public_keys,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_key_pair_can_be_read_back(tmp_path: Path) -> None:
    public, secret = create_certificate(tmp_path / "certificates.d", "slave")
    assert (public.name, secret.name) == ("slave.key", "slave.key_secret")
    pair = load_certificate(secret, secret=True)
    assert load_certificate(public, secret=False) == Certificate(pair.public)
    assert pair.secret is not None
    assert zmq.curve_public(pair.secret) == pair.public


def test_only_the_owner_reads_the_secret_file_and_everybody_the_public_one(tmp_path: Path) -> None:
    public, secret = create_certificate(tmp_path, "slave")
    assert mode(secret) == 0o600
    assert mode(public) == 0o644
    assert load_certificate(secret, secret=True).secret not in public.read_bytes()  # type: ignore[operator]


def test_pyzmq_reads_our_files(tmp_path: Path) -> None:
    public, secret = create_certificate(tmp_path, "slave")
    pair = load_certificate(secret, secret=True)
    assert zmq.auth.load_certificate(secret) == (pair.public, pair.secret)
    assert zmq.auth.load_certificate(public) == (pair.public, None)


def test_we_read_the_files_of_pyzmq(tmp_path: Path) -> None:
    public, secret = map(Path, zmq.auth.create_certificates(tmp_path, "old", metadata={"owner": "the lab"}))
    secret.chmod(0o600)
    expected = zmq.auth.load_certificate(secret)
    assert load_certificate(secret, secret=True) == Certificate(*expected)
    assert load_certificate(public, secret=False) == Certificate(expected[0])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    public, secret = create_certificate(tmp_path, "slave")
    before = public.read_bytes(), secret.read_bytes()
    with pytest.raises(CertificateError, match=r"cannot write the certificate 'slave'.*File exists"):
        create_certificate(tmp_path, "slave")
    assert (public.read_bytes(), secret.read_bytes()) == before


def test_a_pair_that_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path) -> None:
    (tmp_path / "slave.key").write_text("somebody else's")
    with pytest.raises(CertificateError, match="File exists"):
        create_certificate(tmp_path, "slave")
    assert not (tmp_path / "slave.key_secret").exists()


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, "slave")
    before = [path.read_bytes() for path in first]
    assert ensure_certificate(tmp_path, "slave") == first
    assert [path.read_bytes() for path in first] == before


def test_a_lost_public_file_is_written_again_from_the_secret_one(tmp_path: Path) -> None:
    public, secret = create_certificate(tmp_path, "slave")
    public.unlink()
    ensure_certificate(tmp_path, "slave")
    assert load_certificate(public, secret=False).public == load_certificate(secret, secret=True).public
    assert mode(public) == 0o644


def test_a_pair_that_is_no_use_is_not_replaced_behind_the_admins_back(tmp_path: Path) -> None:
    _, secret = create_certificate(tmp_path, "slave")
    secret.chmod(0o644)
    with pytest.raises(CertificateError, match=r"others can read the secret key .*: run 'chmod 600 "):
        ensure_certificate(tmp_path, "slave")


@pytest.mark.parametrize("shared", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_g16_a_secret_that_others_can_read_is_refused(tmp_path: Path, shared: int) -> None:
    _, secret = create_certificate(tmp_path, "slave")
    secret.chmod(shared)
    with pytest.raises(CertificateError, match=f"run 'chmod 600 {re.escape(str(secret))}'"):
        load_certificate(secret, secret=True)
    assert load_certificate(secret, secret=False).public


def test_g16_the_public_file_given_for_the_secret_one(tmp_path: Path) -> None:
    public, _ = create_certificate(tmp_path, "slave")
    with pytest.raises(CertificateError, match=r"has only the public key; name the file that ends in \.key_secret"):
        load_certificate(public, secret=True)


def test_g16_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"cannot read the certificate .*/none\.key: No such file"):
        load_certificate(tmp_path / "none.key", secret=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"metadata\ncurve\n",
        b'    public-key = "short"\n',
        b'#   public-key = "' + b"x" * 40 + b'"\n',
        b'    public-key = "' + b"~" * 40 + b'"\n',
    ],
)
def test_g16_a_file_of_something_else_is_no_certificate(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "slave.key"
    path.write_bytes(content)
    with pytest.raises(CertificateError, match=f"{re.escape(str(path))} is no certificate"):
        load_certificate(path, secret=False)


@pytest.mark.parametrize("wrong", ["x" * 40, "#" * 40])
def test_g16_keys_that_are_no_pair_are_found_at_once(tmp_path: Path, wrong: str) -> None:
    """Else the handshake would fail without a word for ever."""
    _, secret = create_certificate(tmp_path, "slave")
    text = secret.read_text()
    pair = load_certificate(secret, secret=True)
    assert pair.secret is not None
    secret.write_text(text.replace(pair.secret.decode(), wrong))
    with pytest.raises(CertificateError, match="do not belong together"):
        load_certificate(secret, secret=True)


@given(st.text(max_size=300))
def test_any_text_is_a_certificate_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.key"
    path.write_text(text, errors="replace")
    with pytest.raises(CertificateError, match=r"any\.key is no certificate"):
        load_certificate(path, secret=False)


def test_the_public_keys_of_a_directory_by_name(tmp_path: Path) -> None:
    first, _ = create_certificate(tmp_path, "rack-1")
    second, secret = create_certificate(tmp_path, "rack-2")
    (tmp_path / "broken.key").write_text("nonsense")
    (tmp_path / "README").write_text(secret.read_text())
    (tmp_path / "directory.key").mkdir()
    assert load_public_keys(tmp_path) == {
        load_certificate(first, secret=False).public: "rack-1",
        load_certificate(second, secret=False).public: "rack-2",
    }


def test_g16_a_missing_directory_of_public_keys_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"cannot read the slaves' public keys in .*/none: No such file"):
        load_public_keys(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError, match=r".*/file is no directory of the slaves' public keys"):
        load_public_keys(tmp_path / "file")
