"""Whole instances in processes of their own, as ``lava up`` starts them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from lava.cli.client import Client, ClientError
from lava.embedded.layout import Layout

PATIENCE_SECONDS = 60.0


@dataclass
class Instance:
    """A running ``lava up``."""

    process: subprocess.Popen[str]
    layout: Layout
    client: Client

    def daemon(self, name: str) -> psutil.Process:
        """Return the running daemon: ``web``, ``master`` or ``slave``."""
        mark = {"web": "uvicorn", "master": "lava.master.main", "slave": "lava.slave.main"}[name]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for child in psutil.Process(self.process.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if mark in child.cmdline():
                        return child
            time.sleep(0.05)
        raise AssertionError(f"no {name} runs")

    @staticmethod
    def wait_for(condition: Callable[[], object], what: str, patience: float = PATIENCE_SECONDS) -> None:
        """Return when the condition holds; fail with ``what`` when it never does."""
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, f"waited {patience:.0f} s for: {what}"
            time.sleep(0.05)

    def submit(self, text: str) -> str:
        return str(self.client.call("scheduler.jobs.submit", text))

    def show(self, job: str) -> dict[str, object]:
        shown = self.client.call("scheduler.jobs.show", job)
        assert isinstance(shown, dict)
        return shown

    def results(self, job: str) -> list[dict[str, object]]:
        """Return the job's results, as the clients read them."""
        listed = yaml.safe_load(self.client.call("results.get_testjob_results_yaml", job))
        assert isinstance(listed, list)
        return listed

    def answers(self) -> bool:
        """Return whether the web server serves."""
        try:
            self.client.call("system.version")
        except ClientError:
            return False
        return True

    def log(self, job: str) -> str:
        """Return what is stored of the job's log."""
        _, data = self.client.call("scheduler.jobs.logs", job)
        return bytes(data).decode()

    def wait_for_end(self, job: str) -> dict[str, object]:
        self.wait_for(lambda: self.show(job)["state"] == "Finished", f"the end of job {job}", 90)
        return self.show(job)

    def stop(self) -> int:
        """Stop it as a service manager does; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        """Return what the instance and its daemons wrote."""
        files = [self.layout.root / "up.log", *sorted(self.layout.logs.glob("*.log"))]
        return "\n".join(f"--- {file.name}\n{file.read_text()}" for file in files if file.exists())


Start = Callable[[Path], Instance]


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Start an instance in a directory; all are stopped at the end."""
    running: list[Instance] = []

    def start_instance(directory: Path) -> Instance:
        directory.mkdir(exist_ok=True)
        with (directory / "up.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lava.cli", "up", "--data-dir", str(directory)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        ready = re.fullmatch(r"ready: (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        process.stdout.close()
        if ready is None:
            process.kill()
            process.wait()
            raise AssertionError((directory / "up.log").read_text())
        layout = Layout(directory)
        instance = Instance(process, layout, Client(ready[1], layout.token.read_text().strip()))
        running.append(instance)
        return instance

    yield start_instance
    for instance in running:
        if instance.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                instance.stop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(instance.process.pid, signal.SIGKILL)
        instance.process.wait()


@pytest.fixture(scope="module")
def instance(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Instance:
    """One instance for the tests of a module."""
    return start(tmp_path_factory.mktemp("instance"))
