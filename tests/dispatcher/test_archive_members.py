"""What of a stranger's archive is unpacked, and as what: dispatcher specification 7.4, 12.4."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lava.dispatcher.downloads.members import TAMED, UnsafeMemberError, data_member, system_member

Tame = Callable[[tarfile.TarInfo, Path], tarfile.TarInfo]
BOTH = pytest.mark.parametrize("tame", [system_member, data_member])


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, link, mode
    entry.uid = entry.gid = 12345
    entry.uname = entry.gname = "stranger"
    return entry


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[..., Path]:
    """Pack the members, and unpack them as they are tamed; regular files hold ``hi``."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("worker's own")

    def unpack(tame: Tame, *members: tarfile.TarInfo) -> Path:
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w") as tar:
            for entry in members:
                entry.size = 2 if entry.isreg() else 0
                tar.addfile(entry, io.BytesIO(b"hi") if entry.isreg() else None)
        memory.seek(0)
        directory = tmp_path / "inside"
        directory.mkdir()
        with tarfile.open(fileobj=memory) as tar:
            tar.extractall(directory, members=(tame(entry, directory) for entry in tar), **TAMED)  # noqa: S202
        return directory

    return unpack


@BOTH
@pytest.mark.parametrize(
    "members",
    [
        [member("../outside/new")],
        [member("a/../../outside/new")],
        [member("door", tarfile.SYMTYPE, link="../outside"), member("door/new")],
        [member("door", tarfile.SYMTYPE, link="{outside}"), member("door/new")],
        [member("file", tarfile.SYMTYPE, link="../outside/secret"), member("file")],
        [member("name", tarfile.LNKTYPE, link="../outside/secret")],
        [member("door", tarfile.SYMTYPE, link="../outside"), member("name", tarfile.LNKTYPE, link="door/secret")],
        [member("name", tarfile.LNKTYPE, link="..")],
    ],
    ids=["up", "down-and-up", "link", "absolute-link", "over-a-link", "hard-link", "hard-link-by-link", "parent"],
)
def test_nothing_of_the_worker_is_touched(
    unpack: Callable[..., Path], tmp_path: Path, tame: Tame, members: list[tarfile.TarInfo]
) -> None:
    for entry in members:
        entry.linkname = entry.linkname.replace("{outside}", str(tmp_path / "outside"))
    with pytest.raises(UnsafeMemberError, match="outside of the directory"):
        unpack(tame, *members)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]
    secret = tmp_path / "outside" / "secret"
    assert (secret.read_text(), secret.stat().st_nlink) == ("worker's own", 1)


@BOTH
def test_absolute_names_are_below_the_directory(unpack: Callable[..., Path], tame: Tame) -> None:
    directory = unpack(tame, member("//etc/passwd"))
    assert (directory / "etc" / "passwd").read_text() == "hi"


@BOTH
def test_hard_links_stay_links(unpack: Callable[..., Path], tame: Tame) -> None:
    directory = unpack(tame, member("one"), member("two", tarfile.LNKTYPE, link="one"))
    assert (directory / "one").samefile(directory / "two")


def test_a_system_keeps_its_links(unpack: Callable[..., Path]) -> None:
    link = member("bin/sh", tarfile.SYMTYPE, link="/bin/busybox")
    assert os.readlink(unpack(system_member, link) / "bin" / "sh") == "/bin/busybox"


@pytest.mark.parametrize("link", ["/etc/passwd", "../../outside/secret"])
def test_links_of_data_stay_inside(unpack: Callable[..., Path], link: str) -> None:
    with pytest.raises(UnsafeMemberError, match=f"'a/link' is a link to '{link}', outside of the directory"):
        unpack(data_member, member("a/link", tarfile.SYMTYPE, link=link))


def test_a_link_of_data_to_its_neighbour(unpack: Callable[..., Path]) -> None:
    directory = unpack(data_member, member("b"), member("a/link", tarfile.SYMTYPE, link="../b"))
    assert (directory / "a" / "link").read_text() == "hi"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_data_holds_no_devices(unpack: Callable[..., Path], kind: bytes) -> None:
    with pytest.raises(UnsafeMemberError, match="'null' is a device"):
        unpack(data_member, member("null", kind))


@pytest.mark.parametrize(
    ("tame", "given", "becomes"),
    [
        (system_member, 0o6777, 0o755),
        (system_member, 0o400, 0o400),
        (data_member, 0o6777, 0o755),
        (data_member, 0o400, 0o600),
        (data_member, 0o011, 0o600),
    ],
)
def test_modes(unpack: Callable[..., Path], tame: Tame, given: int, becomes: int) -> None:
    file = unpack(tame, member("file", mode=given)) / "file"
    assert stat.S_IMODE(file.stat().st_mode) == becomes


def test_data_belongs_to_whoever_unpacks_it(unpack: Callable[..., Path]) -> None:
    file = unpack(data_member, member("file")) / "file"
    assert (file.stat().st_uid, file.stat().st_gid) == (os.geteuid(), os.getegid())
