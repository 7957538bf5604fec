"""``lava-create-certificate NAME``: a key pair for a master or a slave.  Source: seed requirements J."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lava.wire.certificates import CertificateError, create_certificate

from .options import CERTIFICATES


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="lava-create-certificate",
        description="Make NAME.key, whose contents may travel, and NAME.key_secret, which stays on this machine.",
    )
    options.add_argument(
        "name", metavar="NAME", help="'master' on the master; on a slave something that tells which one it is"
    )
    options.add_argument(
        "--directory",
        type=Path,
        default=CERTIFICATES,
        metavar="DIR",
        help="made if it is missing; default: %(default)s",
    )
    options.add_argument("--force", action="store_true", help="replace a pair that is there: its key is lost")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pair and say where it is."""
    args = parser().parse_args(argv)
    try:
        public, secret = create_certificate(args.directory, args.name, force=args.force)
    except CertificateError as error:
        print(f"lava-create-certificate: {error}", file=sys.stderr)
        return 1
    print(f"Creating the certificate in {args.directory}")
    print(f"  {public.name}: public, copy it to the other side")
    print(f"  {secret.name}: secret, leave it here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
