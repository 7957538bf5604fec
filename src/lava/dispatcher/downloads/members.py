"""Members of tar archives as they may be unpacked: nothing lands outside, nobody gets rights.

What PEP 706 calls the filters ``tar`` and ``data``.  Debian 12's Python 3.11 has none of its own.
"""

from __future__ import annotations

import copy
import os
import tarfile
from pathlib import Path
from typing import Any

#: for ``extract`` and ``extractall``: the members are ours
TAMED: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}


class UnsafeMemberError(tarfile.TarError):
    """A member would be unpacked to, or point to, where nothing of the archive belongs."""


def system_member(member: tarfile.TarInfo, directory: Path) -> tarfile.TarInfo:
    """Return a member of an archive that holds a system: owners, devices and symbolic links are kept.

    Raises:
        UnsafeMemberError: its place, or the file that it is another name of, is outside of the directory, maybe through
            a link that was unpacked before it.
    """
    tamed = copy.copy(member)
    tamed.name = member.name.lstrip("/")
    if not _inside(directory, tamed.name):
        raise UnsafeMemberError(f"'{member.name}' would be outside of the directory")
    if member.islnk():  # a file of the worker is none of the archive's
        tamed.linkname = member.linkname.lstrip("/")
        if not _inside(directory, os.path.dirname(tamed.linkname)) or Path(tamed.linkname).name == "..":
            raise UnsafeMemberError(f"'{member.name}' is a link to '{member.linkname}', outside of the directory")
    tamed.mode = member.mode & 0o755
    return tamed


def data_member(member: tarfile.TarInfo, directory: Path) -> tarfile.TarInfo:
    """Return a member of an archive that holds plain files: they belong to us, links stay inside.

    Raises:
        UnsafeMemberError: it, or the target of its link, is outside of the directory, or it is a device.
    """
    tamed = system_member(member, directory)
    if member.islnk() or member.issym():
        beside = os.path.dirname(tamed.name) if member.issym() else ""
        if os.path.isabs(member.linkname) or not _inside(directory, os.path.join(beside, member.linkname)):
            raise UnsafeMemberError(f"'{member.name}' is a link to '{member.linkname}', outside of the directory")
    elif not (member.isfile() or member.isdir()):
        raise UnsafeMemberError(f"'{member.name}' is a device")
    if member.isdir():
        tamed.mode = 0o755
    elif member.isfile():
        tamed.mode = (tamed.mode if tamed.mode & 0o100 else tamed.mode & ~0o111) | 0o600
    tamed.uid, tamed.gid, tamed.uname, tamed.gname = os.geteuid(), os.getegid(), "", ""
    return tamed


def _inside(directory: Path, name: str) -> bool:
    top = os.path.realpath(directory)
    return os.path.commonpath([top, os.path.realpath(os.path.join(top, name))]) == top
