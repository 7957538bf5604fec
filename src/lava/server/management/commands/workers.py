"""``lava-server manage workers …``.  Source: server 16.1."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.db.models import Count

from lava.model.states import WorkerHealth
from lava.server.actions.healths import program_user, set_worker_health
from lava.server.management.objects import ObjectCommand
from lava.server.models import Worker

_HEALTHS = [health.name for health in WorkerHealth]


class Command(ObjectCommand):
    help = "Add and change workers."
    actions: ClassVar = {
        "add": "add a worker: its slave is let in from now on",
        "update": "change a worker",
        "list": "list the workers",
    }

    def arguments_of_add(self, parser: CommandParser) -> None:
        parser.add_argument("hostname", metavar="HOSTNAME", help="as the slave's --hostname says")
        parser.add_argument("--description", default="", metavar="TEXT")
        parser.add_argument("--health", type=str.upper, choices=_HEALTHS, default="ACTIVE")

    def do_add(self, options: dict[str, Any]) -> None:
        worker = Worker(
            hostname=options["hostname"],
            description=options["description"],
            health=WorkerHealth[options["health"]],
        )
        self.create(worker)
        self.stdout.write(f"Token: {worker.token}")

    def arguments_of_update(self, parser: CommandParser) -> None:
        parser.add_argument("hostname", metavar="HOSTNAME")
        parser.add_argument("--description", metavar="TEXT")
        parser.add_argument("--health", type=str.upper, choices=_HEALTHS, help="its devices follow")
        parser.add_argument("--forget-key", action="store_true", help="let the next certificate speak for the worker")

    @transaction.atomic
    def do_update(self, options: dict[str, Any]) -> None:
        changes: dict[str, Any] = {}
        if options["description"] is not None:
            changes["description"] = options["description"]
        if options["forget_key"]:
            changes.update(public_key="", refusal="")
        if not changes and options["health"] is None:
            self.complain_of_nothing("--description, --health or --forget-key")
        workers = Worker.objects.filter(pk=options["hostname"])
        if not workers.exists():
            raise CommandError(f"there is no worker '{options['hostname']}'")
        if changes:
            workers.update(**changes)
        if options["health"] is not None:
            set_worker_health(program_user(), options["hostname"], WorkerHealth[options["health"]], "command line")

    def arguments_of_list(self, parser: CommandParser) -> None:
        parser.add_argument("-a", "--all", action="store_true", help="the retired ones, too")
        parser.add_argument("--csv", action="store_true")

    def do_list(self, options: dict[str, Any]) -> None:
        workers = Worker.objects.annotate(device_count=Count("devices")).order_by("pk")
        if not options["all"]:
            workers = workers.exclude(health=WorkerHealth.RETIRED)
        rows = [
            (w.pk, w.description or "", "", w.get_state_display(), w.get_health_display(), w.device_count)
            for w in workers
        ]
        self.table(("hostname", "description", "master", "state", "health", "devices"), rows, as_csv=options["csv"])
