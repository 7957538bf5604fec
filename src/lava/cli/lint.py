"""``lava lint``: check job definitions and say every fault with its place and remedy."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lava.model.faults import Fault, Severity, SubmissionError
from lava.model.job import parse_job, strict_warnings
from lava.model.test_definition import definition_faults
from lava.model.yaml_source import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="job or test definition (YAML)")
    parser.add_argument("--strict", action="store_true", help="refuse unknown keys, which are warnings otherwise")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(args: argparse.Namespace) -> int:
    """Return 0 when every file is accepted, 1 when not."""
    faults = [(file, fault) for file in args.files for fault in lint(file, strict=args.strict)]
    if args.json:
        print(json.dumps([_as_object(file, fault) for file, fault in faults], indent=2))
    else:
        for file, fault in faults:
            print(_as_line(file, fault), file=sys.stderr if fault.severity is Severity.ERROR else sys.stdout)
        for file in args.files:
            if not any(faulty == file for faulty, _ in faults):
                print(f"{file}: ok")
    return 1 if any(fault.severity is Severity.ERROR for _, fault in faults) else 0


def lint(file: Path, *, strict: bool) -> list[Fault]:
    """Return the faults of one file; what only the strict reading refuses is a warning in the lenient one."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        return [Fault((), f"cannot be read: {error.strerror}", "check the name and its permissions")]
    except UnicodeDecodeError as error:
        return [Fault((), f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")]
    try:
        source = Source(text, str(file))
    except SubmissionError as error:
        return list(error.faults)
    if isinstance(source.value, dict) and "metadata" in source.value and "run" in source.value:
        return source.placed(definition_faults(source.value, strict=strict))
    try:
        parse_job(source.value, strict=strict)
    except SubmissionError as error:
        return source.placed(error.faults)
    return [] if strict else strict_warnings(source)


def _as_line(file: Path, fault: Fault) -> str:
    place = f"{fault.place}: " if fault.path else ""
    hint = f" ({fault.hint})" if fault.hint else ""
    return f"{file}:{fault.line}:{fault.column}: {fault.severity}: {place}{fault.message}{hint}"


def _as_object(file: Path, fault: Fault) -> dict[str, str | int]:
    return {
        "file": str(file),
        "line": fault.line,
        "column": fault.column,
        "path": fault.place,
        "message": fault.message,
        "hint": fault.hint,
        "severity": fault.severity.value,
    }
