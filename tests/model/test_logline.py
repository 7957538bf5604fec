"""A log line is one line, JSON and YAML at once, and gives back what was written.  Dispatcher 18.1, 19.2 (10)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.model.logline import LONGEST_MESSAGE, Level, LogLine, LogLineError, decode, encode, encode_lines

NOON = datetime(2026, 3, 2, 12, 0, 0, 250000, UTC)
AWKWARD = "\x00\x07\t\x1b\x7f\x85\x9f\xa0\u2028\u2029\ufeff\ufffe\uffff\n\r\"'\\:#-{}[],&*!|>%@` é€🙂"
TEXT = st.text() | st.text(AWKWARD)
TEXTS = st.lists(TEXT, max_size=6)
WHEN = st.datetimes(timezones=st.just(UTC))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
MESSAGES = TEXT | st.dictionaries(TEXT, VALUES, max_size=4)
LINES = st.builds(LogLine, WHEN, st.sampled_from(Level), MESSAGES, st.none() | TEXT)


def loaded(raw: bytes) -> Any:
    """Return what any YAML loader makes of a stored log of one line."""
    (record,) = yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (a safe loader)
    return record


@settings(deadline=None)
@given(LINES)
def test_any_record_survives_writing_and_reading(line: LogLine) -> None:
    raw = encode(line)
    assert decode(raw) == line
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert len(raw.decode().splitlines()) == 1
    record = loaded(raw)
    assert list(record) == ["dt", "lvl", "msg", *(["ns"] if line.namespace is not None else [])]
    assert record == json.loads(raw[2:])
    assert record["msg"] == line.message


@settings(deadline=None)
@given(WHEN, st.sampled_from(Level), TEXTS, st.none() | TEXT)
def test_many_lines_are_written_as_each_by_itself(
    when: datetime, level: Level, texts: list[str], namespace: str | None
) -> None:
    assert encode_lines(when, level, texts, namespace) == b"".join(
        encode(LogLine(when, level, text, namespace)) for text in texts
    )


@pytest.mark.parametrize("character", AWKWARD)
@pytest.mark.parametrize("text", ["{}", "a{}b", "\n{}", '"{}'])
def test_every_awkward_character(character: str, text: str) -> None:
    message = text.format(character)
    raw = encode_lines(NOON, Level.TARGET, [message, "next"])
    assert raw == encode(LogLine(NOON, Level.TARGET, message)) + encode(LogLine(NOON, Level.TARGET, "next"))
    assert [record["msg"] for record in yaml.safe_load(raw)] == [message, "next"]


def test_the_form_on_disk() -> None:
    assert encode(LogLine(NOON, Level.INFO, "start: 0 validate")) == (
        b'- {"dt": "2026-03-02T12:00:00.250000+00:00", "lvl": "info", "msg": "start: 0 validate"}\n'
    )
    assert encode(LogLine(NOON, Level.FEEDBACK, "é", "tee")).endswith('"msg": "é", "ns": "tee"}\n'.encode())
    assert encode_lines(NOON, Level.TARGET, []) == b""


def test_half_a_pair_of_surrogates_is_replaced() -> None:
    assert decode(encode(LogLine(NOON, Level.TARGET, "a\udcffb"))).message == "a\ufffdb"
    assert decode(encode_lines(NOON, Level.TARGET, ["a\udcffb"])).message == "a\ufffdb"


@pytest.mark.parametrize("odd", [NOON, b"bytes", {1, 2}, 1 + 2j])
def test_a_value_that_is_no_json_is_written_as_its_text(odd: object) -> None:
    assert decode(encode(LogLine(NOON, Level.RESULTS, {"a": odd}))).message == {"a": str(odd)}


@pytest.mark.parametrize("number", [1e22, 1e-7, -1e16, 1.5e300, -0.0, 2**70, 5e-324])
def test_a_number_is_a_number_for_every_reader(number: float) -> None:
    message = {"a": number, "b": "1e-7, Infinity", "c": ['"', number, "\\"], "1e22": {"d": '\\"'}}
    raw = encode(LogLine(NOON, Level.RESULTS, message))
    assert loaded(raw)["msg"] == decode(raw).message == message


@pytest.mark.parametrize(("number", "text"), [("inf", "Infinity"), ("-inf", "-Infinity"), ("nan", "NaN")])
def test_a_number_that_is_none_is_written_as_text(number: str, text: str) -> None:
    raw = encode(LogLine(NOON, Level.RESULTS, {"a": float(number)}))
    assert loaded(raw)["msg"] == decode(raw).message == {"a": text}


class TestTooLong:
    @pytest.mark.parametrize("character", ["x", "é", "\x00", '"'])
    def test_a_text(self, character: str) -> None:
        text = character * (LONGEST_MESSAGE + 1)
        one = decode(encode(LogLine(NOON, Level.TARGET, text)))
        assert str(one.message).startswith("<line way too long: ")
        many = encode_lines(NOON, Level.TARGET, ["before", text, "after"]).splitlines()
        assert [decode(line).message for line in many] == [
            "before",
            f"<line way too long: {LONGEST_MESSAGE + 1} characters>",
            "after",
        ]

    def test_a_mapping(self) -> None:
        line = decode(encode(LogLine(NOON, Level.RESULTS, {"a": "x" * LONGEST_MESSAGE})))
        assert isinstance(line.message, dict)
        assert str(line.message["skip"]).startswith("<line way too long: ")

    def test_what_just_fits_is_kept(self) -> None:
        text = "x" * (LONGEST_MESSAGE - 200)
        assert decode(encode(LogLine(NOON, Level.TARGET, text))).message == text
        assert decode(encode_lines(NOON, Level.TARGET, [text])).message == text


class TestReading:
    @pytest.mark.parametrize(
        ("raw", "line"),
        [
            (
                '- {"dt": "2026-03-02T12:00:00.250000", "lvl": "debug", "msg": "a"}',
                LogLine(NOON, Level.DEBUG, "a"),
            ),  # older writers leave the zone out
            (
                '{dt: "2026-03-02T12:00:00.250000+00:00", lvl: target, msg: "a: b"}\r\n',
                LogLine(NOON, Level.TARGET, "a: b"),
            ),
            (
                '- {"dt": "2026-03-02T12:00:00.25+00:00", "lvl": "results", "msg": {"a": !!int "12",'
                ' "b": !!float "1.5", "c": !!null "null", "d": !!bool "true"}}',
                LogLine(NOON, Level.RESULTS, {"a": 12, "b": 1.5, "c": None, "d": True}),
            ),
            (
                '- {"dt": "2026-03-02T13:00:00.25+01:00", "lvl": "info", "msg": 5, "ns": 7, "more": []}',
                LogLine(NOON.astimezone(timezone(timedelta(hours=1))), Level.INFO, "5", "7"),
            ),
            ('- {"dt": "2026-03-02T12:00:00.25Z", "lvl": "info", "msg": null}', LogLine(NOON, Level.INFO, "None")),
        ],
    )
    def test_other_writers_lines(self, raw: str, line: LogLine) -> None:
        assert decode(raw.encode()) == line

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"", "not a mapping"),
            (b"- \xff", "not UTF-8 at byte 2"),
            (b"just text", "not a mapping"),
            (b"- [1, 2]", "not a mapping"),
            (b'- {"a": ', "neither JSON nor YAML"),
            (b"- {}", "no 'lvl'"),
            (b'- {"dt": "2026-03-02T12:00:00", "lvl": "info"}', "no 'msg'"),
            (b'- {"dt": "2026-03-02T12:00:00", "lvl": "loud", "msg": ""}', "unknown level 'loud'"),
            (b'- {"dt": "2026-03-02T12:00:00", "lvl": [], "msg": ""}', "unknown level []"),
            (b'- {"lvl": "info", "msg": ""}', "no 'dt'"),
            (b'- {"dt": "yesterday", "lvl": "info", "msg": ""}', "'yesterday' is no time"),
            (b'- {"dt": 5, "lvl": "info", "msg": ""}', "no 'dt'"),
            (b"- !!python/name:os.system {}", "neither JSON nor YAML"),
            (b"- {a: !!int x}", "neither JSON nor YAML"),
            (b"- " + b"[" * 100_000, "neither JSON nor YAML"),
            (b"- " + b'{"a":' * 100_000, "neither JSON nor YAML"),
            (b'- {"dt": 1' + b"0" * 5000 + b"}", ""),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_what_is_no_line_says_why(self, raw: bytes, reason: str) -> None:
        with pytest.raises(LogLineError) as refused:
            decode(raw)
        assert reason in str(refused.value)

    @settings(deadline=None)
    @given(st.binary(max_size=60) | TEXT.map(str.encode))
    def test_no_bytes_do_harm(self, raw: bytes) -> None:
        try:
            assert isinstance(decode(raw), LogLine)
        except LogLineError as error:
            assert str(error)  # noqa: PT017
