"""Find patterns in a stream of bytes that arrives in pieces.  Pure.

The rules:

- Of several patterns the one that matches earliest in the stream wins, and of those that match at the same place the
  first of the list.  The stream is consumed through the end of the match.
- A match is taken as soon as it is there, with what is there: ``ab*`` matches ``a`` when nothing else has arrived yet,
  and ``$`` matches where the bytes end for now.  (Labs' prompts were written for this.)
- ``^`` matches where the unconsumed stream begins, and, without ``re.MULTILINE``, nowhere else.
- Bytes in which no match can start any more are not searched again.  How far back a match could still begin follows
  from the pattern itself: its greatest width, or its literal beginning.
- Memory is bounded.  A match wider than the window is found only if it arrives at once.

Source: dispatcher specification 11.1, 11.2.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]  # nothing public knows a pattern's shape
from typing import Any

#: what a pattern without a bound may look back on, and what is kept to quote
WINDOW_BYTES = 8184
#: texts that a match must hold are searched for first: at least so long, at most so many
_SHORTEST_PART = 2
_MOST_PARTS = 8
#: what is kept while nobody waits for anything
BACKLOG_BYTES = 1 << 20
#: kept in front of the place where a search goes on, for patterns and callers that look at what stands before
_CONTEXT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern was found."""

    #: which of the patterns
    index: int
    #: what it matched
    raw: bytes
    groups: tuple[bytes | None, ...]
    named: Mapping[str, bytes | None]
    #: what came before it, the last bytes of it if it was much
    before: bytes

    @property
    def text(self) -> str:
        """What it matched, as text."""
        return self.raw.decode("utf-8", "replace")


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[bytes]:
    """Compile a regular expression of a job or device for searching a console.

    It is applied to UTF-8 bytes, and ``.`` matches line ends, too, as it always has for labs' prompts.

    Raises:
        re.error: it is no regular expression.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ``[[`` and the like: what it means today is what the lab wants
        return re.compile(pattern.encode(), re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a pattern tells about where its matches can begin."""

    pattern: re.Pattern[bytes]
    #: no match, and nothing that decides one, reaches further than so many bytes; None: there is no bound
    reach: int | None
    #: bytes that every match begins with
    prefix: bytes
    #: every match holds one of these; empty: nothing is known
    required: tuple[bytes, ...]
    #: whether what stands before a place decides if it matches there
    looks_behind: bool

    def search(self, buffer: bytearray, start: int) -> re.Match[bytes] | None:
        """Return the first match from ``start`` on; a plain search for a part of it comes first, it is faster."""
        if self.prefix:
            start = buffer.find(self.prefix, start)
            if start < 0:
                return None
        elif self.required and all(buffer.find(part, start) < 0 for part in self.required):
            return None
        return self.pattern.search(buffer, start)

    def unfinished(self, buffer: bytearray, start: int, window: int) -> int:
        """Return the first place at which a match could begin once more bytes come; there is none from ``start`` on."""
        size = len(buffer)
        if self.reach is not None:
            return max(start, size - self.reach + 1)
        if self.prefix:
            begun = buffer.find(self.prefix, start)
            place = begun if begun >= 0 else size - len(self.prefix) + 1
            return max(start, place, size - window)
        return max(start, size - window)


@lru_cache(maxsize=1024)
def _shape(pattern: re.Pattern[bytes]) -> _Shape:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = _parser.parse(pattern.pattern, pattern.flags)
    _, widest = parsed.getwidth()
    looks_ahead = looks_behind = at_place = False
    for operation, argument in _operations(parsed):
        if operation is _constants.AT:
            at_place = looks_behind = True
        elif operation in (_constants.ASSERT, _constants.ASSERT_NOT):
            looks_behind |= argument[0] < 0
            looks_ahead |= argument[0] > 0
    prefix = bytearray()
    if not pattern.flags & re.IGNORECASE:
        for operation, argument in parsed:
            if operation is not _constants.LITERAL:
                break
            prefix.append(argument)
    reach = None if looks_ahead or widest >= WINDOW_BYTES else max(widest, 1) + at_place
    required = () if pattern.flags & re.IGNORECASE else _required(parsed)
    return _Shape(pattern, reach, bytes(prefix), required, looks_behind)


