"""What the doctor prints, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from .examine import Mode, Outcome
from .result import Finding, State

_LABEL = 10


def as_text(mode: Mode, outcomes: Sequence[Outcome]) -> str:
    """Return what people read: each step in order, with what was found, why it matters, what to do, how to verify."""
    lines = [mode.header, ""]
    for outcome in outcomes:
        lines += _step(outcome)
    settled = sum(not is_open(outcome) for outcome in outcomes)
    lines += ["", f"{settled} of {len(outcomes)} steps are settled."]
    return "\n".join(lines) + "\n"


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return the same as a list of objects.  Source: R189."""
    return json.dumps([_object(outcome) for outcome in outcomes], indent=2)


def is_open(outcome: Outcome) -> bool:
    """Something is left to be done or to be found out."""
    return bool(outcome.blocked_by) or not outcome.result.state.is_settled


def _step(outcome: Outcome) -> Iterator[str]:
    result = outcome.result
    yield f"{outcome.step.name:<4}{outcome.state:<16} {outcome.step.title}"
    yield from _block("found:", (_said(finding) for finding in result.findings))
    if result.state in (State.OPEN, State.ADVICE, State.CANNOT_TELL):
        yield from _block("why:", [outcome.step.why])
        yield from _block("do:", result.commands)
        yield from _block("verify:", result.verify)
        if result.can_be_confirmed:
            yield from _block("or:", [f"--confirm {outcome.step.name} says: {outcome.step.confirmation}"])


def _block(label: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"    {label:<{_LABEL}}{_printable(line)}"
        label = ""


def _said(finding: Finding) -> str:
    place = f"{finding.file}:{finding.line}: " if finding.line else f"{finding.file}: " if finding.file else ""
    return place + finding.text


def _printable(text: str) -> str:
    """Return the text without what would steer the terminal: names on the machine may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _object(outcome: Outcome) -> dict[str, object]:
    return {
        "step": outcome.step.name,
        "state": outcome.state,
        "title": outcome.step.title,
        "findings": [
            {"text": finding.text, "file": finding.file, "line": finding.line, "value": finding.value}
            for finding in outcome.result.findings
        ],
        "commands": list(outcome.result.commands),
        "blocked_by": list(outcome.blocked_by),
    }
