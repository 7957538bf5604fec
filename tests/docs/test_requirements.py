"""The page of the requirements is true: each has a row, and each test file that a row names has its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "requirements.md"
LAST = 197
_ROW = re.compile(r"^\| R(\d+) \| (.*?) ?\| (.*?) ?\|$", re.MULTILINE)
ROWS = {
    int(number): (re.findall(r"`(\S+\.py)`", files), remark) for number, files, remark in _ROW.findall(PAGE.read_text())
}


def numbers_in(text: str) -> set[int]:
    """Return the requirements that a test file names: R5, R5-R7, or in the name of a test."""
    found = {int(number) for number in re.findall(r"\bR(\d{1,3})\b", text)}
    for first, last in re.findall(r"\bR(\d+)-R?(\d+)\b", text):
        found |= set(range(int(first), int(last) + 1))
    for name in re.findall(r"def (test_\w+)", text):
        found |= {int(number) for number in re.findall(r"_r(\d{2,3})(?=_)", name)}
    return found


def test_every_requirement_has_its_row() -> None:
    assert list(ROWS) == list(range(1, LAST + 1))


@pytest.mark.parametrize("number", ROWS, ids=lambda number: f"R{number}")
def test_a_row_tells_where_it_is_shown_or_why_not(number: int) -> None:
    files, remark = ROWS[number]
    assert files or remark
    for file in files:
        assert number in numbers_in((ROOT / "tests" / file).read_text()), file
