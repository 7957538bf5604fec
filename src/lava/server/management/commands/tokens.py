"""``lava-server manage tokens …``.  Source: server 16.1."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from lava.server.management.objects import ObjectCommand
from lava.server.models import AuthToken


class Command(ObjectCommand):
    help = "Add, list and remove API tokens."
    actions: ClassVar = {"add": "make a token and print it", "list": "list a user's tokens", "rm": "remove a token"}

    def arguments_of_add(self, parser: CommandParser) -> None:
        parser.add_argument("-u", "--user", required=True)
        parser.add_argument("-d", "--description", default="", metavar="TEXT")
        parser.add_argument("--secret", help="made when it is left out")

    def do_add(self, options: dict[str, Any]) -> None:
        user = _user(options["user"])
        secret = options["secret"]
        if secret and AuthToken.objects.filter(secret=secret).exists():
            raise CommandError("a token with that secret is there already")
        token = AuthToken(user=user, description=options["description"], **({"secret": secret} if secret else {}))
        token.save()
        self.stdout.write(token.secret)

    def arguments_of_list(self, parser: CommandParser) -> None:
        parser.add_argument("-u", "--user", required=True)
        parser.add_argument("--csv", action="store_true")

    def do_list(self, options: dict[str, Any]) -> None:
        tokens = AuthToken.objects.filter(user=_user(options["user"])).order_by("pk")
        rows = [(token.pk, token.secret, token.description) for token in tokens]
        self.table(("id", "secret", "description"), rows, as_csv=options["csv"])

    def arguments_of_rm(self, parser: CommandParser) -> None:
        parser.add_argument("--token", required=True, metavar="SECRET")

    def do_rm(self, options: dict[str, Any]) -> None:
        deleted, _ = AuthToken.objects.filter(secret=options["token"]).delete()
        if not deleted:
            raise CommandError("there is no such token")


def _user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"there is no user '{name}': add one with 'lava-server manage users add {name}'")
    return user
