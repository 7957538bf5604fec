"""Cut a console's bytes into the lines of a log.  Pure.  Source: dispatcher specification 18.2."""

from __future__ import annotations

import re

#: An unfinished line longer than this is logged in pieces, so that a device without line ends cannot fill memory.  A
#: piece may be longer by what is read at once, and still has to be shorter than the longest message of a log.
LONGEST_PIECE = 1 << 15

#: what a piece must not end with, as its rest may be on the way: CR, and a part of a character
_BEGUN = re.compile(rb"(?:\r{1,2}|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
#: what stands for nothing in a log, at the end of a line
_NOTHING = b"\r\x1b"


class LineLog:
    """The line that is not finished yet."""

    def __init__(self) -> None:
        self._partial = b""
        #: the last line was logged before its end came
        self._flushed = False

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now: ended by CR CR LF, CR LF or LF, escape characters removed."""
        data = self._partial + data
        if self._flushed:
            rest = data.lstrip(_NOTHING)
            if not rest:
                self._partial = data
                return []
            self._flushed = False
            if rest.startswith(b"\n"):
                data = rest[1:]  # it ends the line that is logged already
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) > LONGEST_PIECE:
            begun = _BEGUN.search(data, len(data) - 3)
            end = begun.start() if begun else len(data)
            self._partial = data[end:]
            return _lines(data[:end])
        self._partial = data[end:]
        return _lines(data[: end - 1]) if end else []

    def flush(self, containing: str = "") -> list[str]:
        """Return what is left of an unfinished line: before it is needed, or when nothing more will come.

        Args:
            containing: leave a line alone that has not this in it.
        """
        if containing.encode() not in self._partial:
            return []
        rest, self._partial = self._partial, b""
        if not rest.strip(_NOTHING):
            return []
        self._flushed = True
        return _lines(rest)


def _lines(data: bytes) -> list[str]:
    """Return the lines of a text; the LF of the last one is cut off already."""
    data = data.replace(b"\x1b", b"").removesuffix(b"\r").removesuffix(b"\r")
    text = data.decode("utf-8", "replace")
    lines = text.split("\r\n")
    inside = "".join(lines)
    if "\n" not in inside and "\r" not in inside:
        return lines  # a terminal ends every line so: one pass is enough
    return text.replace("\r\n", "\n").replace("\r\n", "\n").split("\n")
