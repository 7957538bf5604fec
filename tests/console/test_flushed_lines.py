"""A line that is logged before its end came is logged once, however its end arrives: dispatcher specification 13.6."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lava.console.lines import LineLog


@given(end=st.sampled_from([b"\n", b"\r\n", b"\r\r\n", b"\x1b\r\n"]), cuts=st.lists(st.integers(1, 6), max_size=5))
def test_its_end_is_no_line(end: bytes, cuts: list[int]) -> None:
    log = LineLog()
    assert log.feed(b"<SIGNAL>") == []
    assert log.flush() == ["<SIGNAL>"]
    rest = end + b"next\n\nlast\n"
    lines: list[str] = []
    for cut in cuts:
        lines += log.feed(rest[:cut])
        rest = rest[cut:]
    lines += log.feed(rest)
    assert lines == ["next", "", "last"]


def test_what_follows_on_the_line_is_told() -> None:
    log = LineLog()
    log.feed(b"<SIGNAL>")
    log.flush()
    assert log.feed(b" more\r\n") == [" more"]
    assert log.feed(b"\r\n") == [""]


def test_nothing_is_flushed_twice() -> None:
    log = LineLog()
    log.feed(b"<SIGNAL>")
    assert log.flush() == ["<SIGNAL>"]
    log.feed(b"\r")
    assert log.flush() == []
    assert log.feed(b"\nnext\n") == ["next"]


def test_another_line_that_has_begun_is_not_cut() -> None:
    """A signal is told of while the line after it is on its way: that line stays whole."""
    log = LineLog()
    assert log.feed(b"<LAVA_SIGNAL_ENDTC a>\nnumber 3") == ["<LAVA_SIGNAL_ENDTC a>"]
    assert log.flush("<LAVA_SIGNAL_ENDTC a>") == []
    assert log.feed(b" .\n") == ["number 3 ."]


def test_the_line_that_is_asked_for_is_logged_before_its_end() -> None:
    log = LineLog()
    assert log.feed(b"one\n<LAVA_SIGNAL_ENDTC a>") == ["one"]
    assert log.flush("<LAVA_SIGNAL_ENDTC a>") == ["<LAVA_SIGNAL_ENDTC a>"]
    assert log.feed(b"\r\ntwo\n") == ["two"]
