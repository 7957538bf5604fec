"""Make an embedded instance ready: the database's tables, the administrator, a worker and a device."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from lava.model.states import DeviceHealth
from lava.server.models import AuthToken, Device, DeviceType, Worker


class Command(BaseCommand):
    help = "Make an embedded instance ready; what is there is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--worker", required=True)
        parser.add_argument("--device-type", required=True)
        parser.add_argument("--device", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        directory = settings.DATA_DIR
        if directory is None:
            raise CommandError("LAVA_DATA_DIR names no data directory")
        call_command("migrate", verbosity=0, interactive=False)
        with transaction.atomic():
            self._prepare_admin(directory)
            worker, _ = Worker.objects.get_or_create(pk=options["worker"], defaults={"description": "this machine"})
            kind, _ = DeviceType.objects.get_or_create(
                pk=options["device_type"], defaults={"description": "virtual machine"}
            )
            Device.objects.get_or_create(
                pk=options["device"],
                defaults={"device_type": kind, "worker_host": worker, "health": DeviceHealth.GOOD},
            )

    def _prepare_admin(self, directory: Path) -> None:
        admin = User.objects.filter(username="admin").first()
        if admin is None:
            password = secrets.token_urlsafe(12)
            admin = User.objects.create_superuser("admin", "admin@localhost", password)
            _write_secret(directory / "admin.password", password)
        token = admin.auth_tokens.order_by("pk").first() or AuthToken.objects.create(
            user=admin, description="made by lava up"
        )
        _write_secret(directory / "admin.token", token.secret)


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner can read, whatever was there."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secret}\n")
