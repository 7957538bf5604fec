"""Workers and their devices in the admin site and on the worker's page.  Source: seed requirements B, D, G, H."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from lava.master.scheduler import run_round
from lava.model.states import DeviceHealth, DeviceState, JobState, WorkerHealth, WorkerState
from lava.server import wake
from lava.server.actions.workers import is_on_this_machine
from lava.server.models import Device, TestJob, Worker

pytestmark = pytest.mark.django_db

LAB = "/admin/lava_scheduler_app"
NewDevice = Callable[..., Device]
Submit = Callable[..., TestJob]


@pytest.fixture
def keeper(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


def form_of(client: Client, address: str) -> dict[str, Any]:
    """Return the values that the form of a page would send unchanged."""
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value is not None}


def offered_workers(client: Client) -> list[str]:
    """Return what the drop-down of a device offers."""
    form = client.get(f"{LAB}/device/qemu-01/change/").context["adminform"].form
    return [str(value) for value, _ in form.fields["worker_host"].choices if value]


def test_r34_r49_a_worker_can_be_chosen_for_a_device_once_it_is_added(keeper: Client, device: Device) -> None:
    """R34, R49: slaves do not add themselves."""
    assert offered_workers(keeper) == ["worker-1"]
    Worker.objects.create(hostname="rack-2")
    assert offered_workers(keeper) == ["rack-2", "worker-1"]


def test_r59_a_device_is_moved_by_the_drop_down_of_its_page(
    keeper: Client, admin: User, device: Device, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R38, R59, R118: and whatever waits for it is looked at again at once."""
    Worker.objects.create(hostname="rack-2", state=WorkerState.ONLINE)
    Device.objects.update(worker_host=None)
    job = submit()
    assert run_round() == 0
    job.refresh_from_db()
    assert job.waiting_reason == "device qemu-01 has no worker"
    woken: list[str] = []
    monkeypatch.setattr(wake, "announce", lambda topic, *_: woken.append(topic))
    address = f"{LAB}/device/qemu-01/change/"
    keeper.post(address, form_of(keeper, address) | {"worker_host": "rack-2"})
    assert wake.QUEUE in woken
    assert form_of(keeper, address)["worker_host"] == "rack-2"
    entry = LogEntry.objects.get(object_id="qemu-01")
    assert (entry.user, entry.get_change_message()) == (admin, "Changed Worker host.")
    assert run_round() == 1


def test_r55_r56_a_worker_in_maintenance_takes_nothing_new_and_what_runs_goes_on(
    keeper: Client, new_device: NewDevice, submit: Submit
) -> None:
    """R55, R56: we let the others wait, each with its reason, and end none that runs; see requirements.md."""
    new_device("qemu-02")
    first = submit()
    run_round()
    address = f"{LAB}/worker/worker-1/change/"
    form = form_of(keeper, address)
    keeper.post(address, form | {"health": WorkerHealth.MAINTENANCE.value})
    second = submit()
    assert run_round() == 0
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.job_state is JobState.SCHEDULED
    assert second.waiting_reason == "worker worker-1 is in maintenance (2 devices)"
    keeper.post(address, form | {"health": WorkerHealth.ACTIVE.value})
    assert run_round() == 1


@pytest.mark.parametrize("where", ["admin list", "admin page", "worker's page"])
def test_r57_whoever_disables_a_worker_is_advised_about_its_devices(
    keeper: Client, new_device: NewDevice, where: str
) -> None:
    for name in ("qemu-01", "qemu-02"):
        new_device(name)
    new_device("qemu-03", health=DeviceHealth.MAINTENANCE)
    address = f"{LAB}/worker/worker-1/change/"
    words: dict[str, tuple[str, dict[str, Any]]] = {
        "admin list": (f"{LAB}/worker/", {"action": "make_maintenance", "_selected_action": ["worker-1"]}),
        "admin page": (address, form_of(keeper, address) | {"health": WorkerHealth.MAINTENANCE.value}),
        "worker's page": ("/scheduler/worker/worker-1/health", {"health": "Maintenance"}),
    }
    page = keeper.post(*words[where], follow=True).content.decode()
    assert WorkerHealth(Worker.objects.get().health) is WorkerHealth.MAINTENANCE
    assert "2 devices of worker-1 still online" in page
    assert "take them offline" in page


def test_r58_all_devices_of_a_worker_are_filtered_and_taken_offline_at_once(
    keeper: Client, admin: User, new_device: NewDevice
) -> None:
    other = Worker.objects.create(hostname="rack-2")
    names = [new_device(f"qemu-{number:02}").pk for number in range(30)]
    new_device("elsewhere", worker_host=other)
    listed = keeper.get(f"{LAB}/device/", {"worker_host__hostname__exact": "worker-1"}).context["cl"]
    assert [device.pk for device in listed.result_list] == names
    titles = dict(listed.model_admin.get_action_choices(keeper.get(f"{LAB}/device/").wsgi_request))
    (offline,) = [name for name, title in titles.items() if title.startswith("Take offline")]
    chosen = {"action": offline, "_selected_action": names}
    keeper.post(f"{LAB}/device/?worker_host__hostname__exact=worker-1", chosen)
    assert set(Device.objects.filter(health=DeviceHealth.MAINTENANCE).values_list("pk", flat=True)) == set(names)
    entries = LogEntry.objects.filter(user=admin, change_message="Good → Maintenance (admin site)")
    assert sorted(entries.values_list("object_id", flat=True)) == names


def test_r57_r58_a_workers_devices_go_offline_in_one_action(keeper: Client, admin: User, new_device: NewDevice) -> None:
    new_device("qemu-01", state=DeviceState.RUNNING)
    new_device("qemu-02", health=DeviceHealth.UNKNOWN)
    new_device("qemu-03", health=DeviceHealth.BAD)
    chosen = {"action": "devices_offline", "_selected_action": ["worker-1"]}
    page = keeper.post(f"{LAB}/worker/", chosen, follow=True).content.decode()
    assert "2 devices taken offline" in page
    found = [(d.pk, DeviceHealth(d.health).name, DeviceState(d.state).name) for d in Device.objects.order_by("pk")]
    assert found == [
        ("qemu-01", "MAINTENANCE", "RUNNING"),
        ("qemu-02", "MAINTENANCE", "IDLE"),
        ("qemu-03", "BAD", "IDLE"),
    ]
    assert sorted(LogEntry.objects.filter(user=admin).values_list("object_id", flat=True)) == ["qemu-01", "qemu-02"]


def test_r06_the_masters_own_worker_is_marked_on_its_page(client: Client, worker: Worker) -> None:
    Worker.objects.create(hostname="localhost")
    assert is_on_this_machine("localhost")
    assert "the master's own" in client.get("/scheduler/worker/localhost").content.decode()
    assert "the master's own" not in client.get("/scheduler/worker/worker-1").content.decode()


def test_r54_a_workers_page_has_its_description(client: Client, worker: Worker) -> None:
    Worker.objects.update(description="left rack, third shelf")
    assert "left rack, third shelf" in client.get("/scheduler/worker/worker-1").content.decode()
