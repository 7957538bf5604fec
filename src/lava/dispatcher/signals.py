r"""What the helpers on the device print, and what it means.  Pure.

A *marker* is one line such as ``<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=ping RESULT=pass>``; :data:`MARKER` finds it
anywhere in the console's stream, :func:`read_marker` takes it apart, :class:`Interpreter` knows the runs of one test
block and turns markers into :data:`Command`\ s, which somebody else carries out.

The console is shared with the kernel.  A kernel message that lands inside a marker begins with its time in brackets
and ends with its line::

    <LAVA_SIGNAL_TESTCASE TEST_C[   12.345678] random: crng init done
    ASE_ID=ping RESULT=pass>

Such lines are cut out, wherever in the marker they stand.  A marker that is never closed ends where the next one
begins.  The rules hold however the stream is cut into pieces: nothing matches before it is decided.

Source: dispatcher specification 10.6, 13.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lava.dispatcher.overlay.facts import PlannedRun, TestRun
from lava.model.errors import JobError
from lava.model.test_definition import OUTCOMES

#: how a case's markers are remembered until its result comes; older ones are forgotten
REMEMBERED_CASES = 1000
#: as much of a broken marker is quoted
_QUOTED = 200

_STAMP = rb"\[ *\d+\.\d{6}\]"
#: a message of the kernel up to the end of its line; a line that ends in ``>`` is the marker quoting one
_NOISE = _STAMP + rb"[^\n]*(?<!>)(?<!>\r)\n"
_QUOTED_STAMP = _STAMP + rb"(?=[^\n]*>\r?\n)"


def _literal(text: str) -> bytes:
    return b"".join(rb"(?>(?:" + _NOISE + rb")*)" + re.escape(char.encode()) for char in text)


def _run_of(plain: bytes, other: bytes) -> bytes:
    """Match characters, and whole kernel messages between them, without ever giving one back.

    Atomic groups: Python before 3.11.5, which Debian 12 has, gets possessive repeats of groups wrong.
    """
    part = plain + rb"++|" + _NOISE + rb"|(?!" + _STAMP + rb")\[|" + _QUOTED_STAMP + rb"|" + other
    return rb"((?>(?:" + part + rb")+))"


#: groups: name and parameters of a signal, or what the runner says; then ``>``, or nothing when it was not closed
MARKER = re.compile(
    rb"<"
    + _literal("LAVA_")
    + rb"(?:"
    + _literal("SIGNAL_")
    + _run_of(rb"[^\s>\[<]", rb"(?!<LAVA_)<")
    + rb" "
    + _run_of(rb"[^>\[<]", rb"(?!<LAVA_)<")
    + rb"|"
    + _literal("TEST_RUNNER ")
    + _run_of(rb"[A-Z_]", rb"(?!)")
    + rb")(>|(?=<LAVA_))"
)
_NOISE_PATTERN = re.compile(_NOISE)
#: the beginning of a line that ``set -x`` prints
_TRACE = re.compile(rb"(?:^|\n)\++ [^\r\n]*\Z")

#: what results are spelled like in a definition without ``fixupdict``.  Source: dispatcher specification 13.4
DEFAULT_FIXUPS: Mapping[str, str] = {"PASS": "pass", "FAIL": "fail", "SKIP": "skip", "UNKNOWN": "unknown"}


@dataclass(frozen=True, slots=True)
class Signal:
    """``<LAVA_SIGNAL_NAME PARAMETERS>``."""

    name: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Runner:
    """``<LAVA_TEST_RUNNER WORD>``."""

    word: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A marker that another one interrupts."""

    text: str


Marker = Signal | Runner | Broken


def read_marker(groups: Sequence[bytes | None]) -> Marker:
    """Return the marker that the groups of :data:`MARKER` hold, without what the kernel put in."""
    name, parameters, word, end = (_clean(group) for group in groups)
    if not end:
        return Broken(f"SIGNAL_{name} {parameters}" if name else f"TEST_RUNNER {word}")
    return Runner(word) if word else Signal(name, parameters)


