"""Jobs and test definitions as people write them are accepted.  ``LAVA_CORPUS`` names a directory that holds some.

Below ``jobs`` every file is a job, below ``test-definitions`` every file is a test definition.  Job definition 1.5, 14.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lava.model.job import parse_job_text, strict_warnings
from lava.model.test_definition import definition_faults
from lava.model.yaml_source import Source

_CORPUS = os.environ.get("LAVA_CORPUS")
pytestmark = pytest.mark.skipif(not _CORPUS, reason="LAVA_CORPUS names no directory of jobs and test definitions")


def files(kind: str) -> list[object]:
    root = Path(_CORPUS or "/nowhere") / kind
    found = sorted(path for path in root.rglob("*.y*ml") if path.is_file())
    return [pytest.param(path, id=str(path.relative_to(root))) for path in found]


def test_there_is_something_to_read() -> None:
    assert files("jobs")


@pytest.mark.parametrize("path", files("jobs"))
def test_a_job_is_accepted(path: Path) -> None:
    source = Source(path.read_text(encoding="utf-8"), str(path))
    assert parse_job_text(source.text).blocks
    for warning in strict_warnings(source):
        assert warning.line > 0, "what the strict reading says has a place"


@pytest.mark.parametrize("path", files("test-definitions"))
def test_a_test_definition_is_accepted(path: Path) -> None:
    document = Source(path.read_text(encoding="utf-8"), str(path)).value
    if isinstance(document, dict) and "job_name" in document:
        pytest.skip("it is a job that lies among the test definitions")
    assert [str(fault) for fault in definition_faults(document, strict=False)] == []
