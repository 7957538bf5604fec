"""``lava-run``: one job in one process.  Source: dispatcher specification 1.

Standard error gets every log line while the job runs, unless ``--quiet`` says that the log file is enough, and one
message when the job cannot even be read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from lava import __version__
from lava.spool import LogFile

from .cancellation import CANCEL_REASONS
from .joblog import JobLog


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(prog="lava-run", description="Run one test job on one device.")
    options.add_argument("definition", type=Path, help="job definition (YAML)")
    options.add_argument(
        "--job-id", required=True, type=_job_id, metavar="ID", help="123, or 123.1 for a node of a MultiNode job"
    )
    options.add_argument(
        "--output-dir", type=Path, required=True, metavar="DIR", help="gets log, description and result"
    )
    options.add_argument("--device", type=Path, required=True, metavar="FILE", help="rendered device configuration")
    options.add_argument("--dispatcher", type=Path, metavar="FILE", help="dispatcher configuration of this worker")
    options.add_argument("--env-dut", type=Path, metavar="FILE", help="environment for the device")
    options.add_argument("--validate", action="store_true", help="stop after validation")
    options.add_argument("--url", help=argparse.SUPPRESS)
    options.add_argument("--token", help=argparse.SUPPRESS)
    options.add_argument("--job-log-interval", type=int, default=5, help=argparse.SUPPRESS)
    options.add_argument("--skip-sudo-warning", action="store_true", help="do not insist on running as root")
    options.add_argument(
        "--debug", action="store_true", help="show tracebacks of what is refused before the job starts"
    )
    options.add_argument("--quiet", action="store_true", help="write the log to logs.yaml only, not to standard error")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return the exit status: 0 when its result is pass, 1 otherwise."""
    args = parser().parse_args(argv)
    if args.url:
        print("lava-run: --url is not supported: the slave ships the log from the output directory", file=sys.stderr)
        return 1
    if os.geteuid() != 0 and not args.skip_sudo_warning:
        print("lava-run: run as root, or with --skip-sudo-warning if no action of the job needs it", file=sys.stderr)
        return 1
    # Whoever cancels now is heard once the job can be canceled in good order.
    signal.pthread_sigmask(signal.SIG_BLOCK, CANCEL_REASONS)
    _set_title(f"lava-run {args.job_id}")
    try:
        args.output_dir.mkdir(parents=True, exist_ok=True)
        (args.output_dir / "result.yaml").unlink(missing_ok=True)  # of an earlier run: it must not be taken for ours
        file = LogFile(args.output_dir / "logs.yaml")
    except OSError as error:
        print(f"lava-run: cannot write into {args.output_dir}: {error.strerror}", file=sys.stderr)
        return 1
    log = JobLog(
        file,
        mirror=None if args.quiet else FileIO(sys.stderr.fileno(), "wb", closefd=False),
        on_failure=lambda error: print(
            f"lava-run: cannot write the log of job {args.job_id}: {error.strerror}", file=sys.stderr
        ),
    )
    log.info(f"lava-dispatcher, installed at version: {__version__}")
    try:
        from .run import run  # what takes time to load: people see by now that their job has started

        return run(args, log)
    finally:
        log.close()


def _job_id(text: str) -> str:
    """Return the id; it names directories, which are emptied."""
    if "/" in text or text in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"'{text}' is no id of a job")
    return text


def _set_title(title: str) -> None:
    """Show the job in ``ps`` and ``top``, which have room for 15 characters; the command line stays as it is."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(title[:15])


if __name__ == "__main__":
    sys.exit(main())
