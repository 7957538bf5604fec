"""What the commands about one kind of object have in common: ``manage KIND ACTION …``.  Source: server 16."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NoReturn

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Model


class ObjectCommand(BaseCommand):
    """A command with actions; ``arguments_of_<action>`` declares what ``do_<action>`` is given."""

    #: name of the action: what it does
    actions: ClassVar[dict[str, str]]

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        for name, summary in self.actions.items():
            declare: Callable[[CommandParser], None] = getattr(self, f"arguments_of_{name}")
            declare(actions.add_parser(name, help=summary, description=summary))

    def handle(self, *args: Any, **options: Any) -> None:
        perform: Callable[..., None] = getattr(self, f"do_{options['action']}")
        perform(options)

    def complain_of_nothing(self, choices: str) -> NoReturn:
        """Raise the error for a change that changes nothing."""
        raise CommandError(f"there is nothing to change: give {choices}")

    def create(self, thing: Model) -> None:
        """Store something new.

        Raises:
            CommandError: it is there already, or a value is not allowed.
        """
        if type(thing)._default_manager.filter(pk=thing.pk).exists():
            raise CommandError(f"{thing._meta.verbose_name} '{thing.pk}' is there already")
        try:
            thing.full_clean(validate_unique=False, validate_constraints=False)
        except ValidationError as error:
            raise CommandError(
                "; ".join(f"{field}: {' '.join(why)}" for field, why in error.message_dict.items())
            ) from error
        thing.save(force_insert=True)

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[object]], *, as_csv: bool) -> None:
        """Print rows, aligned for people or as CSV."""
        if as_csv:
            writer = csv.writer(sys.stdout if self.stdout is None else self.stdout)
            writer.writerow(titles)
            writer.writerows(rows)
            return
        texts = [tuple(titles), *(tuple(str(cell) for cell in row) for row in rows)]
        widths = [max(len(row[column]) for row in texts) for column in range(len(titles))]
        for row in texts:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
