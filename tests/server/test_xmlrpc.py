"""XML-RPC by its public address: what clients rely on, and what strangers try."""

from __future__ import annotations

import base64
import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client

from lava.model.states import DeviceHealth, JobState, WorkerHealth
from lava.server.actions import lifecycle
from lava.server.models import AuthToken, Device, TestJob, Worker

pytestmark = pytest.mark.django_db

Submit = Callable[..., TestJob]
LINE = b'- {"dt": "2026-01-02T03:04:05.000006+00:00", "lvl": "%s", "msg": %s}\n'


def authorization(user: User) -> str:
    token = AuthToken.objects.create(user=user).secret
    return "Basic " + base64.b64encode(f"{user.username}:{token}".encode()).decode()


def rpc(by: User | None = None, header: str | None = None) -> Callable[..., Any]:
    client = Client()
    headers = {"Authorization": header or authorization(by)} if by or header else {}

    def call(method: str, *arguments: Any) -> Any:
        body = xmlrpc.client.dumps(arguments, method, allow_none=True)
        answer = client.post("/RPC2", body, content_type="text/xml", headers=headers)
        assert answer.status_code == 200, answer.content
        (value,), _ = xmlrpc.client.loads(answer.content, use_builtin_types=True)
        return value

    return call


def fault(call: Callable[..., Any], *arguments: Any) -> tuple[int, str]:
    with pytest.raises(xmlrpc.client.Fault) as caught:
        call(*arguments)
    return caught.value.faultCode, caught.value.faultString


def test_anybody_may_ask_what_there_is(db: None) -> None:
    call = rpc()
    assert "scheduler.jobs.submit" in call("system.listMethods")
    assert call("system.whoami") is None
    assert call("system.version").startswith("20")
    assert all(call("system.methodHelp", name) for name in call("system.listMethods"))


def test_a_token_speaks_for_its_user(user: User) -> None:
    assert rpc(user)("system.whoami") == "user"
    token = AuthToken.objects.get(user=user).secret
    assert rpc(header=f"Token {token}")("system.whoami") == "user"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic " + base64.b64encode(b"user:wrong").decode(), 401),
        ("Token wrong", 401),
        ("Basic !!!", 400),
        ("Bearer x", 400),
        ("nonsense", 400),
    ],
)
def test_a_wrong_token_is_refused_in_words(user: User, header: str, status: int) -> None:
    answer = Client().post("/RPC2", "", content_type="text/xml", headers={"Authorization": header})
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/plain"
    assert answer.content


def test_a_token_of_somebody_else_or_of_nobody_active_is_refused(user: User, other: User) -> None:
    token = AuthToken.objects.create(user=other).secret
    header = "Basic " + base64.b64encode(f"user:{token}".encode()).decode()
    assert Client().post("/RPC2", "", content_type="text/xml", headers={"Authorization": header}).status_code == 401
    User.objects.filter(pk=other.pk).update(is_active=False)
    answer = Client().post("/RPC2", "", content_type="text/xml", headers={"Authorization": f"Token {token}"})
    assert answer.status_code == 401


