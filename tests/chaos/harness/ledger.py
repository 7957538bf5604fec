"""What was sent and what is stored, line by line and result by result.

Sent is what the job process wrote: its log file, which the wrapper of the job process keeps by a second link.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LINE = re.compile(r"line (\d{6})")
_RESULT = re.compile(r"result-(\d{6})")


def whole_lines(log: bytes) -> bytes:
    """Return the log without what stands behind its last newline."""
    return log[: log.rfind(b"\n") + 1]


def records(log: bytes) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(b"- ")) for line in whole_lines(log).splitlines()]


def line_numbers(log: Sequence[dict[str, Any]]) -> list[int]:
    """Return the numbers that the board printed, in the order of the log."""
    said = [record["msg"] for record in log if record["lvl"] == "target"]
    return [int(found[1]) for text in said if isinstance(text, str) and (found := _LINE.fullmatch(text))]


def result_numbers(names: Sequence[str]) -> list[int]:
    return [int(found[1]) for name in names if (found := _RESULT.fullmatch(name))]


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers that were sent, compared with those that are stored."""

    sent: int
    stored: int
    lost: int
    doubled: int
    disordered: int

    @classmethod
    def of(cls, sent: Sequence[int], stored: Sequence[int]) -> Tally:
        return cls(
            len(sent),
            len(stored),
            len(set(sent) - set(stored)),
            len(stored) - len(set(stored)),
            sum(after < before for before, after in itertools.pairwise(stored)),
        )

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.sent + other.sent,
            self.stored + other.stored,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.disordered + other.disordered,
        )

    @property
    def true(self) -> bool:
        return self.sent == self.stored and not (self.lost or self.doubled or self.disordered)


@dataclass(slots=True)
class Account:
    """What became of a job."""

    job: str
    lines: Tally
    results: Tally
    starts: int
    health: str
    #: the log that is stored is, byte by byte, the one that was written
    same_bytes: bool
    #: what the job itself said last: ``pass``, ``fail``, ``Canceled``, or nothing
    verdict: str | None
    comment: str
    faults: list[str] = field(default_factory=list)

    def check(self, *, expected_lines: int, expected_results: int, killed: bool, canceled: bool) -> None:
        """Add what is wrong."""
        if self.starts > 1:
            self.faults.append(f"started {self.starts} times")
        if not self.same_bytes:
            self.faults.append("the stored log is not the one that was written")
        for what, tally in (("lines", self.lines), ("results", self.results)):
            if not tally.true:
                self.faults.append(f"{what}: {tally}")
        wanted = {"Complete"} if self.verdict == "pass" else {"Incomplete"}
        if canceled:  # or it came too late, or was never heard
            wanted = {"Canceled"} if self.verdict == "Canceled" else {"Canceled", *wanted}
        if self.health not in wanted:
            self.faults.append(f"is {self.health}, not {' or '.join(sorted(wanted))}")
        if self.health != "Complete" and not killed and not canceled:
            self.faults.append(f"{self.health}, and nobody killed it: {self.comment}")
        if self.health == "Incomplete" and not self.comment:
            self.faults.append("Incomplete without a reason")
        if self.health == "Complete" and (self.lines.stored, self.results.stored) != (expected_lines, expected_results):
            self.faults.append(f"{self.lines.stored} lines and {self.results.stored} results of a complete job")


def account(
    job: str,
    written: Sequence[Path],
    stored_log: bytes,
    stored_results: Sequence[dict[str, Any]],
    shown: dict[str, Any],
) -> Account:
    """Return the account of a job.

    Args:
        written: the log of each of its starts.
    """
    sent_log = b"".join(whole_lines(path.read_bytes()) for path in written)
    sent = records(sent_log)
    results = [record["msg"] for record in sent if record["lvl"] == "results"]
    sent_cases = [str(result["case"]) for result in results if str(result["definition"]).endswith("numbers")]
    stored_cases = [str(case["name"]) for case in stored_results if str(case["suite"]).endswith("numbers")]
    ends = [result for result in results if (result["definition"], result["case"]) == ("lava", "job")]
    verdicts = ["Canceled" if end.get("error_type") == "Canceled" else end["result"] for end in ends]
    return Account(
        job,
        Tally.of(line_numbers(sent), line_numbers(records(stored_log))),
        Tally.of(result_numbers(sent_cases), result_numbers(stored_cases)),
        len(written),
        str(shown["health"]),
        sent_log == stored_log,
        verdicts[-1] if verdicts else None,
        str(shown["failure_comment"] or shown["error_msg"] or ""),
    )


def table(accounts: Sequence[Account]) -> str:
    """Return the figures of all jobs, one a line, and their sums."""
    heading = "job    lines sent  stored  lost doubled disordered  results sent  stored  lost doubled  starts  health"
    rows = [heading]
    nothing = Tally(0, 0, 0, 0, 0)
    for entry in accounts:
        rows.append(_row(entry.job, entry.lines, entry.results, entry.starts, entry.health))
        rows += [f"       ! {fault}" for fault in entry.faults]
    starts = sum(entry.starts for entry in accounts)
    sums = [sum((getattr(entry, name) for entry in accounts), start=nothing) for name in ("lines", "results")]
    healths = [entry.health for entry in accounts]
    counted = ", ".join(f"{healths.count(health)} {health}" for health in sorted(set(healths)))
    rows.append(_row("all", sums[0], sums[1], starts, counted))
    return "\n".join(rows)


def _row(job: str, lines: Tally, results: Tally, starts: int, health: str) -> str:
    return (
        f"{job:<5}{lines.sent:>12}{lines.stored:>8}{lines.lost:>6}{lines.doubled:>8}{lines.disordered:>11}"
        f"{results.sent:>14}{results.stored:>8}{results.lost:>6}{results.doubled:>8}{starts:>8}  {health}"
    )
