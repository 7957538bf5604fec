"""lavacli as it comes from its package, against a whole instance."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lava import __version__

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.xdist_group("instance")]

#: runs until its image is not found
JOB = """
# a comment
job_name: for lavacli
device_type: qemu
visibility: public
priority: medium
context: {arch: amd64}
timeouts: {job: {minutes: 3}, action: {minutes: 2}, connection: {seconds: 60}}
actions:
- deploy: {to: tmpfs, images: {rootfs: {url: "file:///no/such/image", image_arg: "-drive file={rootfs}"}}}
"""

Lavacli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lavacli(instance: Any, tmp_path_factory: pytest.TempPathFactory) -> Lavacli:
    """Run lavacli as the admin of the instance."""
    home = tmp_path_factory.mktemp("home")
    configuration = home / "lavacli.yaml"
    token = instance.layout.token.read_text().strip()
    configuration.write_text(
        f"default:\n  uri: {instance.client.url}/RPC2\n  username: admin\n  token: {token}\n"
        f"anonymous:\n  uri: {instance.client.url}/RPC2\n"
        f"wrong:\n  uri: {instance.client.url}/RPC2\n  username: admin\n  token: wrong\n"
    )
    program = Path(sys.executable).parent / "lavacli"

    def run(*words: str, identity: str = "default") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "HOME": str(home)}
        return subprocess.run(
            [str(program), "-i", identity, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def job_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jobs") / "job.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture(scope="module")
def ended(lavacli: Lavacli, job_file: Path) -> str:
    """A job that was submitted and waited for by lavacli."""
    job = good(lavacli("jobs", "submit", str(job_file))).strip()
    good(lavacli("jobs", "wait", job, "--polling", "1"))
    return job


def good(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_system(lavacli: Lavacli) -> None:
    assert good(lavacli("system", "version")).strip() == __version__
    assert good(lavacli("system", "whoami")).strip() == "admin"
    assert good(lavacli("system", "api")).strip() == "2"
    assert good(lavacli("system", "methods", "list")).count("\n") > 20


def test_a_job_is_submitted_waited_for_and_shown(lavacli: Lavacli, ended: str) -> None:
    shown = good(lavacli("jobs", "show", ended))
    assert "description : for lavacli" in shown
    assert "state       : Finished" in shown
    assert "Health      : Incomplete" in shown
    assert f"* {ended}: Finished,Incomplete [admin] (for lavacli)" in good(lavacli("jobs", "list"))
    assert good(lavacli("jobs", "definition", ended)).strip() == JOB.strip()


def test_logs_and_results(lavacli: Lavacli, ended: str) -> None:
    log = good(lavacli("jobs", "logs", ended))
    assert "start: 0 validate" in log
    assert "/no/such/image" in log
    assert "start: 0 validate" in good(lavacli("jobs", "logs", ended, "--raw"))
    assert "* lava.job [fail]" in good(lavacli("results", ended))
    assert "lava" in good(lavacli("results", ended, "lava"))


def test_validation(lavacli: Lavacli, job_file: Path, tmp_path: Path) -> None:
    good(lavacli("jobs", "validate", str(job_file)))
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(JOB.replace("deploy:", "depoy:"))
    refused = lavacli("jobs", "validate", str(wrong))
    assert refused.returncode != 0
    assert "did you mean 'deploy'" in refused.stdout + refused.stderr
    refused = lavacli("jobs", "submit", str(wrong))
    assert refused.returncode != 0
    assert "did you mean 'deploy'" in refused.stdout + refused.stderr


def test_a_waiting_job_is_canceled(lavacli: Lavacli, job_file: Path, instance: Any) -> None:
    good(lavacli("devices", "update", "qemu-01", "--health", "MAINTENANCE"))
    try:
        job = good(lavacli("jobs", "submit", str(job_file))).strip()
        assert job in good(lavacli("jobs", "queue"))
        good(lavacli("jobs", "cancel", job))
        assert "Canceled" in good(lavacli("jobs", "show", job))
    finally:
        good(lavacli("devices", "update", "qemu-01", "--health", "GOOD"))


def test_the_lab(lavacli: Lavacli) -> None:
    assert "* qemu-01 (qemu): Idle,Good" in good(lavacli("devices", "list"))
    assert "name        : qemu-01" in good(lavacli("devices", "show", "qemu-01"))
    assert "* localhost" in good(lavacli("workers", "list"))
    assert "hostname    : localhost" in good(lavacli("workers", "show", "localhost"))
    assert "* qemu" in good(lavacli("device-types", "list"))
    assert "qemu-system" in good(lavacli("devices", "dict", "get", "qemu-01", "--render"))


def test_strangers(lavacli: Lavacli, job_file: Path) -> None:
    assert good(lavacli("jobs", "list", identity="anonymous"))
    refused = lavacli("jobs", "submit", str(job_file), identity="anonymous")
    assert refused.returncode != 0
    assert "needs a user" in refused.stdout + refused.stderr
    refused = lavacli("system", "whoami", identity="wrong")
    assert refused.returncode != 0
    assert "401" in refused.stdout + refused.stderr or "Unauthorized" in refused.stdout + refused.stderr
