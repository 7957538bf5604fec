"""Hostile names stay text on every page, and a page that cannot be shown says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError
from django.test import Client, RequestFactory

from lava.server.log_records import shorten_database_faults
from lava.server.models import Alias, AuthToken, Device, DeviceType, Tag, TestJob, Worker
from lava.server.views import errors, home

pytestmark = pytest.mark.django_db

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
RAW = ("<script>alert", "<img src=x")


@pytest.fixture
def hostile_lab(admin: User, device: Device, submit: Callable[..., TestJob]) -> TestJob:
    """A lab in which everything that somebody can name is an attack."""
    job = submit(by=admin)
    TestJob.objects.update(
        description=ATTACK, waiting_reason=ATTACK, error_type="Infrastructure", error_msg=ATTACK, failure_comment=ATTACK
    )
    Device.objects.update(description=ATTACK, device_version=ATTACK, physical_owner=admin)
    DeviceType.objects.update(description=ATTACK, cpu_model=ATTACK)
    Alias.objects.create(name=ATTACK, device_type=device.device_type)
    Worker.objects.update(description=ATTACK, refusal=ATTACK, version=ATTACK[:50], state=1)
    Tag.objects.bulk_create([Tag(name=ATTACK, description=ATTACK)])
    device.tags.set(Tag.objects.all())
    AuthToken.objects.create(user=admin, description=ATTACK)
    User.objects.filter(pk=admin.pk).update(first_name=ATTACK, email=ATTACK)
    for thing in (device, Worker.objects.get()):
        LogEntry.objects.create(
            user=admin,
            content_type=ContentType.objects.get_for_model(thing),
            object_id=thing.pk,
            action_flag=CHANGE,
            change_message=ATTACK,
        )
    return job


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/scheduler/alljobs",
        "/scheduler/queue",
        "/scheduler/alldevices",
        "/scheduler/mydevices",
        "/scheduler/device/qemu-01",
        "/scheduler/device/qemu-01/devicedict",
        "/scheduler/device_types",
        "/scheduler/device_type/qemu",
        "/scheduler/allworkers",
        "/scheduler/worker/worker-1",
        "/me/",
        "/admin/lava_scheduler_app/testjob/",
        "/admin/lava_scheduler_app/device/",
        "/admin/lava_scheduler_app/device/qemu-01/change/",
        "/admin/lava_scheduler_app/worker/",
    ],
)
def test_names_stay_text(client: Client, admin: User, hostile_lab: TestJob, address: str) -> None:
    client.force_login(admin)
    page = client.get(address)
    assert page.status_code == 200
    assert not any(raw in page.content.decode() for raw in RAW)
    assert "script-src" not in page["Content-Security-Policy"]
    assert page["Content-Security-Policy"].startswith("default-src 'self'")
    assert page["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "name", ["search", "device_type", "device", "submitter", "status", "error", "length", "before"]
)
def test_what_stands_in_an_address_stays_text(client: Client, db: None, name: str) -> None:
    page = client.get("/scheduler/alljobs", {name: ATTACK, "search": "x"} | {name: ATTACK}).content.decode()
    assert not any(raw in page for raw in RAW)


def test_what_is_typed_into_forms_stays_text(client: Client, user: User) -> None:
    page = client.post("/accounts/login/", {"username": ATTACK, "password": "x", "next": ATTACK}).content.decode()
    assert "&lt;script&gt;" in page
    assert not any(raw in page for raw in RAW)
    client.force_login(user)
    for definition in (ATTACK, f"</textarea>{ATTACK}: [", f'job_name: "{ATTACK[1:]}"\nunknown: 1'):
        page = client.post("/scheduler/jobsubmit", {"definition": definition}).content.decode()
        assert not any(raw in page for raw in RAW)
        assert page.count("</textarea>") == 1
    page = client.get(f"/scheduler/device/{ATTACK}").content.decode()
    assert not any(raw in page for raw in RAW)


def test_a_page_that_does_not_exist_says_so_in_the_look_of_the_others(client: Client, db: None) -> None:
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing here" in page.content.decode()
    assert 'class="brand"' in page.content.decode()
    answer = client.get("/nowhere", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json()["error"] == "There is nothing here"


def test_a_form_of_another_session_is_refused(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.post("/accounts/login/", {"username": "x", "password": "y"})
    assert page.status_code == 403
    assert "Load the page again" in page.content.decode()


def test_a_request_that_makes_no_sense_is_refused() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    page = errors.bad_request(request, ValueError("the name of the host is not this one"))
    assert page.status_code == 400
    assert "The name of the host is not this one" in page.content.decode()


def test_a_crash_is_told_to_people_and_to_programs(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(user: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(home, "visible_jobs", crash)
    client.raise_request_exception = False
    page = client.get("/")
    assert page.status_code == 500
    assert "The server failed" in page.content.decode()
    assert "the disk is full" not in page.content.decode()
    answer = client.get("/", headers={"Accept": "application/json"})
    assert answer.status_code == 500
    assert answer.json()["exception_type"] == "RuntimeError"
    assert answer.json()["exception_value"] == "the disk is full"


def test_a_database_that_is_away_is_no_crash_and_one_line_in_the_log(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(user: object) -> None:
        raise OperationalError("connection refused\n\tIs the server running?")

    monkeypatch.setattr(home, "visible_jobs", fail)
    client.raise_request_exception = False
    page = client.get("/")
    assert page.status_code == 503
    assert "The database cannot be reached" in page.content.decode()
    assert client.get("/", headers={"Accept": "application/json"}).status_code == 503
    for record in caplog.records:
        shorten_database_faults(record)  # as the handler does
    assert caplog.messages == ["the database cannot be used: connection refused (Service Unavailable: /)"] * 2
    assert not any(record.exc_info for record in caplog.records)
