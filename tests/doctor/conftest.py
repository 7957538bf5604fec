"""Runs the doctor's command line on trees."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.doctor.main import main

from .trees import NOW, MixedWorker, Tree


@dataclass(frozen=True)
class Said:
    """What the doctor printed."""

    status: int
    out: str
    err: str

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        return {row["step"]: row for row in json.loads(self.out)}

    def states(self) -> dict[str, str]:
        return {name: row["state"] for name, row in self.steps.items()}

    def found(self, step: str) -> str:
        """Return the texts of a step's findings."""
        return "\n".join(finding["text"] for finding in self.steps[step]["findings"])


Doctor = Callable[..., Said]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory) -> Doctor:
    def run(mode: str, tree: Tree, *options: str, lab: Any = None) -> Said:
        given = lab if lab is not None else tree.lab if isinstance(tree, MixedWorker) else None
        if given is not None:
            file = tmp_path_factory.mktemp("lab") / "lab.yaml"
            file.write_text(yaml.safe_dump(given))
            options = (*options, "--lab", str(file))
        capsys.readouterr()
        try:
            status = main([mode, "--root", str(tree.root), *options], clock=lambda: NOW)
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return Said(status, printed.out, printed.err)

    return run


@pytest.fixture
def worker(tmp_path: Path) -> MixedWorker:
    return MixedWorker(tmp_path / "root")


@pytest.fixture
def obey() -> Callable[[Tree, list[str]], list[str]]:
    """Run those of the doctor's commands that only need files, in the tree; return the others."""

    def run(tree: Tree, commands: list[str]) -> list[str]:
        left = []
        for command in commands:
            words = shlex.split(command)
            words = words[1:] if words[0] == "sudo" else words
            if words[0] not in ("cp", "mv", "mkdir", "sed", "tar"):
                left.append(command)
                continue
            placed = [re.sub(r"^(--target-directory=)?(?=/)", rf"\g<1>{tree.root}", word) for word in words]
            subprocess.run(placed, check=True, cwd=tree.root)
        return left

    return run
