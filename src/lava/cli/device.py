"""``lava device render``: print the configuration that a job would be given for a device."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lava.devices import SHIPPED, TemplateFault, Templates
from lava.model.faults import SubmissionError
from lava.model.yaml_source import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    render = actions.add_parser("render", help="print the rendered configuration of a device dictionary")
    render.add_argument("--dictionary", type=Path, required=True, metavar="FILE", help="device dictionary (Jinja2)")
    render.add_argument("--devices", type=Path, metavar="DIR", help="other dictionaries; default: beside the file")
    render.add_argument(
        "--device-types",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="templates before the shipped ones",
    )
    render.add_argument("--context", type=Path, metavar="FILE", help="the job's context (YAML)")


def run(args: argparse.Namespace) -> int:
    """Print the rendered YAML; a fault is one message that names file and line."""
    dictionary: Path = args.dictionary
    try:
        text = render(dictionary, args.devices, args.device_types, args.context)
        Source(text, "rendered configuration")
    except TemplateFault as error:
        print(f"lava device render: {error}", file=sys.stderr)
        return 1
    except SubmissionError as error:
        print(f"lava device render: the rendered configuration of {dictionary} is {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


def render(dictionary: Path, devices: Path | None, device_types: list[Path], context: Path | None) -> str:
    """Return the rendered text; host name and device type are taken from the file and from what it extends."""
    if not dictionary.is_file():
        raise TemplateFault(f"{dictionary}: there is no such file")
    variables: Any = {}
    if context is not None:
        try:
            variables = Source(context.read_text(encoding="utf-8"), str(context)).value or {}
        except (OSError, UnicodeDecodeError, SubmissionError) as error:
            raise TemplateFault(f"{context}: {error}") from error
        if not isinstance(variables, dict):
            raise TemplateFault(f"{context}: a context is a mapping of variables")
    templates = Templates(dictionary.parent, [*([devices] if devices else []), *device_types, SHIPPED])
    return templates.render(
        dictionary.name,
        hostname=dictionary.name.removesuffix(".jinja2"),
        device_type=templates.extended(dictionary.name) or "",
        context=variables,
    )
