"""Look at all steps and decide what may be said: which wait for others, and whose commands are withheld."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .context import Context
from .machine import Machine
from .result import Finding, Result, State, Step

#: words that the output must not hold, whatever names the machine has
_NEVER_ON_A_WORKER = ("lava-server manage",)
_NEVER_WHILE_MOUNTED = ("purge",)


@dataclass(frozen=True, slots=True)
class Mode:
    """A table of steps with what is said above it."""

    name: str
    header: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is said about a step."""

    step: Step
    result: Result
    blocked_by: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The state, for people and programs."""
        return f"blocked by {self.blocked_by[0]}" if self.blocked_by else self.result.state.value


def in_order(steps: Sequence[Step], guards: Sequence[str]) -> tuple[Step, ...]:
    """Return the steps, each waiting for all guards before it."""
    found = []
    before: list[str] = []
    for step in steps:
        found.append(replace(step, waits_for=(*step.waits_for, *before)))
        if step.name in guards:
            before.append(step.name)
    return tuple(found)


def examine(mode: Mode, machine: Machine, context: Context, *, mounted: bool) -> list[Outcome]:
    """Look at each step of a mode, in order.

    A step that waits for another has no commands: out of order they can erase the master's data.

    Args:
        mounted: the master's files are still mounted here.  Source: requirement R130.
    """
    words = (*(_NEVER_ON_A_WORKER if mode.name == "worker" else ()), *(_NEVER_WHILE_MOUNTED if mounted else ()))
    looked = {step.name: step.look(machine, context) for step in mode.steps}
    outcomes = []
    for step in mode.steps:
        result = looked[step.name]
        blocked_by = tuple(name for name in step.waits_for if not looked[name].state.is_settled)
        if blocked_by:
            result = Result(State.BLOCKED, result.findings)
        outcomes.append(Outcome(step, _without_words(result, words), blocked_by))
    return outcomes


def _without_words(result: Result, words: tuple[str, ...]) -> Result:
    """Leave words out: the names of files and packages may hold anything.

    A command that names such a file is left out as a whole; shortened, it would be another command.
    """
    findings = [_without(finding, words) for finding in result.findings]
    commands = tuple(command for command in result.commands if not any(word in command for word in words))
    if commands != result.commands:
        findings.append(Finding("a command is left out, for the name in it; rename the file and look again"))
        commands = ()
    verify = tuple(line for line in result.verify if not any(word in line for word in words))
    return replace(result, findings=tuple(findings), commands=commands, verify=verify)


def _without(finding: Finding, words: tuple[str, ...]) -> Finding:
    def clean(text: str) -> str:
        for word in words:
            text = text.replace(word, "[...]")
        return text

    return replace(finding, text=clean(finding.text), file=clean(finding.file), value=clean(finding.value))
