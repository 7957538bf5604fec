"""The virtual machine that the demo and the tests boot: Debian's cloud kernel and a busybox system.

:func:`build` makes it once into a cache directory, without root rights: nothing is installed, Debian's
packages are only fetched and unpacked.  The result is three files that a job names as images:
``vmlinuz``, ``initrd.img`` (loads the disk drivers, mounts the root) and ``rootfs.ext4.gz`` (busybox, a
serial login for root without a password).  :func:`kvm_works` tells whether it can run with KVM.
"""

from .build import GuestError, build, default_cache
from .kvm import kvm_works

__all__ = ["GuestError", "build", "default_cache", "kvm_works"]
