"""``lava device render``: what a job would be given for a device, or which line of which file is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "devices" / "board-01.jinja2"
    path.parent.mkdir()
    path.write_text("{% extends 'board.jinja2' %}\n{% set power_on_command = 'pdu on 3' %}\n")
    return path


@pytest.fixture
def types(tmp_path: Path) -> Path:
    path = tmp_path / "types"
    path.mkdir()
    (path / "board.jinja2").write_text(
        "hostname: x\npower: {{ power_on_command }}\nconsole: {{ console | default('ttyS0') }}\n"
    )
    return path


def test_the_rendered_yaml_is_printed(lava: Any, dictionary: Path, types: Path) -> None:
    said = lava("device", "render", "--dictionary", dictionary, "--device-types", types)
    assert said.status == 0, said.err
    assert yaml.safe_load(said.out) == {"hostname": "x", "power": "pdu on 3", "console": "ttyS0"}


def test_the_context_of_a_job_is_seen(lava: Any, dictionary: Path, types: Path, tmp_path: Path) -> None:
    context = tmp_path / "context.yaml"
    context.write_text("console: ttyAMA0\n")
    said = lava("device", "render", "--dictionary", dictionary, "--device-types", types, "--context", context)
    assert yaml.safe_load(said.out)["console"] == "ttyAMA0"


def test_the_first_directory_with_a_template_wins(lava: Any, dictionary: Path, types: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "board.jinja2").write_text("hostname: own\n")
    said = lava("device", "render", "--dictionary", dictionary, "--device-types", own, "--device-types", types)
    assert yaml.safe_load(said.out) == {"hostname": "own"}


def test_the_shipped_qemu_type(lava: Any, tmp_path: Path) -> None:
    path = tmp_path / "qemu-07.jinja2"
    path.write_text("{% extends 'qemu.jinja2' %}\n")
    rendered = yaml.safe_load(lava("device", "render", "--dictionary", path).out)
    assert "qemu" in rendered["actions"]["boot"]["methods"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{% extends 'none.jinja2' %}\n", ["board-01.jinja2", "none.jinja2"]),
        ("{% extends 'board.jinja2' %}\n{% set x = %}\n", ["/board-01.jinja2:2: Expected an expression"]),
        ("a: 1\n\n{{ nothing.at.all }}\n", ["/board-01.jinja2:3: 'nothing' is undefined"]),
        ("a: [1\n", ["board-01.jinja2", "not YAML"]),
    ],
)
def test_a_fault_names_file_and_line(lava: Any, dictionary: Path, types: Path, text: str, parts: list[str]) -> None:
    dictionary.write_text(text)
    said = lava("device", "render", "--dictionary", dictionary, "--device-types", types)
    assert said.status == 1
    assert said.out == ""
    assert all(part in said.err for part in parts), said.err
    assert "Traceback" not in said.err


def test_a_dictionary_that_is_not_there(lava: Any, tmp_path: Path) -> None:
    said = lava("device", "render", "--dictionary", tmp_path / "none.jinja2")
    assert said.status == 1
    assert "none.jinja2: there is no such file" in said.err


@pytest.mark.parametrize("text", ["- a list\n", "a: [\n"])
def test_a_context_that_is_none(lava: Any, dictionary: Path, types: Path, tmp_path: Path, text: str) -> None:
    context = tmp_path / "context.yaml"
    context.write_text(text)
    said = lava("device", "render", "--dictionary", dictionary, "--device-types", types, "--context", context)
    assert said.status == 1
    assert "context.yaml" in said.err
