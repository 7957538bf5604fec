"""CURVE keys in the files of pyzmq's format.  Source: protocol specification 7, seed requirements J."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_KEY = re.compile(r"""^\s*(public|secret)-key\s*=\s*["']?([^"'\s]{40})["']?\s*$""", re.MULTILINE)


class CertificateError(Exception):
    """A certificate file cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A key pair; of somebody else's there is only the public half."""

    public: bytes
    secret: bytes | None = None


def load_certificate(path: Path, *, secret: bool) -> Certificate:
    """Read a certificate file.

    Args:
        secret: the secret half is needed.

    Raises:
        CertificateError: it cannot be read, or has not what is needed, or others can read a secret.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except OSError as error:
        raise CertificateError(f"cannot read the certificate {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CertificateError(f"{path} is no certificate") from error
    keys = {kind: value.encode() for kind, value in _KEY.findall(text)}
    if "public" not in keys:
        raise CertificateError(f"{path} is no certificate: it has no public-key")
    if secret and "secret" not in keys:
        raise CertificateError(f"{path} has only the public key; name the file that ends in .key_secret")
    if secret and mode & 0o077:
        raise CertificateError(f"others can read the secret key {path}: run 'chmod 600 {path}'")
    return Certificate(keys["public"], keys.get("secret"))


def create_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a key pair and return its public and its secret file; nothing is overwritten.

    Raises:
        CertificateError: the files are there already, or cannot be written.
    """
    import zmq

    public, secret = zmq.curve_keypair()
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    public_line = f'    public-key = "{public.decode()}"\n'
    secret_line = f'    secret-key = "{secret.decode()}"\n'
    public_text = f"#   Public CURVE certificate, made {now}: may be given away.\n\nmetadata\ncurve\n{public_line}"
    secret_text = f"#   SECRET CURVE certificate, made {now}: keep it.\n\nmetadata\ncurve\n{public_line}{secret_line}"
    public_path, secret_path = directory / f"{name}.key", directory / f"{name}.key_secret"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        _write_new(secret_path, secret_text, 0o600)
        try:
            _write_new(public_path, public_text, 0o644)
        except OSError:
            secret_path.unlink()
            raise
    except OSError as error:
        raise CertificateError(f"cannot write the certificate '{name}' in {directory}: {error.strerror}") from error
    return public_path, secret_path


def ensure_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Return the public and the secret file of that name; they are made if they are not there."""
    with contextlib.suppress(CertificateError):
        load_certificate(directory / f"{name}.key_secret", secret=True)
        return directory / f"{name}.key", directory / f"{name}.key_secret"
    return create_certificate(directory, name)


def load_public_keys(directory: Path) -> dict[bytes, str]:
    """Return the names of all public keys in a directory, by key; files that are no certificates are left out.

    Raises:
        CertificateError: it is no directory.
    """
    try:
        paths = sorted(directory.glob("*.key"))
        if not directory.is_dir():
            raise CertificateError(f"{directory} is no directory of the slaves' public keys")
    except OSError as error:
        raise CertificateError(f"cannot read {directory}: {error.strerror}") from error
    keys: dict[bytes, str] = {}
    for path in paths:
        with contextlib.suppress(CertificateError):
            keys[load_certificate(path, secret=False).public] = path.stem
    return keys


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
