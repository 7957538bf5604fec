"""Every example in the documents is tried: files are linted and rendered, commands run, names looked up."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from django.urls import Resolver404, resolve

import lava.master.main
import lava.slave.main
from lava.cli import COMMANDS
from lava.daemon.create_certificate import parser as certificate_parser
from lava.dispatcher.main import parser as run_parser
from lava.dispatcher.registry import MODULES
from lava.doctor.main import parser as doctor_parser
from lava.model import errors
from lava.model.faults import SubmissionError
from lava.model.job import parse_job_text
from lava.model.logline import Level, decode
from lava.model.states import DeviceHealth, DeviceState, JobHealth, JobState, WorkerHealth, WorkerState
from lava.model.yaml_source import Source

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"])
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADER = re.compile(r"^[#{ ]+(file|part|any): ([^,#\n]+?)(?:, from: (\S+), replace: \"(.*)\" -> \"(.*)\")?(?: #})?\n")


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.splitlines()[0][:40] if self.text else ''}"


def blocks(*languages: str) -> list[Block]:
    found = [Block(page, *match.groups()) for page in PAGES for match in _FENCE.finditer(page.read_text())]
    return [block for block in found if block.language in languages]


def files() -> Iterator[tuple[str, str]]:
    """Yield the name and text of every file that the documents tell people to write."""
    written: dict[str, str] = {}
    for block in blocks("yaml", "jinja"):
        header = _HEADER.match(block.text)
        if header is None or header[1] != "file":
            continue
        text = block.text
        if header[3]:
            assert header[4] in written[header[3]], f"{block}: '{header[4]}' is not in {header[3]}"
            text = written[header[3]].replace(header[4], header[5])
        written[header[2]] = text
    yield from written.items()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("docs")
    for name, text in files():
        (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_each_yaml_example_says_what_it_is_and_is_that(block: Block) -> None:
    if block.page.is_relative_to(ROOT / "docs" / "how-to" / "install-a-lab.md"):
        return
    header = _HEADER.match(block.text)
    assert header, f"{block}: begin it with '# file: NAME', '# part: what' or '# any: what'"
    text = block.text[header.end() :]
    match header[1], header[2]:
        case "part", "test block":
            whole = {**yaml.safe_load(dict(files())["hello.yaml"])}
            whole["actions"] = [*whole["actions"][:2], yaml.safe_load(text)]
            parse_job_text(yaml.safe_dump(whole), strict=True)
        case "any", "log":
            for line in text.splitlines():
                assert decode(line.encode()).level in Level
        case _:
            Source(text)


def commands() -> list[tuple[Block, str, str]]:
    """Return every command that the documents show, with what they say it prints."""
    found = []
    for block in blocks("console"):
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            found.append((block, command, output))
    return found


def test_every_command_prints_what_the_documents_say(workspace: Path) -> None:
    """In the order of the pages: a command may use the file that one before it wrote."""
    ordered = sorted(commands(), key=lambda row: ("device.yaml" in row[1] and ">" not in row[1], row[0].page))
    assert len(ordered) >= 6
    for block, command, expected in ordered:
        words, _, target = command.partition(" > ")
        program, *arguments = shlex.split(words)
        assert program == "lava", f"{block}: only lava's own commands are run"
        ran = subprocess.run(
            [sys.executable, "-m", "lava.cli", *arguments],
            cwd=workspace,
            capture_output=True,
            text=True,
            check=False,
        )
        if target:
            (workspace / target).write_text(ran.stdout)
        printed = [] if target else (ran.stderr + ran.stdout).splitlines()
        wanted = expected.splitlines()
        status = 1 if wanted[-1:] == ["[exit status 1]"] else 0
        assert ran.returncode == status, f"{block}: $ {command}\n{ran.stderr}"
        wanted = [line for line in wanted if line != "[exit status 1]"]
        if wanted[-1:] == ["…"]:
            wanted.pop()
            printed = printed[: len(wanted)]
        # The widths of columns depend on what stands in them.
        assert [row.split() for row in printed] == [row.split() for row in wanted], f"{block}: $ {command}"


def test_the_job_of_the_tutorial_is_accepted_by_the_strict_reading() -> None:
    parse_job_text(dict(files())["hello.yaml"], strict=True)
    with pytest.raises(SubmissionError):
        parse_job_text(dict(files())["mistake.yaml"])


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {word for action in parser._actions for word in action.option_strings if action.help != argparse.SUPPRESS}


def mentioned(page: str, heading: str) -> set[str]:
    text = (ROOT / "docs" / page).read_text()
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"--[a-z][a-z0-9-]+", section))


@pytest.mark.parametrize(
    ("program", "parser"),
    [
        ("lava-run", run_parser()),
        ("lava-slave", lava.slave.main.parser()),
        ("lava-master", lava.master.main.parser()),
        ("lava-create-certificate", certificate_parser()),
        ("lava-dispatcher-doctor", doctor_parser()),
    ],
)
def test_every_option_is_documented_and_every_documented_option_exists(
    program: str, parser: argparse.ArgumentParser
) -> None:
    there = {word for word in options_of(parser) if word.startswith("--")} - {"--help"}
    assert mentioned("reference/command-line.md", program) == there


@pytest.mark.parametrize(("heading", "daemon"), [("lava-slave", lava.slave.main), ("lava-master", lava.master.main)])
def test_every_setting_is_documented_with_its_option(heading: str, daemon: ModuleType) -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)=\"[^`]*\"` \| `(--[a-z0-9-]+)` \|", section, re.MULTILINE)
    assert rows == [(setting.name, setting.option) for setting in daemon.SETTINGS]


def test_every_command_is_documented_with_its_options() -> None:
    import importlib

    there: set[str] = set()
    for module, _ in COMMANDS.values():
        parser = argparse.ArgumentParser()
        importlib.import_module(f"lava.cli.{module}").add_arguments(parser)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                there |= set().union(*(options_of(sub) for sub in action.choices.values()))
        there |= options_of(parser)
    documented = mentioned("reference/command-line.md", "lava")
    assert documented == {word for word in there if word.startswith("--")} - {"--help"}
    text = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    assert all(f"`lava {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("kind", [JobState, JobHealth, DeviceHealth])
def test_states_are_documented_with_their_numbers(kind: type[JobState]) -> None:
    text = (ROOT / "docs" / "reference" / "states.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (\d+) \|", text, re.MULTILINE)
    assert all((member.text, str(member.value)) in rows for member in kind)


@pytest.mark.parametrize("kind", [DeviceState, WorkerState, WorkerHealth])
def test_short_lists_of_states_are_documented(kind: type[JobState]) -> None:
    text = (ROOT / "docs" / "reference" / "states.md").read_text()
    assert ", ".join(f"{member.text} ({member.value})" for member in kind) in text


def test_error_types_are_documented() -> None:
    text = (ROOT / "docs" / "how-to" / "why-did-my-job-fail.md").read_text()
    for kind in (
        errors.JobError,
        errors.TestError,
        errors.InfrastructureError,
        errors.ConfigurationError,
        errors.JobCanceled,
        errors.LavaBug,
    ):
        assert f"\n| {kind.error_type} |" in text


def test_methods_are_documented() -> None:
    text = (ROOT / "docs" / "reference" / "job-definition.md").read_text()
    for method in MODULES["deploy"]:
        assert f"`to: {method}`" in text
    for method in set(MODULES["boot"]) - {"monitor"}:
        assert f"`method: {method}`" in text
    for method in MODULES["test"]:
        assert f"`{method}`" in text


def test_documented_pages_exist() -> None:
    text = (ROOT / "docs" / "reference" / "pages.md").read_text()
    addresses = [cell for cell in re.findall(r"`(/[^`]*)`", text) if cell != "/RPC2"]
    assert len(addresses) > 20
    for address in addresses:
        try:
            resolve(address.replace("ID", "1").replace("NAME", "x"))
        except Resolver404:
            pytest.fail(f"{address} is documented and does not exist")


def test_log_levels_are_documented() -> None:
    text = (ROOT / "docs" / "reference" / "log-format.md").read_text()
    assert all(f"`{level.value}`" in text for level in Level)


def test_helpers_are_documented() -> None:
    text = (ROOT / "docs" / "how-to" / "write-tests.md").read_text()
    documented = set(re.findall(r"`(lava-[a-z-]+)", text)) - {"lava-signal"}
    there = {path.name for path in (ROOT / "src/lava/dispatcher/overlay/bin").glob("lava-*")}
    assert documented <= there, documented - there


def test_examples_of_the_repository_are_accepted_by_the_strict_reading() -> None:
    found = sorted((ROOT / "examples").glob("*.yaml"))
    assert found
    ran = subprocess.run(
        [sys.executable, "-m", "lava.cli", "lint", "--strict", "--json", *map(str, found)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(ran.stdout) == []
