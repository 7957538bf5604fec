"""``python -m lava.sim.register``: add simulated boards to the instance that the environment names.

It does what an admin does by hand: a worker, a device type, a dictionary for each board, and ``devices add``.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

DEVICE_TYPE = "sim"


def dictionary(name: str, disks: Path, variables: Mapping[str, str]) -> str:
    """Return the device dictionary of a board.

    Args:
        disks: the board's disk is a directory in there.
        variables: those of the template ``sim.jinja2``, such as ``sim_noise``.
    """
    values = {"sim_python": shlex.quote(sys.executable), "sim_directory": str(disks / name), **variables}
    lines = [f"{{% set {key} = {value!r} %}}" for key, value in values.items()]
    return "\n".join(["{% extends 'sim.jinja2' %}", *lines, ""])


def register(worker: str, count: int, disks: Path, variables: Mapping[str, str]) -> list[str]:
    """Add boards ``WORKER-board-01`` and so on to a worker; return their names.

    The worker and the device type are made if they are not there.  Django has to be set up.
    """
    from django.conf import settings
    from django.core.management import CommandError, call_command

    names = [f"{worker}-board-{number:02}" for number in range(1, count + 1)]
    dictionaries = Path(settings.DEVICES_PATH)
    dictionaries.mkdir(parents=True, exist_ok=True)
    for command in (("workers", "add", worker), ("device-types", "add", DEVICE_TYPE)):
        try:
            call_command(*command, stdout=io.StringIO())
        except CommandError as error:
            if "is there already" not in str(error):
                raise
    for name in names:
        (dictionaries / f"{name}.jinja2").write_text(dictionary(name, disks, variables))
        call_command("devices", "add", name, "--device-type", DEVICE_TYPE, "--worker", worker)
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Add boards and print their names."""
    options = argparse.ArgumentParser(prog="python -m lava.sim.register", description="Add simulated boards.")
    options.add_argument("--worker", required=True)
    options.add_argument("--count", type=int, default=1, metavar="N")
    options.add_argument("--disks", type=Path, required=True, metavar="DIR", help="where the boards' disks are")
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the template sim.jinja2")
    args = options.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")
    import django

    django.setup()
    variables = dict(variable.partition("=")[::2] for variable in args.set)
    print("\n".join(register(args.worker, args.count, args.disks.resolve(), variables)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
