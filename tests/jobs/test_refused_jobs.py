"""Jobs that nothing can be done for: each ends in one clear message, the right class of error, and a result."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow  # each test is a process of its own

Pretend = Callable[[str], None]
RunJob = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "job_name: [unclosed\nactions: x\n",
            ["job.yaml is refused:", "not YAML", "(line 2, column 8); check the quotes"],
        ),
        (b"\xff\xfe\x00job", ["job.yaml: is not UTF-8 text (byte 0)"]),
        ("", ["a job definition is a mapping, not nothing"]),
        ("- deploy\n", ["a job definition is a mapping, not a list"]),
        ("just words\n", ["a job definition is a mapping, not the text 'just words'"]),
        ("a: &a [*a]\n", ["job.yaml is refused:"]),
        ("job_name: x\n", ["actions: required", "timeouts", "visibility"]),
    ],
)
def test_what_is_no_job(run_job: RunJob, text: str | bytes, parts: list[str]) -> None:
    outcome = run_job(text)
    outcome.failed("Job", *parts)
    assert outcome.cases("lava") == [("validate", "fail"), ("job", "fail")]
    assert outcome.log[0]["msg"].startswith("lava-dispatcher, installed at version: ")
    assert outcome.stderr == ""


def test_every_fault_is_told_with_its_place(run_job: RunJob, job: dict[str, Any]) -> None:
    text = yaml.safe_dump({**job, "actions": []}, sort_keys=False).replace("actions: []\n", "")
    text += "actions:\n- deploy: {to: tmpsf, images: {}}\n- boot: {method: qemuu, prompts: 5}\n- tset: {}\nnope: 1\n"
    outcome = run_job(text)
    first = text.splitlines().index("- deploy: {to: tmpsf, images: {}}") + 1
    outcome.failed(
        "Job",
        f"actions[0].deploy.to: unknown method 'tmpsf' (line {first}, column 12); did you mean 'tmpfs'?",
        f"actions[1].boot.method: unknown method 'qemuu' (line {first + 1}, column 10); did you mean 'qemu'?",
        f"actions[2].tset: unknown kind of action (line {first + 2}, column 3); did you mean 'test'?",
        f"nope: unknown key (line {first + 3}, column 1)",
    )


def test_a_method_that_this_version_does_not_have(run_job: RunJob, job: dict[str, Any]) -> None:
    job["actions"] = [{"deploy": {"to": "fastboot", "images": {"boot": {"url": "http://x/y"}}}}]
    run_job().failed(
        "Job",
        "actions[0].deploy: nothing can run deploy with 'fastboot' on this device:",
        "this version does not support it yet; it supports: downloads, overlay, tmpfs",
    )


def test_a_method_that_the_device_does_not_have(
    run_job: RunJob, job: dict[str, Any], device: dict[str, Any], deploy: dict[str, Any], boot: dict[str, Any]
) -> None:
    device["actions"]["boot"]["methods"] = {"minimal": None}
    job["actions"] = [deploy, boot]
    run_job().failed("Job", "actions[1].boot: nothing can run boot with 'qemu'", "the device has no boot method 'qemu'")


def test_a_boot_without_anything_deployed(run_job: RunJob, job: dict[str, Any], boot: dict[str, Any]) -> None:
    job["actions"] = [boot]
    run_job().failed("Job", "1.1.1 execute-qemu: needs Downloads", "is a deploy or boot block missing before it?")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["device.yaml: the device configuration is empty: has the device a dictionary?"]),
        ("- a\n", ["device.yaml: the device configuration must be a mapping, not a list"]),
        ("a: [\n", ["device.yaml"]),
        ("hostname: x\n", ["constants: required", "actions.boot.methods: required"]),
    ],
)
def test_a_bad_device_is_the_admins_fault(
    run_job: RunJob, job: dict[str, Any], deploy: dict[str, Any], text: str, parts: list[str]
) -> None:
    job["actions"] = [deploy]
    run_job(configuration=text).failed("Configuration", *parts)


def test_a_device_file_that_is_not_there(run_job: RunJob, job: dict[str, Any], deploy: dict[str, Any]) -> None:
    job["actions"] = [deploy]
    run_job(None, "--device", "/no/device.yaml").failed(
        "Configuration", "/no/device.yaml: cannot be read: No such file or directory"
    )


class TestImages:
    """Images that are not what the job says."""

    @pytest.fixture(autouse=True)
    def blocks(self, job: dict[str, Any], deploy: dict[str, Any], boot: dict[str, Any], pretend: Pretend) -> None:
        pretend("echo started >&2; sleep 60")
        job["actions"] = [deploy, boot]

    @pytest.fixture
    def image(self, deploy: dict[str, Any]) -> dict[str, Any]:
        image = deploy["deploy"]["images"]["kernel"]
        assert isinstance(image, dict)
        return image

    def test_a_missing_one_is_found_before_anything_runs(
        self, run_job: RunJob, image: dict[str, Any], tmp_path: Path
    ) -> None:
        image["url"] = f"file://{tmp_path}/none"
        outcome = run_job()
        outcome.failed("Job", "Invalid job data: ['1.1.1 file-download: ", "/none: there is no such file on the worker")
        assert outcome.cases("lava") == [("validate", "fail"), ("job", "fail")]
        assert "start: 1 deployimages" not in outcome.text("info")

    @pytest.mark.slow
    def test_one_that_no_server_has(self, run_job: RunJob, image: dict[str, Any]) -> None:
        image["url"] = "http://127.0.0.1:1/image"
        # Nothing listens there; the pauses between the questions take a while.
        run_job().failed("Job", "1.1.1 http-download: http://127.0.0.1:1/image: Connection refused")

    def test_a_placeholder_that_the_device_does_not_know(self, run_job: RunJob, image: dict[str, Any]) -> None:
        image["url"] = "{GUEST}/vmlinuz"
        run_job().failed("Job", "the device's static_info does not say what {GUEST} is")

    def test_a_wrong_checksum_names_both(self, run_job: RunJob, image: dict[str, Any]) -> None:
        image["sha256sum"] = "0" * 64
        outcome = run_job()
        real = hashlib.sha256(b"kernel").hexdigest()
        outcome.failed("Job", f"sha256sum does not match: the job says {'0' * 64}, the file has {real}")
        assert ("file-download", "fail") in outcome.cases("lava")
        assert "execute-qemu" not in outcome.text("debug")

    @pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zstd"])
    def test_one_that_does_not_decompress(self, run_job: RunJob, image: dict[str, Any], compression: str) -> None:
        image["compression"] = compression
        run_job().failed("Job", f"cannot decompress it as '{compression}'", "is 'compression' right")

    def test_one_that_was_cut(self, run_job: RunJob, image: dict[str, Any], tmp_path: Path) -> None:
        cut = tmp_path / "cut.gz"
        cut.write_bytes(gzip.compress(bytes(100_000))[:-20])
        image.update({"url": cut.as_uri(), "compression": "gz"})
        run_job().failed("Job", "/cut.gz: cannot decompress it as 'gz': it ends too early")

    def test_the_attempts_are_told(self, run_job: RunJob, image: dict[str, Any], deploy: dict[str, Any]) -> None:
        image["md5sum"] = "0" * 32
        deploy["deploy"]["failure_retry"] = 2
        outcome = run_job()
        outcome.failed("Job", "md5sum does not match")
        assert outcome.cases("lava").count(("file-download", "fail")) == 2
        assert "1.1 download-retry failed: 2 of 2 attempts" in outcome.text("error")


def test_qemu_is_not_installed(
    run_job: RunJob,
    job: dict[str, Any],
    device: dict[str, Any],
    deploy: dict[str, Any],
    boot: dict[str, Any],
    tmp_path: Path,
) -> None:
    device["actions"]["boot"]["methods"]["qemu"]["parameters"]["command"] = "qemu-system-x86_64"
    job["actions"] = [deploy, boot]
    (tmp_path / "bin").mkdir()
    outcome = run_job(environment={"PATH": str(tmp_path / "bin")})
    outcome.failed(
        "Infrastructure",
        "'qemu-system-x86_64' is not installed on the worker: on Debian, install the package qemu-system for it",
    )
    assert "start: 1 deployimages" not in outcome.text("info")


def test_an_architecture_that_the_device_does_not_know(
    run_job: RunJob,
    job: dict[str, Any],
    deploy: dict[str, Any],
    boot: dict[str, Any],
    pretend: Pretend,
) -> None:
    pretend("sleep 60")
    job["actions"] = [deploy, boot]
    job["context"]["arch"] = "am64"
    run_job(None, "--validate").failed("Job", "context.arch 'am64' is unknown to the device; did you mean 'amd64'?")