def test_a_job_from_submission_to_results(
    user: User, device: Device, text: Callable[..., str], store: Callable[[int, int, bytes], int | None]
) -> None:
    call = rpc(user)
    definition = text(name="übung")
    job = call("scheduler.jobs.submit", definition)
    assert isinstance(job, int)
    assert call("scheduler.jobs.definition", job) == definition
    assert call("scheduler.jobs.definition", str(job)) == definition
    shown = call("scheduler.jobs.show", job)
    assert (shown["state"], shown["health"], shown["submitter"]) == ("Submitted", "Unknown", "user")
    assert [each["id"] for each in call("scheduler.jobs.queue", ["qemu"])] == [job]

    lines = [LINE % (b"target", b'"one"'), LINE % (b"target", b'"two"')]
    record = b'{"definition": "0_x", "case": "c", "result": "pass", "measurement": "4.50", "units": "s"}'
    lines.append(LINE % (b"results", record))
    lines.append(LINE % (b"results", b'{"definition": "lava", "case": "job", "result": "pass"}'))
    log = b"".join(lines)
    store(job, 0, log)
    assert call("scheduler.jobs.logs", job) == [False, log]
    assert call("scheduler.jobs.logs", job, 1, 2) == [False, lines[1]]
    assert call("scheduler.jobs.logs", job, 3) == [False, lines[3]]
    assert call("scheduler.jobs.logs", job, 4) == [False, b"[]"]
    assert call("scheduler.jobs.logs_count", job) == 4

    lifecycle.job_ended("worker-1", str(job), log_length=len(log), exit_status=0, error_text="", description="")
    assert call("scheduler.jobs.logs", job, 4)[0] is True
    assert call("scheduler.jobs.show", job)["health"] == "Complete"
    cases = yaml.safe_load(call("results.get_testjob_results_yaml", job))
    assert [(case["suite"], case["name"], case["result"]) for case in cases] == [
        ("0_x", "c", "pass"),
        ("lava", "job", "pass"),
    ]
    assert float(cases[0]["measurement"]) == 4.5
    assert {suite["name"] for suite in yaml.safe_load(call("results.get_testjob_suites_list_yaml", job))} == {
        "0_x",
        "lava",
    }


def test_a_refused_job_says_everything_that_is_wrong(user: User, device: Device, text: Callable[..., str]) -> None:
    call = rpc(user)
    code, message = fault(call, "scheduler.jobs.submit", text().replace("qemu\n", "qmu\n", 1).replace("boot:", "bot:"))
    assert code == 400
    assert "line 10, column 3" in message
    assert "did you mean 'boot'" in message
    code, message = fault(call, "scheduler.jobs.submit", text().replace("device_type: qemu", "device_type: qmu"))
    assert (code, "did you mean 'qemu'" in message) == (400, True)
    code, message = fault(call, "scheduler.jobs.submit", "a: [")
    assert (code, "(line " in message) == (400, True)
    assert TestJob.objects.count() == 0


def test_validation_tells_without_submitting(db: None, text: Callable[..., str]) -> None:
    call = rpc()
    assert call("scheduler.jobs.validate", text()) == {}
    refused = call("scheduler.jobs.validate", "job_name: x\n")
    assert "timeouts: required" in refused["msg"]
    assert TestJob.objects.count() == 0


def test_an_anonymous_caller_may_not_submit_or_cancel(submit: Submit, text: Callable[..., str]) -> None:
    call = rpc()
    assert fault(call, "scheduler.jobs.submit", text())[0] == 401
    assert fault(call, "scheduler.jobs.cancel", submit().pk)[0] == 401


def test_only_who_may_cancels(submit: Submit, user: User, other: User, admin: User) -> None:
    job = submit()
    assert fault(rpc(other), "scheduler.jobs.cancel", job.pk)[0] == 403
    assert rpc(user)("scheduler.jobs.cancel", job.pk) is True
    job.refresh_from_db()
    assert job.job_state is JobState.FINISHED
    another = submit()
    assert rpc(admin)("scheduler.jobs.cancel", another.pk) is True


def test_a_private_job_is_its_owners(submit: Submit, user: User, other: User, admin: User) -> None:
    job = submit(visibility="personal")
    for method in ("show", "definition", "logs", "logs_count", "configuration"):
        assert fault(rpc(), f"scheduler.jobs.{method}", job.pk)[0] == 403
        assert fault(rpc(other), f"scheduler.jobs.{method}", job.pk)[0] == 403
    assert rpc()("scheduler.jobs.list") == []
    assert [each["id"] for each in rpc(user)("scheduler.jobs.list")] == [job.pk]
    assert [each["id"] for each in rpc(admin)("scheduler.jobs.list")] == [job.pk]


