"""Tell whether KVM can really boot a guest here, not only whether its device node is there.

Inside another virtual machine ``/dev/kvm`` may exist and still fail at the first unusual instruction, so
the only honest question is a boot.  The answer is kept beside the guest until the machine restarts.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

#: what the guest's kernel prints once its own set-up is over
BOOTED = b"Run /init as init process"
PROBE_SECONDS = 10.0


def kvm_works(guest: Path) -> bool:
    """Return whether QEMU boots the guest's kernel with KVM, trying it once per start of the machine."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = guest.parent / f"kvm-{os.getuid()}-{boot_id}"
    try:
        return answer.read_text() == "yes"
    except FileNotFoundError:
        works = _boots(guest)
        answer.write_text("yes" if works else "no")
        return works


def _boots(guest: Path) -> bool:
    command = [
        "qemu-system-x86_64",
        "-enable-kvm",
        "-cpu",
        "host",
        "-m",
        "256",
        "-nographic",
        "-monitor",
        "none",
    ]
    command += [
        "-no-reboot",
        "-net",
        "none",
        "-kernel",
        str(guest / "vmlinuz"),
        "-initrd",
        str(guest / "initrd.img"),
    ]
    command += ["-append", "console=ttyS0 panic=-1"]
    deadline = time.monotonic() + PROBE_SECONDS
    seen = b""
    try:
        qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
    except FileNotFoundError:
        return False
    assert qemu.stdout is not None  # noqa: S101 (asked for with PIPE)
    try:
        while BOOTED not in seen and b"KVM internal error" not in seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([qemu.stdout], [], [], left)[0]:
                return False
            chunk = os.read(qemu.stdout.fileno(), 65536)
            if not chunk:
                return False
            seen = seen[-256:] + chunk
        return BOOTED in seen
    finally:
        qemu.kill()
        qemu.wait()
        qemu.stdout.close()
