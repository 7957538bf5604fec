"""``lava up``: what others script against, and what users do wrong."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lava.cli.client import Client, ClientError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("instance")]

#: boots nothing: its image is not there
BAD_JOB = """
job_name: no image
device_type: qemu
visibility: public
priority: medium
context: {arch: amd64}
timeouts: {job: {minutes: 3}, action: {minutes: 2}, connection: {seconds: 60}}
actions:
- deploy: {to: tmpfs, images: {rootfs: {url: "file:///no/such/image", image_arg: "-drive file={rootfs}"}}}
"""
#: waits for a prompt that never comes
LONG_JOB = """
job_name: waits
device_type: qemu
visibility: public
priority: medium
context: {arch: amd64}
timeouts: {job: {minutes: 3}, action: {minutes: 2}, connection: {seconds: 120}}
actions:
- deploy:
    to: tmpfs
    images:
      kernel: {url: "{GUEST}/vmlinuz", image_arg: '-kernel {kernel} -append "console=ttyS0,115200"'}
- boot: {method: qemu, media: tmpfs, prompts: [never]}
"""


def up(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lava.cli", "up", *options], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_token_is_for_the_owner_alone(instance: Any) -> None:
    assert stat.S_IMODE(os.stat(instance.layout.token).st_mode) == 0o600
    assert instance.client.call("system.whoami") == "admin"


def test_a_wrong_token_is_refused(instance: Any) -> None:
    with pytest.raises(ClientError, match="refuses the token"):
        Client(instance.client.url, "wrong").call("system.whoami")


def test_a_second_instance_on_the_directory_is_refused(instance: Any) -> None:
    second = up("--data-dir", str(instance.layout.root))
    assert second.returncode == 1
    assert second.stderr == (
        f"lava up: an instance already runs in {instance.layout.root}; stop it, or choose another --data-dir\n"
    )
    assert instance.answers()


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = up("--data-dir", str(tmp_path), "--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"lava up: port {port} is in use; choose another --port")
    assert "Traceback" not in refused.stderr


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = up("--data-dir", str(tmp_path / "file"))
    assert refused.returncode == 1
    assert refused.stderr.endswith("choose another --data-dir\n")
    assert "Traceback" not in refused.stderr


def test_a_missing_image_ends_the_job_and_frees_the_device(instance: Any) -> None:
    job = instance.submit(BAD_JOB)
    ended = instance.wait_for_end(job)
    assert ended["health"] == "Incomplete"
    log = instance.log(job)
    assert "/no/such/image" in log
    assert "Traceback" not in log
    assert instance.client.call("scheduler.devices.show", "qemu-01")["state"] == "Idle"


def test_a_running_job_is_canceled(instance: Any) -> None:
    job = instance.submit(LONG_JOB)
    instance.wait_for(lambda: "Run /init" in instance.log(job) or "Linux version" in instance.log(job), "the kernel")
    instance.client.call("scheduler.jobs.cancel", job)
    assert instance.wait_for_end(job)["health"] == "Canceled"
    assert instance.client.call("scheduler.devices.show", "qemu-01")["state"] == "Idle"


def test_sigterm_stops_it_and_its_jobs_and_everything_is_there_again(start: Any, tmp_path: Path) -> None:
    first = start(tmp_path / "data")
    token = first.layout.token.read_text()
    job = first.submit(LONG_JOB)
    first.wait_for(lambda: "Linux version" in first.log(job), "the kernel")
    assert first.stop() == 0, first.said()
    assert not first.layout.url.exists()
    log = next(first.layout.root.glob("media/job-output/**/output.yaml")).read_text()
    second = start(tmp_path / "data")
    assert second.layout.token.read_text() == token
    assert second.wait_for_end(job)["health"] == "Incomplete"
    assert second.log(job).startswith(log)
    assert second.client.call("scheduler.devices.show", "qemu-01")["state"] == "Idle"
    assert second.stop() == 0


def test_killed_it_comes_up_again_with_all_data(start: Any, tmp_path: Path) -> None:
    first = start(tmp_path / "data")
    job = first.submit(BAD_JOB)
    ended = first.wait_for_end(job)
    log = first.log(job)
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second = start(tmp_path / "data")
    assert second.show(job) == ended
    assert second.log(job) == log
    another = second.submit(BAD_JOB)
    assert int(another) == int(job) + 1
    assert second.wait_for_end(another)["health"] == "Incomplete"
