"""``lava-master``: the daemon beside the database."""

from __future__ import annotations

import argparse
import asyncio
import logging
import logging.handlers
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lava.wire.certificates import CertificateError, load_certificate
from lava.wire.messages import WireError

CERTIFICATES = Path("/etc/lava-dispatcher/certificates.d")
LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARNING", "WARN": "WARNING", "ERROR": "ERROR"}

_log = logging.getLogger("lava-master")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(prog="lava-master", description="Schedule jobs and collect their logs.")
    options.add_argument("--master-socket", default="tcp://*:5556", metavar="ADDRESS", help="control socket")
    options.add_argument("--log-socket", default="tcp://*:5555", metavar="ADDRESS", help="log socket")
    options.add_argument("--level", default="INFO", type=str.upper, choices=sorted(LEVELS), help="of the daemon's log")
    options.add_argument("--log-file", default="-", metavar="FILE", help="'-' is standard error")
    options.add_argument("--encrypt", action="store_true", help="use CURVE; admit only slaves with a known key")
    options.add_argument("--master-cert", type=Path, default=CERTIFICATES / "master.key_secret", metavar="FILE")
    options.add_argument("--slaves-certs", type=Path, default=CERTIFICATES, metavar="DIR")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until SIGTERM or Ctrl-C."""
    args = parser().parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")
    import django

    django.setup()
    handler: logging.Handler = (
        logging.StreamHandler()
        if args.log_file == "-"
        else logging.handlers.WatchedFileHandler(args.log_file, encoding="utf-8")
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)7s %(message)s"))
    logging.basicConfig(level=LEVELS[args.level], handlers=[handler], force=True)
    _log.info("LAVA Daemon: %s pid: %s", shlex.join(["lava-master", *(argv or sys.argv[1:])]), os.getpid())
    try:
        return asyncio.run(_run(args))
    except (CertificateError, WireError) as error:
        _log.error("%s", error)
        print(f"lava-master: {error}", file=sys.stderr)
        return 1


async def _run(args: argparse.Namespace) -> int:
    from .daemon import Configuration, Master

    own = None
    if args.encrypt:
        _log.info("Starting encryption")
        _log.debug("Opening master certificate: %s", args.master_cert)
        own = load_certificate(args.master_cert, secret=True)
        _log.debug("Using slaves certificates from: %s", args.slaves_certs)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    configuration = Configuration(args.master_socket, args.log_socket, own, args.slaves_certs if own else None)
    await Master(configuration).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
