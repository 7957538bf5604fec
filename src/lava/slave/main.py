"""``lava-slave``: the daemon on a worker."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shlex
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lava.daemon.options import (
    CERTIFICATES,
    ENCRYPTION_SETTINGS,
    IPV6_SETTING,
    LOG_SETTINGS,
    Encryption,
    daemon_parser,
    is_loopback,
)
from lava.daemon.run import read_or_exit, run_daemon
from lava.daemon.settings import DaemonParser, Setting
from lava.wire.certificates import CertificateError, load_certificate
from lava.wire.messages import WireError, check_name

from .daemon import LAST_WORDS_SECONDS, STOP_JOBS_SECONDS, Configuration, Slave
from .journal import Journal, JournalError
from .processes import LAVA_RUN

#: below the root directory
SETTINGS_FILE = Path("etc/lava-dispatcher/lava-slave")
SETTINGS = (
    Setting("MASTER_URL", "--master"),
    Setting("LOGGER_URL", "--socket-addr"),
    Setting("HOSTNAME", "--hostname"),
    *LOG_SETTINGS,
    *ENCRYPTION_SETTINGS,
    Setting("MASTER_CERT", "--master-cert"),
    Setting("SLAVE_CERT", "--slave-cert"),
    IPV6_SETTING,
    Setting("SOCKS_PROXY", "--socks-proxy"),
    Setting("STATE_DIR", "--state-dir"),
    Setting("LAVA_RUN", "--lava-run"),
    Setting("STOP_JOBS_ON_EXIT", "--stop-jobs-on-exit", flag=True),
)
#: a slave that is told to stop ends within two seconds, whatever the network does
LEAVE_SECONDS = 1.5

_log = logging.getLogger("lava-slave")


def parser() -> DaemonParser:
    """Return the parser of the command line."""
    options = daemon_parser(
        "lava-slave",
        "Run jobs for a master.",
        default_file=Path("/") / SETTINGS_FILE,
        default_level="DEBUG",  # people look in it for pings and their answers
    )
    several = "several masters: separated by commas"
    options.add_argument(
        "--master", default="tcp://localhost:5556", metavar="ADDRESS", help=f"control socket; {several}"
    )
    options.add_argument(
        "--socket-addr", default="tcp://localhost:5555", metavar="ADDRESS", help="log socket; as many, in that order"
    )
    options.add_argument("--hostname", metavar="NAME", help="name of this worker; default: that of the machine")
    options.add_argument("--state-dir", type=Path, default=Path("/var/lib/lava/dispatcher/slave"), metavar="DIR")
    options.add_argument("--master-cert", type=Path, default=CERTIFICATES / "master.key", metavar="FILE")
    options.add_argument("--slave-cert", type=Path, default=CERTIFICATES / "slave.key_secret", metavar="FILE")
    options.add_argument("--socks-proxy", type=_host_and_port, default="", metavar="HOST:PORT", help="on the way out")
    options.add_argument(
        "--lava-run",
        default="",
        metavar="COMMAND",
        help="runs a job, such as 'nice -n 5 lava-run'; default: the one that was installed with this program",
    )
    options.add_argument("--stop-jobs-on-exit", action="store_true", help="stop running jobs with the daemon")
    return options


def _host_and_port(text: str) -> str:
    if not text:  # the default
        return text
    host, _, port = text.rpartition(":")
    if text and (not host or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in host):
        raise argparse.ArgumentTypeError(f"'{text}' is no address of a proxy: write HOST:PORT")
    return text


def main(argv: Sequence[str] | None = None, *, root: Path = Path("/")) -> int:
    """Run the daemon until SIGTERM or Ctrl-C.

    Args:
        root: stands for the root directory in the path of the configuration file.
    """
    options = read_or_exit(parser(), SETTINGS, argv, default_file=root / SETTINGS_FILE)
    patience = LEAVE_SECONDS + (STOP_JOBS_SECONDS + LAST_WORDS_SECONDS if options.args.stop_jobs_on_exit else 0)
    return run_daemon(
        "lava-slave", options, _run, leave_seconds=patience, faults=(CertificateError, JournalError, WireError)
    )


async def _run(args: argparse.Namespace, stop: asyncio.Event) -> None:
    configuration = configure(args)
    _log.info("Connecting to master as <%s>", configuration.name)
    if configuration.own is not None:
        _log.info("Connection is encrypted using %s", args.slave_cert)
    with closing(Journal(args.state_dir)) as journal:
        await Slave(configuration, journal).run(stop)


def _addresses(text: str) -> list[str]:
    return [address for word in text.split(",") if (address := word.strip())]


def configure(args: argparse.Namespace) -> Configuration:
    """Return what the daemon needs to know; certificates are read.

    Raises:
        CertificateError: one of them is no use.
        WireError: the name is none.
    """
    name = check_name(args.hostname or socket.getfqdn())
    control, log = _addresses(args.master), _addresses(args.socket_addr)
    if len(control) != len(log):
        raise WireError(
            f"--master names {len(control)} masters and --socket-addr {len(log)}: each master has one of both"
        )
    masters = list(zip(control, log, strict=True))
    own = master = None
    _log.info("Creating ZMQ context and socket connections")
    if args.encryption is Encryption.ON:
        _log.info("Starting encryption")
        _log.debug("Opening slave certificate: %s", args.slave_cert)
        own = load_certificate(args.slave_cert, secret=True)
        _log.debug("Opening master certificate: %s", args.master_cert)
        master = load_certificate(args.master_cert, secret=False)
    elif args.encryption is Encryption.UNSAID and not all(map(is_loopback, [*control, *log])):
        _log.warning(
            "the connection to %s is not encrypted: everybody on the way can read and change it; "
            "set --encrypt on both sides, or --plain if it is meant so",
            args.master,
        )
    return Configuration(
        name=name,
        masters=masters,
        state_directory=args.state_dir.resolve(),
        own=own,
        master_key=master,
        ipv6=args.ipv6,
        socks_proxy=args.socks_proxy,
        stop_jobs_on_exit=args.stop_jobs_on_exit,
        lava_run=shlex.split(args.lava_run) or LAVA_RUN,
    )


if __name__ == "__main__":
    sys.exit(main())
