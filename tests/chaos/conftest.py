"""Labs for the tests: made when wanted, ended with the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.lab import Lab
from harness.postgresql import PostgreSQL, programs

MakeLab = Callable[..., Lab]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A server with an empty database."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: /usr/lib/postgresql/*/bin/initdb")
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running lab with one slave and two boards, for the tests of a module."""
    lab = Lab(tmp_path_factory.mktemp("lab"), boards=(2,))
    lab.start()
    yield lab
    lab.close()


@pytest.fixture(autouse=True)
def healed(request: pytest.FixtureRequest) -> None:
    """Each test finds everything running."""
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").start()
