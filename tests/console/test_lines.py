"""A console's bytes become the same lines however they arrive.  Dispatcher 18.2."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.console.lines import LONGEST_PIECE, LineLog

#: what lines end in, or nearly
PARTS = st.sampled_from(
    [b"a", b"bc", b"\r", b"\n", b"\r\n", b"\r\r\n", b"\x1b", b"\x1b[0m", "é€".encode(), b"\xe2\x82"]
)
DATA = st.lists(PARTS, max_size=20).map(b"".join) | st.binary(max_size=50)
CUTS = st.lists(st.integers(0, 1000), max_size=8)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ordered = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(ordered)]


def lines_of(reads: Sequence[bytes]) -> list[str]:
    log = LineLog()
    return [line for read in reads for line in log.feed(read)] + log.flush()


def naive(data: bytes) -> list[str]:
    """One line after the other, each by itself."""
    *lines, rest = data.replace(b"\x1b", b"").split(b"\n")
    ended = [line.removesuffix(b"\r").removesuffix(b"\r").decode("utf-8", "replace") for line in lines]
    rest = rest.removesuffix(b"\r").removesuffix(b"\r") if rest.strip(b"\r") else b""
    return ended + ([rest.decode("utf-8", "replace")] if rest else [])


@given(DATA, CUTS)
def test_any_bytes_in_any_reads_give_the_same_lines(data: bytes, places: list[int]) -> None:
    assert lines_of(cut(data, places)) == naive(data)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\nb\r\r\n", ["a", "b"]),
        (b"a\r\nb\nc\r\r\n", ["a", "b", "c"]),
        (b"\n\r\n\r\r\n", ["", "", ""]),
        (b"\r\r\r\n", ["\r"]),
        (b"10%\r20%\r\n", ["10%\r20%"]),  # a bar that is drawn over itself is one line
        (b"\x1b[1;32mgreen\x1b[0m\n", ["[1;32mgreen[0m"]),
        (b"a\r\x1b\nb\n", ["a", "b"]),
        (b"caf\xc3\xa9\n", ["café"]),
        (b"a\xffb\n", ["a\ufffdb"]),
        (b"\xe2\x82\n\xac\n", ["\ufffd", "\ufffd"]),  # no character goes over the end of a line
        (b"a\x00b\n", ["a\x00b"]),
        (b"a\x0bb\x0cc\x85\n", ["a\x0bb\x0cc\ufffd"]),  # other separators end no line
        ("a\u2028b\n".encode(), ["a\u2028b"]),
        (b"", []),
    ],
)
def test_lines(data: bytes, lines: list[str]) -> None:
    log = LineLog()
    assert log.feed(data) == lines
    assert log.flush() == []


@pytest.mark.parametrize(
    ("rest", "flushed"),
    [
        (b"login: ", ["login: "]),
        (b"login: \r", ["login: "]),
        (b"", []),
        (b"\r", []),
        (b"\r\r", []),
        (b"\x1b", []),
        (b" ", [" "]),
    ],
)
def test_an_unfinished_line_comes_when_asked_for_and_only_once(rest: bytes, flushed: list[str]) -> None:
    log = LineLog()
    assert log.feed(b"first\n" + rest) == ["first"]
    assert log.flush() == flushed
    assert log.flush() == []
    assert log.feed(b"next\n") == ["next"]


def test_a_line_that_is_completed_later_is_one_line() -> None:
    log = LineLog()
    assert log.feed(b"half a ") == []
    assert log.feed(b"line\r") == []
    assert log.feed(b"\r") == []
    assert log.feed(b"\nnext") == ["half a line"]


@pytest.mark.parametrize("word", ["x", "é", "€x", "🙂", "xé€🙂"])
@pytest.mark.parametrize("read_bytes", [997, 4096, 32768])
def test_a_line_without_end_is_logged_in_pieces_that_lose_nothing(word: str, read_bytes: int) -> None:
    data = word.encode() * (4 * LONGEST_PIECE // len(word.encode()))
    log = LineLog()
    pieces = []
    for begin in range(0, len(data), read_bytes):
        pieces += log.feed(data[begin : begin + read_bytes])
        assert len(log._partial) <= LONGEST_PIECE
    assert len(pieces) >= 2
    pieces += log.feed(b"\r\n")
    assert "".join(pieces) == data.decode()


def test_what_is_no_text_is_logged_in_pieces_too() -> None:
    log = LineLog()
    assert sum(len(piece) for piece in log.feed(b"\xf0" * (LONGEST_PIECE + 1))) == LONGEST_PIECE
    assert log.flush() == ["\ufffd"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n"])
@pytest.mark.parametrize("cut_at", [0, 1, 2])
def test_the_end_of_a_line_logged_in_pieces_is_not_seen_however_it_is_cut(end: bytes, cut_at: int) -> None:
    log = LineLog()
    lines = log.feed(b"x" * LONGEST_PIECE + b"y" + end[:cut_at])
    lines += log.feed(end[cut_at:] + b"next\n")
    assert "".join(lines) == "x" * LONGEST_PIECE + "y" + "next"
    assert lines[-1] == "next"
