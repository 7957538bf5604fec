"""Submitting by the form."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from lava.server.models import Device, TestJob

pytestmark = pytest.mark.django_db

FORM = "/scheduler/jobsubmit"
Text = Callable[..., str]


@pytest.fixture
def signed_in(client: Client, user: User, device: Device) -> Client:
    client.force_login(user)
    return client


def test_an_anonymous_visitor_is_asked_to_sign_in(client: Client, device: Device, text: Text) -> None:
    for response in (client.get(FORM), client.post(FORM, {"definition": text()})):
        assert response.status_code == 401
        assert "/accounts/login/?next=/scheduler/jobsubmit" in response.content.decode()
    assert not TestJob.objects.exists()


def test_a_submitted_job_is_shown(signed_in: Client, user: User, text: Text) -> None:
    response = signed_in.post(FORM, {"definition": text().replace("\n", "\r\n")})
    job = TestJob.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/scheduler/job/{job.pk}"
    assert job.submitter == user
    assert job.original_definition == text(), "ends of lines are those of the author"


def test_faults_stand_beside_the_text_and_the_text_is_kept(signed_in: Client, text: Text) -> None:
    broken = text().replace("to: tmpfs", "to: tmfs").replace("priority: medium", "priority: 400")
    response = signed_in.post(FORM, {"definition": broken})
    assert response.status_code == 400
    page = response.content.decode()
    assert "faults: the job is refused" in page
    lines = broken.splitlines()
    places = {(int(line), int(column)) for line, column in re.findall(r'data-line="(\d+)" data-column="(\d+)"', page)}
    for word, line in (("400", "priority: 400"), ("tmfs", next(line for line in lines if "tmfs" in line))):
        assert any(lines[at - 1] == line for at, _ in places), word
    kept = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert kept is not None
    assert kept[1].replace("&quot;", '"').replace("&#x27;", "'").replace("&gt;", ">") == broken
    assert not TestJob.objects.exists()


@pytest.mark.parametrize("button", [{}, {"check": "1"}])
def test_what_no_device_can_run_is_refused_at_its_place(signed_in: Client, text: Text, button: dict[str, str]) -> None:
    unknown = text().replace("device_type: qemu", "device_type: qmeu")
    response = signed_in.post(FORM, {"definition": unknown, **button})
    page = response.content.decode()
    assert response.status_code == 400
    assert "device type &#x27;qmeu&#x27; is unavailable" in page
    assert 'data-line="3" data-column="1"' in page


def test_a_check_stores_nothing(signed_in: Client, text: Text) -> None:
    response = signed_in.post(FORM, {"definition": text(name="my job"), "check": "1"})
    assert response.status_code == 200
    assert "<strong>my job</strong> would be accepted" in response.content.decode()
    assert "<textarea" in response.content.decode()
    assert not TestJob.objects.exists()


def test_a_check_says_what_is_doubtful(signed_in: Client, text: Text) -> None:
    doubtful = text().replace("media: tmpfs", "media: tmpfs, colour: green")
    page = signed_in.post(FORM, {"definition": doubtful, "check": "1"}).content.decode()
    assert "would be accepted" in page
    assert "Doubtful" in page
    assert "colour" in page


def test_a_script_gets_the_findings_alone(signed_in: Client, text: Text) -> None:
    for definition, expected in ((text(), "would be accepted"), ("a: [", "the job is refused"), ("", "refused")):
        response = signed_in.post(FORM, {"definition": definition, "check": "1"}, headers={"X-Requested-With": "check"})
        assert response.status_code == 200
        assert expected in response.content.decode()
        assert "<textarea" not in response.content.decode()


@pytest.mark.parametrize(
    "definition",
    [
        "",
        "   ",
        "null",
        "42",
        "[]",
        "a: [",
        "\t- x",
        "{",
        "job_name: x",
        "\0",
        "a: &a [*a]",
        "- " * 300,
        "\ud7ff\ufffe",
    ],
)
def test_bad_input_is_refused_and_kept(signed_in: Client, definition: str) -> None:
    response = signed_in.post(FORM, {"definition": definition})
    assert response.status_code == 400
    assert "the job is refused" in response.content.decode()


def test_a_multinode_job_is_refused_in_plain_words(signed_in: Client) -> None:
    definition = """\
job_name: two boards
visibility: public
timeouts: {job: {minutes: 3}, action: {minutes: 2}, connection: {seconds: 60}}
protocols: {lava-multinode: {roles: {a: {device_type: qemu, count: 1}}}}
actions:
- command: {name: x, role: [a]}
"""
    for button in ({}, {"check": "1"}):
        page = signed_in.post(FORM, {"definition": definition, **button})
        assert page.status_code == 400
        assert "MultiNode" in page.content.decode()


def test_a_form_without_its_token_submits_nothing(user: User, device: Device, text: Text) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(FORM, {"definition": text()}).status_code == 403
    assert not TestJob.objects.exists()


def test_a_job_is_resubmitted_by_the_same_form(
    signed_in: Client, submit: Callable[..., TestJob], text: Text, other: User
) -> None:
    job = submit(by=other)
    address = f"/scheduler/job/{job.pk}/resubmit"
    assert "# a comment that is kept" in signed_in.get(address).content.decode()
    refused = signed_in.post(address, {"definition": text().replace("device_type: qemu", "device_type: qmeu")})
    assert refused.status_code == 400
    assert 'data-line="3"' in refused.content.decode()
    signed_in.post(address, {"definition": text()})
    assert TestJob.objects.exclude(pk=job.pk).get().submitter.get_username() == "user"
