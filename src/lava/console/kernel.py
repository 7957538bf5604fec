"""What a kernel prints when it is in trouble.  Source: dispatcher specification 15.5."""

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


def _starts(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)


#: in the order in which they are looked for
TROUBLES: Sequence[Trouble] = (
    Trouble("trace", _starts(rb"-+\[ cut here \]"), re.compile(rb"end trace [^\r\n]*[\r\n]")),
    Trouble("fault", _starts(rb"Unhandled fault"), _LINE_END),
    Trouble("kcsan", _starts(rb"BUG: KCSAN:"), re.compile(rb"={20,}")),
    Trouble("kasan", _starts(rb"BUG: KASAN:"), re.compile(rb"={20,}")),
    Trouble("kfence", _starts(rb"BUG: KFENCE:"), re.compile(rb"={20,}")),
    Trouble("oops", _starts(rb"Oops(?: -|:)"), _LINE_END),
    Trouble("warning", _starts(rb"WARNING:"), re.compile(rb"end trace[^\r\n]*[\r\n]")),
    Trouble("bug", _starts(rb"(?:kernel BUG at|BUG:)"), _LINE_END),
    Trouble("invalid opcode", _starts(rb"invalid opcode:"), _LINE_END),
    Trouble(
        "panic",
        _starts(rb"Kernel panic - not syncing"),
        re.compile(rb"end Kernel panic[^\r\n]*[\r\n]"),
        fatal=True,
    ),
    Trouble("DUT_has_reset", _starts(rb"U-Boot SPL 20[0-9][0-9]"), _LINE_END, fatal=True),
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
        kind = next((name.lower() for name in ("Oops", "BUG", "WARNING") if name in whole), "unknown")
    return KernelMessage(kind, whole, trouble.fatal)
