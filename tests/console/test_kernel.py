"""What a kernel says when it is in trouble: where a message starts and ends, what kind it is.  Dispatcher 15.5."""

from __future__ import annotations

import pytest

from lava.console import Matcher
from lava.console.kernel import PANIC, TROUBLES, KernelMessage, kernel_message

_PAST = b"Starting the system ...\r\n"
_AFTER = b"board login: "


def watch(console: bytes, read_bytes: int = 1 << 20) -> list[KernelMessage]:
    """Return the messages in what a console prints, looked for as the login does: a start, then its end."""
    matcher = Matcher()
    starts = [trouble.start for trouble in TROUBLES]
    matcher.expect(starts)
    messages = []
    begun = None
    for place in range(0, len(console), read_bytes):
        matcher.feed(console[place : place + read_bytes])
        while (hit := matcher.find()) is not None:
            if begun is None:
                begun = (TROUBLES[hit.index], hit)
                matcher.expect([begun[0].end])
            else:
                trouble, start = begun
                messages.append(kernel_message(trouble, start.before, start.raw + hit.before + hit.raw))
                begun = None
                matcher.expect(starts)
    return messages


_TRACE = (
    "[ 1.0] ------------[ cut here ]------------\r\n[ 1.0] {}\r\n[ 1.1] Call trace:\r\n[ 1.2] ---[ end trace 0 ]---"
)
_RULER = "=" * 66
_SANITIZER = "[ 2.0] BUG: {}: slab-out-of-bounds in f+0x1\r\n[ 2.1] Read of size 1\r\n[ 2.2] " + _RULER

MESSAGES = [
    ("warning", _TRACE.format("WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2"), False),
    ("bug", _TRACE.format("kernel BUG at kernel/x.c:1!"), False),
    ("oops", _TRACE.format("Internal error: Oops - BUG: 0 [#1] PREEMPT SMP ARM"), False),
    ("unknown", _TRACE.format("refcount_t: underflow; use-after-free."), False),
    ("fault", "[ 1.0] Unhandled fault: imprecise external abort (0x1406) at 0x00000000", False),
    ("kasan", _SANITIZER.format("KASAN"), False),
    ("kcsan", _SANITIZER.format("KCSAN"), False),
    ("kfence", _SANITIZER.format("KFENCE"), False),
    ("oops", "[ 3.0] Internal error: Oops - undefined instruction: 0 [#1] ARM", False),
    ("oops", "[ 3.0] Internal error: Oops: 17 [#1] SMP ARM", False),
    ("warning", "[ 4.0] WARNING: CPU: 1 PID: 2 at drivers/y.c:2\r\n[ 4.1] x\r\n[ 4.2] ---[ end trace 1 ]---", False),
    ("bug", "[ 5.0] kernel BUG at mm/slub.c:1!", False),
    ("bug", "[ 5.0] BUG: unable to handle kernel NULL pointer dereference at 00000008", False),
    ("bug", "[ 5.0] BUG: scheduling while atomic: swapper/0/1/0x00000002", False),
    ("bug", "[ 5.0] BUG: x\r\n", False),
    ("invalid opcode", "[ 6.0] invalid opcode: 0000 [#1] SMP", False),
    (
        "panic",
        "[ 7.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n[ 7.1] CPU: 0\r\n"
        "[ 7.2] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---",
        True,
    ),
    ("DUT_has_reset", "U-Boot SPL 2024.01 (Jan 08 2024 - 15:37:48 +0000)", True),
]


@pytest.mark.parametrize("read_bytes", [1 << 20, 7, 1])
@pytest.mark.parametrize(("kind", "text", "fatal"), MESSAGES)
def test_a_message_is_known_and_kept_from_the_start_of_its_line(
    kind: str, text: str, fatal: bool, read_bytes: int
) -> None:
    console = _PAST + text.encode() + b"\r\n" + _AFTER
    assert watch(console, read_bytes) == [KernelMessage(kind, text.replace("\r", "").strip(), fatal)]


def test_several_messages_come_in_their_order() -> None:
    console = b"".join(text.encode() + b"\r\n" for _, text, _ in MESSAGES)
    assert [(message.kind, message.fatal) for message in watch(console)] == [(kind, bad) for kind, _, bad in MESSAGES]


def test_every_kind_of_trouble_is_covered_here() -> None:
    assert {trouble.kind for trouble in TROUBLES} - {"trace"} <= {kind for kind, _, _ in MESSAGES}


@pytest.mark.parametrize(
    "harmless",
    [
        "[ 0.0] Kernel command line: panic=5 oops=panic",
        "[ 0.0] Oops, said the daemon",
        "warning: something of a program",
        "debugging: BUGS: none",
        "----[ cut there ]----",
        "U-Boot 2024.01 (Jan 08 2024)",
        "U-Boot SPL 1999.01",
        "opcode invalid",
    ],
)
def test_what_is_no_trouble(harmless: str) -> None:
    assert watch(_PAST + harmless.encode() + b"\r\n---[ end trace 0 ]---\r\n" + _RULER.encode() + b"\r\n") == []


@pytest.mark.parametrize(
    "endless",
    [
        "[ 1.0] WARNING: CPU: 0\r\n[ 1.1] no more\r\n",
        "[ 1.0] Kernel panic - not syncing: x\r\n[ 1.1] Rebooting in 5 seconds..\r\n",
        "[ 1.0] BUG: KASAN: x\r\n=====\r\n",
        "[ 1.0] Oops: 17",
        "--[ cut here ]--\r\n---[ end trace 0",
    ],
)
def test_a_message_whose_end_never_comes_is_none(endless: str) -> None:
    assert watch(endless.encode()) == []


def test_a_message_is_kept_from_the_last_carriage_return_too() -> None:
    message = kernel_message(PANIC, b"10%\r50%\r[ 1.0] ", b"Kernel panic - not syncing: \xff\r\nend Kernel panic\r\n")
    assert message == KernelMessage("panic", "[ 1.0] Kernel panic - not syncing: \ufffd\nend Kernel panic", True)


def test_only_a_panic_and_a_reset_are_fatal() -> None:
    assert {trouble.kind for trouble in TROUBLES if trouble.fatal} == {"panic", "DUT_has_reset"}
