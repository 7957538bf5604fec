"""CURVE keys in the files of pyzmq's format.  Source: protocol specification 7, seed requirements J."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

#: 32 bytes in the alphabet of Z85 (ZeroMQ RFC 32)
_KEY = re.compile(
    r"""^\s*(public|secret)-key\s*=\s*["']?([0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40})["']?\s*$""", re.MULTILINE
)
#: names files: nothing that leads out of their directory, nothing hidden
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


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
        CertificateError: it cannot be read, or has not what is needed, or others can read a secret, or the two keys
            are not a pair.
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
    if secret and _public_of(keys["secret"]) != keys["public"]:
        raise CertificateError(f"the public-key and the secret-key in {path} do not belong together")
    return Certificate(keys["public"], keys.get("secret"))


def _public_of(secret: bytes) -> bytes | None:
    import zmq

    try:
        return bytes(zmq.curve_public(secret))
    except zmq.ZMQError:  # five characters of the alphabet may still be more than four bytes hold
        return None


def create_certificate(directory: Path, name: str, *, force: bool = False) -> tuple[Path, Path]:
    """Make a key pair and return its public and its secret file, both whole or neither.

    Args:
        force: replace files that are there.

    Raises:
        CertificateError: the name is none, the files are there already, or they cannot be written.
    """
    import zmq

    if not _NAME.fullmatch(name):
        raise CertificateError(f"{name[:60]!r} is no name of a certificate: letters, digits, '-', '_' and '.' only")
    public, secret = zmq.curve_keypair()
    public_path, secret_path = directory / f"{name}.key", directory / f"{name}.key_secret"
    texts = {
        secret_path: (_text("SECRET CURVE certificate: keep it", public, secret), 0o600),
        public_path: (_text("Public CURVE certificate: may be given away", public), 0o644),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        _write_all(texts, force=force)
    except OSError as error:
        why = str(error.strerror)
        if error.filename2 is not None:
            why += f": {Path(error.filename2).name} is there; choose another name, or say that it is to be replaced"
        raise CertificateError(f"cannot write the certificate '{name}' in {directory}: {why}") from error
    return public_path, secret_path


def ensure_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Return the public and the secret file of that name; they are made if they are not there.

    Raises:
        CertificateError: they cannot be made, or those that are there are no use.
    """
    public_path, secret_path = directory / f"{name}.key", directory / f"{name}.key_secret"
    if not secret_path.exists():
        return create_certificate(directory, name)
    certificate = load_certificate(secret_path, secret=True)
    if not public_path.exists():
        try:
            text = _text("Public CURVE certificate: may be given away", certificate.public)
            _write_all({public_path: (text, 0o644)}, force=False)
        except OSError as error:
            raise CertificateError(f"cannot write {public_path}: {error.strerror}") from error
    return public_path, secret_path


def load_public_keys(directory: Path) -> dict[bytes, str]:
    """Return the names of all public keys in a directory, by key; files that are no certificates are left out.

    Raises:
        CertificateError: it is no directory.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".key")
    except NotADirectoryError as error:
        raise CertificateError(f"{directory} is no directory of the slaves' public keys") from error
    except OSError as error:
        raise CertificateError(f"cannot read the slaves' public keys in {directory}: {error.strerror}") from error
    keys: dict[bytes, str] = {}
    for path in paths:
        with contextlib.suppress(CertificateError):
            keys[load_certificate(path, secret=False).public] = path.stem
    return keys


def _text(title: str, public: bytes, secret: bytes | None = None) -> str:
    lines = [
        f"#   {title}.  Made {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.",
        "",
        "metadata",
        "curve",
        f'    public-key = "{public.decode()}"',
    ]
    if secret is not None:
        lines.append(f'    secret-key = "{secret.decode()}"')
    return "\n".join(lines) + "\n"


def _write_all(texts: Mapping[Path, tuple[str, int]], *, force: bool) -> None:
    """Write the files beside their places, then put them there: who is interrupted leaves no half a file."""
    with contextlib.ExitStack() as temporary:
        written = {path: _write_beside(path, *content, temporary) for path, content in texts.items()}
        with contextlib.ExitStack() as placed:
            for path, beside in written.items():
                if force:
                    beside.replace(path)
                else:
                    os.link(beside, path)  # unlike a rename, it replaces nothing
                    placed.callback(path.unlink)
            placed.pop_all()


def _write_beside(path: Path, text: str, mode: int, temporary: contextlib.ExitStack) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary.callback(Path(name).unlink, missing_ok=True)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return Path(name)
