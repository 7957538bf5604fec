"""A result record: what the dispatcher says of one case, and what the server keeps of it.

Source: dispatcher specification 18.3, server 9.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from urllib.parse import quote

#: suite of the job's own actions
JOB_SUITE = "lava"
_DECIMAL_LIMIT = Decimal(10) ** 20
#: a longer number is no line of any log
_LINE_DIGITS = 15


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"


class ResultError(ValueError):
    """A record cannot be kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result."""

    suite: str
    case: str
    outcome: Outcome
    measurement: Decimal | None
    units: str
    test_set: str | None
    start_line: int | None
    end_line: int | None
    #: kept with the case: everything of the record but its line numbers
    metadata: Mapping[str, Any]
    #: what could not be kept, for the job's failure comment
    complaint: str = ""


def parse_result(record: object) -> Result:
    """Return the result that a log line carries.

    Raises:
        ResultError: it is no mapping, lacks a key, or has an impossible value.
    """
    if not isinstance(record, Mapping):
        raise ResultError("a result must be a mapping")
    for key in ("definition", "case", "result"):
        if key not in record:
            raise ResultError(f"a result lacks '{key}'")
    suite, case = _clean(record["definition"]), _clean(record["case"])
    try:
        outcome = Outcome(record["result"])
    except ValueError:
        raise ResultError(f"'{record['result']}' is no result ({suite}/{case})") from None
    measurement, units = record.get("measurement"), _clean(record.get("units") or "")
    if suite == JOB_SUITE and "duration" in record:
        measurement, units = record["duration"], "seconds"
    test_set = record.get("set")
    complaint = ""
    if test_set is not None and quote(str(test_set), safe="") != str(test_set):
        complaint, test_set = f"invalid test set name '{test_set}'", None
    own_lines = suite != JOB_SUITE
    return Result(
        suite=suite,
        case=case,
        outcome=outcome,
        measurement=_decimal(measurement),
        units=units,
        test_set=None if test_set is None else str(test_set),
        start_line=_line(record.get("starttc")) if own_lines else None,
        end_line=_line(record.get("endtc")) if own_lines else None,
        metadata={key: value for key, value in record.items() if key not in ("starttc", "endtc")},
        complaint=complaint,
    )


def _clean(value: Any) -> str:
    """Replace control characters, which a device may send and no database takes."""
    text = "".join(char if char.isprintable() else "_ctrl-char_" for char in str(value))
    return text.strip()


def _decimal(value: Any) -> Decimal | None:
    if value in (None, "", "None"):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ResultError(f"'{value}' is no number") from None
    if not number.is_finite() or number.copy_abs() >= _DECIMAL_LIMIT:
        raise ResultError(f"'{value}' is no number that can be stored")
    return number


def _line(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LINE_DIGITS else None
