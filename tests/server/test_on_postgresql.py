"""The server's tests once more, on PostgreSQL: a cluster of its own, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: directories of tests that talk to the database
SUITES = ["tests/server", "tests/master"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("postgresql")]


def binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Address of a running server."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: /usr/lib/postgresql/*/bin/initdb")
    # Not below pytest's own directory, which the server's user may not enter.
    directory = Path(tempfile.mkdtemp(prefix="lava-postgresql-"))
    become: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)
        become = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    cluster = directory / "cluster"
    made = subprocess.run(
        [*become, str(programs / "initdb"), "-D", str(cluster), "-U", "lava", "-A", "trust", "-E", "UTF8"],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert made.returncode == 0, made.stderr
    options = ["-k", str(cluster), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [*become, str(programs / "postgres"), "-D", str(cluster), *options], stdout=log, stderr=log, cwd="/"
        )
    try:
        ready = [str(programs / "pg_isready"), "-h", str(cluster), "-U", "lava"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
            assert server.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)
        yield f"postgres://lava@/postgres?host={cluster}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
        shutil.rmtree(directory)


def test_the_same_tests_pass_on_postgresql(database: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-n", "0", "-m", "not slow", *SUITES]
    environment = {**os.environ, "LAVA_TEST_DATABASE": database}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