def _required(parsed: Any) -> tuple[bytes, ...]:
    """Return texts of which every match of a parsed pattern holds one; the rarer they are likely to be, the better."""
    found: list[tuple[bytes, ...]] = []
    literal = bytearray()
    for operation, argument in parsed:
        if operation is _constants.LITERAL:
            literal.append(argument)
            continue
        found.append((bytes(literal),))
        literal.clear()
        match operation:
            case _constants.SUBPATTERN if not argument[1]:  # no flags of its own
                found.append(_required(argument[3]))
            case _constants.ATOMIC_GROUP:
                found.append(_required(argument))
            case _constants.MAX_REPEAT | _constants.MIN_REPEAT | _constants.POSSESSIVE_REPEAT if argument[0]:
                found.append(_required(argument[2]))
            case _constants.BRANCH:
                branches = [_required(branch) for branch in argument[1]]
                found.append(tuple(text for branch in branches for text in branch) if all(branches) else ())
            case _:
                pass
    found.append((bytes(literal),))
    useful = [
        texts for texts in found if texts and len(texts) <= _MOST_PARTS and min(map(len, texts)) >= _SHORTEST_PART
    ]
    return max(useful, key=lambda texts: min(map(len, texts)), default=())


def _operations(parsed: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the operations of a parsed pattern, the inner ones too."""
    for operation, argument in parsed:
        yield operation, argument
        yield from _inner(argument)


def _inner(argument: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(argument, _parser.SubPattern):
        yield from _operations(argument)
    elif isinstance(argument, tuple | list):
        for item in argument:
            yield from _inner(item)


class Matcher:
    """The bytes that nobody has consumed yet, and what is searched for in them."""

    def __init__(self, window_bytes: int = WINDOW_BYTES, backlog_bytes: int = BACKLOG_BYTES) -> None:
        self._window = window_bytes
        self._backlog = backlog_bytes
        self._buffer = bytearray()
        self._shapes: list[_Shape] = []
        #: for each pattern, where its search goes on: no match begins before
        self._starts: list[int] = []
        #: 1 when bytes were forgotten that nobody consumed: then the first byte is not where the stream begins
        self._origin = 0

    def feed(self, data: bytes) -> None:
        """Take in what has arrived.  When nobody looks for anything, the oldest bytes beyond the backlog go."""
        self._buffer += data
        excess = len(self._buffer) - self._backlog
        if excess > self._backlog:
            self._forget(excess)

    def expect(self, patterns: Sequence[re.Pattern[bytes]]) -> None:
        """Search for these patterns from now on, from the first byte that is not consumed."""
        shapes = [_shape(pattern) for pattern in patterns]
        if shapes != self._shapes:
            self._shapes = shapes
            self._starts = [self._origin] * len(shapes)

    def find(self) -> Hit | None:
        """Return the next match and consume the stream through its end; None when there is none yet."""
        best: re.Match[bytes] | None = None
        best_index = 0
        for index, shape in enumerate(self._shapes):
            start = self._starts[index]
            if best is not None and start >= best.start():
                continue
            match = shape.search(self._buffer, start)
            if match is None:
                self._starts[index] = shape.unfinished(self._buffer, start, self._window)
                continue
            # More bytes may complete another match that begins before this one.
            self._starts[index] = min(match.start(), shape.unfinished(self._buffer, start, self._window))
            if best is None or match.start() < best.start():
                best, best_index = match, index
        if best is None:
            self._forget_searched()
            return None
        start, end = best.span()
        before = bytes(self._buffer[max(0, start - self._window) : start])
        hit = Hit(best_index, best.group(), best.groups(), best.groupdict(), before)
        self._consume(end)
        return hit

    @property
    def tail(self) -> bytes:
        """The last bytes that are not consumed, for messages."""
        return bytes(self._buffer[-self._window :])

    def clear(self) -> None:
        """Consume everything that has come."""
        self._consume(len(self._buffer))

    def _consume(self, end: int) -> None:
        self._origin = 0
        del self._buffer[:end]
        self._starts = [
            0 if shape.looks_behind else max(0, start - end)
            for shape, start in zip(self._shapes, self._starts, strict=True)
        ]

    def _forget_searched(self) -> None:
        """Keep a window for whoever searches next or quotes the last bytes."""
        if self._starts:
            self._forget(min(len(self._buffer) - self._window, min(self._starts) - _CONTEXT_BYTES))

    def _forget(self, count: int) -> None:
        if count > 0:
            self._origin = 1
            del self._buffer[:count]
            self._starts = [max(1, start - count) for start in self._starts]
