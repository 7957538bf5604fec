"""Signals of the device: dispatcher specification 10.6, 13."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.console import Matcher
from lava.dispatcher.overlay import PlannedRun, TestRun
from lava.dispatcher.signals import (
    MARKER,
    REMEMBERED_CASES,
    Broken,
    Command,
    Complain,
    GiveUp,
    Interpreter,
    Note,
    ReadConsole,
    Record,
    Runner,
    Signal,
    Warn,
    is_traced,
    missing,
    read_marker,
)
from lava.model.job import Definition
from lava.model.test_definition import TestDefinition


def a_run(number: int = 0, name: str = "smoke", *, commit: str | None = None, **keys: Any) -> TestRun:
    in_test = {key: keys.pop(key) for key in ("fixups", "parse_pattern") if key in keys}
    expected = keys.pop("expected_by_test", None)
    definition = Definition.model_validate(
        {"from": "inline", "repository": {"metadata": {}}, "path": "smoke.yaml", "name": name, **keys}
    )
    test = TestDefinition(name, {}, {}, None, (), in_test.get("parse_pattern"), in_test.get("fixups", {}), expected)
    return TestRun(PlannedRun(number, 0, definition), f"1_1.{number}", Path(), test, commit=commit)


def an_interpreter(*runs: TestRun) -> Interpreter:
    return Interpreter(runs or (a_run(),), stage=0, level="3.1", namespace="common", connection="common", now=0.0)


def markers(stream: bytes, cuts: Sequence[int] = ()) -> list[Signal | Runner | Broken]:
    """Read the stream as the console does, in pieces."""
    matcher = Matcher()
    matcher.expect([MARKER])
    found = []
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        matcher.feed(stream[start:end])
        while (hit := matcher.find()) is not None:
            found.append(read_marker(hit.groups))
    return found


def tell(interpreter: Interpreter, *lines: str) -> list[Command]:
    """Give the interpreter one signal a line, on log lines 10, 11, …, a second apart."""
    told: list[Command] = []
    for number, line in enumerate(lines):
        (marker,) = markers(f"<LAVA_{line}>\r\n".encode())
        told += interpreter.marker(marker, line=10 + number, now=float(number))
    return told


STARTED = "SIGNAL_STARTRUN 0_smoke 1_1.0"
ENDED = "SIGNAL_ENDRUN 0_smoke 1_1.0"


def cases(told: list[Command]) -> list[dict[str, Any]]:
    return [dict(command.result) for command in told if isinstance(command, Record)]


def test_a_run_that_ends_is_a_pass_with_its_origin() -> None:
    told = tell(an_interpreter(a_run(commit="abc")), STARTED, ENDED)
    assert cases(told) == [
        {
            "definition": "lava",
            "case": "0_smoke",
            "result": "pass",
            "uuid": "1_1.0",
            "duration": "1.00",
            "repository": "inline",
            "path": "smoke.yaml",
            "revision": "unspecified",
            "namespace": "common",
            "commit_id": "abc",
        }
    ]


def test_a_run_without_an_end_is_a_failure_when_the_runner_exits() -> None:
    interpreter = an_interpreter()
    told = tell(interpreter, STARTED, "TEST_RUNNER EXIT")
    assert cases(told) == [
        {"definition": "lava", "case": "0_smoke", "result": "fail", "uuid": "1_1.0", "duration": "1.00"}
    ]
    assert interpreter.finished
    assert list(interpreter.leave(9.0)) == []


def test_a_run_without_an_end_is_a_failure_when_the_next_begins() -> None:
    told = tell(an_interpreter(a_run(), a_run(1, "next")), STARTED, "SIGNAL_STARTRUN 1_next 1_1.1")
    assert [(case["case"], case["result"]) for case in cases(told)] == [("0_smoke", "fail")]


def test_leaving_with_an_open_run_records_it_as_a_failure() -> None:
    interpreter = an_interpreter()
    tell(interpreter, STARTED)
    assert [(case["case"], case["result"], case["duration"]) for case in cases(list(interpreter.leave(7.5)))] == [
        ("0_smoke", "fail", "7.50")
    ]


def test_a_damaged_suite_name_is_recognised_by_its_uuid() -> None:
    told = tell(an_interpreter(), "SIGNAL_STARTRUN 0_smXke 1_1.0", "SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass")
    assert cases(told)[0]["definition"] == "0_smoke"


def test_a_case_has_measurement_units_set_and_lines() -> None:
    told = tell(
        an_interpreter(),
        STARTED,
        "SIGNAL_TESTSET START io",
        "SIGNAL_STARTTC speed",
        "SIGNAL_ENDTC speed",
        "SIGNAL_TESTCASE result=pass UNITS=MB/s MEASUREMENT=41.5 test_case_id=speed",
        "SIGNAL_TESTSET STOP",
        "SIGNAL_TESTCASE TEST_CASE_ID=after RESULT=skip UNITS=s",
    )
    assert cases(told) == [
        {
            "definition": "0_smoke",
            "case": "speed",
            "result": "pass",
            "measurement": 41.5,
            "units": "MB/s",
            "set": "io",
            "starttc": 12,
            "endtc": 13,
        },
        {"definition": "0_smoke", "case": "after", "result": "skip", "starttc": 16, "endtc": 16},
    ]


def test_what_follows_the_first_equals_sign_is_the_value() -> None:
    told = tell(an_interpreter(), STARTED, "SIGNAL_TESTCASE TEST_CASE_ID=a=b RESULT=pass")
    assert cases(told)[0]["case"] == "a=b"


def test_a_reference_has_its_address() -> None:
    told = tell(an_interpreter(), STARTED, "SIGNAL_TESTREFERENCE doc fail https://example.com/?a=b")
    assert cases(told)[0] == {
        "definition": "0_smoke",
        "case": "doc",
        "result": "fail",
        "reference": "https://example.com/?a=b",
        "starttc": 11,
        "endtc": 11,
    }


def test_other_signals_are_handed_on() -> None:
    told = tell(
        an_interpreter(),
        STARTED,
        "SIGNAL_TESTEVENT halfway there",
        "SIGNAL_TESTFEEDBACK other",
        "SIGNAL_TESTRAISE no disk",
    )
    assert told == [Note("halfway there"), ReadConsole("other"), GiveUp("no disk")]


def test_a_failed_installation_is_recorded_and_reading_goes_on() -> None:
    interpreter = an_interpreter()
    assert cases(tell(interpreter, "TEST_RUNNER INSTALL_FAIL")) == [
        {"definition": "lava", "case": "stage_0", "result": "fail", "duration": "0.00"}
    ]
    assert not interpreter.finished


def test_a_case_before_any_run_ends_the_job() -> None:
    (command,) = tell(an_interpreter(), "SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass")
    assert isinstance(command, GiveUp)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("TEST_CASE_ID=a b RESULT=pass", "'b' is no NAME=VALUE"),
        ("RESULT=pass", "no TEST_CASE_ID"),
        ("TEST_CASE_ID=a", "no RESULT"),
        ("TEST_CASE_ID=a RESULT=good", "'good' of 'a' is none of"),
        ("TEST_CASE_ID=a RESULT=pass MEASUREMENT=fast", "'fast' of 'a' is no number"),
        ("TEST_CASE_ID=a RESULT=pass MEASUREMENT=nan", "no finite number"),
    ],
)
def test_an_ill_formed_case_is_reported_and_ignored(parameters: str, reason: str) -> None:
    interpreter = an_interpreter()
    (complaint,) = tell(interpreter, STARTED, f"SIGNAL_TESTCASE {parameters}")
    assert isinstance(complaint, Complain)
    assert reason in complaint.text
    assert cases(tell(interpreter, "SIGNAL_TESTCASE TEST_CASE_ID=next RESULT=pass"))[0]["case"] == "next"


@pytest.mark.parametrize(
    "line",
    [
        "SIGNAL_NOSUCH thing",
        "SIGNAL_STARTRUN 9_other 7_7",
        "SIGNAL_ENDTC never-started",
        "SIGNAL_TESTREFERENCE only two",
        "SIGNAL_TESTSET",
        "SIGNAL_TESTSET JUMP",
        "TEST_RUNNER NOSUCH",
    ],
)
def test_other_nonsense_is_reported_and_ignored(line: str) -> None:
    interpreter = an_interpreter()
    tell(interpreter, STARTED)
    told = [
        command
        for marker in markers(f"<LAVA_{line}>".encode())
        for command in interpreter.marker(marker, line=1, now=1)
    ]
    assert all(isinstance(command, Complain) for command in told)
    assert interpreter.run is not None


def test_results_are_spelled_as_the_definition_says() -> None:
    told = tell(
        an_interpreter(a_run(fixups={"OK": "pass", "PASS": "unknown"})),
        STARTED,
        *(f"SIGNAL_TESTCASE TEST_CASE_ID=a RESULT={result}" for result in ("OK", "PASS", "FAIL", "skip")),
    )
    assert [case["result"] for case in cases(told)] == ["pass", "unknown", "fail", "skip"]


def test_an_unexpected_case_is_a_failure_and_a_missing_one_too() -> None:
    told = tell(
        an_interpreter(a_run(expected=["a", "b"], expected_by_test=("c",))),
        STARTED,
        "SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass",
        "SIGNAL_TESTCASE TEST_CASE_ID=c RESULT=pass",
        ENDED,
    )
    assert [(case["case"], case["result"]) for case in cases(told)] == [
        ("a", "pass"),
        ("c", "fail"),
        ("b", "fail"),
        ("0_smoke", "pass"),
    ]
    assert cases(told)[2]["level"] == "3.1"
    assert "reason" in cases(told)[2]["extra"]
    assert sum(isinstance(command, Warn) for command in told) == 2


def test_expected_cases_of_the_definition_count_when_the_job_has_no_list() -> None:
    told = tell(an_interpreter(a_run(expected_by_test=("a",))), STARTED, ENDED)
    assert [(case["case"], case["result"]) for case in cases(told)] == [("a", "fail"), ("0_smoke", "pass")]


def test_expected_cases_of_a_run_that_never_began_are_recorded_on_leaving() -> None:
    run = a_run(expected=["a"])
    assert [case["case"] for case in cases(list(an_interpreter(run).leave(0.0)))] == ["a"]
    assert [case["case"] for case in cases(list(missing(run.plan, "3.1")))] == ["a"]


def test_a_pattern_of_the_definition_reports_cases() -> None:
    interpreter = an_interpreter(a_run(fixups={"ok": "pass"}))
    tell(interpreter, STARTED)
    found = [
        *interpreter.found({"test_case_id": b"one", "result": b"ok"}, line=1),
        *interpreter.found({"test_case_id": b"two", "measurement": b"1.5", "units": b"ms"}, line=2),
        *interpreter.found({"test_case_id": b"with blank", "result": b"ok"}, line=3),
    ]
    assert [(case["case"], case["result"], case.get("measurement")) for case in cases(found)] == [
        ("one", "pass", None),
        ("two", "pass", 1.5),
    ]


def test_memory_does_not_grow_with_what_the_device_prints() -> None:
    interpreter = an_interpreter()
    tell(interpreter, STARTED)
    for number in range(3 * REMEMBERED_CASES):
        list(interpreter.marker(Signal("STARTTC", f"case-{number}"), line=number, now=0.0))
    assert len(interpreter._lines) == REMEMBERED_CASES


def test_the_kernel_log_form_is_the_same_signal() -> None:
    stream = b"[   12.345678] <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>\r\n"
    assert markers(stream) == [Signal("TESTCASE", "TEST_CASE_ID=a RESULT=pass")]


@pytest.mark.parametrize(
    "stream",
    [
        b"<LAVA_SIGNAL_TESTCASE TEST_C[   12.345678] random: crng -> done\r\nASE_ID=a RESULT=pass>\r\n",
        b"<LA[    1.000000] one\r\n[    1.000001][    T1] two\r\nVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>\r\n",
        b"<LAVA_SIGNAL_TEST[    1.000000] one\nCASE TEST_CASE_ID=a RESULT=pa[    1.000000] two\r\nss>\r\n",
        b"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass[ 1234.000000] last\r\n>\r\n",
    ],
)
def test_kernel_messages_inside_of_a_signal_do_no_harm(stream: bytes) -> None:
    assert markers(stream) == [Signal("TESTCASE", "TEST_CASE_ID=a RESULT=pass")]
    assert markers(stream, range(len(stream))) == markers(stream)


def test_a_signal_may_quote_the_kernel() -> None:
    stream = b"<LAVA_SIGNAL_TESTRAISE it said: [   12.345678] Oops: 0>\r\n<LAVA_TEST_RUNNER EXIT>\r\n"
    assert markers(stream) == [Signal("TESTRAISE", "it said: [   12.345678] Oops: 0"), Runner("EXIT")]
    assert markers(stream, range(len(stream))) == markers(stream)


def test_a_signal_that_is_never_closed_ends_where_the_next_begins() -> None:
    stream = b"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RES\r\n<LAVA_SIGNAL_ENDRUN 0_smoke 1_1.0>"
    broken, ended = markers(stream)
    assert isinstance(broken, Broken)
    assert ended == Signal("ENDRUN", "0_smoke 1_1.0")
    (complaint,) = an_interpreter().marker(broken, line=0, now=0.0)
    assert isinstance(complaint, Complain)


def test_a_traced_command_is_told_from_what_it_prints() -> None:
    assert is_traced(b"before\r\n+ echo '")
    assert is_traced(b"++ printf '%s\\n' '")
    assert not is_traced(b"+ echo x\r\nx + y ")


_words = st.text("abcXYZ019_-./=:[]()'\"é", min_size=1, max_size=20)
_signal_lines = st.lists(
    st.one_of(
        st.tuples(st.just("TESTCASE"), _words.map(lambda word: f"TEST_CASE_ID={word} RESULT=pass")),
        st.tuples(st.just("STARTTC"), _words),
        st.tuples(st.just("TESTEVENT"), st.lists(_words, min_size=1, max_size=3).map(" ".join)),
    ),
    max_size=8,
)
_noise = st.text("abc <>-:[]", max_size=30).filter(lambda text: not text.endswith(">"))
_cuts = st.lists(st.integers(0, 2000), max_size=12)


@settings(deadline=None)
@given(_signal_lines, _cuts, st.lists(st.text("ab<>+-\r\n LV", max_size=30), max_size=9))
def test_signals_are_found_however_the_stream_is_cut(
    lines: list[tuple[str, str]], cuts: list[int], between: list[str]
) -> None:
    between += [""] * (len(lines) - len(between))
    stream = "".join(
        f"{output}\r\n<LAVA_SIGNAL_{name} {parameters}>\r\n"
        for (name, parameters), output in zip(lines, between, strict=False)
    ).encode()
    assert markers(stream, cuts) == [Signal(name, parameters) for name, parameters in lines]


@settings(deadline=None)
@given(_words, st.lists(st.tuples(st.integers(1, 100), _noise), min_size=1, max_size=3), _cuts)
def test_kernel_messages_anywhere_inside_are_cut_out(word: str, noises: list[tuple[int, str]], cuts: list[int]) -> None:
    signal = f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={word} RESULT=pass>"
    damaged = signal
    for position, noise in sorted(((1 + place % (len(signal) - 1), noise) for place, noise in noises), reverse=True):
        damaged = f"{damaged[:position]}[   12.345678] {noise}\r\n{damaged[position:]}"
    stream = f"{damaged}\r\n<LAVA_TEST_RUNNER EXIT>\r\n".encode()
    expected = [Signal("TESTCASE", f"TEST_CASE_ID={word} RESULT=pass"), Runner("EXIT")]
    assert markers(stream, cuts) == expected


@settings(deadline=None, max_examples=30)
@given(st.lists(_words, max_size=40), _cuts)
def test_every_result_comes_back_once_and_in_order(names: list[str], cuts: list[int]) -> None:
    body = "".join(f"+ work\r\n<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={name} RESULT=pass>\r\n" for name in names)
    stream = f"<LAVA_{STARTED}>\r\n{body}<LAVA_{ENDED}>\r\n<LAVA_TEST_RUNNER EXIT>\r\n".encode()
    interpreter = an_interpreter()
    told = [
        command
        for line, marker in enumerate(markers(stream, cuts))
        for command in interpreter.marker(marker, line=line, now=0.0)
    ]
    assert [case["case"] for case in cases(told)] == [*names, "0_smoke"]