def is_traced(before: bytes) -> bool:
    """Return whether the marker behind ``before`` is a shell tracing its command: the signal itself comes later."""
    return _TRACE.search(before) is not None


def _clean(group: bytes | None) -> str:
    if not group:
        return ""
    if b"\n" in group:
        group = _NOISE_PATTERN.sub(b"", group)
    return group.decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Record:
    """Log a result."""

    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Complain:
    """Log that the device said something that cannot be used."""

    text: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Log a warning."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Log an event of the test."""

    text: str


@dataclass(frozen=True, slots=True)
class ReadConsole:
    """Read what another console has to say."""

    namespace: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the job: the test asks for it, or its words make no sense."""

    text: str


Command = Record | Complain | Warn | Note | ReadConsole | GiveUp


class SignalError(Exception):
    """A signal cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """A result as the device reports it."""

    name: str
    outcome: str
    measurement: float | None = None
    units: str | None = None
    reference: str | None = None


def parse_case(parameters: str, fixups: Mapping[str, str]) -> Case:
    """Return the case of a TESTCASE signal.  Source: dispatcher specification 13.3.

    Raises:
        SignalError: it cannot be recorded.
    """
    values: dict[str, str] = {}
    for parameter in parameters.split():
        key, equals, value = parameter.partition("=")
        if not equals:
            raise SignalError(f"'{parameter}' is no NAME=VALUE; an id or value cannot hold blanks")
        values[key.upper()] = value
    return make_case(values.get("TEST_CASE_ID"), values.get("RESULT"), values, fixups)


def make_case(
    name: str | None, result: str | None, values: Mapping[str, str | None], fixups: Mapping[str, str]
) -> Case:
    """Return the case; ``MEASUREMENT`` and ``UNITS`` are taken from ``values``.

    Raises:
        SignalError: it cannot be recorded.
    """
    if not name:
        raise SignalError("it has no TEST_CASE_ID")
    if not result:
        raise SignalError(f"'{name}' has no RESULT")
    outcome = fixups.get(result) or DEFAULT_FIXUPS.get(result, result)
    if outcome not in OUTCOMES:
        raise SignalError(f"the result '{result}' of '{name}' is none of: {', '.join(OUTCOMES)}")
    measurement = None
    if text := values.get("MEASUREMENT"):
        try:
            measurement = float(text)
        except ValueError:
            raise SignalError(f"the measurement '{text}' of '{name}' is no number") from None
        if not math.isfinite(measurement):
            raise SignalError(f"the measurement '{text}' of '{name}' is no finite number")
    units = values.get("UNITS") if measurement is not None else None
    return Case(name, outcome, measurement, units or None)


@lru_cache(maxsize=64)
def case_pattern(pattern: str) -> re.Pattern[bytes]:
    """Return a pattern that reports cases by its groups.

    It matches only once the line in which the match ends is complete: a number must not be cut short because its last
    digits have not arrived.  ``.`` stays within a line, ``^`` and ``$`` are the ends of a line.

    Raises:
        JobError: it is no regular expression.
    """
    try:
        return re.compile(rb"(?:" + pattern.encode() + rb")(?:(?<=\n)|(?=[^\n]*\n))", re.MULTILINE)
    except re.error as error:
        raise JobError(f"'{pattern}' is no regular expression: {error}") from error


@dataclass(slots=True)
class _OpenRun:
    """The run that the device is in."""

    run: TestRun
    started: float
    test_set: str | None = None


