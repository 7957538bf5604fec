"""``lava-dispatcher-doctor`` and ``lava-server doctor``: look, and say what is left of V1."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .commands import RecordedRunner, Runner, SystemRunner
from .context import Context, LabFault, load_lab
from .examine import Mode, examine
from .facts import media_mounts
from .machine import CannotTell, Machine, Tree
from .master import MASTER
from .text import as_json, as_text, is_open
from .worker import WORKER

MODES = {mode.name: mode for mode in (WORKER, MASTER)}


def parser(program: str = "lava-dispatcher-doctor") -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog=program,
        description="Say what is left of V1 on this machine, and how to take it away. Nothing is changed.",
        epilog="Exit status: 0 nothing is open, 1 something is, 2 wrong usage.",
    )
    options.add_argument("mode", choices=sorted(MODES, reverse=True), help="what this machine is")
    options.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="a copy of a machine's files")
    options.add_argument("--lab", type=Path, metavar="FILE", help="what the master knows of workers and devices (YAML)")
    options.add_argument("--only", type=str.upper, metavar="STEP", help="print this step only")
    options.add_argument(
        "--confirm",
        type=str.upper,
        action="append",
        default=[],
        metavar="STEP",
        help="you looked, and it is right; counts for this run only, nothing is recorded; can be repeated",
    )
    options.add_argument("--json", action="store_true", help="print a list of objects")
    return options


def main(
    argv: Sequence[str] | None = None,
    *,
    program: str = "lava-dispatcher-doctor",
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Examine the machine; 0 when nothing is open, 1 when something is, 2 when it cannot be looked at."""
    options = parser(program)
    args = options.parse_args(argv)
    mode = MODES[args.mode]
    _check_steps(options, mode, args.only, args.confirm)
    try:
        os.listdir(args.root)
        runner: Runner = SystemRunner() if args.root.resolve() == Path("/") else RecordedRunner.of(args.root)
        context = Context(load_lab(args.lab) if args.lab else None, frozenset(args.confirm))
    except OSError as error:
        return _refuse(program, f"{args.root} cannot be looked at: {error.strerror}")
    except (LabFault, ValueError) as error:
        return _refuse(program, str(error))
    machine = Tree(args.root, runner, clock)
    outcomes = examine(mode, machine, context, mounted=_is_mounted(machine))
    shown = [outcome for outcome in outcomes if args.only in (None, outcome.step.name)]
    print(as_json(shown) if args.json else as_text(mode, shown), end="\n" if args.json else "")
    return 1 if any(is_open(outcome) for outcome in shown) else 0


def _check_steps(options: argparse.ArgumentParser, mode: Mode, only: str | None, confirmed: Sequence[str]) -> None:
    """Exit with status 2 for a step that is not there, or that nobody can confirm."""
    names = [step.name for step in mode.steps]
    if only is not None and only not in names:
        options.error(f"there is no step {only}; the steps are {', '.join(names)}")
    can = [step.name for step in mode.steps if step.confirmation]
    for name in confirmed:
        if name not in can:
            options.error(f"{name} cannot be confirmed; these can: {', '.join(can)}")


def _is_mounted(machine: Machine) -> bool:
    try:
        return bool(media_mounts(machine))
    except CannotTell:
        return True  # who cannot see the mount table has to be careful


def _refuse(program: str, reason: str) -> int:
    print(f"{program}: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
