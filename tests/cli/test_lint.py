"""``lava lint``: every fault at once, where it is and what to do; people script against status and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOOD = """\
job_name: good
device_type: qemu
visibility: public
priority: medium
timeouts: {job: {minutes: 5}, action: {minutes: 2}}
actions:
- deploy: {to: tmpfs, images: {rootfs: {url: "http://x/y", image_arg: "-drive file={rootfs}"}}}
"""
FAULTY = GOOD.replace("to: tmpfs", "to: tmpsf").replace("device_type: qemu\n", "").replace("minutes: 2", "minuts: 2")
UNKNOWN_KEY = GOOD.replace('url: "http', 'colour: red, url: "http')
DEFINITION = """\
metadata: {format: Lava-Test Test Definition 1.0, name: smoke, description: d}
run: {steps: [uname -a]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str | bytes, name: str = "job.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_an_accepted_file(lava: Any, file: Any) -> None:
    job = file(GOOD)
    said = lava("lint", job)
    assert (said.status, said.out, said.err) == (0, f"{job}: ok\n", "")


def test_every_fault_has_its_place_and_a_hint(lava: Any, file: Any) -> None:
    job = file(FAULTY)
    said = lava("lint", job)
    assert said.status == 1
    assert said.err.splitlines() == [
        f"{job}:1:1: error: device_type: device_type or multinode should be defined"
        " (name the type of device to run on)",
        f"{job}:4:31: error: timeouts.action: unknown unit 'minuts' (did you mean 'minutes'?)",
        f"{job}:6:12: error: actions[0].deploy.to: unknown method 'tmpsf' (did you mean 'tmpfs'?)",
    ]


def test_json_is_a_list_of_objects(lava: Any, file: Any) -> None:
    job = file(FAULTY)
    said = lava("lint", "--json", job)
    assert said.status == 1
    faults = json.loads(said.out)
    assert faults[-1] == {
        "file": str(job),
        "line": 6,
        "column": 12,
        "path": "actions[0].deploy.to",
        "message": "unknown method 'tmpsf'",
        "hint": "did you mean 'tmpfs'?",
        "severity": "error",
    }
    assert json.loads(lava("lint", "--json", file(GOOD)).out) == []


def test_what_only_the_strict_reading_refuses_is_a_warning_otherwise(lava: Any, file: Any) -> None:
    job = file(UNKNOWN_KEY)
    lenient = lava("lint", job)
    assert lenient.status == 0
    assert ": warning: actions[0].deploy.images.rootfs.colour: unknown key" in lenient.out
    strict = lava("lint", "--strict", job)
    assert strict.status == 1
    assert ": error: actions[0].deploy.images.rootfs.colour: unknown key" in strict.err
    assert [fault["severity"] for fault in json.loads(lava("lint", "--json", job).out)] == ["warning"]


def test_one_bad_file_among_good_ones(lava: Any, file: Any) -> None:
    good, bad = file(GOOD, "good.yaml"), file(FAULTY, "bad.yaml")
    said = lava("lint", good, bad)
    assert said.status == 1
    assert said.out == f"{good}: ok\n"
    assert all(line.startswith(f"{bad}:") for line in said.err.splitlines())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"job_name: [\n", "not YAML"),
        (b"\xff", "is not UTF-8 text (byte 0)"),
        (b"", "a job definition is a mapping, not nothing"),
        (b"words", "a job definition is a mapping, not the text 'words'"),
    ],
)
def test_what_is_no_job(lava: Any, file: Any, content: bytes, message: str) -> None:
    said = lava("lint", file(content))
    assert said.status == 1
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_file_that_is_not_there(lava: Any, tmp_path: Path) -> None:
    said = lava("lint", tmp_path / "none.yaml")
    assert said.status == 1
    assert "cannot be read: No such file or directory" in said.err


def test_a_test_definition(lava: Any, file: Any) -> None:
    assert lava("lint", file(DEFINITION)).status == 0
    faulty = file(DEFINITION.replace("steps", "stepps"))
    assert "run.steps: required" in lava("lint", faulty).err
