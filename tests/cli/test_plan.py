"""``lava plan``: the pipeline that would run, with every deadline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DICTIONARY = "{% extends 'qemu.jinja2' %}\n{% set static_info = [{'GUEST': 'file:///guest'}] %}\n"


@pytest.fixture
def device(lava: Any, tmp_path: Path) -> Path:
    """A rendered device configuration."""
    dictionary = tmp_path / "qemu-01.jinja2"
    dictionary.write_text(DICTIONARY)
    rendered = tmp_path / "device.yaml"
    rendered.write_text(lava("device", "render", "--dictionary", dictionary).out)
    return rendered


def test_the_text_has_a_line_for_each_step(lava: Any, device: Path) -> None:
    said = lava("plan", ROOT / "examples" / "qemu-smoke.yaml", "--device", device)
    assert said.status == 0, said.err
    title, job, *steps = said.out.splitlines()
    assert title.split() == ["level", "action", "timeout", "connection", "timeout", "from"]
    assert job.split() == ["job", "00:05:00", "timeouts.job"]
    assert [line.split()[:2] for line in steps if "." not in line.split()[0]] == [
        ["1", "deployimages"],
        ["2", "boot-image-retry"],
        ["3", "lava-test-retry"],
        ["4", "finalize"],
    ]
    assert any(line.split()[1] == "execute-qemu" for line in steps)


def test_json_says_the_same_in_seconds(lava: Any, device: Path) -> None:
    said = lava("plan", "--json", ROOT / "examples" / "qemu-smoke.yaml", "--device", device)
    plan = json.loads(said.out)
    assert plan["timeout"] == 300.0
    assert [step["name"] for step in plan["pipeline"]] == [
        "deployimages",
        "boot-image-retry",
        "lava-test-retry",
        "finalize",
    ]
    for step in plan["pipeline"]:
        assert step["timeout"] > 0
        assert set(step) == {
            *("level", "name", "summary", "namespace", "timeout", "timeout_source"),
            *("connection_timeout", "max_retries", "pipeline"),
        }


def test_nothing_is_fetched(lava: Any, device: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text((ROOT / "examples" / "qemu-smoke.yaml").read_text().replace("{GUEST}", "http://127.0.0.1:1"))
    assert lava("plan", job, "--device", device).status == 0


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("to: tmpfs", "to: tmpsf", "Job error: "),
        ("method: qemu", "method: fastboot", "Job error: "),
    ],
)
def test_a_job_that_cannot_run_is_told(lava: Any, device: Path, tmp_path: Path, old: str, new: str, error: str) -> None:
    job = tmp_path / "job.yaml"
    text = (ROOT / "examples" / "qemu-smoke.yaml").read_text()
    assert old in text
    job.write_text(text.replace(old, new))
    said = lava("plan", job, "--device", device)
    assert said.status == 1
    assert said.err.startswith(f"lava plan: {error}")
    assert new.split()[1] in said.err
    assert "Traceback" not in said.err


def test_a_device_that_cannot_be_read_is_the_configurations_fault(lava: Any, tmp_path: Path) -> None:
    said = lava("plan", ROOT / "examples" / "qemu-smoke.yaml", "--device", tmp_path / "none.yaml")
    assert said.status == 1
    assert said.err.startswith("lava plan: Configuration error: ")
    assert "none.yaml: cannot be read: No such file or directory" in said.err
