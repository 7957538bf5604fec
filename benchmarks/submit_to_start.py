#!/usr/bin/env python3
"""How long after its submission a job's dispatcher writes its first log line, on SQLite and on PostgreSQL.

A whole instance as ``lava up`` starts it, submissions by XML-RPC, one at a time, the device idle.  The job stops
at once: its image is not there.  The limits beside it: one trivial call, and a bare ``lava-run`` of the same job on
the same machine until its first line; nobody can be faster than both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lava.cli.client import Client
from lava.embedded.layout import Layout

GOAL_MILLISECONDS = 150
JOB = """
job_name: starts only
device_type: qemu
visibility: public
priority: medium
context: {arch: amd64}
timeouts: {job: {minutes: 3}, action: {minutes: 2}, connection: {seconds: 60}}
actions:
- deploy: {to: tmpfs, images: {rootfs: {url: "file:///no/such/image", image_arg: "-drive file={rootfs}"}}}
"""


@contextlib.contextmanager
def postgresql(directory: Path) -> Iterator[str]:
    """Run a database server of our own while the block runs; yield its address."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    cluster = directory / "cluster"
    cluster.mkdir()
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(cluster, owner.pw_uid, owner.pw_gid)
        directory.chmod(0o755)
        prefix = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    run = [*prefix, str(binaries / "initdb"), "-D", str(cluster), "-U", "lava", "-A", "trust", "-E", "UTF8"]
    subprocess.run(run, check=True, capture_output=True, cwd="/")
    command = [*prefix, str(binaries / "postgres"), "-D", str(cluster), "-k", str(cluster), "-c", "listen_addresses="]
    with (directory / "postgresql.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        create = [str(binaries / "createdb"), "-h", str(cluster), "-U", "lava", "lava"]
        while subprocess.run(create, capture_output=True, check=False).returncode:
            if server.poll() is not None:
                sys.exit((directory / "postgresql.log").read_text())
            time.sleep(0.1)
        yield f"postgres://lava@/lava?host={cluster}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


@contextlib.contextmanager
def instance(directory: Path, database: str | None) -> Iterator[tuple[Client, Layout]]:
    """Run ``lava up`` while the block runs."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(directory.parent / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: compiled at the first start
    if database:
        environment["DATABASE_URL"] = database
    layout = Layout(directory)
    command = [sys.executable, "-m", "lava.cli", "up", "--data-dir", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().removeprefix("ready: ").strip()
        yield Client(url, layout.token.read_text().strip()), layout
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def first_line(log: bytes) -> float:
    """Return when the first line of a log was written, in seconds since the epoch."""
    record = json.loads(log.splitlines()[0][2:])
    return datetime.fromisoformat(record["dt"]).timestamp()


def submitted(client: Client) -> float:
    """Submit, wait for the end, return the milliseconds from the call to the first line."""
    before = time.time()
    job = str(client.call("scheduler.jobs.submit", JOB))
    while client.call("scheduler.jobs.show", job)["state"] != "Finished":
        time.sleep(0.02)
    _, log = client.call("scheduler.jobs.logs", job)
    return (first_line(bytes(log)) - before) * 1000


def trivial_call(client: Client) -> float:
    before = time.time()
    client.call("system.version")
    return (time.time() - before) * 1000


def bare_run(layout: Layout, directory: Path) -> float:
    """Start ``lava-run`` of the same job by hand; return the milliseconds until its first line."""
    output = Path(tempfile.mkdtemp(dir=directory))
    (output / "job.yaml").write_text(JOB)
    render = [
        sys.executable,
        "-m",
        "lava.cli",
        "device",
        "render",
        "--dictionary",
        str(layout.devices / "qemu-01.jinja2"),
    ]
    (output / "device.yaml").write_bytes(subprocess.run(render, check=True, capture_output=True).stdout)
    command = [sys.executable, "-m", "lava.dispatcher.main", "--job-id", "1", "--output-dir", str(output), "--quiet"]
    command += ["--device", str(output / "device.yaml"), "--skip-sudo-warning", str(output / "job.yaml")]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(directory / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = time.time()
    subprocess.run(command, env=environment, check=False, capture_output=True)
    return (first_line((output / "logs.yaml").read_bytes()) - before) * 1000


def measure(name: str, directory: Path, database: str | None, runs: int) -> None:
    with instance(directory, database) as (client, layout):
        submitted(client)  # warms up
        figures = [submitted(client) for _ in range(runs)]
        calls = [trivial_call(client) for _ in range(runs)]
        bare = [bare_run(layout, directory.parent) for _ in range(5)]
    print(f"{name}, {runs} submissions")
    print(f"  trivial call                  {statistics.median(calls):7.1f} ms")
    print(f"  bare lava-run to first line   {statistics.median(bare):7.1f} ms   (the limit is the sum of the two)")
    print(
        f"  submission to first line      {statistics.median(figures):7.1f} ms   goal: at most {GOAL_MILLISECONDS} ms"
    )
    print(f"  slowest                       {max(figures):7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        measure("SQLite", directory / "sqlite", None, runs)
        with postgresql(directory) as address:
            measure("PostgreSQL", directory / "postgresql", address, runs)


if __name__ == "__main__":
    main()
