"""Server-sent events as bytes.  Source: WHATWG HTML, "Server-sent events"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: keeps proxies from closing a silent connection, and tells clients that we are there
HEARTBEAT = b": \n\n"
END = b"event: end\ndata: {}\n\n"
#: browsers come back after so many milliseconds
RETRY = b"retry: 1000\n\n"


def lines_event(chunk: bytes, position: int) -> bytes:
    """Return whole log lines as one event; the bytes of each line stay what they are.

    Args:
        chunk: lines, each with its newline.
        position: offset in the log after the chunk.
    """
    if b"\r" in chunk:
        # It would end a row.  No line that is one JSON object holds it bare; other writers' lines lose only that.
        chunk = chunk.replace(b"\r", b" ")
    rows = chunk.removesuffix(b"\n").replace(b"\n", b"\ndata: ")
    return b"event: lines\nid: %d\ndata: %b\n\n" % (position, rows)


def state_event(state: Mapping[str, Any]) -> bytes:
    """Return what is known of the job beside its log."""
    return b"event: state\ndata: %b\n\n" % json.dumps(state, ensure_ascii=False).encode()
