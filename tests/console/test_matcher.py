"""The matcher finds what a search of everything that came would find, and looks at little.  Dispatcher 11.1, 11.2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.console import Hit, Matcher, compile_pattern
from lava.console.matcher import BACKLOG_BYTES, WINDOW_BYTES

Pattern = re.Pattern[bytes]

#: few letters, so that patterns meet what they look for
DATA = st.lists(st.sampled_from([b"a", b"b", b"c", b" ", b"\n", b"aab", b"\r\n"]), max_size=12).map(b"".join)
ANY_DATA = DATA | st.binary(max_size=20)

_ATOMS = ["a", "b", "c", "ab", "abc", ".", "[ab]", "[^a]", r"\w", r"\s", "^", "$", r"\b", r"\B", r"\A", r"\Z", "\n"]


def _larger(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeats = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{2,}?", "*+", "++"])
    return st.one_of(
        st.lists(parts, min_size=2, max_size=4).map("".join),
        st.lists(parts, min_size=2, max_size=3).map("|".join).map("(?:{})".format),
        parts.map("({})".format),
        parts.map("(?>{})".format),
        st.tuples(parts, repeats).map(lambda both: f"(?:{both[0]}){both[1]}"),
        parts.map("(?={})".format),
        parts.map("(?!{})".format),
        st.sampled_from(["(?<=a)", "(?<!b)", "(?<=ab)", "(?<!^)"]),
        parts.map("(?i:{})".format),
    )


def _compiled(text: str, flags: int) -> Pattern | None:
    try:
        return re.compile(text.encode(), flags)
    except re.error:  # a repeated anchor, say
        return None


FLAGS = st.sampled_from([re.DOTALL, re.DOTALL | re.IGNORECASE, re.MULTILINE, 0])
PATTERN = (
    st.builds(_compiled, st.recursive(st.sampled_from(_ATOMS), _larger, max_leaves=6), FLAGS)
    .filter(lambda pattern: pattern is not None)
    .map(lambda pattern: cast(Pattern, pattern))
)
PATTERNS = st.lists(PATTERN, min_size=1, max_size=3)


@dataclass
class Naive:
    """Keeps everything that is not consumed and searches all of it, every time."""

    unconsumed: bytes = b""
    patterns: Sequence[Pattern] = ()

    def find(self) -> Hit | None:
        found = [(match.start(), index, match) for index, p in enumerate(self.patterns) if (match := self._search(p))]
        if not found:
            return None
        start, index, match = min(found, key=lambda one: one[:2])
        hit = Hit(index, match.group(), match.groups(), match.groupdict(), self.unconsumed[:start])
        self.unconsumed = self.unconsumed[match.end() :]
        return hit

    def _search(self, pattern: Pattern) -> re.Match[bytes] | None:
        return pattern.search(self.unconsumed)


class Pieces:
    """A strategy's way of cutting bytes into reads."""

    def __init__(self, data: bytes, cuts: Sequence[int]) -> None:
        places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        self.reads = [data[begin:end] for begin, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 1000), max_size=6)


def hits_of(matcher: Matcher, reads: Sequence[bytes]) -> list[tuple[int, bytes]]:
    hits = []
    for read in reads:
        matcher.feed(read)
        while (hit := matcher.find()) is not None:
            hits.append((hit.index, hit.raw))
    return hits


FEED, FIND, EXPECT, CLEAR = "feed", "find", "expect", "clear"
STEP = st.one_of(
    st.tuples(st.just(FEED), ANY_DATA),
    st.tuples(st.just(FEED), DATA),
    st.tuples(st.just(FIND), st.none()),
    st.tuples(st.just(FIND), st.none()),
    st.tuples(st.just(EXPECT), PATTERNS),
    st.tuples(st.just(CLEAR), st.none()),
)


