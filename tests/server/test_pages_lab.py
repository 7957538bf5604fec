"""The pages of devices, device types and workers, and what people change there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from lava.master.scheduler import run_round
from lava.model.states import DeviceHealth, JobHealth, JobState, WorkerHealth, WorkerState
from lava.server.models import Alias, Device, DeviceType, Tag, TestJob, Worker

pytestmark = pytest.mark.django_db

Submit = Callable[..., TestJob]


@pytest.fixture
def keeper(user: User) -> User:
    """A user who may change devices and workers."""
    user.user_permissions.set(Permission.objects.filter(codename__in=("change_device", "change_worker")))
    return user


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def test_a_device_shows_how_it_is_and_what_it_does(client: Client, device: Device, submit: Submit) -> None:
    device.tags.add(Tag.objects.create(name="usb-eth"))
    job = submit(name="the current job")
    run_round()
    page = text_of(client, "/scheduler/device/qemu-01")
    for expected in (
        '<span class="badge is-good">Good</span>',
        '<span class="badge is-reserved">Reserved</span>',
        "usb-eth",
        f'<a href="/scheduler/job/{job.pk}">{job.pk}</a> the current job',
        '<a href="/scheduler/worker/worker-1">worker-1</a>',
    ):
        assert expected in page
    assert "No job can run here" not in page
    assert "Set health" not in page


def test_a_device_without_a_usable_dictionary_says_so(
    client: Client, device: Device, data_directory: Path, submit: Submit
) -> None:
    """R39."""
    dictionary = data_directory / "devices" / "qemu-01.jinja2"
    dictionary.write_text("{% extends 'no-such-type.jinja2' %}")
    assert "No job can run here" in text_of(client, "/scheduler/device/qemu-01")
    page = text_of(client, "/scheduler/device/qemu-01/devicedict")
    assert "no-such-type.jinja2" in page
    assert "What jobs get" not in page
    assert "cannot be rendered" in text_of(client, "/scheduler/device/qemu-01/devicedict/plain", 404)
    dictionary.unlink()
    assert "There is no file qemu-01.jinja2" in text_of(client, "/scheduler/device/qemu-01/devicedict")


def test_the_rendered_configuration_can_be_read_and_fetched(client: Client, device: Device) -> None:
    assert "What jobs get" in text_of(client, "/scheduler/device/qemu-01/devicedict")
    response = client.get("/scheduler/device/qemu-01/devicedict/plain")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert "qemu" in response.content.decode()


@pytest.mark.parametrize("thing", ["device/qemu-01", "worker/worker-1"])
def test_health_is_changed_only_by_those_who_may(client: Client, device: Device, user: User, thing: str) -> None:
    address = f"/scheduler/{thing}/health"
    assert client.post(address, {"health": "Maintenance"}).status_code == 403
    client.force_login(user)
    assert client.post(address, {"health": "Maintenance"}).status_code == 403
    assert client.get(address).status_code == 405
    device.refresh_from_db()
    assert device.health == DeviceHealth.GOOD
    assert Worker.objects.get().health == WorkerHealth.ACTIVE
    assert not LogEntry.objects.exists()


def test_a_change_of_health_needs_the_forms_token(keeper: User, device: Device) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(keeper)
    response = client.post("/scheduler/device/qemu-01/health", {"health": "Bad"})
    assert response.status_code == 403
    assert "Load the page again" in response.content.decode()
    device.refresh_from_db()
    assert device.health == DeviceHealth.GOOD


def test_a_change_of_a_devices_health_is_shown_with_its_reason(client: Client, keeper: User, device: Device) -> None:
    client.force_login(keeper)
    assert "Set health" in text_of(client, "/scheduler/device/qemu-01")
    change = {"health": "Maintenance", "reason": "new serial cable"}
    response = client.post("/scheduler/device/qemu-01/health", change, follow=True)
    page = response.content.decode()
    assert "qemu-01 is Maintenance." in page
    assert "Good → Maintenance (new serial cable)" in page
    device.refresh_from_db()
    assert device.health == DeviceHealth.MAINTENANCE
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (keeper, "qemu-01")
    client.post("/scheduler/device/qemu-01/health", change)
    assert LogEntry.objects.count() == 1, "nothing changed the second time"


def test_a_health_that_does_not_exist_is_refused(client: Client, keeper: User, device: Device) -> None:
    client.force_login(keeper)
    for thing in ("device/qemu-01", "worker/worker-1"):
        response = client.post(f"/scheduler/{thing}/health", {"health": "Excellent"})
        assert response.status_code == 400
        assert "Maintenance" in response.content.decode()


def test_a_retired_device_loses_its_job(client: Client, keeper: User, device: Device, submit: Submit) -> None:
    job = submit()
    client.force_login(keeper)
    run_round()
    client.post("/scheduler/device/qemu-01/health", {"health": "Retired"})
    job.refresh_from_db()
    assert job.job_state is JobState.CANCELING
    assert job.job_health is JobHealth.UNKNOWN
    row = '<a href="/scheduler/device/qemu-01">'
    assert row not in text_of(client, "/scheduler/alldevices")
    assert row in text_of(client, "/scheduler/alldevices?retired")


@pytest.mark.parametrize(
    ("before", "now", "device_before", "device_now"),
    [
        ("ACTIVE", "Maintenance", "GOOD", "GOOD"),
        ("MAINTENANCE", "Active", "GOOD", "UNKNOWN"),
        ("MAINTENANCE", "Active", "BAD", "BAD"),
        ("RETIRED", "Active", "GOOD", "GOOD"),
        ("ACTIVE", "Retired", "GOOD", "RETIRED"),
        ("ACTIVE", "Retired", "BAD", "BAD"),
        ("ACTIVE", "Retired", "MAINTENANCE", "RETIRED"),
    ],
)
def test_devices_follow_the_health_of_their_worker(
    client: Client, keeper: User, device: Device, before: str, now: str, device_before: str, device_now: str
) -> None:
    """Server specification 3.1."""
    Worker.objects.update(health=WorkerHealth[before])
    Device.objects.update(health=DeviceHealth[device_before])
    client.force_login(keeper)
    response = client.post("/scheduler/worker/worker-1/health", {"health": now, "reason": "move"}, follow=True)
    assert f"{WorkerHealth[before].text} → {now} (move)" in response.content.decode()
    device.refresh_from_db()
    assert DeviceHealth(device.health).name == device_now


def test_a_worker_shows_why_its_slave_is_refused(client: Client, device: Device) -> None:
    Worker.objects.update(state=WorkerState.OFFLINE, refusal="another certificate claims the name", version="2026.11")
    for address in ("/scheduler/worker/worker-1", "/scheduler/allworkers"):
        page = text_of(client, address)
        assert "another certificate claims the name" in page
        assert "2026.11" in page
        assert '<span class="badge is-offline">Offline</span>' in page
    assert '<a href="/scheduler/device/qemu-01">' in text_of(client, "/scheduler/worker/worker-1")


def test_no_page_shows_the_secret_of_a_worker_or_job(
    client: Client, admin: User, device: Device, submit: Submit
) -> None:
    job = submit()
    client.force_login(admin)
    secrets = (job.token, Worker.objects.get().token)
    for address in (
        "/scheduler/allworkers",
        "/scheduler/worker/worker-1",
        "/scheduler/alljobs",
        "/admin/lava_scheduler_app/worker/worker-1/change/",
        f"/admin/lava_scheduler_app/testjob/{job.pk}/change/",
    ):
        page = text_of(client, address)
        assert not any(secret in page for secret in secrets), address


def test_a_device_type_shows_its_devices_aliases_and_queue(client: Client, device: Device, submit: Submit) -> None:
    Alias.objects.create(name="virtual", device_type=DeviceType.objects.get())
    DeviceType.objects.update(health_frequency=7, cpu_model="Cortex-A53", core_count=4)
    submit()
    page = text_of(client, "/scheduler/device_type/qemu")
    for expected in ("virtual", "every 7 hours", "4 \u00d7 Cortex-A53", "qemu-01", "<dd>1</dd>"):
        assert expected in page
    assert "There is no template" not in page
    DeviceType.objects.create(name="unheard-of")
    assert "There is no template unheard-of.jinja2" in text_of(client, "/scheduler/device_type/unheard-of")


def test_a_hidden_device_type_hides_its_devices(client: Client, admin: User, device: Device) -> None:
    DeviceType.objects.update(display=False)
    for viewer in (None, admin):
        if viewer:
            client.force_login(viewer)
        for address in ("device_type/qemu", "device/qemu-01", "device/qemu-01/devicedict"):
            assert client.get(f"/scheduler/{address}").status_code == 404
        assert "qemu-01" not in text_of(client, "/scheduler/alldevices")
        assert "/scheduler/device_type/qemu" not in text_of(client, "/")


def test_devices_are_listed_by_what_they_can_do(client: Client, user: User, new_device: Callable[..., Device]) -> None:
    new_device("ready", physical_owner=user)
    new_device("broken", health=DeviceHealth.BAD)
    new_device("resting", health=DeviceHealth.MAINTENANCE)
    new_device("busy", state=2)
    client.force_login(user)
    for which, expected in {
        "alldevices": {"ready", "broken", "resting", "busy"},
        "alldevices/active": {"busy"},
        "alldevices/online": {"ready", "busy"},
        "alldevices/passinghealthchecks": {"ready", "busy"},
        "alldevices/maintenance": {"resting"},
        "mydevices": {"ready"},
    }.items():
        page = text_of(client, f"/scheduler/{which}")
        assert {name for name in ("ready", "broken", "resting", "busy") if f"/device/{name}" in page} == expected


@pytest.mark.parametrize("thing", ["device", "device_type", "worker"])
def test_what_does_not_exist_is_not_found(client: Client, db: None, thing: str) -> None:
    page = text_of(client, f"/scheduler/{thing}/nowhere", 404)
    assert f"There is no {thing.replace('_', ' ')} nowhere" in page
    assert "Check the address" in page
