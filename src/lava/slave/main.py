"""``lava-slave``: the daemon on a worker."""

from __future__ import annotations

import argparse
import asyncio
import logging
import logging.handlers
import os
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from lava.wire.certificates import CertificateError, load_certificate
from lava.wire.messages import WireError, check_name

from .daemon import Configuration, Slave
from .journal import Journal, JournalError
from .processes import LAVA_RUN

CERTIFICATES = Path("/etc/lava-dispatcher/certificates.d")
LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARNING", "WARN": "WARNING", "ERROR": "ERROR"}

_log = logging.getLogger("lava-slave")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(prog="lava-slave", description="Run jobs for a master.")
    options.add_argument("--master", default="tcp://localhost:5556", metavar="ADDRESS", help="control socket")
    options.add_argument("--socket-addr", default="tcp://localhost:5555", metavar="ADDRESS", help="log socket")
    options.add_argument("--hostname", default=socket.getfqdn(), metavar="NAME", help="name of this worker")
    options.add_argument("--level", default="INFO", type=str.upper, choices=sorted(LEVELS), help="of the daemon's log")
    options.add_argument("--log-file", default="-", metavar="FILE", help="'-' is standard error")
    options.add_argument("--state-dir", type=Path, default=Path("/var/lib/lava/dispatcher/slave"), metavar="DIR")
    options.add_argument("--encrypt", action="store_true", help="use CURVE")
    options.add_argument("--master-cert", type=Path, default=CERTIFICATES / "master.key", metavar="FILE")
    options.add_argument("--slave-cert", type=Path, default=CERTIFICATES / "slave.key_secret", metavar="FILE")
    options.add_argument(
        "--lava-run",
        default="",
        metavar="COMMAND",
        help="runs a job, such as 'nice -n 5 lava-run'; default: the one that was installed with this program",
    )
    options.add_argument("--stop-jobs-on-exit", action="store_true", help="stop running jobs with the daemon")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until SIGTERM or Ctrl-C."""
    args = parser().parse_args(argv)
    set_up_log(args.log_file, LEVELS[args.level])
    _log.info("LAVA Daemon: %s pid: %s", shlex.join(["lava-slave", *(argv or sys.argv[1:])]), os.getpid())
    try:
        configuration = _configuration(args)
        journal = Journal(args.state_dir)
    except (CertificateError, JournalError, WireError) as error:
        _log.error("%s", error)
        print(f"lava-slave: {error}", file=sys.stderr)
        return 1
    try:
        return asyncio.run(_run(configuration, journal))
    except WireError as error:
        _log.error("%s", error)
        print(f"lava-slave: {error}", file=sys.stderr)
        return 1
    finally:
        journal.close()


def _configuration(args: argparse.Namespace) -> Configuration:
    own = master = None
    _log.info("Creating ZMQ context and socket connections")
    if args.encrypt:
        _log.info("Starting encryption")
        _log.debug("Opening slave certificate: %s", args.slave_cert)
        own = load_certificate(args.slave_cert, secret=True)
        _log.debug("Opening master certificate: %s", args.master_cert)
        master = load_certificate(args.master_cert, secret=False)
        _log.info("Connection is encrypted using %s", args.slave_cert)
    elif "localhost" not in args.master and "127.0.0.1" not in args.master:
        _log.warning("the connection to %s is not encrypted: set --encrypt on both sides", args.master)
    return Configuration(
        name=check_name(args.hostname),
        master=args.master,
        logger=args.socket_addr,
        state_directory=args.state_dir.resolve(),
        own=own,
        master_key=master,
        stop_jobs_on_exit=args.stop_jobs_on_exit,
        lava_run=shlex.split(args.lava_run) or LAVA_RUN,
    )


async def _run(configuration: Configuration, journal: Journal) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Slave(configuration, journal).run(stop)
    return 0


def set_up_log(file: str, level: str) -> None:
    """Log to the file, opened again when somebody rotates it away, or to standard error."""
    handler: logging.Handler = (
        logging.StreamHandler() if file == "-" else logging.handlers.WatchedFileHandler(file, encoding="utf-8")
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)7s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
