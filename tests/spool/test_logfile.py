"""The append-only file of lines."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.spool import LogFile, read_lines


def test_lines_are_addressed_by_their_byte_offset(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log") as log:
        assert log.append(b"one\n") == 0
        assert log.append(b"two\nthree\n") == 4
        assert log.size == 14

    assert read_lines(tmp_path / "log", 4, 1000) == b"two\nthree\n"


@pytest.mark.parametrize(("left", "kept"), [(b"", 0), (b"torn", 0), (b"one\ntorn", 4), (b"one\n", 4)])
def test_a_torn_last_line_is_cut_on_opening(tmp_path: Path, left: bytes, kept: int) -> None:
    (tmp_path / "log").write_bytes(left)

    with LogFile(tmp_path / "log") as log:
        assert log.size == kept
        log.append(b"next\n")

    assert (tmp_path / "log").read_bytes() == left[:kept] + b"next\n"


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\n" + b"x" * 200_000)

    with LogFile(tmp_path / "log") as log:
        assert log.size == 4


def test_an_unfinished_line_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo")

    assert read_lines(tmp_path / "log", 0, 1000) == b"one\n"
    assert read_lines(tmp_path / "log", 4, 1000) == b""


def test_a_line_longer_than_the_limit_comes_whole(tmp_path: Path) -> None:
    line = b"x" * 1000 + b"\n"
    (tmp_path / "log").write_bytes(line + b"next\n")

    assert read_lines(tmp_path / "log", 0, 10) == line


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none", 0, 10) == b""


def test_a_failed_write_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    calls = iter([3])

    def full(descriptor: int, block: bytes) -> int:
        size = next(calls, None)
        if size is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(block[:size]))

    with LogFile(tmp_path / "log") as log:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            log.append(b"a long line\n")
        monkeypatch.undo()
        assert log.append(b"next\n") == 0

    assert (tmp_path / "log").read_bytes() == b"next\n"


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"") + b"\n")),
    limit=st.integers(1, 64),
)
def test_reading_on_gives_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    with LogFile(path) as log:
        for line in lines:
            log.append(line)

    offset, read = 0, b""
    while chunk := read_lines(path, offset, limit):
        assert chunk.endswith(b"\n")
        read += chunk
        offset += len(chunk)

    assert read == b"".join(lines)
