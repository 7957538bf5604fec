"""``lava-server manage devices …``.  Source: server 16.1."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from lava.model.states import DeviceHealth, DeviceState
from lava.server import wake
from lava.server.actions.healths import program_user, set_device_health
from lava.server.configuration import ConfigurationFault, render_device
from lava.server.management.objects import ObjectCommand
from lava.server.models import Device, DeviceType, Tag, Worker


class Command(ObjectCommand):
    help = "Add and check devices."
    actions: ClassVar = {
        "add": "add a device",
        "update": "change a device",
        "list": "list the devices",
        "check": "render the configuration of devices and say what is wrong",
    }

    def arguments_of_add(self, parser: CommandParser) -> None:
        parser.add_argument("hostname", metavar="HOSTNAME")
        parser.add_argument("--device-type", required=True, metavar="TYPE")
        parser.add_argument("--worker", required=True, metavar="WORKER")
        parser.add_argument("--description", default="", metavar="TEXT")
        parser.add_argument("--offline", action="store_true", help="health Maintenance: it takes no jobs yet")
        parser.add_argument("--tags", nargs="+", default=[], metavar="TAG", help="made if they are not there")

    @transaction.atomic
    def do_add(self, options: dict[str, Any]) -> None:
        kind = DeviceType.objects.filter(pk=options["device_type"]).first()
        if kind is None:
            raise CommandError(
                f"there is no device type '{options['device_type']}': "
                f"add it with 'lava-server manage device-types add {options['device_type']}'"
            )
        worker = _worker(options["worker"])
        health = DeviceHealth.MAINTENANCE if options["offline"] else DeviceHealth.GOOD
        device = Device(
            hostname=options["hostname"],
            device_type=kind,
            worker_host=worker,
            description=options["description"],
            health=health,
        )
        self.create(device)
        device.tags.set([Tag.objects.get_or_create(name=name)[0] for name in options["tags"]])
        wake.announce(wake.QUEUE)
        if problem := _problem(device):
            self.stderr.write(f"no job can run on it yet: {problem}")

    def arguments_of_update(self, parser: CommandParser) -> None:
        parser.add_argument("hostname", metavar="HOSTNAME")
        parser.add_argument("--description", metavar="TEXT")
        parser.add_argument("--worker", metavar="WORKER")
        parser.add_argument("--health", type=str.upper, choices=[health.name for health in DeviceHealth])

    @transaction.atomic
    def do_update(self, options: dict[str, Any]) -> None:
        changes: dict[str, Any] = {}
        if options["description"] is not None:
            changes["description"] = options["description"]
        if options["worker"] is not None:
            changes["worker_host"] = _worker(options["worker"])
        if not changes and options["health"] is None:
            self.complain_of_nothing("--description, --worker or --health")
        devices = Device.objects.filter(pk=options["hostname"])
        if not devices.exists():
            raise CommandError(f"there is no device '{options['hostname']}'")
        if changes:
            devices.update(**changes)
            wake.announce(wake.QUEUE)
        if options["health"] is not None:
            set_device_health(program_user(), options["hostname"], DeviceHealth[options["health"]], "command line")

    def arguments_of_list(self, parser: CommandParser) -> None:
        parser.add_argument("--state", type=str.upper, choices=[state.name for state in DeviceState])
        parser.add_argument("--health", type=str.upper, choices=[health.name for health in DeviceHealth])
        parser.add_argument("-a", "--all", action="store_true", help="the retired ones, too")
        parser.add_argument("--csv", action="store_true")

    def do_list(self, options: dict[str, Any]) -> None:
        devices = Device.objects.order_by("pk")
        if options["state"]:
            devices = devices.filter(state=DeviceState[options["state"]])
        if options["health"]:
            devices = devices.filter(health=DeviceHealth[options["health"]])
        elif not options["all"]:
            devices = devices.exclude(health=DeviceHealth.RETIRED)
        rows = [(d.pk, d.device_type_id, d.get_state_display(), d.get_health_display()) for d in devices]
        self.table(("hostname", "device-type", "state", "health"), rows, as_csv=options["csv"])

    def arguments_of_check(self, parser: CommandParser) -> None:
        parser.add_argument("hostnames", nargs="*", metavar="HOSTNAME")
        parser.add_argument("-a", "--all", action="store_true", help="every device that is not retired")

    def do_check(self, options: dict[str, Any]) -> None:
        devices = Device.objects.exclude(health=DeviceHealth.RETIRED).order_by("pk")
        if not options["all"]:
            devices = Device.objects.filter(pk__in=options["hostnames"]).order_by("pk")
            missing = set(options["hostnames"]) - {device.pk for device in devices}
            if missing or not options["hostnames"]:
                raise CommandError(
                    f"there is no device '{sorted(missing)[0]}'" if missing else "name devices, or --all"
                )
        problems = 0
        for device in devices:
            problem = _problem(device)
            problems += problem is not None
            self.stdout.write(f"{device.pk}: {problem or 'ok'}")
        if problems:
            raise CommandError(f"{problems} of {len(devices)} devices have no usable configuration")


def _worker(name: str) -> Worker:
    worker = Worker.objects.filter(pk=name).first()
    if worker is None:
        raise CommandError(f"there is no worker '{name}': add it with 'lava-server manage workers add {name}'")
    return worker


def _problem(device: Device) -> str | None:
    try:
        render_device(device.pk, device.device_type_id)
    except ConfigurationFault as error:
        return str(error)
    return None
