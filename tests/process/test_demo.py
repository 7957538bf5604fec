"""``make demo``: what a newcomer sees, on the real virtual machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lava.cli.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("instance")]

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "examples" / "qemu-smoke.yaml"


def demo(data: Path, *options: str, job: Path = SMOKE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lava.cli", "demo", "--data-dir", str(data), "--job", str(job), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_the_job_is_followed_and_the_instance_stopped(tmp_path: Path) -> None:
    """R1, R110: both daemons on one machine, and nothing of V1."""
    done = demo(tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout  # not a terminal
    *_, address, closing = done.stdout.splitlines()
    assert closing == "job 1: Complete, 7 passed, 1 failed"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/scheduler/job/1", address)
    assert "Linux version" in done.stdout
    assert re.search(r"^0_smoke +boot-time +pass +[\d.]+ seconds$", done.stdout, re.MULTILINE)
    assert re.search(r"^0_smoke +files/fails-on-purpose +fail *$", done.stdout, re.MULTILINE)
    assert not psutil.pid_exists(int((tmp_path / "data" / "pid").read_text()))


def test_a_kept_instance_says_how_to_go_on_and_is_not_run_over(tmp_path: Path) -> None:
    data = tmp_path / "data"
    kept = demo(data, "--keep")
    pid = int((data / "pid").read_text())
    try:
        assert kept.returncode == 0, kept.stderr
        assert f"stop:    kill {pid}" in kept.stderr
        assert (data / "admin.password").read_text().strip() in kept.stderr
        client = Client((data / "url").read_text().strip(), (data / "admin.token").read_text().strip())
        assert client.call("scheduler.jobs.show", "1")["health"] == "Complete"
        again = demo(data)
        assert again.returncode == 2
        assert f"stop it with: kill {pid}" in again.stderr
        assert client.call("system.whoami") == "admin"
    finally:
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGTERM)
        process.wait(30)


def test_a_job_that_fails_is_the_exit_status(tmp_path: Path) -> None:
    done = demo(tmp_path / "data", job=ROOT / "examples" / "qemu-panic.yaml")
    assert done.returncode == 1
    assert "Kernel panic" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("job 1: Incomplete, ")
    assert "Traceback" not in done.stdout + done.stderr


def test_a_job_that_is_refused_is_told_with_its_faults(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(SMOKE.read_text().replace("device_type: qemu", "device_type: qmeu"))
    done = demo(tmp_path / "data", job=job)
    assert done.returncode == 2
    assert "qmeu" in done.stderr
    assert "Traceback" not in done.stderr
