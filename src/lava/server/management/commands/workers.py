"""``lava-server manage workers …``.  Source: server 16.1."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.db.models import Count

from lava.model.states import DeviceHealth, WorkerHealth
from lava.server import wake
from lava.server.actions.healths import advice_on_devices, program_user, set_worker_health, take_devices_offline
from lava.server.actions.workers import is_on_this_machine
from lava.server.management.objects import ObjectCommand
from lava.server.models import Worker

_HEALTHS = [health.name for health in WorkerHealth]


class Command(ObjectCommand):
    help = "Add and change workers."
    actions: ClassVar = {
        "add": "add a worker: its slave is let in from now on",
        "update": "change a worker",
        "set": "the same as update",
        "details": "show a worker, and why its slave is refused",
        "list": "list the workers",
    }

    def arguments_of_add(self, parser: CommandParser) -> None:
        parser.add_argument("hostname", metavar="HOSTNAME", help="as the slave's --hostname says")
        parser.add_argument("--description", default="", metavar="TEXT")
        health = parser.add_mutually_exclusive_group()
        health.add_argument("--health", type=str.upper, choices=_HEALTHS, default="ACTIVE")
        health.add_argument(
            "--disabled", dest="health", action="store_const", const="RETIRED", help="no job starts on it: RETIRED"
        )

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
        parser.add_argument("--job-limit", type=int, metavar="N", help="jobs at a time; 0 is no limit")
        health = parser.add_mutually_exclusive_group()
        health.add_argument("--health", type=str.upper, choices=_HEALTHS, help="its devices follow")
        for word, name in (("--enable", "ACTIVE"), ("--disable", "RETIRED")):
            health.add_argument(word, dest="health", action="store_const", const=name, help=f"--health {name}")
        parser.add_argument("--devices-offline", action="store_true", help="put all its devices into maintenance")
        parser.add_argument("--forget-key", action="store_true", help="let the next certificate speak for the worker")

    @transaction.atomic
    def do_update(self, options: dict[str, Any]) -> None:
        changes: dict[str, Any] = {}
        if options["description"] is not None:
            changes["description"] = options["description"]
        if options["job_limit"] is not None:
            if options["job_limit"] < 0:
                raise CommandError("--job-limit: a number from 0 on")
            changes["job_limit"] = options["job_limit"]
        if options["forget_key"]:
            changes.update(public_key="", refusal="")
        if not changes and options["health"] is None and not options["devices_offline"]:
            self.complain_of_nothing("--description, --health, --job-limit, --devices-offline or --forget-key")
        worker = _find(options["hostname"])
        if changes:
            Worker.objects.filter(pk=worker.pk).update(**changes)
            wake.announce(wake.QUEUE)
        if options["health"] is not None:
            set_worker_health(program_user(), worker.pk, WorkerHealth[options["health"]], "command line")
        if options["devices_offline"]:
            for name in take_devices_offline(program_user(), worker.pk, "command line"):
                self.stdout.write(f"offline: {name}")
        self._advise(worker)

    arguments_of_set = arguments_of_update
    do_set = do_update

    def _advise(self, worker: Worker) -> None:
        """Say what is left to be done about the worker's devices."""
        worker.refresh_from_db()
        if advice := advice_on_devices(worker.pk):
            self.stderr.write(f"{advice}: lava-server manage workers update {worker.pk} --devices-offline")
        retired = worker.devices.filter(health=DeviceHealth.RETIRED).count()
        if retired and worker.health == WorkerHealth.ACTIVE:
            self.stderr.write(
                f"{retired} of its devices still retired: lava-server manage devices update NAME --health UNKNOWN"
            )

    def arguments_of_details(self, parser: CommandParser) -> None:
        parser.add_argument("hostname", metavar="HOSTNAME")
        parser.add_argument("--devices", action="store_true", help="their names, not only how many")

    def do_details(self, options: dict[str, Any]) -> None:
        worker = _find(options["hostname"])
        names = list(worker.devices.order_by("pk").values_list("pk", flat=True))
        facts = {
            "hostname": worker.pk,
            "master": "yes" if is_on_this_machine(worker.pk) else "no",
            "state": worker.get_state_display(),
            "refused": worker.refusal or "no",
            "health": worker.get_health_display(),
            "description": worker.description or "",
            "version": worker.version or "not known yet",
            "job limit": worker.job_limit or "none",
            "token": worker.token,
            "devices": ", ".join(names) if options["devices"] else len(names),
        }
        for name, fact in facts.items():
            self.stdout.write(f"{name:<11} : {fact}".rstrip())

    def arguments_of_list(self, parser: CommandParser) -> None:
        parser.add_argument("-a", "--all", action="store_true", help="the retired ones, too")
        parser.add_argument("--csv", action="store_true")

    def do_list(self, options: dict[str, Any]) -> None:
        workers = Worker.objects.annotate(device_count=Count("devices")).order_by("pk")
        if not options["all"]:
            workers = workers.exclude(health=WorkerHealth.RETIRED)
        rows = [
            (w.pk, w.description or "", _own(w), w.get_state_display(), w.get_health_display(), w.device_count)
            for w in workers
        ]
        self.table(("hostname", "description", "master", "state", "health", "devices"), rows, as_csv=options["csv"])


def _own(worker: Worker) -> str:
    return "yes" if is_on_this_machine(worker.pk) else ""


def _find(hostname: str) -> Worker:
    worker = Worker.objects.filter(pk=hostname).first()
    if worker is None:
        raise CommandError(f"there is no worker '{hostname}'")
    return worker
