"""Find patterns in a stream of bytes that arrives in pieces.

The rules: of several patterns the one that matches earliest in the stream wins, and of those that match at the same
place the first of the list.  What a match ends with is consumed.  Memory is bounded, and bytes in which no match can
start any more are not searched again: how far back a match could still begin follows from the pattern itself (its
greatest width, or its literal beginning).

A match is taken as soon as it is there: ``ab*`` matches ``a`` when nothing else has arrived yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

#: what a pattern without a bound may look back on, and what is kept to quote
WINDOW_BYTES = 8184
#: what is kept while nobody waits for anything
BACKLOG_BYTES = 1 << 20


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


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far back from the end of what has come a match of the pattern may still begin."""

    pattern: re.Pattern[bytes]
    #: the greatest number of bytes that a match can have; None when there is no bound
    width: int | None
    #: bytes that every match begins with
    prefix: bytes

    def search(self, buffer: bytearray, start: int) -> re.Match[bytes] | None:
        """Return the first match from ``start`` on; a plain search for its beginning comes first, it is faster."""
        if self.prefix:
            start = buffer.find(self.prefix, start)
            if start < 0:
                return None
        return self.pattern.search(buffer, start)

    def unfinished(self, buffer: bytearray, start: int, window: int) -> int:
        """Return the first place at which a match could begin once more bytes come."""
        size = len(buffer)
        if self.width is not None:
            return max(start, size - self.width + 1)
        if self.prefix:
            begun = buffer.find(self.prefix, start)
            place = begun if begun >= 0 else size - len(self.prefix) + 1
            return max(start, place, size - window)
        return max(start, size - window)


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[bytes]:
    """Compile a regular expression of a job or device for searching a console.

    ``.`` matches line ends, too, as it always has for labs' prompts.

    Raises:
        re.error: it is no regular expression.
    """
    return re.compile(pattern.encode(), re.DOTALL)


@lru_cache(maxsize=1024)
def _reach(pattern: re.Pattern[bytes]) -> _Reach:
    from re import _constants, _parser  # type: ignore[attr-defined]  # the only place that knows a pattern's shape

    parsed = _parser.parse(pattern.pattern, pattern.flags)
    _, widest = parsed.getwidth()
    prefix = bytearray()
    if not pattern.flags & re.IGNORECASE:
        for operation, argument in parsed:
            if operation is not _constants.LITERAL:
                break
            prefix.append(argument)
    return _Reach(pattern, max(widest, 1) if widest < WINDOW_BYTES else None, bytes(prefix))


class Matcher:
    """The bytes that nobody has consumed yet, and what is searched for in them."""

    def __init__(self, window_bytes: int = WINDOW_BYTES, backlog_bytes: int = BACKLOG_BYTES) -> None:
        self._window = window_bytes
        self._backlog = backlog_bytes
        self._buffer = bytearray()
        self._reaches: list[_Reach] = []
        #: for each pattern, where its search goes on
        self._starts: list[int] = []

    def feed(self, data: bytes) -> None:
        """Take in what has arrived.  When nobody looks for anything, the oldest bytes beyond the backlog go."""
        self._buffer += data
        excess = len(self._buffer) - self._backlog
        if excess > self._backlog:
            self._drop(excess)

    def expect(self, patterns: Sequence[re.Pattern[bytes]]) -> None:
        """Search for these patterns from now on, from the first byte that is not consumed."""
        self._reaches = [_reach(pattern) for pattern in patterns]
        self._starts = [0] * len(patterns)

    def find(self) -> Hit | None:
        """Return the next match and consume the stream through its end; None when there is none yet."""
        best: re.Match[bytes] | None = None
        best_index = 0
        limit = len(self._buffer)
        for index, reach in enumerate(self._reaches):
            match = reach.search(self._buffer, self._starts[index])
            if match is not None and (best is None or match.start() < best.start()):
                best, best_index = match, index
                limit = match.start()
                if limit == 0:
                    break
        if best is None:
            self._forget_searched()
            return None
        start, end = best.span()
        before = bytes(self._buffer[max(0, start - self._window) : start])
        hit = Hit(best_index, best.group(), best.groups(), best.groupdict(), before)
        del best  # the buffer cannot be cut while a match refers to it
        self._drop(end)
        self._starts = [0] * len(self._reaches)
        return hit

    @property
    def tail(self) -> bytes:
        """The last bytes that are not consumed, for messages."""
        return bytes(self._buffer[-self._window :])

    def clear(self) -> None:
        """Consume everything that has come."""
        self._drop(len(self._buffer))

    def _forget_searched(self) -> None:
        self._starts = [
            reach.unfinished(self._buffer, start, self._window)
            for reach, start in zip(self._reaches, self._starts, strict=True)
        ]
        # Keep a window for whoever searches next or quotes the last lines.
        self._drop(min([len(self._buffer) - self._window, *self._starts]) if self._starts else 0)

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._buffer[:count]
            self._starts = [max(0, start - count) for start in self._starts]
