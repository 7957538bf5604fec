"""Pack the overlay: what is in it belongs to root, whoever runs the worker."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path


def write_archive(archive: Path, tree: Path, parts: Sequence[Path]) -> None:
    """Write the parts of ``tree`` to a gzip-compressed tar archive that only its owner may read.

    The names of its members are relative to ``tree``.  Directories above the parts are left out: ``data`` and ``tmp``
    of ``data/tmp/lava-1`` are the device's own, and unpacking must not change their owner and mode.
    """
    descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with (
        os.fdopen(descriptor, "wb") as raw,
        tarfile.open(fileobj=raw, mode="w:gz", compresslevel=3, format=tarfile.GNU_FORMAT) as tar,
    ):
        for part in parts:
            tar.add(part, str(part.relative_to(tree)), filter=_of_root)


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
