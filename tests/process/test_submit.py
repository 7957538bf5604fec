"""``lava submit``: what scripts read of it: the id first, the closing line last, the exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("instance")]

ROOT = Path(__file__).parents[2]
NO_IMAGE = """
job_name: no image
device_type: qemu
visibility: public
context: {arch: amd64}
timeouts: {job: {minutes: 3}, action: {minutes: 2}}
actions:
- deploy: {to: tmpfs, images: {rootfs: {url: "file:///no/such/image", image_arg: "-drive file={rootfs}"}}}
"""


def submit(instance: Any, file: Path, *options: str, token: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lava.cli", "submit", str(file), "--url", instance.client.url]
    command += ["--token-file", str(token or instance.layout.token), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def no_image(tmp_path: Path) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(NO_IMAGE)
    return file


def test_the_id_alone(instance: Any, no_image: Path) -> None:
    done = submit(instance, no_image)
    assert (done.returncode, done.stderr) == (0, "")
    assert instance.wait_for_end(done.stdout.strip())["health"] == "Incomplete"


def test_followed_to_a_complete_end(instance: Any) -> None:
    done = submit(instance, ROOT / "examples" / "qemu-smoke.yaml", "--follow")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    job, *_, closing = done.stdout.splitlines()
    assert closing == f"job {job}: Complete, 7 passed, 1 failed"


def test_followed_to_another_end(instance: Any, no_image: Path) -> None:
    done = submit(instance, no_image, "--follow")
    assert done.returncode == 1
    job, *_, closing = done.stdout.splitlines()
    assert closing == f"job {job}: Incomplete, 0 passed, 0 failed"
    assert "Job error: Invalid job data: " in done.stdout
    assert "/no/such/image: there is no such file on the worker" in done.stdout


def test_a_job_that_is_refused(instance: Any, no_image: Path) -> None:
    no_image.write_text(NO_IMAGE.replace("to: tmpfs", "to: tmpsf").replace("device_type: qemu", "device_type: qmeu"))
    done = submit(instance, no_image)
    assert (done.returncode, done.stdout) == (2, "")
    assert "actions[0].deploy.to: unknown method 'tmpsf' (line 8, column 12); did you mean 'tmpfs'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_device_type(instance: Any, no_image: Path) -> None:
    no_image.write_text(NO_IMAGE.replace("device_type: qemu", "device_type: qmeu"))
    done = submit(instance, no_image)
    assert (done.returncode, done.stdout) == (2, "")
    assert "qmeu" in done.stderr
    assert "did you mean 'qemu'?" in done.stderr


def test_a_wrong_token(instance: Any, no_image: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong\n")
    done = submit(instance, no_image, token=tmp_path / "token")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"lava submit: {instance.client.url} refuses the token: check the file or value that you gave\n"
    )


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read"), (b"\xff", "is not UTF-8 text (byte 0)")])
def test_a_file_that_is_none(instance: Any, tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "job.yaml"
    if content is not None:
        file.write_bytes(content)
    done = submit(instance, file)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
