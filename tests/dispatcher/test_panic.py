"""A kernel that dies under a test is told from a test that talks about it."""

from __future__ import annotations

import pytest

from lava.console import Matcher
from lava.dispatcher.panic import PATTERN, PanicWatch

PANIC = b"[   12.345678] Kernel panic - not syncing: sysrq triggered crash\r\n[   12.345679] CPU: 0 PID: 1 Comm: sh\r\n"
CLOSING = b"[   12.345680] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\r\n"


def watch(*pieces: bytes) -> tuple[PanicWatch, bool]:
    """Return the watch after the pieces, and whether it is certain."""
    matcher, panic, certain = Matcher(), PanicWatch(), False
    matcher.expect([PATTERN])
    for piece in pieces:
        matcher.feed(piece)
        while (hit := matcher.find()) is not None:
            certain = panic.seen(hit.before, hit.raw) or certain
    return panic, certain


def test_the_closing_line_makes_it_certain() -> None:
    panic, certain = watch(b"+ crash\r\n", PANIC, CLOSING)
    assert certain
    message = panic.message()
    assert message.kind == "panic"
    assert message.text.startswith("[   12.345678] Kernel panic - not syncing: sysrq triggered crash")
    assert "Comm: sh" in message.text


def test_silence_makes_it_certain() -> None:
    panic, certain = watch(PANIC)
    assert (certain, panic.suspected) == (False, True)
    assert not panic.silent(100, b"")
    assert not panic.silent(200, b"Rebooting in 5 seconds")
    assert panic.silent(200, b"the end")
    assert panic.message().text.endswith("the end")


def test_a_signal_clears_the_suspicion() -> None:
    panic, _ = watch(PANIC)
    panic.alive()
    assert not panic.suspected
    assert not panic.silent(1, b"")
    assert not panic.silent(1, b"")


@pytest.mark.parametrize(
    "line",
    [
        b"+ grep 'Kernel panic - not syncing' log\r\n",
        b"looking for Kernel panic - not syncing in the log\r\n",
        b"/var/log/messages: Kernel panic - not syncing: old\r\n",
    ],
)
def test_whoever_talks_about_it_is_alive(line: bytes) -> None:
    panic, certain = watch(line, line)
    assert (certain, panic.suspected) == (False, False)


@pytest.mark.parametrize(
    "line",
    [
        b"Kernel panic - not syncing: Attempted to kill init!\r\n",
        b"<0>Kernel panic - not syncing: VFS\r\n",
        b"half a line[    1.234567][    T1] Kernel panic - not syncing: x\r\n",
        b"[    1.234567] Kernel panic - not syncing: x\n",
    ],
)
def test_the_kernels_own_forms(line: bytes) -> None:
    panic, _ = watch(b"before\r\n" + line)
    assert panic.suspected
