"""What is installed from the wheel: a worker needs no server; nothing is left behind in the sources."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from lava.guest import build, default_cache, kvm_works

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("install")]

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*words: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not UV.exists():
        pytest.skip("uv is not in this virtual environment: tools/setup puts it there")
    directory = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", directory)
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module")
def worker(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a base install, with the versions of the lock file."""
    directory = tmp_path_factory.mktemp("worker")
    venv.create(directory / "venv", symlinks=True)
    versions = directory / "requirements.txt"
    versions.write_text(run(UV, "export", "--quiet", "--frozen", "--no-emit-project", "--no-hashes"))
    python = directory / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "-r", versions, wheel)
    return python.parent


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "src/lava"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    wanted = {name.removeprefix("src/") for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as packed:
        assert wanted <= set(packed.namelist())


def test_a_worker_has_no_web_framework_and_no_database_driver(worker: Path) -> None:
    """R7, R21."""
    listed = run(UV, "pip", "list", "--quiet", "--format=freeze", "--python", worker / "python")
    names = {line.split("==")[0].split(" ")[0].lower() for line in listed.splitlines()}
    assert {"lava", "pyzmq", "pydantic", "jinja2", "pyyaml"} <= names
    assert not names & {"django", "psycopg", "uvicorn", "whitenoise"}


def test_a_worker_says_that_the_server_is_not_installed(worker: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [worker / "lava", "up", "--data-dir", tmp_path], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == "lava up: the server is not installed; install it with: pip install 'lava[server]'\n"


def test_a_worker_runs_a_job(worker: Path, tmp_path: Path) -> None:
    """R7, R18, R19, R21: without the server, and without anything that is only recommended."""
    guest = build(default_cache())
    dictionary = tmp_path / "qemu-01.jinja2"
    lines = ["{% extends 'qemu.jinja2' %}", "{% set static_info = [{'GUEST': '" + guest.as_uri() + "'}] %}"]
    if not kvm_works(guest):
        lines.append("{% set no_kvm = True %}")
    dictionary.write_text("\n".join(lines) + "\n")
    device = tmp_path / "device.yaml"
    device.write_text(run(worker / "lava", "device", "render", "--dictionary", dictionary, cwd=tmp_path))
    settings = tmp_path / "dispatcher.yaml"
    settings.write_text(f"dispatcher_download_dir: {tmp_path}/scratch\ndispatcher_ip: 127.0.0.1\n")
    output = tmp_path / "output"
    done = subprocess.run(
        [
            *(worker / "lava-run", "--job-id", "1", "--output-dir", output, "--device", device),
            *("--dispatcher", settings, ROOT / "examples" / "qemu-raise.yaml"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    verdict = yaml.safe_load((output / "result.yaml").read_text())
    assert (verdict["result"], verdict["error_type"]) == ("fail", "Test")
    assert "no camera is attached" in verdict["error_msg"]
