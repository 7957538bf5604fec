"""The initramfs archive is read by somebody else's cpio."""

import shutil
import subprocess

import pytest

from lava.guest import cpio


def test_members_are_listed_by_cpio() -> None:
    reader = shutil.which("cpio") or shutil.which("busybox")
    if reader is None:
        pytest.skip("neither cpio nor busybox is installed")
    command = [reader, "-t"] if reader.endswith("cpio") else [reader, "cpio", "-t"]
    packed = cpio.archive(
        [
            cpio.directory("bin"),
            cpio.file("bin/x", b"odd length", executable=True),
            cpio.symlink("bin/y", "x"),
        ]
    )

    listed = subprocess.run(command, input=packed, capture_output=True, check=True).stdout.decode()

    assert listed.split() == ["bin", "bin/x", "bin/y"]


def test_every_member_starts_at_a_multiple_of_four() -> None:
    packed = cpio.archive([cpio.file(name, b"x" * size) for size, name in enumerate(("a", "bb", "ccc", "dddd"))])

    assert len(packed) % 4 == 0
    assert packed.count(b"070701") == 5
