"""Whole jobs: the real ``lava-run`` in a process of its own, with a real or a pretended virtual machine.

A pretended QEMU is a shell script that the device configuration names as its command.
"""

from __future__ import annotations

import copy
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

PROMPT = "root@guest:~# "

_DEVICE = {
    "hostname": "qemu-01",
    "devicetype": "qemu",
    "constants": {
        "kernel-start-message": "Linux version [0-9]",
        "default-shell-prompt": "lava-test: # ",
        "posix": {
            "lava_test_sh_cmd": "/bin/sh",
            "lava_test_results_dir": "/lava-%s",
            "lava_test_shell_file": "~/.bashrc",
        },
    },
    "parameters": {},
    "timeouts": {},
    "available_architectures": ["amd64"],
    "commands": {},
    "actions": {
        "deploy": {
            "methods": {
                "image": {"parameters": {"guest": {"size": 8, "interface": "ide", "driveid": "lavatest"}}},
                "overlay": None,
            },
            "connections": {},
        },
        "boot": {
            "methods": {"qemu": {"parameters": {"command": "qemu", "options": ["-nographic"], "extra": []}}},
            "connections": {},
        },
    },
}


@dataclass
class Outcome:
    """What a job left."""

    status: int
    stderr: str
    output: Path

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        lines = (self.output / "logs.yaml").read_text().splitlines()
        assert all(line.startswith("- ") for line in lines)
        return [json.loads(line.removeprefix("- ")) for line in lines]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [line["msg"] for line in self.log if line["lvl"] == "results"]

    @property
    def verdict(self) -> Any:
        """The last record of the log, which is ``result.yaml``, too."""
        last = self.log[-1]
        assert last["lvl"] == "results"
        assert last["msg"] == yaml.safe_load((self.output / "result.yaml").read_text())
        return last["msg"]

    def text(self, *levels: str) -> str:
        return "\n".join(line["msg"] for line in self.log if line["lvl"] in levels)

    def cases(self, suite: str) -> list[tuple[str, str]]:
        return [(record["case"], record["result"]) for record in self.results if record["definition"] == suite]

    def failed(self, error_type: str, *parts: str) -> None:
        """Assert that the job ended with this error, said so clearly, and without a traceback."""
        assert self.status == 1
        verdict = self.verdict
        assert (verdict["definition"], verdict["case"], verdict["result"]) == ("lava", "job", "fail")
        assert verdict["error_type"] == error_type, verdict
        for part in parts:
            assert part in verdict["error_msg"]
        assert "Traceback" not in (self.output / "logs.yaml").read_text()
        assert not [line for line in self.log if line["lvl"] == "exception"]
        assert "Traceback" not in self.stderr
        error_lines = self.text("error")
        assert all(line in error_lines for line in verdict["error_msg"].splitlines() if line)


RunJob = Callable[..., Outcome]


class Bell:
    """A named pipe: the pretended guest rings, the test waits for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        #: the pipe does not end as long as this is open
        self._writer: int | None = os.open(path, os.O_WRONLY)

    def wait(self) -> str:
        """Return what was written to the pipe."""
        assert select.select([self._descriptor], [], [], 60)[0], "nobody rang"
        return os.read(self._descriptor, 4096).decode().strip()

    def wait_until_nobody_has_it(self) -> None:
        """Wait until no process has the pipe open for writing any more."""
        self._stop_writing()
        assert self.wait() == ""

    def close(self) -> None:
        self._stop_writing()
        os.close(self._descriptor)

    def _stop_writing(self) -> None:
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None


@pytest.fixture
def device() -> dict[str, Any]:
    """A device configuration, to be changed at will."""
    return copy.deepcopy(_DEVICE)


@pytest.fixture
def job() -> dict[str, Any]:
    """A job definition without blocks: boot and test are the test's business."""
    return {
        "job_name": "whole",
        "device_type": "qemu",
        "visibility": "public",
        "context": {"arch": "amd64"},
        "timeouts": {"job": {"seconds": 60}, "action": {"seconds": 50}, "connection": {"seconds": 20}},
        "actions": [],
    }


