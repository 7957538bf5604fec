"""A simulated board is a board: unmodified jobs run on it, at any speed, through noise; it hangs when it is told to."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from lava.console.child import Child
from lava.devices import SHIPPED
from lava.devices.templates import Templates
from lava.sim.board import PROMPT
from lava.sim.register import dictionary

pytestmark = pytest.mark.slow  # each test is a process of its own

JOB = {
    "job_name": "numbered lines",
    "device_type": "sim",
    "visibility": "public",
    "timeouts": {"job": {"minutes": 1}, "action": {"seconds": 50}, "connection": {"seconds": 20}},
    "actions": [
        {"deploy": {"to": "overlay"}},
        {
            "boot": {
                "method": "minimal",
                "prompts": [PROMPT],
                "auto_login": {"login_prompt": "login:", "username": "root"},
                "transfer_overlay": {"download_command": "wget -q", "unpack_command": "tar -C / -xzf"},
            }
        },
    ],
}


def render(directory: Path, **variables: str) -> dict[str, Any]:
    """Return the configuration of a board with these variables."""
    devices = directory / "devices"
    devices.mkdir()
    (devices / "board.jinja2").write_text(dictionary("board", directory / "disks", variables))
    text = Templates(devices, [SHIPPED]).render("board.jinja2", hostname="board", device_type="sim")
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def run_job(directory: Path, step: str, seconds: int = 50, **variables: str) -> list[dict[str, Any]]:
    """Run a job on a board and return its log."""
    definition = {
        "from": "inline",
        "name": "numbers",
        "path": "inline/numbers.yaml",
        "repository": {
            "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "numbers"},
            "run": {"steps": [step]},
        },
    }
    test = {"test": {"timeout": {"seconds": seconds}, "definitions": [definition]}}
    document = {**JOB, "actions": [*JOB["actions"], test]}  # type: ignore[misc]
    settings = {"dispatcher_ip": "127.0.0.1", "dispatcher_download_dir": str(directory / "scratch")}
    for name, content in (("device", render(directory, **variables)), ("job", document), ("dispatcher", settings)):
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "lava.dispatcher.main", "--job-id", "1", "--output-dir", str(directory / "out")]
    command += ["--device", str(directory / "device.yaml"), "--dispatcher", str(directory / "dispatcher.yaml")]
    command += ["--skip-sudo-warning", "--quiet", str(directory / "job.yaml")]
    subprocess.run(command, capture_output=True, timeout=100, check=False)
    return [json.loads(line[2:]) for line in (directory / "out" / "logs.yaml").read_text().splitlines()]


def said(log: list[dict[str, Any]], pattern: str) -> list[str]:
    """Return the console's lines that are nothing but the pattern."""
    lines = [record["msg"] for record in log if record["lvl"] == "target"]
    return [line for line in lines if isinstance(line, str) and re.fullmatch(pattern, line)]


@pytest.mark.parametrize(
    "variables",
    [{}, {"sim_noise": "300"}, {"sim_bytes_per_second": "20000"}, {"sim_boot_seconds": "0.5"}],
    ids=["plain", "noise", "slow console", "slow boot"],
)
def test_a_job_runs_and_every_line_and_result_comes(tmp_path: Path, variables: dict[str, str]) -> None:
    log = run_job(tmp_path, "numbered 100 20", **variables)
    assert said(log, r"line \d{6}") == [f"line {number:06}" for number in range(1, 101)]
    results = [record["msg"] for record in log if record["lvl"] == "results"]
    cases = [(result["case"], result["result"]) for result in results if result["definition"] == "0_numbers"]
    assert cases == [(f"result-{number:06}", "pass") for number in range(1, 21)]
    assert results[-1] == {"definition": "lava", "case": "job", "result": "pass"}


def test_a_board_that_hangs_costs_the_job_its_time_and_leaves_nothing(tmp_path: Path) -> None:
    log = run_job(tmp_path, "numbered 1000", 3, sim_hang_after="60")
    lines = said(log, r"line \d{6}")
    assert lines == [f"line {number:06}" for number in range(1, len(lines) + 1)]
    assert 0 < len(lines) < 60
    assert log[-1]["msg"]["error_type"] == "Test"
    mark = str(tmp_path)
    assert [p for p in psutil.process_iter(["cmdline"]) if mark in " ".join(p.info["cmdline"] or [])] == []


def read_until(terminal: int, wanted: str) -> None:
    """Read from the board until it has said something."""
    seen = ""
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, f"{wanted!r} did not come: {seen!r}"
        seen += os.read(terminal, 4096).decode()


def board(directory: Path) -> Child:
    return Child.spawn([sys.executable, "-m", "lava.sim.board", "--name", "b", "--directory", str(directory)])


def test_when_the_console_is_closed_everything_on_the_board_ends(tmp_path: Path) -> None:
    child = board(tmp_path)
    read_until(child.terminal, "b login: ")
    os.write(child.terminal, b"root\n")
    read_until(child.terminal, PROMPT)
    os.write(child.terminal, b"sleep 1000 & sleep 1000\n")
    read_until(child.terminal, "sleep")
    running = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(running) >= 2
    os.close(child.terminal)
    _, alive = psutil.wait_procs(running[1:], 20)
    assert alive == []
    assert os.waitid(os.P_PID, child.pid, os.WEXITED) is not None


def test_a_console_is_one_jobs_alone(tmp_path: Path) -> None:
    child = board(tmp_path)
    read_until(child.terminal, "b login: ")
    second = [sys.executable, "-m", "lava.sim.board", "--name", "b", "--directory", str(tmp_path)]
    environment = {**os.environ, "LAVA_JOB_ID": "7"}
    refused = subprocess.run(second, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert refused.returncode == 1
    assert refused.stdout == "the console of b is in use\n"
    assert (tmp_path / "collisions").read_text() == "job 7\n"
    os.close(child.terminal)
    os.waitid(os.P_PID, child.pid, os.WEXITED)


def test_a_dictionary_takes_any_path(tmp_path: Path) -> None:
    directory = tmp_path / 'it\'s a "lab"'
    directory.mkdir()
    words = shlex.split(render(directory)["commands"]["connect"])
    assert words[words.index("--directory") + 1] == str(directory / "disks" / "board")
