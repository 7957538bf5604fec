"""A PostgreSQL server of the test's own, which can be killed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from .daemons import end_with_parent, wait_for


def programs() -> Path | None:
    """Return where PostgreSQL's programs are, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


class PostgreSQL:
    """A cluster in a directory that the server's user may enter, and that is gone afterwards."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        self._directory = Path(tempfile.mkdtemp(prefix="lava-postgresql-"))
        self._cluster = self._directory / "cluster"
        self._become: list[str] = []
        self._server: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:  # the server refuses to run as root
            owner = pwd.getpwnam("postgres")
            os.chown(self._directory, owner.pw_uid, owner.pw_gid)
            self._become = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
            self._become += ["--pdeathsig", "INT"]  # the change of user has cleared it
        command = [*self._become, str(found / "initdb"), "-D", str(self._cluster), "-U", "lava", "-A", "trust"]
        made = subprocess.run([*command, "-E", "UTF8"], capture_output=True, text=True, cwd="/", check=False)
        assert made.returncode == 0, made.stderr
        self.address = f"postgres://lava@/postgres?host={self._cluster}"
        self.start()

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start the server, unless it runs; return when it answers."""
        if self.running:
            return
        options = ["-k", str(self._cluster), "-c", "listen_addresses=", "-c", "fsync=off"]
        command = [*self._become, str(self._programs / "postgres"), "-D", str(self._cluster), *options]
        for _ in range(50):
            with (self._directory / "log").open("ab") as log:
                server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", preexec_fn=end_with_parent)
            self._server = server
            wait_for(lambda server=server: self.answers() or server.poll() is not None, "PostgreSQL")
            if server.poll() is None:
                return
            time.sleep(0.1)  # what a killed server left is not gone yet
        raise AssertionError((self._directory / "log").read_text()[-2000:])

    def answers(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._cluster), "-U", "lava"]
        return subprocess.run(ready, check=False).returncode == 0

    def stop(self, number: signal.Signals) -> None:
        """Stop it: SIGINT ends all connections, SIGQUIT does so without saving, SIGKILL kills every process."""
        server = self._server
        if server is None or server.poll() is not None:
            return
        processes = psutil.Process(server.pid).children() if number is signal.SIGKILL else []
        server.send_signal(number)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait(30)

    def close(self) -> None:
        self.stop(signal.SIGINT)
        shutil.rmtree(self._directory)
