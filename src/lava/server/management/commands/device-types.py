"""``lava-server manage device-types …``.  Source: server 16.1."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db.models import Count

from lava.server.configuration import has_template
from lava.server.management.objects import ObjectCommand
from lava.server.models import Alias, DeviceType


class Command(ObjectCommand):
    help = "Add and list device types."
    actions: ClassVar = {"add": "add a device type", "list": "list the device types"}

    def arguments_of_add(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a template NAME.jinja2 says how to use its devices")
        parser.add_argument("--alias", metavar="ALIAS", help="another name that jobs may use")
        parser.add_argument("--health-frequency", type=int, default=24, metavar="N")
        parser.add_argument("--health-denominator", choices=["hours", "jobs"], default="hours")

    def do_add(self, options: dict[str, Any]) -> None:
        if not has_template(options["name"]):
            places = ", ".join(str(path) for path in settings.DEVICE_TYPES_PATHS)
            raise CommandError(f"there is no template {options['name']}.jinja2 in {places}: put one there first")
        per_jobs = options["health_denominator"] == "jobs"
        kind = DeviceType(
            name=options["name"],
            health_frequency=options["health_frequency"],
            health_denominator=DeviceType.JOBS if per_jobs else DeviceType.HOURS,
        )
        self.create(kind)
        if options["alias"]:
            self.create(Alias(name=options["alias"], device_type=kind))

    def arguments_of_list(self, parser: CommandParser) -> None:
        parser.add_argument("--csv", action="store_true")

    def do_list(self, options: dict[str, Any]) -> None:
        kinds = DeviceType.objects.annotate(device_count=Count("devices")).order_by("pk")
        rows = [(kind.pk, kind.device_count, True, has_template(kind.pk)) for kind in kinds]
        self.table(("name", "devices", "installed", "template"), rows, as_csv=options["csv"])
