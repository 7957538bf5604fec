"""The ``lava`` command: one module per sub-command, imported only when it is the one that runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from lava import __version__

#: sub-command: (module below lava.cli, what it does)
COMMANDS = {
    "up": ("up", "run a whole instance on this machine: web server, master, slave and a virtual device"),
    "demo": ("demo", "start an instance, run the smoke job on a virtual machine, show the result"),
    "submit": ("submit", "submit a job definition, and follow it with --follow"),
    "lint": ("lint", "check job definitions and say every fault with its place"),
    "plan": ("plan", "print the pipeline that a job would run on a device, with every deadline"),
    "device": ("device", "render a device dictionary"),
    "guest": ("guest", "build the virtual machine that the demo and the tests boot"),
}


class Command(Protocol):
    """What a sub-command's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``lava SUB-COMMAND …`` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="lava", description="Run test jobs on real hardware.")
    parser.add_argument("--version", action="version", version=f"lava {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        sub_parser = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            command = cast(Command, importlib.import_module(f"lava.cli.{module}"))
            command.add_arguments(sub_parser)
            sub_parser.set_defaults(run=command.run)
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return 130
