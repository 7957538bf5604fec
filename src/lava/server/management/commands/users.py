"""``lava-server manage users …``.  Source: server 16.1."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from lava.server.management.objects import ObjectCommand


class Command(ObjectCommand):
    help = "Add and list users."
    actions: ClassVar = {"add": "add a user", "list": "list the users"}

    def arguments_of_add(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--email", default="")
        parser.add_argument("--passwd", metavar="PASSWORD", help="made and printed when it is left out")
        parser.add_argument("--staff", action="store_true", help="may use the admin site")
        parser.add_argument("--superuser", action="store_true", help="may do everything")

    def do_add(self, options: dict[str, Any]) -> None:
        if User.objects.filter(username=options["name"]).exists():
            raise CommandError(f"user '{options['name']}' is there already")
        password = options["passwd"] or secrets.token_urlsafe(9)
        user = User(
            username=options["name"],
            email=options["email"],
            is_staff=options["staff"] or options["superuser"],
            is_superuser=options["superuser"],
        )
        user.set_password(password)
        self.create(user)
        if not options["passwd"]:
            self.stdout.write(f"Password: {password}")

    def arguments_of_list(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="those who may not log in any more, too")
        parser.add_argument("--csv", action="store_true")

    def do_list(self, options: dict[str, Any]) -> None:
        users = User.objects.order_by("username")
        if not options["all"]:
            users = users.filter(is_active=True)
        rows = [(u.username, u.get_full_name(), u.email, u.is_staff, u.is_superuser) for u in users]
        self.table(("username", "fullname", "email", "staff", "superuser"), rows, as_csv=options["csv"])
