"""``lava-server manage workers|device-types|devices|users|tokens``.  Source: server 16.1."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from lava.master.scheduler import run_round
from lava.model.faults import SubmissionError
from lava.model.states import DeviceHealth, JobState, WorkerHealth
from lava.server.actions.submit import submit_job
from lava.server.actions.workers import worker_seen
from lava.server.models import Alias, AuthToken, Device, DeviceType, Worker

pytestmark = pytest.mark.django_db


def manage(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def rows(*words: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(manage(*words, "--csv"))))


def test_a_lab_is_set_up_by_commands(data_directory: Path) -> None:
    token = manage("workers", "add", "rack-1", "--description", "left rack").strip()
    assert token == f"Token: {Worker.objects.get().token}"
    manage("device-types", "add", "qemu", "--alias", "virtual", "--health-frequency", "5")
    (data_directory / "devices" / "qemu-01.jinja2").write_text("{% extends 'qemu.jinja2' %}\n")
    manage("devices", "add", "qemu-01", "--device-type", "qemu", "--worker", "rack-1", "--tags", "kvm", "usb")
    manage("devices", "add", "qemu-02", "--device-type", "qemu", "--worker", "rack-1", "--offline")
    device = Device.objects.get(pk="qemu-01")
    assert (device.worker_host, DeviceHealth(device.health)) == (Worker.objects.get(), DeviceHealth.GOOD)
    assert sorted(tag.name for tag in device.tags.all()) == ["kvm", "usb"]
    assert Alias.objects.get(pk="virtual").device_type == DeviceType.objects.get()
    good = {"hostname": "qemu-01", "device-type": "qemu", "state": "Idle", "health": "Good"}
    resting = good | {"hostname": "qemu-02", "health": "Maintenance"}
    assert rows("devices", "list") == [good, resting]
    assert rows("devices", "list", "--health", "maintenance") == [resting]
    assert rows("device-types", "list") == [{"name": "qemu", "devices": "2", "installed": "True", "template": "True"}]
    (worker,) = rows("workers", "list")
    assert worker == {
        "hostname": "rack-1",
        "description": "left rack",
        "master": "",
        "state": "Offline",
        "health": "Active",
        "devices": "2",
    }
    assert manage("devices", "check", "qemu-01") == "qemu-01: ok\n"
    with pytest.raises(CommandError, match="1 of 2 devices have no usable configuration"):
        manage("devices", "check", "--all")


def test_retired_things_are_listed_on_request() -> None:
    """R53."""
    Worker.objects.create(hostname="old", health=WorkerHealth.RETIRED)
    Worker.objects.create(hostname="new")
    assert [row["hostname"] for row in rows("workers", "list")] == ["new"]
    assert [row["hostname"] for row in rows("workers", "list", "--all")] == ["new", "old"]


def test_a_change_of_health_is_audited_and_devices_follow_their_worker() -> None:
    worker = Worker.objects.create(hostname="rack-1")
    kind = DeviceType.objects.create(name="qemu")
    Device.objects.create(hostname="qemu-01", device_type=kind, worker_host=worker, health=DeviceHealth.UNKNOWN)
    manage("devices", "update", "qemu-01", "--health", "good", "--description", "top shelf")
    manage("workers", "update", "rack-1", "--health", "retired")
    device = Device.objects.get()
    assert (DeviceHealth(device.health), device.description) == (DeviceHealth.RETIRED, "top shelf")
    entries = LogEntry.objects.order_by("pk").values_list("user__username", "object_id", "change_message")
    assert list(entries) == [
        ("lava-health", "qemu-01", "Unknown → Good (command line)"),
        ("lava-health", "rack-1", "Active → Retired (command line)"),
        ("lava-health", "qemu-01", "Good → Retired (worker rack-1 is Retired)"),
    ]
    assert not User.objects.get(username="lava-health").has_usable_password()


def test_r50_r51_r54_a_worker_is_added_by_its_name_and_told_of_in_words() -> None:
    manage("workers", "add", "rack-1")
    manage("workers", "add", "--description", "left rack", "rack-2")
    first, second = Worker.objects.order_by("pk")
    assert (WorkerHealth(first.health), first.description) == (WorkerHealth.ACTIVE, "")
    assert (WorkerHealth(second.health), second.description) == (WorkerHealth.ACTIVE, "left rack")
    assert "description : left rack\n" in manage("workers", "details", "rack-2")
    names = {field.name for field in Worker._meta.get_fields()}
    assert not {"address", "ip_address", "uptime", "arch", "architecture"} & names


def test_r52_r56_nothing_starts_on_a_worker_that_was_added_disabled(
    new_device: Callable[..., Device], text: Callable[..., str], user: User
) -> None:
    manage("workers", "add", "--description", "a spare", "--disabled", "rack-2")
    spare = Worker.objects.get(pk="rack-2")
    assert (WorkerHealth(spare.health), spare.description) == (WorkerHealth.RETIRED, "a spare")
    assert "rack-2" not in manage("workers", "list")
    device = new_device("qemu-02", worker_host=spare)
    with pytest.raises(SubmissionError, match="worker rack-2 is retired"):
        submit_job(user, text())
    Device.objects.update(worker_host="worker-1")
    job = submit_job(user, text())
    Device.objects.filter(pk=device.pk).update(worker_host=spare)
    run_round()
    job.refresh_from_db()
    assert (job.job_state, job.waiting_reason) == (JobState.SUBMITTED, "worker rack-2 is retired")
    manage("workers", "set", "--enable", "rack-2")
    worker_seen("rack-2", "1.0")
    assert run_round() == 1


def test_r53_set_and_update_are_the_same(new_device: Callable[..., Device]) -> None:
    new_device("qemu-01")
    new_device("qemu-02")
    for command in ("set", "update"):
        manage("workers", command, "worker-1", "--disable", "--description", command)
        worker = Worker.objects.get()
        assert (WorkerHealth(worker.health), worker.description) == (WorkerHealth.RETIRED, command)
        said = manage("workers", command, "worker-1", "--enable")
        assert "2 of its devices still retired: lava-server manage devices update NAME --health UNKNOWN" in said
        assert WorkerHealth(Worker.objects.get().health) is WorkerHealth.ACTIVE
    manage("workers", "set", "worker-1", "--job-limit", "3")
    assert Worker.objects.get().job_limit == 3


def test_r57_whoever_disables_a_worker_is_told_of_its_devices(new_device: Callable[..., Device]) -> None:
    for number in (1, 2):
        new_device(f"qemu-0{number}")
    new_device("qemu-03", health=DeviceHealth.BAD)
    said = manage("workers", "update", "worker-1", "--health", "maintenance")
    assert "2 devices of worker-1 still online" in said
    assert "lava-server manage workers update worker-1 --devices-offline" in said
    assert manage("workers", "update", "worker-1", "--devices-offline") == "offline: qemu-01\noffline: qemu-02\n"
    healths = dict(Device.objects.values_list("pk", "health"))
    resting = DeviceHealth.MAINTENANCE
    assert healths == {"qemu-01": resting, "qemu-02": resting, "qemu-03": DeviceHealth.BAD}


def test_r06_r53_details_of_a_worker(new_device: Callable[..., Device]) -> None:
    new_device("qemu-01")
    new_device("qemu-02")
    Worker.objects.update(description="left rack", refusal="its certificate was removed", version="1.0")
    Worker.objects.create(hostname="localhost")
    lines = manage("workers", "details", "worker-1").splitlines()
    facts = {name.strip(): fact.strip() for name, _, fact in (line.partition(" : ") for line in lines)}
    assert facts == {
        "hostname": "worker-1",
        "master": "no",
        "state": "Online",
        "refused": "its certificate was removed",
        "health": "Active",
        "description": "left rack",
        "version": "1.0",
        "job limit": "none",
        "token": Worker.objects.get(pk="worker-1").token,
        "devices": "2",
    }
    assert "devices     : qemu-01, qemu-02\n" in manage("workers", "details", "worker-1", "--devices")
    assert "master      : yes\n" in manage("workers", "details", "localhost")
    own = {row["hostname"]: row["master"] for row in rows("workers", "list")}
    assert own == {"localhost": "yes", "worker-1": ""}


def test_another_certificate_can_be_let_in() -> None:
    Worker.objects.create(hostname="rack-1", public_key="k" * 40, refusal="another certificate")
    manage("workers", "update", "rack-1", "--forget-key", "--description", "new disk")
    worker = Worker.objects.get()
    assert (worker.public_key, worker.refusal, worker.description) == ("", "", "new disk")


def test_users_and_tokens_are_made() -> None:
    password = manage("users", "add", "ada", "--staff").strip().removeprefix("Password: ")
    assert Client().login(username="ada", password=password)
    assert manage("users", "add", "bob", "--passwd", "given secret", "--superuser") == ""
    assert Client().login(username="bob", password="given secret")
    ada, bob = rows("users", "list")
    assert (ada["username"], ada["staff"], ada["superuser"]) == ("ada", "True", "False")
    assert (bob["username"], bob["superuser"]) == ("bob", "True")
    secret = manage("tokens", "add", "--user", "ada", "--description", "CI").strip()
    token = AuthToken.objects.get()
    assert (token.secret, token.user, token.description) == (secret, User.objects.get(username="ada"), "CI")
    assert rows("tokens", "list", "-u", "ada") == [{"id": str(token.pk), "secret": secret, "description": "CI"}]
    manage("tokens", "rm", "--token", secret)
    assert not AuthToken.objects.exists()


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("workers add rack-1", "worker 'rack-1' is there already"),
        ("workers add ../rack", "hostname: letters, digits"),
        ("workers update rack-9 --description x", "there is no worker 'rack-9'"),
        ("workers update rack-9 --health active", "there is no worker 'rack-9'"),
        ("workers update rack-1", "nothing to change"),
        ("workers update rack-1 --job-limit=-1", "a number from 0 on"),
        ("workers details rack-9", "there is no worker 'rack-9'"),
        ("device-types add unheard-of", "there is no template unheard-of.jinja2"),
        ("device-types add qemu", "device type 'qemu' is there already"),
        ("devices add x --device-type none --worker rack-1", "device-types add none"),
        ("devices add x --device-type qemu --worker none", "workers add none"),
        ("devices add a/b --device-type qemu --worker rack-1", "hostname: letters, digits"),
        ("devices update nowhere --health good", "there is no device 'nowhere'"),
        ("devices update nowhere --worker none", "workers add none"),
        ("devices update nowhere", "nothing to change"),
        ("devices check", "name devices, or --all"),
        ("devices check nowhere", "there is no device 'nowhere'"),
        ("users add ada", "user 'ada' is there already"),
        ("users add a/b", "username: "),
        ("tokens add --user nobody", "there is no user 'nobody'"),
        ("tokens list --user nobody", "there is no user 'nobody'"),
        ("tokens add --user ada --secret known", "a token with that secret is there already"),
        ("tokens rm --token unknown", "there is no such token"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(command: str, complaint: str) -> None:
    """R53: and nothing is changed."""
    Worker.objects.create(hostname="rack-1")
    DeviceType.objects.create(name="qemu")
    AuthToken.objects.create(user=User.objects.create_user("ada"), secret="known")
    with pytest.raises(CommandError) as caught:
        manage(*command.split())
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Device.objects.exists()
