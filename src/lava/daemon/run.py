"""How a daemon starts, logs and stops."""

from __future__ import annotations

import argparse
import asyncio
import logging
import logging.handlers
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from .options import LEVELS
from .settings import DaemonParser, Options, Setting, read_options
from .settings_file import SettingsError

_log = logging.getLogger(__name__)

#: somebody has to change an option, a setting or the machine: starting again does not help
EXIT_USAGE = 2


class StartError(Exception):
    """The daemon cannot start; the message says why and what to do."""


def set_up_log(file: str, level: str) -> None:
    """Log in UTC to the file, opened again when somebody rotates it away, or to standard error.

    Raises:
        StartError: the file cannot be written.
    """
    try:
        handler: logging.Handler = (
            logging.StreamHandler() if file == "-" else logging.handlers.WatchedFileHandler(file, encoding="utf-8")
        )
    except OSError as error:
        raise StartError(f"cannot write the log {file}: {error.strerror}; name another one with --log-file") from error
    formatter = logging.Formatter("%(asctime)s %(levelname)7s %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def read_or_exit(
    parser: DaemonParser, settings: Sequence[Setting], argv: Sequence[str] | None, *, default_file: Path
) -> Options:
    """Read command line and configuration file; end the program with status 2 when one of them is wrong."""
    try:
        return read_options(parser, settings, sys.argv[1:] if argv is None else argv, default_file=default_file)
    except SettingsError as error:
        for fault in str(error).splitlines():
            print(f"{parser.prog}: {fault}", file=sys.stderr)
        raise SystemExit(EXIT_USAGE) from error


def run_daemon(
    program: str,
    options: Options,
    run: Callable[[argparse.Namespace, asyncio.Event], Awaitable[None]],
    *,
    leave_seconds: float,
    faults: tuple[type[Exception], ...] = (),
) -> int:
    """Run the daemon until SIGTERM or Ctrl-C, and return its exit status.

    Args:
        run: the daemon; it ends when the event is set.
        leave_seconds: a daemon that has not ended so long after that is ended by force.
        faults: errors that an admin can mend: said without a traceback, with status 1.
    """
    try:
        set_up_log(options.args.log_file, options.args.level)
    except StartError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    _log.info("LAVA Daemon: %s %s pid: %s", program, shlex.join(options.words), os.getpid())
    try:
        asyncio.run(_until_stopped(lambda stop: run(options.args, stop), leave_seconds))
    except faults as error:
        _log.error("%s", error)
        if options.args.log_file != "-":
            print(f"{program}: {error}", file=sys.stderr)
        return 1
    return 0


async def _until_stopped(work: Callable[[asyncio.Event], Awaitable[None]], leave_seconds: float) -> None:
    stop = asyncio.Event()

    def told_to_stop() -> None:
        # Nothing interrupts a thread that looks up a name, and ZeroMQ's context and the event loop wait for theirs:
        # half a minute when the resolver does not answer.  A daemon that is killed loses nothing.
        leave = threading.Timer(leave_seconds, os._exit, [0])
        leave.daemon = True
        leave.start()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
    await work(stop)
