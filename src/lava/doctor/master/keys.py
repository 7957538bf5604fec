"""M1: the SSH keys of V1 workers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from ..context import Context
from ..facts import dated, quoted
from ..machine import Machine
from ..result import Finding, Result, State, ok
from ..settings import instance

#: V1 gave all its keys this comment
COMMENT = "ssh key used by LAVA for sshfs"
_KEY = re.compile(r"(?:^|\s)(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+)\s+([A-Za-z0-9+/]+=*)(?:\s+(.*?))?\s*$")


@dataclass(frozen=True, slots=True)
class Key:
    """A line of ``authorized_keys``."""

    line: int
    fingerprint: str
    comment: str

    @property
    def is_of_v1(self) -> bool:
        return self.comment == COMMENT


def parse_keys(text: str) -> list[Key]:
    """Return the keys; options before a key are passed over."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = None if line.lstrip().startswith("#") else _KEY.search(line)
        if match:
            found.append(Key(number, _fingerprint(match[1]), match[2] or ""))
    return found


def v1_keys(machine: Machine, context: Context) -> Result:
    """Find the keys of V1 in the account that its workers logged in to.  Source: R174, R175."""
    user = instance(machine, "LAVA_SYS_USER")
    file = f"{_home(machine, user.value)}/.ssh/authorized_keys"
    keys = parse_keys(machine.read(file) or "")
    ours = [key for key in keys if key.is_of_v1]
    others = [
        Finding(f"not from LAVA, left alone: {key.fingerprint} {key.comment}".rstrip(), file, key.line, key.fingerprint)
        for key in keys
        if not key.is_of_v1
    ]
    if not ours:
        return ok(*others)
    findings = [
        Finding(f"a key of a V1 worker of the account {user.said}: {key.fingerprint}", file, key.line, key.fingerprint)
        for key in ours
    ]
    # The number says which line, the comment that it is still that line: run twice, nothing more goes.
    words = [word for key in ours for word in ("-e", rf"{key.line}{{/{COMMENT}[[:space:]]*$/d}}")]
    commands = (
        f"sudo su {quoted(user.value)}",
        f"cp -p --no-clobber {quoted(file, dated(file, machine))}",
        f"sed -i {quoted(*words, file)}",
        "exit",
    )
    return Result(State.OPEN, (*findings, *others), commands, (f"sudo grep -c {quoted(COMMENT, file)}",))


def _home(machine: Machine, user: str) -> str:
    for line in (machine.read("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[0] == user and fields[5].startswith("/"):
            return fields[5].rstrip("/")
    return f"{instance(machine, 'LAVA_PREFIX').value.rstrip('/')}/home"


def _fingerprint(key: str) -> str:
    try:
        digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
    except (binascii.Error, ValueError):
        return "(not a key)"
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
