"""Which slaves' keys may connect: the public certificates in a directory, followed while it changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from lava.wire.certificates import CertificateError, load_public_keys

_log = logging.getLogger("lava-master")


class SlaveKeys:
    """The directory's keys, by their printable form, with the names of their files."""

    def __init__(self, directory: Path) -> None:
        """Read the directory.

        Raises:
            CertificateError: it is none.
        """
        self._directory = directory
        self._seen = self._signature()
        self._keys = self._load()

    def current(self) -> Mapping[str, str]:
        """Return the keys as they are now; when the directory cannot be read, nobody has one."""
        seen = self._signature()
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = self._load()
            except CertificateError as error:
                _log.error("nobody is admitted: %s", error)
                self._keys = {}
        return self._keys

    def _load(self) -> dict[str, str]:
        return {key.decode(): name for key, name in load_public_keys(self._directory).items()}

    def _signature(self) -> tuple[tuple[str, int, int], ...]:
        """Return what changes when a certificate comes, goes or is written again."""
        try:
            files = [(path.name, path.stat()) for path in self._directory.iterdir() if path.suffix == ".key"]
        except OSError:
            return ()
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_ino) for name, stat in files))
