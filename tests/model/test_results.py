"""A result record becomes what is kept of it, or says why it cannot be.  Dispatcher 18.3, server 9.1."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.model.results import Outcome, ResultError, parse_result

CASE = {"definition": "0_smoke", "case": "boot", "result": "pass"}


def test_a_whole_record() -> None:
    record = {
        **CASE,
        "measurement": "12.50",
        "units": "MB/s",
        "set": "io",
        "starttc": 3,
        "endtc": "7",
        "extra": "x",
        "level": "1.2",
    }
    result = parse_result(record)
    assert (result.suite, result.case, result.outcome) == ("0_smoke", "boot", Outcome.PASS)
    assert (result.measurement, result.units, result.test_set) == (Decimal("12.50"), "MB/s", "io")
    assert (result.start_line, result.end_line) == (3, 7)
    assert result.metadata == {key: value for key, value in record.items() if key not in ("starttc", "endtc")}
    assert result.complaint == ""


def test_a_result_of_the_jobs_own_actions_measures_its_duration() -> None:
    result = parse_result({**CASE, "definition": "lava", "duration": "1.25", "starttc": 1, "endtc": 2})
    assert (result.measurement, result.units) == (Decimal("1.25"), "seconds")
    assert (result.start_line, result.end_line) == (None, None)


def test_a_duration_of_a_test_is_no_measurement() -> None:
    assert parse_result({**CASE, "duration": "1.25"}).measurement is None


@pytest.mark.parametrize("value", [None, "", "None"])
def test_no_measurement(value: Any) -> None:
    assert parse_result({**CASE, "measurement": value}).measurement is None


@pytest.mark.parametrize(
    ("value", "number"), [(1, "1"), (-0.5, "-0.5"), ("1e3", "1000"), (" 7 ", "7"), ("0.1", "0.1"), (1e-7, "1e-7")]
)
def test_a_measurement_is_exact(value: Any, number: str) -> None:
    assert parse_result({**CASE, "measurement": value}).measurement == Decimal(number)


@pytest.mark.parametrize("value", [5, -1, "x", None, "", 1.5, True, "1" * 16, "\u0665", [1]])
def test_only_a_number_of_a_line_is_a_place(value: Any) -> None:
    assert parse_result({**CASE, "starttc": value}).start_line == (5 if value == 5 else None)


@pytest.mark.parametrize("name", ["a/b", "a b", "é", ""])
def test_a_set_with_an_impossible_name_is_complained_of_and_left_out(name: str) -> None:
    result = parse_result({**CASE, "set": name})
    if name:
        assert (result.test_set, result.complaint) == (None, f"invalid test set name '{name}'")


@pytest.mark.parametrize(("name", "kept"), [("a\x00b", "a_ctrl-char_b"), (" a ", "a"), (5, "5"), ("é 🙂", "é 🙂")])
def test_names_are_cleaned(name: Any, kept: str) -> None:
    result = parse_result({**CASE, "case": name, "definition": name, "units": name})
    assert (result.case, result.suite, result.units) == (kept, kept, kept)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("text", "a result must be a mapping"),
        (None, "a result must be a mapping"),
        ({}, "a result lacks 'definition'"),
        ({"definition": "a"}, "a result lacks 'case'"),
        ({"definition": "a", "case": "b"}, "a result lacks 'result'"),
        ({**CASE, "result": "passed"}, "'passed' is no result (0_smoke/boot)"),
        ({**CASE, "result": None}, "'None' is no result (0_smoke/boot)"),
        ({**CASE, "result": ["pass"]}, "'['pass']' is no result (0_smoke/boot)"),
        ({**CASE, "measurement": "fast"}, "'fast' is no number"),
        ({**CASE, "measurement": [1]}, "'[1]' is no number"),
        ({**CASE, "measurement": "nan"}, "'nan' is no number that can be stored"),
        ({**CASE, "measurement": "-inf"}, "'-inf' is no number that can be stored"),
        ({**CASE, "measurement": 1e20}, "'1e+20' is no number that can be stored"),
        ({**CASE, "measurement": "1e999999999"}, "'1e999999999' is no number that can be stored"),
    ],
)
def test_what_cannot_be_kept(record: Any, reason: str) -> None:
    with pytest.raises(ResultError) as refused:
        parse_result(record)
    assert str(refused.value) == reason


KEYS = st.sampled_from(["definition", "case", "result", "measurement", "units", "set", "starttc", "endtc", "duration"])
ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.just({})
)


@given(st.dictionaries(KEYS, ODD))
def test_nothing_that_a_device_sends_does_harm(changes: dict[str, Any]) -> None:
    try:
        result = parse_result({**CASE, **changes})
    except ResultError as error:
        assert str(error)  # noqa: PT017
    else:
        assert (result.suite + result.case + result.units).isprintable()
