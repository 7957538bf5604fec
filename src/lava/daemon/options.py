"""Options that both daemons have."""

from __future__ import annotations

import argparse
import ipaddress
import os
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from .settings import DaemonParser, Setting

#: of certificates, on every machine
CERTIFICATES = Path("/etc/lava-dispatcher/certificates.d")
#: WARN is what the slave of 2016 took
LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARNING", "WARN": "WARNING", "ERROR": "ERROR"}


class Encryption(Enum):
    """What was said of encryption; the last word counts."""

    UNSAID = "unsaid"
    ON = "on"
    PLAIN = "plain"


ENCRYPTION_SETTINGS = (Setting("ENCRYPT", "--encrypt", flag=True), Setting("PLAIN", "--plain", flag=True))
LOG_SETTINGS = (Setting("LOGLEVEL", "--level"), Setting("LOG_FILE", "--log-file"))
IPV6_SETTING = Setting("IPV6", "--ipv6", flag=True)


def daemon_parser(program: str, description: str, *, default_file: Path, default_level: str) -> DaemonParser:
    """Return a parser that has the options of both daemons."""
    options = DaemonParser(prog=program, description=description)
    options.add_argument(
        "--config", type=Path, metavar="FILE", help=f"settings, instead of those in {default_file}; see the manual"
    )
    options.add_argument(
        "--level",
        default=default_level,
        type=str.upper,
        choices=list(LEVELS),
        help="of the daemon's log; default: %(default)s",
    )
    options.add_argument(
        "--log-file",
        default=default_log_file(program),
        metavar="FILE",
        help="'-' is standard error; default: NAME.log in $LOGS_DIRECTORY, which systemd sets, else '-'",
    )
    options.add_argument(
        "--encrypt",
        dest="encryption",
        action="store_const",
        const=Encryption.ON,
        default=Encryption.UNSAID,
        help="use CURVE: talk only to those whose public key is here",
    )
    options.add_argument(
        "--plain",
        dest="encryption",
        action="store_const",
        const=Encryption.PLAIN,
        help="do not encrypt, as without --encrypt, and do not warn of it",
    )
    options.add_argument(
        "--ipv6", action=argparse.BooleanOptionalAction, default=False, help="use IPv6 as well as IPv4"
    )
    return options


def default_log_file(program: str) -> str:
    """Return the log of a service in the directory that systemd made for it (``LogsDirectory=``), or ``-``."""
    directory = os.environ.get("LOGS_DIRECTORY", "").partition(":")[0]
    return str(Path(directory) / f"{program}.log") if directory else "-"


def is_loopback(address: str) -> bool:
    """Return whether what is said to a ZMQ address stays on this machine."""
    if address.startswith(("ipc://", "inproc://")):
        return True
    try:
        host = urlsplit(address).hostname or ""
        return host in ("lo", "localhost", "ip6-localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
