"""Whether the kernel under a running test is dead.  Pure.

The specification watches for a kernel's messages only while a system boots.  A panic during a test would then be
reported as a test that ran out of time, minutes later and under a name that helps nobody; so a panic is watched for
here, too, unless the boot block says ``ignore_kernel_messages``.

Tests quote such messages, for example out of an earlier boot's log.  Only a line that stands as the kernel prints it
raises suspicion, and it is confirmed by the kernel's closing line, by silence, or by the end of the console.  A signal
of the tests clears it: whoever prints signals is alive.
"""

from __future__ import annotations

import re

from lava.console.kernel import PANIC, KernelMessage, kernel_message

#: the first line and the closing line of the message
PATTERN = re.compile(rb"Kernel panic - not syncing[^\r\n]*[\r\n]")
#: with nothing at all on the console for so long, a suspicion is confirmed
SILENCE_SECONDS = 10.0

#: what stands before it in the kernel's own line: a time stamp, or nothing
_IN_KERNEL_FORM = re.compile(rb"(?:^|[\r\n])(?:<\d>)?\Z|\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? \Z")
_CLOSING = re.compile(rb"end \Z")


class PanicWatch:
    """What is known of the kernel."""

    def __init__(self) -> None:
        self._before = b""
        self._text = b""
        self._received = -1

    @property
    def suspected(self) -> bool:
        """Whether a panic was seen and nothing speaks against it yet."""
        return bool(self._text)

    def seen(self, before: bytes, raw: bytes) -> bool:
        """Take in a match of :data:`PATTERN`; return whether the kernel is dead for certain.

        Args:
            before: what the console printed before it.
        """
        if self._text and _CLOSING.search(before):
            self._text += before + raw
            return True
        if not self._text and _IN_KERNEL_FORM.search(before[-80:]):
            self._before, self._text, self._received = before, raw, -1
        return False

    def alive(self) -> None:
        """A signal came."""
        self._text = b""

    def silent(self, received_bytes: int, unread: bytes) -> bool:
        """Return whether nothing came since the last call, :data:`SILENCE_SECONDS` ago: then it is dead."""
        silent = self.suspected and received_bytes == self._received
        self._received = received_bytes
        if silent:
            self._text += unread
        return silent

    def message(self) -> KernelMessage:
        """Return what the kernel said, from the start of its line on."""
        return kernel_message(PANIC, self._before, self._text)