@given(PATTERNS, st.lists(STEP, max_size=12))
def test_any_patterns_in_any_reads_are_found_as_by_a_search_of_everything(
    patterns: list[Pattern], steps: list[tuple[str, Any]]
) -> None:
    matcher, naive = Matcher(), Naive()
    for what, argument in [(EXPECT, patterns), *steps, (FIND, None)]:
        if what == FEED:
            matcher.feed(argument)
            naive.unconsumed += argument
        elif what == EXPECT:
            matcher.expect(argument)
            naive.patterns = argument
        elif what == CLEAR:
            matcher.clear()
            naive.unconsumed = b""
        else:
            assert matcher.find() == naive.find()
        assert matcher.tail == naive.unconsumed


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.binary(min_size=width, max_size=width), max_size=3)), CUTS)
def test_texts_of_one_length_are_found_however_the_input_is_cut(texts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(texts) * 3 + b"\x00\xff" + b"".join(reversed(texts))
    patterns = [re.compile(re.escape(text)) for text in texts]
    whole, cut = Matcher(), Matcher()
    whole.expect(patterns)
    cut.expect(patterns)
    assert hits_of(cut, Pieces(data, cuts).reads) == hits_of(whole, [data])


@given(DATA, CUTS)
def test_a_span_from_one_word_to_the_next_is_found_however_the_input_is_cut(data: bytes, cuts: list[int]) -> None:
    pattern = compile_pattern("a(.*?)b")
    matcher = Matcher()
    matcher.expect([pattern])
    assert [raw for _, raw in hits_of(matcher, Pieces(data, cuts).reads)] == [m.group() for m in pattern.finditer(data)]


@given(st.lists(DATA, max_size=40), st.sampled_from([1, 8, 300]))
def test_a_narrow_window_loses_no_match_that_has_a_bound(reads: list[bytes], window: int) -> None:
    patterns = [compile_pattern(text) for text in ("ab{1,3}c", r"(?:ca|a\n)\b", "bb c")]
    matcher, naive = Matcher(window_bytes=window), Naive(patterns=patterns)
    matcher.expect(patterns)
    for read in reads:
        matcher.feed(read)
        naive.unconsumed += read
        while (wanted := naive.find()) is not None:
            hit = matcher.find()
            assert hit is not None
            assert (hit.index, hit.raw, hit.groups) == (wanted.index, wanted.raw, wanted.groups)
            assert wanted.before.endswith(hit.before)
            assert len(hit.before) <= window
        assert matcher.find() is None


@pytest.mark.parametrize(
    ("patterns", "reads", "found"),
    [
        (["b", "a"], [b"xab"], [(1, b"a"), (0, b"b")]),  # the earliest in the stream, not in the list
        (["ab", "abc"], [b"abc"], [(0, b"ab")]),  # at one place the first of the list, not the longest
        (["abc", "ab"], [b"abc"], [(0, b"abc")]),
        (["abc", "b"], [b"ab", b"c"], [(1, b"b")]),  # what is there is taken
        (["a+"], [b"a", b"aa"], [(0, b"a"), (0, b"aa")]),
        (["a$"], [b"a", b"b"], [(0, b"a")]),  # the end is where the bytes end for now
        (["^a"], [b"aa"], [(0, b"a"), (0, b"a")]),  # the beginning is where the unconsumed stream begins
        (["^a"], [b"b", b"\na"], []),
        (["(?m)^a"], [b"b", b"\na"], [(0, b"a")]),
        (["login:"], [b"log", b"", b"in", b":"], [(0, b"login:")]),
        (["a.b"], [b"a\nb"], [(0, b"a\nb")]),
        (["[[]"], [b"x["], [(0, b"[")]),
        (["£"], ["10 £".encode()[:4], "10 £".encode()[4:]], [(0, "£".encode())]),
        (["#"], [b"a#", b"b", b"#"], [(0, b"#"), (0, b"#")]),
        ([], [b"anything"], []),
    ],
)
def test_what_wins(patterns: list[str], reads: list[bytes], found: list[tuple[int, bytes]]) -> None:
    matcher = Matcher()
    matcher.expect([compile_pattern(pattern) for pattern in patterns])
    assert hits_of(matcher, reads) == found


def test_an_alternative_that_began_earlier_wins_when_its_end_arrives_before_the_next_search() -> None:
    matcher = Matcher()
    matcher.expect([compile_pattern("a.{5}z|x"), compile_pattern("q")])
    matcher.feed(b"qa12x")
    assert matcher.find() is not None
    matcher.feed(b"45z")
    hit = matcher.find()
    assert hit is not None
    assert hit.raw == b"a12x45z"


def test_a_hit_tells_its_groups_and_what_came_before() -> None:
    matcher = Matcher()
    matcher.expect([compile_pattern(r"(?P<name>\w+) login: (x)?")])
    matcher.feed(b"Linux\r\nboard login: ")
    hit = matcher.find()
    assert hit == Hit(0, b"board login: ", (b"board", None), {"name": b"board"}, b"Linux\r\n")
    assert hit.text == "board login: "


def test_a_hit_that_is_not_utf_8_has_a_text() -> None:
    assert Hit(0, b"\xffa", (), {}, b"").text == "\ufffda"


def test_other_patterns_see_what_the_first_ones_did_not_consume() -> None:
    matcher = Matcher()
    matcher.expect([compile_pattern("nothing")])
    matcher.feed(b"board login: ")
    assert matcher.find() is None
    matcher.expect([compile_pattern("login:")])
    hit = matcher.find()
    assert hit is not None
    assert hit.before == b"board "


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(re.error):
        compile_pattern("(")


@dataclass(eq=False)
class Counting:
    """A pattern that counts the bytes it is given to search."""

    real: Pattern
    seen: int = field(default=0)

    @property
    def pattern(self) -> bytes:
        return self.real.pattern

    @property
    def flags(self) -> int:
        return self.real.flags

    def search(self, buffer: bytearray, start: int) -> re.Match[bytes] | None:
        self.seen += len(buffer) - start
        return self.real.search(buffer, start)


@pytest.mark.parametrize(
    ("pattern", "times"),
    [
        ("[x-z]", 1),  # one byte wide: each byte is looked at once
        ("[x-z]{3}", 3),
        ("[x-z]{2}$", 3),
        ("(?:login|Password):", 0),  # none of its texts is ever there
        ("(?i:login|Password):", 9),
        ("login: .*", 0),  # its beginning is never there: a search for a text, no regular expression
        ("(?i)login:", 6),
        (r"[x-z](?=\n)", 400),  # no bound: the window, not the stream
        ("[x-z].*q", 400),
    ],
)
def test_no_byte_is_looked_at_more_often_than_a_match_is_wide(pattern: str, times: int) -> None:
    size = 5000
    counting = Counting(compile_pattern(pattern))
    matcher = Matcher(window_bytes=400)
    matcher.expect([cast(Pattern, counting)])
    for _ in range(size):
        matcher.feed(b"a")
        assert matcher.find() is None
        matcher.expect([cast(Pattern, counting)])
    assert counting.seen <= size * times
    assert counting.seen >= size * min(times, 1)


def test_a_backlog_is_searched_once_for_all_its_hits() -> None:
    counting = Counting(compile_pattern("[#>] "))
    matcher = Matcher()
    matcher.expect([cast(Pattern, counting), compile_pattern("never")])
    matcher.feed(b"a" * 10_000 + b"# " + b"b" * 10_000)
    while matcher.find() is not None:
        pass
    size, at_hit = 20_002, 10_002
    assert counting.seen <= size + (size - at_hit)


@pytest.mark.parametrize("pattern", ["never", "n.*r", ".*never", "[x-z]{50}", r"(?<=x)never\b"])
def test_what_is_kept_of_an_endless_stream_has_a_bound(pattern: str) -> None:
    window, context, read = 800, 256, b"n0123456789" * 10
    matcher = Matcher(window_bytes=window)
    matcher.expect([compile_pattern(pattern)])
    for _ in range(200):
        matcher.feed(read)
        assert len(matcher._buffer) <= window + context + len(read)
        assert matcher.find() is None
    assert matcher.tail == (read * 10)[-window:]
    assert WINDOW_BYTES == 2 * 4092


def test_what_is_kept_while_nobody_looks_has_a_bound_and_is_the_end() -> None:
    matcher = Matcher(backlog_bytes=1000)
    for number in range(10_000):
        matcher.feed(b"%d " % number)
        assert len(matcher._buffer) <= 2000
    matcher.expect([compile_pattern("9800 .*9999 $")])
    assert matcher.find() is not None
    assert BACKLOG_BYTES >= 1 << 20


def test_the_beginning_of_what_is_kept_is_not_the_beginning_of_the_stream() -> None:
    matcher = Matcher(backlog_bytes=4)
    matcher.feed(b"xxxxxxxxa###")
    matcher.expect([compile_pattern("^."), compile_pattern(r"\A.")])
    assert matcher.find() is None
    matcher.clear()
    matcher.feed(b"a")
    assert matcher.find() is not None
