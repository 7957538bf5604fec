"""``lava submit``: hand a job definition to a server and, if wanted, follow the job to its end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .client import Client, ClientError, connect
from .follow import follow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="job definition (YAML)")
    parser.add_argument("--follow", action="store_true", help="show the log and the results; exit 0 only for Complete")
    parser.add_argument(
        "--url", help="server, http://[USER[:TOKEN]@]HOST[:PORT]; default: $LAVA_URL, or the one in .lava"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the API token; default: $LAVA_TOKEN")


def run(args: argparse.Namespace) -> int:
    """Print the job's id first; with ``--follow`` everything up to the closing line of the job."""
    try:
        client = connect(args.url, args.token_file)
        jobs = submit(client, args.file)
        for job in jobs:
            print(job, flush=True)
        if not args.follow:
            return 0
        return 0 if all([follow(client, job, sys.stdout) for job in jobs]) else 1
    except ClientError as error:
        print(f"lava submit: {error}", file=sys.stderr)
        return 2


def submit(client: Client, file: Path) -> list[str]:
    """Submit the file and return the ids of its jobs: one, or one for each node of a MultiNode job.

    Raises:
        ClientError: the file cannot be read, or the server refuses the job; every fault is in the message.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ClientError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{file} is not UTF-8 text (byte {error.start})") from error
    answer = client.call("scheduler.jobs.submit", text)
    return [str(job) for job in (answer if isinstance(answer, list) else [answer])]