@pytest.mark.parametrize("job", [4711, "4711", "4711.1", "x", "", None, -1, "9" * 40])
def test_a_job_that_is_not_there(user: User, job: object) -> None:
    assert fault(rpc(user), "scheduler.jobs.show", job)[0] == 404


def test_lists_are_filtered_and_bounded(submit: Submit, user: User) -> None:
    jobs = [submit(name=f"job {number}").pk for number in range(5)]
    lifecycle.cancel_job(None, jobs[0])
    call = rpc(user)
    assert [each["id"] for each in call("scheduler.jobs.list", "FINISHED")] == jobs[:1]
    assert [each["id"] for each in call("scheduler.jobs.list", None, "canceled")] == jobs[:1]
    assert [each["id"] for each in call("scheduler.jobs.list", None, None, 1, 2)] == [jobs[3], jobs[2]]
    assert fault(call, "scheduler.jobs.list", "PERHAPS")[0] == 400


def test_devices_and_workers(device: Device, admin: User, user: User) -> None:
    call = rpc(admin)
    assert call("scheduler.devices.show", "qemu-01")["health"] == "Good"
    assert [each["hostname"] for each in call("scheduler.devices.list")] == ["qemu-01"]
    assert b"qemu-system" in bytes(call("scheduler.devices.get_dictionary", "qemu-01", True))
    call("scheduler.devices.update", "qemu-01", None, None, None, None, "MAINTENANCE")
    assert Device.objects.get().health == DeviceHealth.MAINTENANCE
    assert call("scheduler.workers.list") == ["worker-1"]
    assert call("scheduler.workers.show", "worker-1")["state"] == "Online"
    assert call("scheduler.workers.show", "worker-1")["refusal"] == ""
    Worker.objects.update(refusal="another certificate claims the name")
    assert call("scheduler.workers.show", "worker-1")["refusal"] == "another certificate claims the name"
    call("scheduler.workers.update", "worker-1", None, "RETIRED")
    assert Worker.objects.get().health == WorkerHealth.RETIRED
    assert Device.objects.get().health == DeviceHealth.RETIRED
    assert "token" not in rpc(user)("scheduler.workers.show", "worker-1")
    assert fault(rpc(user), "scheduler.workers.update", "worker-1", None, "ACTIVE")[0] == 403
    assert fault(call, "scheduler.devices.show", "nothing")[0] == 404


def test_what_a_device_printed_is_always_good_xml(submit: Submit) -> None:
    job = submit()
    TestJob.objects.filter(pk=job.pk).update(error_msg="\x1b[31mred\x00 \ufffe", description="a\x07b")
    shown = rpc()("scheduler.jobs.show", job.pk)
    assert shown["description"] == "a\ufffdb"
    assert "red" in shown["error_msg"]


def test_many_calls_in_one(user: User) -> None:
    answers = rpc(user)(
        "system.multicall",
        [
            {"methodName": "system.whoami", "params": []},
            {"methodName": "no.such.method", "params": []},
            {"methodName": "scheduler.jobs.show", "params": [1, 2, 3, 4]},
        ],
    )
    assert answers[0] == ["user"]
    assert [answer["faultCode"] for answer in answers[1:]] == [-32601, -32603]


BOMB = """<?xml version="1.0"?><!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<methodCall><methodName>system.version</methodName><params><param><value>&b;</value></param></params></methodCall>"""


@pytest.mark.parametrize("body", [BOMB, "no xml", "<methodCall/>", "<a>" * 5000, "\x00", "<?xml version='1.0'?>"])
def test_what_is_no_call_gets_a_fault(db: None, body: str) -> None:
    answer = Client().post("/RPC2", body, content_type="text/xml")
    assert answer.status_code == 200
    with pytest.raises(xmlrpc.client.Fault):
        xmlrpc.client.loads(answer.content)


def test_a_browser_is_shown_the_methods(db: None) -> None:
    assert Client().get("/RPC2", follow=True).status_code == 200
