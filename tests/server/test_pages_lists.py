"""The first page and the lists of jobs: what they show, to whom, and what they cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from lava.master.scheduler import run_round
from lava.model.states import DeviceHealth, JobHealth, JobState, WorkerState
from lava.server.actions import lifecycle
from lava.server.models import Device, DeviceType, TestJob, Worker
from lava.server.views import job_lists

pytestmark = pytest.mark.django_db

Submit = Callable[..., TestJob]

EVERY_LIST = [
    "/",
    "/scheduler/",
    *(f"/scheduler/{which}" for which in job_lists.LISTS),
    "/scheduler/alldevices",
    "/scheduler/alldevices?retired",
    "/scheduler/alldevices/active",
    "/scheduler/alldevices/online",
    "/scheduler/alldevices/passinghealthchecks",
    "/scheduler/alldevices/maintenance",
    "/scheduler/mydevices",
    "/scheduler/device_types",
    "/scheduler/allworkers",
]


def shown(client: Client, address: str) -> list[str]:
    """Return the ids of the jobs in the first column of a list."""
    response = client.get(address)
    assert response.status_code == 200
    return re.findall(r'<td><a href="/scheduler/job/[\d.]+">([\d.]+)</a>', response.content.decode())


def many(user: User, count: int, **fields: Any) -> list[TestJob]:
    kind, _ = DeviceType.objects.get_or_create(pk="qemu")
    values: dict[str, Any] = {"submitter": user, "is_public": True, "requested_device_type": kind, **fields}
    return [TestJob.objects.create(definition="x", original_definition="x", **values) for _ in range(count)]


def ended(user: User, count: int, health: JobHealth = JobHealth.COMPLETE, **fields: Any) -> list[TestJob]:
    now = timezone.now()
    times = {"start_time": now - timedelta(seconds=65), "end_time": now}
    return many(user, count, state=JobState.FINISHED, health=health, **times, **fields)


@pytest.mark.parametrize("address", EVERY_LIST)
def test_every_list_works_in_an_empty_lab(client: Client, admin: User, address: str) -> None:
    client.force_login(admin)
    assert client.get(address).status_code == 200


@pytest.mark.parametrize("address", ["myjobs", "myactivejobs", "myqueuedjobs", "myerrorjobs", "joberrors", "mydevices"])
def test_lists_of_ones_own_need_a_login(client: Client, db: None, address: str) -> None:
    response = client.get(f"/scheduler/{address}?length=50")
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next=/scheduler/{address}%3Flength%3D50"


@pytest.mark.parametrize("address", ["/", "/scheduler/alljobs", "/scheduler/alldevices", "/scheduler/device_types"])
def test_a_list_asks_the_database_as_often_for_many_rows_as_for_few(
    client: Client, user: User, new_device: Callable[..., Device], django_assert_max_num_queries: Any, address: str
) -> None:
    client.force_login(user)
    for number in range(12):
        new_device(f"board-{number}", device_type=f"kind-{number}")
    many(user, 40)
    ended(user, 40)
    with django_assert_max_num_queries(13):
        assert client.get(address).status_code == 200


def test_a_page_of_a_device_type_and_of_a_worker_does_not_ask_for_each_device(
    client: Client, user: User, new_device: Callable[..., Device], django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        new_device(f"board-{number}")
    for address in ("/scheduler/device_type/qemu", "/scheduler/worker/worker-1"):
        with django_assert_max_num_queries(9):
            assert b"board-19" in client.get(address).content


def test_pages_of_a_list_show_every_job_once(client: Client, user: User) -> None:
    jobs = many(user, 25)
    seen: list[str] = []
    address: str | None = "/scheduler/alljobs?length=10"
    while address is not None:
        seen += shown(client, address)
        more = re.search(r'rel="next" href="\?([^"]*)"', client.get(address).content.decode())
        address = "/scheduler/alljobs?" + more[1].replace("&amp;", "&") if more else None
    assert seen == [str(job.pk) for job in reversed(jobs)]


def test_a_page_stays_what_it_was_while_new_jobs_come(client: Client, user: User) -> None:
    jobs = many(user, 20)
    second = f"/scheduler/alljobs?length=10&before={jobs[10].pk}"
    before = shown(client, second)
    many(user, 5)
    assert shown(client, second) == before == [str(job.pk) for job in reversed(jobs[:10])]


def test_filters_narrow_a_list(client: Client, user: User, other: User, new_device: Callable[..., Device]) -> None:
    board = new_device("board", "panda")
    panda = DeviceType.objects.get(pk="panda")
    (plain,) = many(user, 1, description="plain job")
    (theirs,) = many(other, 1)
    (good,) = ended(user, 1, actual_device=board, requested_device_type=panda)
    (bad,) = ended(user, 1, JobHealth.INCOMPLETE, error_type="Infrastructure", error_msg="the PDU is on fire")
    (active,) = many(user, 1, state=JobState.RUNNING)
    for query, expected in {
        "submitter=other": [theirs],
        "device_type=panda": [good],
        "device=board": [good],
        "status=complete": [good],
        "status=incomplete": [bad],
        "status=canceled": [],
        "status=active": [active],
        "status=waiting": [theirs, plain],
        "error=Infrastructure": [bad],
        "error=Bug": [],
        "search=PLAIN": [plain],
        f"search={theirs.pk}": [theirs],
        "submitter=user&status=waiting": [plain],
        "status=nonsense&before=x&length=-1&error=%00&search=%00": [active, bad, good, theirs, plain],
        "before=99999999999999999999": [active, bad, good, theirs, plain],
    }.items():
        assert shown(client, f"/scheduler/alljobs?{query}") == [str(job.pk) for job in expected], query
    client.force_login(user)
    assert shown(client, "/scheduler/joberrors") == shown(client, "/scheduler/myerrorjobs") == [str(bad.pk)]
    assert "the PDU is on fire" in client.get("/scheduler/joberrors").content.decode()
    assert shown(client, "/scheduler/queue") == [str(theirs.pk), str(plain.pk)]
    assert shown(client, "/scheduler/myqueuedjobs") == [str(plain.pk)]
    assert shown(client, "/scheduler/running") == shown(client, "/scheduler/myactivejobs") == [str(active.pk)]


def test_a_search_looks_at_a_window_and_offers_to_go_on(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lists, "WINDOW", 10)
    (wanted,) = many(user, 1, description="needle")
    rest = many(user, 25, description="hay")
    page = client.get("/scheduler/alljobs?search=needle").content.decode()
    bottom = rest[-1].pk + 1 - 10
    assert f"Searched down to job {bottom}." in page
    assert f"search=needle&amp;length=25&amp;before={bottom}" in page
    assert shown(client, f"/scheduler/alljobs?search=needle&before={bottom}") == []
    assert shown(client, f"/scheduler/alljobs?search=needle&before={bottom - 10}") == [str(wanted.pk)]
    # An id that is typed is found wherever it is, and a list of one user is found by its index.
    assert shown(client, f"/scheduler/alljobs?search={wanted.pk}")[0] == str(wanted.pk)
    assert shown(client, "/scheduler/alljobs?search=needle&submitter=user") == [str(wanted.pk)]


def test_jobs_are_listed_only_for_those_who_may_see_them(
    client: Client, user: User, other: User, admin: User, submit: Submit
) -> None:
    public, personal = submit(), submit(visibility="personal", name="a secret name")
    group = Group.objects.create(name="makers")
    shared = submit(visibility="{group: [makers]}", name="of the makers")
    everything = [str(job.pk) for job in (shared, personal, public)]
    for viewer, expected in ((None, everything[2:]), (other, everything[2:]), (user, everything), (admin, everything)):
        client.logout()
        if viewer:
            client.force_login(viewer)
        assert shown(client, "/scheduler/alljobs") == expected
        for address in ("/", "/scheduler/queue", "/scheduler/device_type/qemu", "/scheduler/device_types"):
            page = client.get(address).content.decode()
            assert ("a secret name" in page) == (viewer in (user, admin) and address != "/scheduler/device_types")
            count = re.search(r'<td class="number">\s*(\d+)\s*</td>\s*</tr>', page)
            if address in ("/", "/scheduler/device_types"):
                assert count is not None
                assert int(count[1]) == len(expected)
    other.groups.add(group)
    client.force_login(other)
    assert shown(client, "/scheduler/alljobs") == [str(shared.pk), str(public.pk)]


def test_the_first_page_shows_what_runs_what_waits_and_what_ended(
    client: Client, submit: Submit, user: User, device: Device
) -> None:
    first, second = submit(name="first job"), submit(name="second job")
    run_round()
    lifecycle.job_started("worker-1", first.display_id)
    page = client.get("/").content.decode()
    sections = dict(re.findall(r'<section aria-labelledby="(\w+)">(.*?)</section>', page, re.DOTALL))
    assert "first job" in sections["running"]
    assert "second job" in sections["queue"]
    assert "No job has ended yet" in sections["ended"]
    assert "1 of 1 device ready, 1 job running, 1 waiting" in page
    lifecycle.cancel_job(user, second.pk)
    sections = dict(
        re.findall(r'<section aria-labelledby="(\w+)">(.*?)</section>', client.get("/").content.decode(), re.DOTALL)
    )
    assert "second job" in sections["ended"]
    assert "Nothing waits" in sections["queue"]


def test_the_first_page_says_that_nobody_takes_the_jobs_of_a_type(
    client: Client, submit: Submit, device: Device, worker: Worker
) -> None:
    submit()
    assert b"no device can take them" not in client.get("/").content
    Worker.objects.update(state=WorkerState.OFFLINE, refusal="another certificate claims the name")
    page = client.get("/").content.decode()
    assert "no device can take them" in page
    assert "is offline since" in page
    assert "another certificate claims the name" in page
    assert "0 of 1 device ready" in page


def test_a_waiting_job_says_why_it_waits(client: Client, submit: Submit, device: Device) -> None:
    Device.objects.update(health=DeviceHealth.MAINTENANCE)
    job = submit()
    run_round()
    job.refresh_from_db()
    assert job.waiting_reason
    assert job.waiting_reason in client.get("/scheduler/queue").content.decode()


def test_lists_can_be_read_only(client: Client, admin: User) -> None:
    client.force_login(admin)
    for address in EVERY_LIST:
        assert client.post(address).status_code == 405
