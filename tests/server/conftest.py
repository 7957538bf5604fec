"""A small lab in the database, and its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User

from lava.model.states import DeviceHealth, WorkerState
from lava.server import configuration
from lava.server.actions import ingest
from lava.server.actions.submit import submit_job
from lava.server.models import Device, DeviceType, TestJob, Worker

DEFINITION = """\
# a comment that is kept
job_name: {name}
device_type: qemu
visibility: {visibility}
priority: medium
context: {{arch: amd64}}
timeouts: {{job: {{minutes: 3}}, action: {{minutes: 2}}, connection: {{seconds: 60}}}}
actions:
- deploy: {{to: tmpfs, images: {{rootfs: {{url: "file:///image", image_arg: "-drive file={{rootfs}}"}}}}}}
- boot: {{method: qemu, media: tmpfs, prompts: ["# "]}}
{more}"""


def definition_text(name: str = "a job", visibility: str = "public", more: str = "") -> str:
    return DEFINITION.format(name=name, visibility=visibility, more=more)


@pytest.fixture(autouse=True)
def data_directory(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Files of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.WAKE_DIR = tmp_path / "wake"
    settings.CONFIGURATION_PATH = tmp_path
    settings.DEVICES_PATH = tmp_path / "devices"
    settings.DEVICE_TYPES_PATHS = [tmp_path / "device-types", django_settings.DEVICE_TYPES_PATHS[-1]]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one takes its time
    settings.DEVICES_PATH.mkdir()
    configuration._templates.cache_clear()
    yield tmp_path
    configuration._templates.cache_clear()


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", "admin@localhost", "secret of admin")


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("user", "user@localhost", "secret of user")


@pytest.fixture
def other(db: None) -> User:
    return User.objects.create_user("other", "other@localhost", "secret of other")


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(hostname="worker-1", state=WorkerState.ONLINE)


@pytest.fixture
def new_device(worker: Worker, data_directory: Path) -> Callable[..., Device]:
    """Make a device with a dictionary."""

    def make(hostname: str, device_type: str = "qemu", **fields: Any) -> Device:
        kind, _ = DeviceType.objects.get_or_create(pk=device_type)
        (data_directory / "devices" / f"{hostname}.jinja2").write_text(f"{{% extends '{device_type}.jinja2' %}}\n")
        fields = {"worker_host": worker, "health": DeviceHealth.GOOD, **fields}
        return Device.objects.create(hostname=hostname, device_type=kind, **fields)

    return make


@pytest.fixture
def device(new_device: Callable[..., Device]) -> Device:
    return new_device("qemu-01")


@pytest.fixture
def text() -> Callable[..., str]:
    """Return the text of a definition that this lab takes."""
    return definition_text


@pytest.fixture
def submit(user: User, device: Device) -> Callable[..., TestJob]:
    """Submit a job."""

    def make(by: User | None = None, **words: str) -> TestJob:
        return submit_job(by or user, definition_text(**words))

    return make


@pytest.fixture
def store(db: None) -> Callable[[int, int, bytes], int | None]:
    """Store what the job's worker sends of its log: (job, offset, whole lines) -> next offset."""

    def store(job: int, offset: int, lines: bytes) -> int | None:
        worker, _ = Worker.objects.get_or_create(hostname="worker-1")
        TestJob.objects.filter(pk=job, actual_worker=None).update(actual_worker=worker)
        (answer,) = ingest.store_chunks([ingest.Chunk(worker.hostname, str(job), offset, lines)])
        return answer

    return store
