"""The command line in this process: what it prints and its exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lava.cli import main


@dataclass(frozen=True)
class Said:
    """What a command left on the terminal."""

    status: int
    out: str
    err: str


Lava = Callable[..., Said]


@pytest.fixture
def lava(capsys: pytest.CaptureFixture[str]) -> Lava:
    """Run ``lava`` with these words."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        out, err = capsys.readouterr()
        return Said(status, out, err)

    return run
