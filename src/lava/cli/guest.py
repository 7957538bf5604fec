"""``lava guest``: build the demonstration guest and print where its images are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lava.guest import GuestError, build, default_cache, kvm_works


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the directory with the images; say on standard error whether KVM works."""
    try:
        guest = build(args.cache, say=lambda text: print(text, file=sys.stderr))
    except GuestError as error:
        print(f"lava guest: {error}", file=sys.stderr)
        return 1
    print(f"KVM {'works' if kvm_works(guest) else 'does not work here: guests run emulated'}", file=sys.stderr)
    print(guest)
    return 0
