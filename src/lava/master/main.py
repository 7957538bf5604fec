"""``lava-master``: the daemon beside the database."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lava.daemon.options import (
    CERTIFICATES,
    ENCRYPTION_SETTINGS,
    IPV6_SETTING,
    LOG_SETTINGS,
    Encryption,
    daemon_parser,
    is_loopback,
)
from lava.daemon.run import EXIT_USAGE, read_or_exit, run_daemon
from lava.daemon.settings import DaemonParser, Setting
from lava.wire.certificates import CertificateError, load_certificate, load_public_keys
from lava.wire.messages import WireError

if TYPE_CHECKING:
    from .daemon import Configuration

#: below the root directory
SETTINGS_FILE = Path("etc/lava-server/lava-master")
#: marks a remote worker of the first generation, whose database is the master's
WORKER_MARK = Path("etc/lava-server/worker.conf")
SETTINGS = (
    Setting("MASTER_SOCKET", "--master-socket"),
    Setting("LOG_SOCKET", "--log-socket"),
    *LOG_SETTINGS,
    *ENCRYPTION_SETTINGS,
    Setting("MASTER_CERT", "--master-cert"),
    Setting("SLAVES_CERTS", "--slaves-certs"),
    Setting("MATCH_NAMES", "--match-names", flag=True),
    IPV6_SETTING,
)
#: time for what the database is doing
LEAVE_SECONDS = 10.0

_log = logging.getLogger("lava-master")


def parser() -> DaemonParser:
    """Return the parser of the command line."""
    options = daemon_parser(
        "lava-master",
        "Schedule jobs and collect their logs.",
        default_file=Path("/") / SETTINGS_FILE,
        default_level="INFO",
    )
    options.add_argument("--master-socket", default="tcp://*:5556", metavar="ADDRESS", help="control socket")
    options.add_argument("--log-socket", default="tcp://*:5555", metavar="ADDRESS", help="log socket")
    options.add_argument("--master-cert", type=Path, default=CERTIFICATES / "master.key_secret", metavar="FILE")
    options.add_argument("--slaves-certs", type=Path, default=CERTIFICATES, metavar="DIR")
    options.add_argument(
        "--match-names",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="admit a slave only with the certificate that is named like it",
    )
    return options


def main(argv: Sequence[str] | None = None, *, program: str = "lava-master", root: Path = Path("/")) -> int:
    """Run the daemon until SIGTERM or Ctrl-C.

    Args:
        program: what it was started as.
        root: stands for the root directory in the paths of the files that it looks for by itself.
    """
    told = parser()
    told.prog = program
    options = read_or_exit(told, SETTINGS, argv, default_file=root / SETTINGS_FILE)
    if (root / WORKER_MARK).exists():
        print(
            f"{program}: {root / WORKER_MARK} says that this machine is a remote worker.  A master here would take "
            "jobs of the true master: run only lava-slave, or remove that file if the machine is a master now",
            file=sys.stderr,
        )
        return EXIT_USAGE
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")
    import django

    django.setup()  # before the log is set up: it sets up its own
    return run_daemon(program, options, _run, leave_seconds=LEAVE_SECONDS, faults=(CertificateError, WireError))


async def _run(args: argparse.Namespace, stop: asyncio.Event) -> None:
    from .daemon import Master

    await Master(configure(args)).run(stop)


def configure(args: argparse.Namespace) -> Configuration:
    """Return what the daemon needs to know; certificates are read.

    Raises:
        CertificateError: one of them is no use.
    """
    from .daemon import Configuration

    own = None
    if args.encryption is Encryption.ON:
        _log.info("Starting encryption")
        _log.debug("Opening master certificate: %s", args.master_cert)
        own = load_certificate(args.master_cert, secret=True)
        _log.debug("Using slaves certificates from: %s", args.slaves_certs)
        _check_slaves(load_public_keys(args.slaves_certs).values(), args.slaves_certs)
    elif args.encryption is Encryption.UNSAID and not all(map(is_loopback, (args.master_socket, args.log_socket))):
        _log.warning(
            "connections to %s are neither encrypted nor authenticated: whoever reaches it can pass for any worker; "
            "set --encrypt here and on every slave, or --plain if it is meant so",
            args.master_socket,
        )
    if args.match_names and own is None:
        _log.warning("--match-names has no effect: without --encrypt nobody shows a certificate")
    return Configuration(
        control=args.master_socket,
        logger=args.log_socket,
        own=own,
        slaves=args.slaves_certs if own else None,
        ipv6=args.ipv6,
        match_names=args.match_names and own is not None,
    )


def _check_slaves(names: Iterable[str], directory: Path) -> None:
    """Warn of what will not work, or should not be."""
    slaves = set(names) - {"master"}
    if not slaves:
        _log.warning("%s has no public key of a slave: none can connect; copy their .key files there", directory)
    elif "slave" in slaves and len(slaves) > 1:
        _log.warning(
            "%s is a name for tests: give each slave a certificate of its own name, to know which one to take away",
            directory / "slave.key",
        )


if __name__ == "__main__":
    sys.exit(main())
