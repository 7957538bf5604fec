"""Show a running job in a terminal: its log, what it does right now, and the table of its results."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from lava.model.logline import Level, LogLine, LogLineError, decode

from .client import Client, decode_state

_COLOURS = {
    Level.DEBUG: "\x1b[2m",
    Level.INFO: "\x1b[36m",
    Level.WARNING: "\x1b[33m",
    Level.ERROR: "\x1b[31m",
    Level.EXCEPTION: "\x1b[31m",
    Level.INPUT: "\x1b[35m",
    Level.FEEDBACK: "\x1b[34m",
    Level.EVENT: "\x1b[34m",
    Level.RESULTS: "\x1b[32m",
}
_RESULT_COLOURS = {"pass": "\x1b[32m", "fail": "\x1b[31m", "skip": "\x1b[33m", "unknown": "\x1b[33m"}
_RESET = "\x1b[0m"
_START = re.compile(r"start: (\S+) (\S+) \(timeout (\d+):(\d\d):(\d\d)\)")
_END = re.compile(r"end: (\S+) (\S+) ")


@dataclass(slots=True)
class Progress:
    """Which action runs, innermost last, and until when it may."""

    #: (level, name, time at which it is out of time)
    running: list[tuple[str, str, float]] = field(default_factory=list)

    def read(self, line: LogLine, now: float) -> None:
        """Take in a line of the log: start and end lines of actions change what is running."""
        if not isinstance(line.message, str):
            return
        if match := _START.match(line.message):
            level, name, hours, minutes, seconds = match.groups()
            self.running.append((level, name, now + int(hours) * 3600 + int(minutes) * 60 + int(seconds)))
        elif match := _END.match(line.message):
            ended = match.group(1)
            self.running = [entry for entry in self.running if entry[0] != ended]

    def text(self, now: float) -> str:
        """Return the running action with the time that it has left, or nothing."""
        if not self.running:
            return ""
        level, name, until = self.running[-1]
        left = max(0, round(until - now))
        return f"{level} {name}: {left // 60}:{left % 60:02d} left"


@dataclass(slots=True)
class Results:
    """The results of test cases, in the order in which they came.  The actions' own suite is not counted."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def read(self, line: LogLine) -> None:
        if line.level is Level.RESULTS and isinstance(line.message, Mapping):
            if line.message.get("definition") != "lava":
                self.rows.append(line.message)

    def count(self, outcome: str) -> int:
        return sum(row.get("result") == outcome for row in self.rows)

    def table(self) -> list[tuple[str, str, str, str]]:
        """Return (suite, case with its set, result, measurement) of every result."""
        return [
            (
                str(row.get("definition", "")),
                "/".join(str(row[key]) for key in ("set", "case") if row.get(key)),
                str(row.get("result", "")),
                f"{row['measurement']:g} {row.get('units', '')}".strip() if _is_number(row.get("measurement")) else "",
            )
            for row in self.rows
        ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


class Display:
    """Writes a job to a terminal (colours, a progress line that is rewritten) or plainly to anything else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self.progress = Progress()
        self.results = Results()

    def lines(self, rows: list[bytes]) -> None:
        """Print log lines."""
        self._clear()
        now = time.monotonic()
        for raw in rows:
            try:
                line = decode(raw)
            except LogLineError as error:
                self._out.write(f"(unreadable log line: {error})\n")
                continue
            self.progress.read(line, now)
            self.results.read(line)
            self._out.write(self._formatted(line))
        self._show_progress(now)

    def note(self, text: str) -> None:
        """Print a line of our own."""
        self._clear()
        self._out.write(f"{text}\n")
        self._out.flush()

    def table(self) -> None:
        """Print the results."""
        self._clear()
        table = [("suite", "case", "result", "measurement"), *self.results.table()]
        widths = [max(len(row[column]) for row in table) for column in range(3)]
        for number, (suite, case, outcome, measurement) in enumerate(table):
            shown = self._coloured(_RESULT_COLOURS.get(outcome, ""), outcome.ljust(widths[2]))
            row = f"{suite.ljust(widths[0])}  {case.ljust(widths[1])}  {shown}  {measurement}"
            self._out.write(self._coloured("\x1b[1m", row) if number == 0 else row)
            self._out.write("\n")
        self._out.flush()

    def _formatted(self, line: LogLine) -> str:
        when = line.when.strftime("%H:%M:%S")
        if isinstance(line.message, str):
            text = f"{line.namespace}: {line.message}" if line.namespace else line.message
        else:
            text = ", ".join(f"{key}: {value}" for key, value in line.message.items() if key != "extra")
        return f"{when} {self._coloured(_COLOURS.get(line.level, ''), text)}\n"

    def _coloured(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._terminal and colour else text

    def _show_progress(self, now: float) -> None:
        if self._terminal and (text := self.progress.text(now)):
            width = shutil.get_terminal_size().columns
            self._out.write(f"\x1b[7m {text} \x1b[0m"[: width + 8])
        self._out.flush()

    def _clear(self) -> None:
        if self._terminal:
            self._out.write("\r\x1b[2K")


def follow(client: Client, job: str, out: TextIO) -> bool:
    """Show the job until it ends, then the results and the closing line; return whether it ended Complete."""
    display = Display(out)
    waiting = ""
    for event in client.follow(job):
        if event.name == "lines":
            display.lines(event.rows)
        elif event.name == "state":
            reason = str(decode_state(event).get("reason") or "")
            if reason and reason != waiting:
                display.note(f"waiting: {reason}")
            waiting = reason
    shown = client.call("scheduler.jobs.show", job)
    display.table()
    if shown.get("error_msg"):
        display.note(f"{shown.get('error_type')} error: {shown['error_msg']}")
    display.note(f"{client.url}/scheduler/job/{job}")
    results = display.results
    display.note(f"job {job}: {shown['health']}, {results.count('pass')} passed, {results.count('fail')} failed")
    return bool(shown["health"] == "Complete")
