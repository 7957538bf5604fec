"""``lava demo``: start an instance, run the smoke job on a virtual machine, show what came of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lava.embedded.layout import Layout
from lava.embedded.lock import InUseError, hold

from .client import Client, ClientError
from .follow import follow
from .submit import submit

DATA_DIRECTORY = Path(".demo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", action="store_true", help="leave the instance running at the end")
    parser.add_argument("--job", type=Path, default=Path("examples/qemu-smoke.yaml"), metavar="FILE")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIRECTORY, metavar="DIR", help="emptied at the start")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the job ended Complete."""
    layout = Layout(args.data_dir.resolve())
    try:
        hold(layout).close()
    except InUseError as error:
        print(f"lava demo: {error}", file=sys.stderr)
        if (pid := layout.root / "pid").exists():
            print(f"  it is that of an earlier demo: stop it with: kill {pid.read_text().strip()}", file=sys.stderr)
        return 2
    shutil.rmtree(layout.root, ignore_errors=True)
    try:
        with instance(layout, keep=args.keep) as client:
            (job,) = submit(client, args.job)
            return 0 if follow(client, job, sys.stdout) else 1
    except ClientError as error:
        print(f"lava demo: {error}", file=sys.stderr)
        return 2


@contextlib.contextmanager
def instance(layout: Layout, *, keep: bool) -> Iterator[Client]:
    """Run ``lava up`` in its own process while the block runs; with ``keep`` it goes on afterwards."""
    layout.root.mkdir(parents=True, mode=0o700)
    with (layout.root / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lava.cli", "up", "--data-dir", str(layout.root)],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    (layout.root / "pid").write_text(f"{process.pid}\n")
    assert process.stdout is not None  # noqa: S101 (asked for with PIPE)
    try:
        print("starting an instance …", flush=True)
        ready = process.stdout.readline().decode()
        if not ready.startswith("ready: "):
            raise ClientError(f"the instance does not start: {(layout.root / 'up.log').read_text().strip()}")
        client = Client(ready.removeprefix("ready: ").strip(), layout.token.read_text().strip())
        print(f"{client.url} serves; submitting the job", flush=True)
        yield client
        if keep:
            _say_how_to_go_on(client, layout, process.pid)
    finally:
        if not keep:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            process.wait()
        process.stdout.close()


def _say_how_to_go_on(client: Client, layout: Layout, pid: int) -> None:
    print(
        f"\nthe instance goes on at {client.url}\n"
        f"  log in:  user admin, password {layout.password.read_text().strip()}\n"
        f"  submit:  .venv/bin/lava submit --follow examples/qemu-smoke.yaml\n"
        f"  stop:    kill {pid}",
        file=sys.stderr,
    )