class Interpreter:
    """Knows where in the runs of one test block the device is.

    Memory is bounded by the number of planned runs and expected cases, whatever the device prints.
    """

    def __init__(
        self, runs: Sequence[TestRun], *, stage: int, level: str, namespace: str, connection: str, now: float
    ) -> None:
        """Prepare for one attempt.

        Args:
            runs: of this test block.
            level: of the action that reports.
            connection: namespace of the console, when it is another one.
            now: seconds, of the same clock as later.
        """
        self._began = now
        self._runs = {run.plan.suite: run for run in runs}
        self._stage = stage
        self._level = level
        self._namespace = namespace
        self._connection = connection
        self._open: _OpenRun | None = None
        #: suites of the runs that were started
        self._started: set[str] = set()
        #: of the open run, expected and not reported yet
        self._awaited: dict[str, None] = {}
        #: first and last line of a case whose result has not come yet
        self._lines: dict[str, tuple[int, int | None]] = {}
        self.finished = False

    @property
    def run(self) -> TestRun | None:
        """The run that the device is in."""
        return self._open.run if self._open else None

    def marker(self, marker: Marker, *, line: int, now: float) -> Iterable[Command]:
        """Interpret one marker.

        Args:
            line: number of the log line that stands for it.
            now: seconds, of a clock that only goes forward.
        """
        match marker:
            case Signal(name, parameters):
                rule = _RULES.get(name)
                if rule is None:
                    return [Complain(f"unknown signal '{name[:_QUOTED]}'")]
                try:
                    return [*rule(self, parameters, line, now)]
                except SignalError as error:
                    return [Complain(f"<LAVA_SIGNAL_{name} {parameters[:_QUOTED]}> is ignored: {error}")]
            case Runner("EXIT"):
                self.finished = True
                return [*self._close(now)]
            case Runner("INSTALL_FAIL"):
                duration = f"{now - self._began:.02f}"
                failed = {"definition": "lava", "case": f"stage_{self._stage}", "result": "fail", "duration": duration}
                return [*self._close(now), Record(failed)]  # a test before it may have ended without a word
            case Runner(word):
                return [Complain(f"unknown word of the test runner: '{word[:_QUOTED]}'")]
            case Broken(text):
                return [Complain(f"a signal was interrupted and is lost: <LAVA_{text[:_QUOTED]}")]

    def found(self, groups: Mapping[str, bytes | None], *, line: int) -> Iterable[Command]:
        """Interpret what the definition's own pattern found.  Source: dispatcher specification 13.5."""
        values = {key.upper(): value.decode("utf-8", "replace").strip() for key, value in groups.items() if value}
        name = values.get("TEST_CASE_ID")
        if self._open is None or name is None or any(char.isspace() for char in name):
            return []
        result = values.get("RESULT")
        if result is None and "MEASUREMENT" in values:
            result = "pass"
        try:
            return [*self._report(make_case(name, result, values, self._fixups()), line)]
        except SignalError as error:
            return [Complain(f"what the pattern found is ignored: {error}")]

    def leave(self, now: float) -> Iterator[Command]:
        """Record what is open or was never begun: nothing more will come."""
        yield from self._close(now)
        for suite, run in self._runs.items():
            if suite not in self._started:
                yield from missing(run.plan, self._level)

    def _start_run(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        suite, _, uuid = parameters.partition(" ")
        run = self._runs.get(suite) or next((run for run in self._runs.values() if run.uuid == uuid.strip()), None)
        if run is None:
            raise SignalError(f"this block has no test '{suite}'")
        yield from self._close(now)  # a failing step ends a run without a word
        self._open = _OpenRun(run, now)
        self._started.add(run.plan.suite)
        self._awaited = dict.fromkeys(run.expected or ())
        self._lines.clear()

    def _end_run(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        suite, _, uuid = parameters.partition(" ")
        if self._open is None:
            raise SignalError("no test is running")
        run = self._open.run
        if suite != run.plan.suite and uuid.strip() != run.uuid:
            raise SignalError(f"the test that is running is '{run.plan.suite}'")
        yield from self._close(now, passed=True)

    def _close(self, now: float, *, passed: bool = False) -> Iterator[Command]:
        """Record the open run and what it should have reported."""
        if self._open is None:
            return
        run, started = self._open.run, self._open.started
        for case in self._awaited:
            yield Warn(f"{run.plan.suite}: the expected test case '{case}' was not reported")
            yield _missing(run.plan.suite, case, self._level)
        self._open, self._awaited = None, {}
        self._lines.clear()
        record: dict[str, Any] = {
            "definition": "lava",
            "case": run.plan.suite,
            "result": "pass" if passed else "fail",
            "uuid": run.uuid,
            "duration": f"{now - started:.02f}",
        }
        if passed:
            definition = run.plan.definition
            record |= {
                "repository": run.repository,
                "path": definition.path,
                "revision": definition.revision or "unspecified",
                "namespace": self._namespace,
            }
            if self._connection != self._namespace:
                record["connection-namespace"] = self._connection
        if run.commit is not None:
            record["commit_id"] = run.commit
        yield Record(record)

    def _start_case(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        self._lines.pop(parameters, None)
        if len(self._lines) >= REMEMBERED_CASES:
            del self._lines[next(iter(self._lines))]
        self._lines[parameters] = (line, None)
        yield from ()

    def _end_case(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        if parameters not in self._lines:
            raise SignalError("no such case was started")
        self._lines[parameters] = (self._lines[parameters][0], line)
        yield from ()

    def _case(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        if self._open is None:
            yield GiveUp(
                f"the test case <{parameters[:_QUOTED]}> was reported before any test started: "
                "the console's output is damaged, or something of an earlier test is still running"
            )
            return
        yield from self._report(parse_case(parameters, self._fixups()), line)

    def _reference(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        words = parameters.split()
        if len(words) != 3:
            raise SignalError(f"it takes an id, a result and an address, not {len(words)} words")
        if self._open is None:
            raise SignalError("no test is running")
        case = make_case(words[0], words[1], {}, self._fixups())
        yield from self._report(Case(case.name, case.outcome, reference=words[2]), line)

    def _set(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        if self._open is None:
            raise SignalError("no test is running")
        match parameters.split():
            case ["START", name]:
                self._open.test_set = name
            case ["STOP"]:
                if self._open.test_set is None:
                    yield Warn("a test set is stopped, but none was started")
                self._open.test_set = None
            case _:
                raise SignalError("it takes START and a name, or STOP")

    def _raise(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        yield GiveUp(parameters)

    def _feedback(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        yield ReadConsole(parameters)

    def _event(self, parameters: str, line: int, now: float) -> Iterator[Command]:
        yield Note(parameters)

    def _fixups(self) -> Mapping[str, str]:
        return self._open.run.definition.fixups if self._open else {}

    def _report(self, case: Case, line: int) -> Iterator[Command]:
        assert self._open is not None  # noqa: S101 (looked at by every caller)
        run = self._open.run
        outcome = case.outcome
        if run.expected is not None:
            self._awaited.pop(case.name, None)
            if case.name not in run.expected:
                yield Warn(f"{run.plan.suite}: '{case.name}' is not among the expected test cases: it is a failure")
                outcome = "fail"
        start, end = self._lines.pop(case.name, (line, line))
        record: dict[str, Any] = {"definition": run.plan.suite, "case": case.name, "result": outcome}
        if case.measurement is not None:
            record["measurement"] = case.measurement
            if case.units is not None:
                record["units"] = case.units
        if case.reference is not None:
            record["reference"] = case.reference
        if self._open.test_set is not None:
            record["set"] = self._open.test_set
        record["starttc"], record["endtc"] = start, line if end is None else end
        yield Record(record)


_Rule = Callable[[Interpreter, str, int, float], Iterator[Command]]

#: what each signal does.  Source: dispatcher specification 13.2
_RULES: Mapping[str, _Rule] = {
    "STARTRUN": Interpreter._start_run,
    "ENDRUN": Interpreter._end_run,
    "STARTTC": Interpreter._start_case,
    "ENDTC": Interpreter._end_case,
    "TESTCASE": Interpreter._case,
    "TESTSET": Interpreter._set,
    "TESTREFERENCE": Interpreter._reference,
    "TESTRAISE": Interpreter._raise,
    "TESTFEEDBACK": Interpreter._feedback,
    "TESTEVENT": Interpreter._event,
}


def missing(plan: PlannedRun, level: str) -> Iterator[Command]:
    """Record the cases that the job expects of a test that never began."""
    for case in plan.definition.expected or ():
        yield _missing(plan.suite, case, level, "the test was not run")


def _missing(suite: str, case: str, level: str, reason: str = "expected, but not reported") -> Record:
    return Record({"definition": suite, "case": case, "result": "fail", "level": level, "extra": {"reason": reason}})
