"""The books show what is wrong: a ledger that cannot lose would prove nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness.ledger import Account, Tally, account, table


def log(*lines: int, results: tuple[int, ...] = (), end: dict[str, Any] | None = None) -> bytes:
    """Return a job's log in which the board says these numbers."""
    records: list[dict[str, Any]] = [{"lvl": "target", "msg": f"line {number:06}"} for number in lines]
    records += [
        {"lvl": "results", "msg": {"definition": "0_numbers", "case": f"result-{number:06}", "result": "pass"}}
        for number in results
    ]
    if end is not None:
        records.append({"lvl": "results", "msg": {"definition": "lava", "case": "job", **end}})
    return b"".join(b"- " + json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("stored", "lost", "doubled", "disordered"),
    [
        ([1, 2, 3], 0, 0, 0),
        ([1, 3], 1, 0, 0),
        ([1, 2, 2, 3], 0, 1, 0),
        ([1, 3, 2], 0, 0, 1),
        ([], 3, 0, 0),
        ([1, 1, 3, 2], 0, 1, 1),
    ],
)
def test_lost_doubled_and_disordered_numbers_are_counted(
    stored: list[int], lost: int, doubled: int, disordered: int
) -> None:
    tally = Tally.of([1, 2, 3], stored)
    assert (tally.lost, tally.doubled, tally.disordered) == (lost, doubled, disordered)
    assert tally.true == (stored == [1, 2, 3])


PASS = {"result": "pass"}
CANCELED = {"result": "fail", "error_type": "Canceled"}


def judge(
    directory: Path, written: list[bytes], stored: bytes, health: str, *, results: int = 1, **fate: bool
) -> Account:
    files = []
    for number, content in enumerate(written):
        files.append(directory / f"{number}.log")
        files[-1].write_bytes(content)
    cases = [{"suite": "0_numbers", "name": f"result-{number:06}"} for number in range(1, results + 1)]
    shown = {"health": health, "failure_comment": "killed", "error_msg": None}
    entry = account("1", files, stored, cases, shown)
    fate = {"killed": False, "canceled": False, **fate}
    entry.check(expected_lines=2, expected_results=1, killed=fate["killed"], canceled=fate["canceled"])
    return entry


GOOD = log(1, 2, results=(1,), end=PASS)
TORN = log(1, results=(1,)) + b'- {"lvl": "targ'


@pytest.mark.parametrize(
    ("written", "stored", "health", "options"),
    [
        ([GOOD], GOOD, "Complete", {}),
        ([TORN], log(1, results=(1,)), "Incomplete", {"killed": True}),
        ([log(1, results=(1,), end=CANCELED)], log(1, results=(1,), end=CANCELED), "Canceled", {"canceled": True}),
        ([GOOD], GOOD, "Complete", {"canceled": True}),
    ],
    ids=["complete", "killed in the middle of a line", "canceled", "canceled too late"],
)
def test_a_true_account_has_no_fault(
    tmp_path: Path, written: list[bytes], stored: bytes, health: str, options: dict[str, bool]
) -> None:
    assert judge(tmp_path, written, stored, health, **options).faults == []


@pytest.mark.parametrize(
    ("written", "stored", "health", "options", "fault"),
    [
        ([GOOD], log(1, results=(1,), end=PASS), "Complete", {}, "lines: "),
        ([GOOD], GOOD + log(2), "Complete", {}, "lines: "),
        ([GOOD], GOOD, "Complete", {"results": 2}, "results: "),
        ([GOOD], GOOD.replace(b"target", b"tarGet"), "Complete", {}, "the stored log is not"),
        ([GOOD, b""], GOOD, "Complete", {}, "started 2 times"),
        ([GOOD], GOOD, "Incomplete", {}, "is Incomplete, not Complete"),
        ([log(1)], log(1), "Incomplete", {"results": 0}, "nobody killed it"),
        ([log(1)], log(1), "Complete", {"results": 0, "killed": True}, "is Complete, not Incomplete"),
        ([log(1, end=PASS)], log(1, end=PASS), "Complete", {"results": 0}, "of a complete job"),
        ([log(end=CANCELED)], log(end=CANCELED), "Incomplete", {"results": 0, "canceled": True}, "not Canceled"),
    ],
)
def test_a_false_account_says_what_is_wrong(
    tmp_path: Path, written: list[bytes], stored: bytes, health: str, options: dict[str, Any], fault: str
) -> None:
    entry = judge(tmp_path, written, stored, health, **options)
    assert any(fault in found for found in entry.faults), entry.faults
    assert f"! {entry.faults[0]}" in table([entry])
