"""W7: the V1 SSHFS mount.  The most dangerous step: through it, this machine deletes the master's files."""

from __future__ import annotations

from ..context import Context
from ..facts import media_directory, media_mounts, quoted
from ..machine import Machine
from ..result import Finding, Result, State, nothing, ok

_SHOWN = 5


def sshfs(machine: Machine, context: Context) -> Result:
    """Find the mount, or local data in its place; a mounted directory is not looked into.  Source: R145 to R147."""
    media = media_directory(machine)
    mounts = media_mounts(machine)
    if mounts:
        findings = tuple(
            Finding(
                f"{mount.source} is mounted on {mount.point}: what is deleted below it is deleted on the master",
                "/proc/mounts",
                value=mount.point,
            )
            for mount in mounts
        )
        commands: list[str] = []
        for mount in reversed(mounts):
            point = quoted(mount.point)
            commands += [f"mountpoint {point}", f"sudo umount {point}", f"sudo ls -a {point}"]
        verify = ("the last command shows . and .. only",)
        return Result(State.OPEN, findings, tuple(commands), verify)
    if machine.entry(media.value) is None:
        return nothing(f"there is no {media.said}")
    names = machine.names(media.value)
    if not names:
        return ok(Finding(f"not mounted, and empty: {media.said}", media.file, media.line, media.value))
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    text = f"not mounted, and not empty: local data here, inspect ({shown})"
    point = quoted(media.value)
    look = (f"mountpoint {point}", f"sudo ls -a {point}")
    return Result(State.OPEN, (Finding(text, media.value),), verify=look, can_be_confirmed=True)
