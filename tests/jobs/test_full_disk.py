"""A worker whose disk is full: the lab's fault, said clearly, and no half file: dispatcher specification 1.2, 6.3."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.model.logline import decode

pytestmark = pytest.mark.slow  # each test is a process of its own

FULL = "No space left on device"
PROMPT = "root@guest:~# "
RunJob = Callable[..., Any]
MEGABYTE = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Make a file system of two megabytes at a place below the test's directory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted: list[Path] = []

    def mount(name: str) -> Path:
        place = tmp_path / name
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def blocks(job: dict[str, Any], deploy: dict[str, Any], boot: dict[str, Any]) -> None:
    job["actions"] = [deploy, boot]


def check_files(output: Path) -> None:
    """Assert that what is there is whole, and that nothing else is there."""
    files = {path.name for path in output.iterdir()}
    assert "logs.yaml" in files
    assert files <= {"logs.yaml", "description.yaml", "result.yaml", "fill"}
    log = (output / "logs.yaml").read_bytes()
    assert log == b"" or log.endswith(b"\n")
    for line in log.splitlines():
        decode(line)
    if "result.yaml" in files:
        verdict = yaml.safe_load((output / "result.yaml").read_text())
        assert (verdict["result"], verdict["error_type"]) == ("fail", "Infrastructure")
        assert "the worker cannot write the job's log: " in verdict["error_msg"]


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


class TestLog:
    """The disk of the log is full: nothing can be told there, so standard error tells it."""

    FLOOD = f"echo 'Linux version 6.1'; yes {'flood' * 100}"

    def check(self, outcome: Any, power: Path, reason: str) -> None:
        assert outcome.status == 1
        assert len(power.read_text().splitlines()) == 1
        lines = outcome.stderr.splitlines()
        assert lines[0] == f"lava-run: cannot write the log of job 42: {reason}"
        assert len(lines) <= 2
        assert all(line.startswith("lava-run: cannot write ") for line in lines)
        check_files(outcome.output)

    def test_filled_by_the_console(
        self,
        run_job: RunJob,
        blocks: None,
        pretend: Callable[[str], None],
        power: Path,
        small_disk: Callable[[str], Path],
    ) -> None:
        pretend(self.FLOOD)
        outcome = run_job(output=small_disk("output"))
        self.check(outcome, power, FULL)
        assert (outcome.output / "logs.yaml").stat().st_size > MEGABYTE

    def test_filled_by_the_console_up_to_a_limit(
        self, run_job: RunJob, blocks: None, pretend: Callable[[str], None], power: Path
    ) -> None:
        """As anybody, without a file system of its own."""
        pretend(self.FLOOD)
        outcome = run_job(
            before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE)),
        )
        self.check(outcome, power, "File too large")
        assert (outcome.output / "result.yaml").exists()

    def test_full_before_the_job_starts(
        self,
        run_job: RunJob,
        blocks: None,
        pretend: Callable[[str], None],
        power: Path,
        small_disk: Callable[[str], Path],
    ) -> None:
        pretend("sleep 60")
        output = small_disk("output")
        fill(output / "fill")
        outcome = run_job(output=output)
        assert outcome.status == 1
        assert outcome.stderr.splitlines() == [
            f"lava-run: cannot write the log of job 42: {FULL}",
            f"lava-run: cannot write {output}/result.yaml: {FULL}",
        ]
        assert power.read_text() == ""  # nothing was begun
        assert {path.name: path.stat().st_size for path in output.iterdir() if path.name != "fill"} == {"logs.yaml": 0}

    def test_a_directory_that_cannot_be_written(self, run_job: RunJob, blocks: None, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        outcome = run_job(output=tmp_path / "file")
        assert outcome.status == 1
        assert outcome.stderr == f"lava-run: cannot write into {tmp_path}/file: File exists\n"


class TestScratch:
    """The disk of the temporary files is full: the log tells it."""

    @pytest.fixture(autouse=True)
    def scratch(self, small_disk: Callable[[str], Path]) -> Path:
        return small_disk("scratch")

    def test_an_image_that_does_not_fit(
        self, run_job: RunJob, blocks: None, pretend: Callable[[str], None], power: Path, scratch: Path, tmp_path: Path
    ) -> None:
        pretend("sleep 60")
        (tmp_path / "image.bin").write_bytes(bytes(3 * MEGABYTE))
        outcome = run_job()
        outcome.failed("Infrastructure", FULL)
        assert len(power.read_text().splitlines()) == 1
        assert [*scratch.iterdir()] == []

    @pytest.mark.slow
    def test_tests_that_do_not_fit(
        self,
        run_job: RunJob,
        job: dict[str, Any],
        device: dict[str, Any],
        deploy: dict[str, Any],
        boot: dict[str, Any],
        pretend: Callable[[str], None],
        scratch: Path,
    ) -> None:
        pretend("sleep 60")
        device["actions"]["deploy"]["methods"]["image"] = None
        repository = {
            "metadata": {
                "format": "Lava-Test Test Definition 1.0",
                "name": "inline",
                "description": "d" * 3 * MEGABYTE,
            },
            "run": {"steps": ["true"]},
        }
        definition = {"from": "inline", "name": "inline", "path": "inline.yaml", "repository": repository}
        job["actions"] = [deploy, boot, {"test": {"definitions": [definition]}}]
        outcome = run_job()
        outcome.failed("Infrastructure", FULL)
        assert [*scratch.iterdir()] == []

    def test_no_directory_can_be_made(self, run_job: RunJob, blocks: None, scratch: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(scratch)], check=True)
        run_job().failed(
            "Infrastructure",
            f"cannot make the directory {scratch}/42 for temporary files: Read-only file system; "
            "set dispatcher_download_dir in the worker's dispatcher.yaml",
        )
