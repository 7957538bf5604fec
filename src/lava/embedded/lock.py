"""One instance at a time uses a data directory; a lock that dies with its holder says which."""

from __future__ import annotations

import fcntl
from typing import TextIO

from .layout import Layout


class InUseError(Exception):
    """The data directory cannot be had; the message says why and what to do."""


def hold(layout: Layout) -> TextIO:
    """Return the lock of the data directory, which is made if it is missing; held until it is closed.

    Raises:
        InUseError: another instance holds it, or the directory cannot be written.
    """
    try:
        layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = layout.lock.open("a")
    except OSError as error:
        raise InUseError(
            f"cannot use the data directory {layout.root}: {error.strerror}; choose another --data-dir"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise InUseError(f"an instance already runs in {layout.root}; stop it, or choose another --data-dir") from None
    return lock
