"""The pages of one job without a browser: what is shown to whom, and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.utils import timezone

from lava.master.scheduler import run_round
from lava.model.logline import Level, encode_lines
from lava.model.states import DeviceHealth, JobState, WorkerState
from lava.server.actions.lifecycle import job_ended
from lava.server.actions.submit import submit_job
from lava.server.models import Device, DeviceType, TestJob, Worker
from lava.server.results.models import TestCase, TestSuite

pytestmark = pytest.mark.django_db

TEXT = """\
# a comment that is kept
job_name: pages
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 2}, connection: {minutes: 1}}
metadata: {purpose: <b>test</b>}
actions:
  - boot: {method: qemu, prompts: ["#"]}
"""


@pytest.fixture
def job(db: None) -> TestJob:
    kind = DeviceType.objects.create(name="qemu")
    worker = Worker.objects.create(hostname="worker-1", state=WorkerState.ONLINE)
    Device.objects.create(hostname="qemu-1", device_type=kind, worker_host=worker, health=DeviceHealth.GOOD)
    return submit_job(User.objects.create_user("owner"), TEXT)


def add_cases(job: TestJob, suites: int, cases: int) -> None:
    for number in range(suites):
        suite = TestSuite.objects.create(job=job, name=f"{number}_suite")
        TestCase.objects.bulk_create(
            TestCase(
                name=f"case-{n}", suite=suite, result=n % 4, metadata="{level: 1.2}", logged=timezone.now(), units="<i>"
            )
            for n in range(cases)
        )


def test_the_page_says_what_the_job_is(client: Client, job: TestJob) -> None:
    body = client.get(f"/scheduler/job/{job.pk}").content.decode()
    for text in ("pages", "owner", "qemu", "Submitted", "Medium", "public", "just submitted"):
        assert text in body
    assert "Resubmit" not in body
    assert "Cancel" not in body
    client.force_login(job.submitter)
    body = client.get(f"/scheduler/job/{job.pk}").content.decode()
    assert "Resubmit" in body
    assert "Cancel" in body


def test_no_page_has_script_or_style_in_it(client: Client, job: TestJob) -> None:
    client.force_login(job.submitter)
    for path in ("", "/definition", "/resubmit"):
        response = client.get(f"/scheduler/job/{job.pk}{path}")
        body = response.content.decode()
        assert "default-src 'self'" in response["Content-Security-Policy"]
        assert "<script>" not in body
        assert "style=" not in body
        assert "onclick" not in body


@pytest.mark.parametrize("path", ["/scheduler/job/{}", "/results/{}"])
def test_the_cost_of_a_page_does_not_grow_with_the_results(
    client: Client, job: TestJob, django_assert_max_num_queries: Any, path: str
) -> None:
    add_cases(job, suites=50, cases=4)
    with django_assert_max_num_queries(8):
        assert client.get(path.format(job.pk)).status_code == 200


def test_a_waiting_job_that_is_canceled_ends_at_once(client: Client, job: TestJob) -> None:
    client.force_login(job.submitter)
    response = client.post(f"/scheduler/job/{job.pk}/cancel", follow=True)
    assert "Canceled" in response.content.decode()
    assert "canceled by owner before it started" in response.content.decode()
    assert client.post(f"/scheduler/job/{job.pk}/cancel").status_code == 302


def test_cancel_needs_a_token_of_the_form(job: TestJob) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(job.submitter)
    assert client.post(f"/scheduler/job/{job.pk}/cancel").status_code == 403
    assert client.post(f"/scheduler/job/{job.pk}/resubmit", {"definition": TEXT}).status_code == 403
    assert TestJob.objects.count() == 1


def test_the_definition_is_given_back_as_it_was_submitted(client: Client, job: TestJob) -> None:
    response = client.get(f"/scheduler/job/{job.pk}/definition/plain")
    assert response.content.decode() == TEXT
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    shown = client.get(f"/scheduler/job/{job.pk}/definition").content.decode()
    assert "&lt;b&gt;test&lt;/b&gt;" in shown
    assert "<b>test</b>" not in shown


def test_resubmitting_makes_a_job_of_the_one_who_does_it(client: Client, job: TestJob) -> None:
    other = User.objects.create_user("other")
    client.force_login(other)
    assert "a comment that is kept" in client.get(f"/scheduler/job/{job.pk}/resubmit").content.decode()
    client.post(f"/scheduler/job/{job.pk}/resubmit", {"definition": TEXT.replace("\n", "\r\n")})
    newest = TestJob.objects.latest("pk")
    assert newest.submitter == other
    assert newest.original_definition == TEXT
    refused = client.post(f"/scheduler/job/{job.pk}/resubmit", {"definition": "actions: <script>"})
    assert refused.status_code == 400
    assert "actions: &lt;script&gt;" in refused.content.decode()
    client.logout()
    assert client.get(f"/scheduler/job/{job.pk}/resubmit").status_code == 302


def test_a_plan_is_shown_when_the_job_has_ended(client: Client, job: TestJob) -> None:
    assert client.get(f"/scheduler/job/{job.pk}/description").status_code == 404
    text = "pipeline:\n- {level: '1', name: <b>, timeout: 120, pipeline: [{level: '1.1', name: login}]}\n"
    run_round()
    job_ended("worker-1", job.display_id, log_length=0, exit_status=1, error_text="no such file", description=text)
    body = client.get(f"/scheduler/job/{job.pk}").content.decode()
    assert 'data-level="1" data-depth="0" data-timeout="120"' in body
    assert 'data-level="1.1" data-depth="1" data-timeout="0"' in body
    assert "&lt;b&gt;" in body
    assert "no such file" in body
    assert client.get(f"/scheduler/job/{job.pk}/description").content.decode() == text


@pytest.mark.parametrize("text", ["", "[", "a: b", "pipeline: text", "pipeline: [5, [6]]"])
def test_an_odd_description_is_no_reason_to_fail(client: Client, job: TestJob, text: str) -> None:
    run_round()
    assert job_ended("worker-1", job.display_id, log_length=0, exit_status=1, error_text="", description=text)
    assert TestJob.objects.get().job_state is JobState.FINISHED
    assert client.get(f"/scheduler/job/{job.pk}").status_code == 200


def test_results_are_counted_listed_and_shown(client: Client, job: TestJob) -> None:
    add_cases(job, suites=1, cases=410)
    assert "103" in client.get(f"/results/{job.pk}").content.decode()
    first = client.get(f"/results/{job.pk}/0_suite")
    body = first.content.decode()
    assert body.count("<tr>") == 201
    assert "410 cases" in body
    assert "&lt;i&gt;" in body
    last = TestCase.objects.order_by("pk")[399].pk
    assert client.get(f"/results/{job.pk}/0_suite?after={last}").content.decode().count("<tr>") == 11
    assert client.get(f"/results/{job.pk}/0_suite?result=fail").content.decode().count("<tr>") == 104
    assert client.get(f"/results/{job.pk}/0_suite/case-7").content.decode().count("<tr>") == 2
    assert client.get(f"/results/{job.pk}/0_suite/no-such").status_code == 404
    assert client.get(f"/results/{job.pk}/0_suite/+testcase-count").content == b"410"
    case = TestCase.objects.get(name="case-7")
    assert "1.2" in client.get(f"/results/testcase/{case.pk}").content.decode()
    assert "case-7" in client.get(f"/results/testcase/{case.pk}/yaml").content.decode()


@pytest.mark.django_db(transaction=True)
async def test_exports_have_every_case_once(job: TestJob, async_client: AsyncClient) -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(add_cases)(job, suites=2, cases=1100)

    async def read(path: str) -> tuple[int, str]:
        response = await async_client.get(path)
        if not response.streaming:
            return response.status_code, response.content.decode()
        return response.status_code, b"".join([part async for part in response]).decode()

    status, text = await read(f"/results/{job.pk}/csv")
    assert status == 200
    lines = text.splitlines()
    assert lines[0].startswith('"job","suite","result","measurement","unit"')
    assert len(lines) == 2201
    assert len(set(lines)) == 2201
    assert (await read(f"/results/{job.pk}/1_suite/yaml"))[1].count("- name: ") == 1100
    assert (await read(f"/results/{job.pk}/1_suite/csv?limit=5&offset=3"))[1].count("case-") == 10
    assert (await read(f"/results/{job.pk}/yaml?offset=3"))[0] == 400
    assert (await read(f"/results/{job.pk}/yaml?limit=x"))[0] == 400


@pytest.mark.django_db(transaction=True)
async def test_the_plain_log_is_the_bytes_that_came(
    job: TestJob, async_client: AsyncClient, store: Callable[[int, int, bytes], int | None]
) -> None:
    from asgiref.sync import sync_to_async

    log = encode_lines(timezone.now(), Level.TARGET, ["ü \u2028", *map(str, range(10_000))])
    await sync_to_async(store)(job.pk, 0, log)
    response = await async_client.get(f"/scheduler/job/{job.pk}/log_file/plain")
    assert response["Content-Length"] == str(len(log))
    assert b"".join([part async for part in response]) == log