@pytest.fixture
def deploy(tmp_path: Path) -> dict[str, Any]:
    """A deploy block with one small image."""
    image = tmp_path / "image.bin"
    image.write_bytes(b"kernel")
    return {"deploy": {"to": "tmpfs", "images": {"kernel": {"url": image.as_uri(), "image_arg": "-kernel {kernel}"}}}}


@pytest.fixture
def boot() -> dict[str, Any]:
    """A boot block that logs in."""
    login = {"login_prompt": "login:", "username": "root"}
    return {"boot": {"method": "qemu", "media": "tmpfs", "auto_login": login, "prompts": [PROMPT]}}


@pytest.fixture
def pretend(device: dict[str, Any], tmp_path: Path) -> Callable[[str], None]:
    """Make the device's QEMU a shell script."""

    def pretend(script: str) -> None:
        program = tmp_path / "qemu"
        version = 'case "$1" in --version) echo "QEMU emulator version 9.9"; exit;; esac'
        program.write_text(f"#!/bin/sh\n{version}\n{script}\n")
        program.chmod(0o755)
        device["actions"]["boot"]["methods"]["qemu"]["parameters"]["command"] = str(program)

    return pretend


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    """What the guest rings when it has come to the place that the test waits for."""
    bell = Bell(tmp_path / "bell")
    yield bell
    bell.close()


@pytest.fixture
def power(device: dict[str, Any], tmp_path: Path) -> Path:
    """The file to which the device's power writes when it is switched off: the job process, with its memory."""
    log = tmp_path / "power"
    log.touch()
    program = tmp_path / "power-off"
    program.write_text(f"#!/bin/sh\nsed -n 's/^VmHWM: *//p' /proc/$PPID/status >> {log}\n")
    program.chmod(0o755)
    device["commands"]["power_off"] = str(program)
    return log


@pytest.fixture
def run_job(tmp_path: Path, job: dict[str, Any], device: dict[str, Any]) -> RunJob:
    """Run ``lava-run``: with this definition (or text), on this device, with these options."""

    def run(
        definition: Mapping[str, Any] | str | bytes | None = None,
        *options: str,
        configuration: Mapping[str, Any] | str | None = None,
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
        quiet: bool = True,
        before: Callable[[], None] | None = None,
        while_running: Callable[[subprocess.Popen[bytes]], None] | None = None,
        timeout: float = 100.0,
    ) -> Outcome:
        output = output or tmp_path / "output"
        text = job if definition is None else definition
        if not isinstance(text, str | bytes):
            text = yaml.safe_dump(dict(text))
        (tmp_path / "job.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        configured = device if configuration is None else configuration
        (tmp_path / "device.yaml").write_text(
            configured if isinstance(configured, str) else yaml.safe_dump(dict(configured))
        )
        settings = {"dispatcher_download_dir": str(tmp_path / "scratch"), "dispatcher_ip": "127.0.0.1"}
        (tmp_path / "dispatcher.yaml").write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "lava.dispatcher.main", "--skip-sudo-warning", "--job-id", "42"]
        command += ["--output-dir", str(output), "--device", str(tmp_path / "device.yaml")]
        command += ["--dispatcher", str(tmp_path / "dispatcher.yaml"), *(["--quiet"] if quiet else []), *options]
        with (tmp_path / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [*command, str(tmp_path / "job.yaml")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
                preexec_fn=before,
            )
            watchdog = subprocess.Popen(["sh", "-c", f"sleep {timeout}; kill -9 {process.pid}"], start_new_session=True)
            try:
                if while_running is not None:
                    while_running(process)
                process.wait()
            finally:
                os.killpg(watchdog.pid, signal.SIGKILL)
                watchdog.wait()
                if process.returncode is None:
                    process.kill()
                    process.wait()
        return Outcome(process.returncode, (tmp_path / "stderr").read_text(errors="replace"), output)

    return run
