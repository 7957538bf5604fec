"""Start the master by one of its names among the management commands.  Source: seed requirements R97, R195."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError

from lava.master.main import main


class MasterCommand(BaseCommand):
    """Passes all its words on to ``lava-master``, which has a parser of its own."""

    help = "Run lava-master; its options are those of lava-master --help."

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        """Run the daemon, and end with its status."""
        raise SystemExit(main(argv[2:], program=" ".join(argv[:2])))

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        raise CommandError("the daemon is started from a command line, not from a program")
