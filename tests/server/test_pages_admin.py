"""The admin site: everything can be looked at, and nothing can be set that follows from what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lava.master.scheduler import run_round
from lava.model.states import DeviceHealth, DeviceState, JobHealth, JobState, WorkerHealth
from lava.server.models import AuthToken, Device, TestJob, Worker
from lava.server.results.models import TestCase, TestSuite

pytestmark = pytest.mark.django_db

LAB = "/admin/lava_scheduler_app"


@pytest.fixture
def signed_in(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


def form_of(client: Client, address: str) -> dict[str, Any]:
    """Return the values that the form of a page would send unchanged."""
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    inlines: list[Any] = client.get(address).context["inline_admin_formsets"]
    for inline in inlines:
        management = inline.formset.management_form
        values |= {f"{management.prefix}-{name}": management[name].value() for name in management.fields}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("model", [model for model in site.site._registry], ids=lambda model: model.__name__)
def test_every_list_opens_and_can_be_searched(
    signed_in: Client, submit: Callable[..., TestJob], admin: User, model: Any
) -> None:
    job = submit()
    suite = TestSuite.objects.create(job=job, name="0_smoke")
    TestCase.objects.create(suite=suite, name="boot", result=0, logged=timezone.now())
    AuthToken.objects.create(user=admin)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert signed_in.get(address).status_code == 200
    assert signed_in.get(address, {"q": "1"}).status_code == 200
    for thing in model._default_manager.all()[:1]:
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[thing.pk])
        assert signed_in.get(page).status_code == 200


def test_the_site_is_for_staff(client: Client, user: User) -> None:
    client.force_login(user)
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_states_cannot_be_set(signed_in: Client, device: Device, submit: Callable[..., TestJob]) -> None:
    job = submit()
    run_round()
    device_form = form_of(signed_in, f"{LAB}/device/qemu-01/change/")
    assert "state" not in device_form
    signed_in.post(f"{LAB}/device/qemu-01/change/", device_form | {"state": 0, "description": "on the left"})
    device.refresh_from_db()
    assert (device.description, DeviceState(device.state)) == ("on the left", DeviceState.RESERVED)

    job_form = form_of(signed_in, f"{LAB}/testjob/{job.pk}/change/")
    assert not {"state", "health", "actual_device", "definition", "submitter"} & set(job_form)
    signed_in.post(f"{LAB}/testjob/{job.pk}/change/", job_form | {"state": 5, "health": 1, "priority": 100})
    job.refresh_from_db()
    assert (job.job_state, job.job_health, job.priority) == (JobState.SCHEDULED, JobHealth.UNKNOWN, 100)


def test_a_change_of_health_is_audited_and_has_its_effects(
    signed_in: Client, admin: User, device: Device, worker: Worker
) -> None:
    form = form_of(signed_in, f"{LAB}/device/qemu-01/change/")
    signed_in.post(f"{LAB}/device/qemu-01/change/", form | {"health": DeviceHealth.MAINTENANCE.value})
    assert Device.objects.get().health == DeviceHealth.MAINTENANCE
    assert LogEntry.objects.filter(object_id="qemu-01", change_message="Good → Maintenance (admin site)").exists()
    chosen = {"action": "make_retired", "_selected_action": ["worker-1"]}
    signed_in.post(f"{LAB}/worker/", chosen)
    assert Worker.objects.get().health == WorkerHealth.RETIRED
    assert Device.objects.get().health == DeviceHealth.RETIRED, "a device follows its worker"
    entry = LogEntry.objects.filter(object_id="worker-1").get()
    assert (entry.user, entry.change_message) == (admin, "Active → Retired (admin site)")


def test_a_job_that_runs_cannot_be_deleted(signed_in: Client, submit: Callable[..., TestJob]) -> None:
    job = submit()
    run_round()
    assert signed_in.post(f"{LAB}/testjob/{job.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [job.pk], "post": "yes"}
    signed_in.post(f"{LAB}/testjob/", chosen)
    assert TestJob.objects.filter(pk=job.pk).exists()


def test_jobs_are_cancelled_by_those_who_may(client: Client, user: User, submit: Callable[..., TestJob]) -> None:
    job = submit()
    staff = User.objects.create_user("staff", password="x", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_testjob"))
    client.force_login(staff)
    chosen = {"action": "cancel", "_selected_action": [job.pk]}
    page = client.post(f"{LAB}/testjob/", chosen, follow=True).content.decode()
    job.refresh_from_db()
    assert job.job_state is JobState.SUBMITTED
    assert f"You may not cancel job {job.pk}" in page
    staff.user_permissions.add(Permission.objects.get(codename="change_testjob"))
    client.post(f"{LAB}/testjob/", chosen)
    job.refresh_from_db()
    assert job.job_health is JobHealth.CANCELED


def test_secrets_of_users_stay_theirs(signed_in: Client, user: User) -> None:
    token = AuthToken.objects.create(user=user)
    for address in (f"{LAB}/authtoken/", f"{LAB}/authtoken/{token.pk}/change/"):
        assert token.secret not in signed_in.get(address).content.decode()


def test_jobs_and_results_are_not_made_by_hand(signed_in: Client) -> None:
    for model in ("lava_scheduler_app/testjob", "lava_results_app/testcase", "lava_results_app/testsuite"):
        assert signed_in.get(f"/admin/{model}/add/").status_code == 403
