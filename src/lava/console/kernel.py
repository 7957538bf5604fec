"""What a kernel prints when it is in trouble.  Pure.  Source: dispatcher specification 15.5."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """One way in which a kernel complains: how the message starts and ends."""

    kind: str
    start: re.Pattern[bytes]
    end: re.Pattern[bytes]
    #: the system will not come up any more
    fatal: bool = False


_LINE_END = re.compile(rb"[^\r\n]*[\r\n]")
_RULER = re.compile(rb"={20,}[\r\n]")
#: only with what follows: it comes in small pieces, and ``BUG: KASAN:`` must have had time to match
_BUG = re.compile(rb"kernel BUG at|BUG:(?:[^\r\n]{8}|[^\r\n]{0,7}[\r\n])")

#: in the order in which they are looked for: ``BUG:`` is a part of other messages
TROUBLES: Sequence[Trouble] = (
    Trouble("trace", re.compile(rb"-+\[ cut here \]"), re.compile(rb"end trace [^\r\n]*[\r\n]")),
    Trouble("fault", re.compile(rb"Unhandled fault"), _LINE_END),
    Trouble("kcsan", re.compile(rb"BUG: KCSAN:"), _RULER),
    Trouble("kasan", re.compile(rb"BUG: KASAN:"), _RULER),
    Trouble("kfence", re.compile(rb"BUG: KFENCE:"), _RULER),
    Trouble("oops", re.compile(rb"Oops(?: -|:)"), _LINE_END),
    Trouble("warning", re.compile(rb"WARNING:"), re.compile(rb"end trace[^\r\n]*[\r\n]")),
    Trouble("bug", _BUG, _LINE_END),
    Trouble("invalid opcode", re.compile(rb"invalid opcode:"), _LINE_END),
    Trouble(
        "panic",
        re.compile(rb"Kernel panic - not syncing"),
        re.compile(rb"end Kernel panic[^\r\n]*[\r\n]"),
        fatal=True,
    ),
    Trouble("DUT_has_reset", re.compile(rb"U-Boot SPL 20[0-9][0-9]"), _LINE_END, fatal=True),
)

PANIC = next(trouble for trouble in TROUBLES if trouble.kind == "panic")


@dataclass(frozen=True, slots=True)
class KernelMessage:
    """A complaint that was seen."""

    kind: str
    text: str
    fatal: bool


def kernel_message(trouble: Trouble, before: bytes, text: bytes) -> KernelMessage:
    """Return the message from the start of its line on.

    Args:
        before: what the console printed before the start pattern.
        text: from the start pattern through the end pattern.
    """
    line_start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
    whole = (before[line_start:] + text).decode("utf-8", "replace").replace("\r", "").strip()
    kind = trouble.kind
    if kind == "trace":
        kind = next((word.lower() for word in ("Oops", "BUG", "WARNING") if word in whole), "unknown")
    return KernelMessage(kind, whole, trouble.fatal)
