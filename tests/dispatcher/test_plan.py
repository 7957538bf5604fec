"""From a job and a device to levels, names, deadlines and attempts: dispatcher specification 2-5, 16, 17."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
import yaml

from lava.dispatcher.plan import plan_job
from lava.model.device import parse_device
from lava.model.errors import ConfigurationError, JobError
from lava.model.job import parse_job_text

Plan = Callable[..., Any]

DEVICE: dict[str, Any] = {
    "hostname": "board-01",
    "devicetype": "board",
    "available_architectures": ["amd64"],
    "parameters": {},
    "timeouts": {},
    "constants": {"default-shell-prompt": "# ", "kernel-start-message": "Linux version"},
    "commands": {
        "connections": {"uart0": {"connect": "telnet lab 7001", "tags": ["primary"]}, "uart1": {"connect": "telnet x"}},
        "hard_reset": "reset",
        "users": {"relay": {"do": "on", "undo": "off"}},
    },
    "actions": {
        "deploy": {
            "connections": {},
            "methods": {"image": {"parameters": {"guest": {"size": 8, "interface": "ide", "driveid": "d"}}}},
        },
        "boot": {"connections": {}, "methods": {"minimal": None, "qemu": {"parameters": {"command": "qemu"}}}},
    },
}
JOB: dict[str, Any] = {
    "job_name": "plan",
    "device_type": "board",
    "visibility": "public",
    "context": {"arch": "amd64"},
    "timeouts": {"job": {"minutes": 10}},
}
IMAGES = {"kernel": {"url": "http://lab/kernel"}, "rootfs": {"url": "file:///rootfs"}}
DEPLOY = {"to": "tmpfs", "images": IMAGES}
QEMU = {"method": "qemu", "media": "tmpfs", "prompts": ["# "]}
MINIMAL = {"method": "minimal", "prompts": ["# "]}
METADATA = {"format": "Lava-Test Test Definition 1.0", "name": "x"}


def shell_test(*names: str, **more: Any) -> dict[str, Any]:
    inline = {"metadata": METADATA, "run": {"steps": ["true"]}}
    listed = [{"from": "inline", "name": name, "path": f"{name}.yaml", "repository": inline} for name in names]
    return {"definitions": listed, **more}


@pytest.fixture
def device() -> dict[str, Any]:
    return copy.deepcopy(DEVICE)


@pytest.fixture
def plan(device: dict[str, Any]) -> Plan:
    def plan(*blocks: Mapping[str, Any], **job: Any) -> Any:
        document = {**JOB, **job, "actions": list(blocks)}
        return plan_job(parse_job_text(yaml.safe_dump(document)), parse_device(device), job_id="1")

    return plan


def outline(pipeline: Any) -> list[str]:
    return [f"{step.level} {step.name}" for step in pipeline.walk()]


def step_of(pipeline: Any, name: str) -> Any:
    (found,) = [step for step in pipeline.walk() if step.name == name]
    return found


class TestTree:
    def test_a_virtual_machine_with_two_test_blocks(self, plan: Plan) -> None:
        pipeline = plan({"deploy": DEPLOY}, {"boot": QEMU}, {"test": shell_test("a", "b")}, {"test": shell_test("c")})
        definition = ["inline-repo-action", "test-overlay", "test-install-overlay", "test-runscript-overlay"]
        assert outline(pipeline) == [
            "1 deployimages",
            "1.1 lava-overlay",
            "1.1.1 test-definition",
            *(f"1.1.1.{number} {name}" for number, name in enumerate(definition * 3, 1)),
            "1.1.2 compress-overlay",
            "1.2 deploy-device-env",
            "1.3 download-retry",
            "1.3.1 http-download",
            "1.4 download-retry",
            "1.4.1 file-download",
            "1.5 apply-overlay-guest",
            "2 boot-image-retry",
            "2.1 boot-qemu-image",
            "2.1.1 execute-qemu",
            "2.2 auto-login-action",
            "2.2.1 login-action",
            "2.3 expect-shell-connection",
            "2.4 export-device-env",
            "3 lava-test-retry",
            "3.1 lava-test-shell",
            "4 lava-test-retry",
            "4.1 lava-test-shell",
            "5 finalize",
            "5.1 power-off",
            "5.2 read-feedback",
        ]
        sections = {step.name: step.section for step in pipeline.steps}
        assert sections["deployimages"] == "deploy"
        assert sections["finalize"] == "finalize"

    def test_without_tests_there_is_neither_overlay_nor_shell(self, plan: Plan) -> None:
        assert outline(plan({"deploy": DEPLOY}, {"boot": QEMU}))[:9] == [
            "1 deployimages",
            "1.1 download-retry",
            "1.1.1 http-download",
            "1.2 download-retry",
            "1.2.1 file-download",
            "2 boot-image-retry",
            "2.1 boot-qemu-image",
            "2.1.1 execute-qemu",
            "2.2 auto-login-action",
        ]

    def test_a_boot_without_prompts_does_not_log_in(self, plan: Plan) -> None:
        assert outline(plan({"boot": {"method": "minimal"}}))[:4] == [
            "1 minimal-boot",
            "1.1 connect-device",
            "1.2 reset-device",
            "1.2.1 pdu-reboot",
        ]

    def test_a_board_a_second_console_and_a_command(self, plan: Plan) -> None:
        pipeline = plan(
            {"command": {"name": "relay"}},
            {"boot": MINIMAL},
            {"boot": {"method": "new_connection", "connection": "uart1", "prompts": ["# "]}},
        )
        assert outline(pipeline) == [
            "1 user-command",
            "2 minimal-boot",
            "2.1 connect-device",
            "2.2 reset-device",
            "2.2.1 pdu-reboot",
            "2.3 auto-login-action",
            "2.3.1 login-action",
            "3 secondary-shell-action",
            "3.1 connect-shell",
            "3.2 auto-login-action",
            "3.2.1 login-action",
            "4 finalize",
            "4.1 power-off",
            "4.2 read-feedback",
        ]

    def test_the_description_is_what_the_pages_show(self, plan: Plan) -> None:
        described = plan({"deploy": DEPLOY}).description()["pipeline"]
        assert [top["name"] for top in described] == ["deployimages", "finalize"]
        download = described[0]["pipeline"][0]["pipeline"][0]
        assert download == {
            "class": "HttpDownload",
            "name": "http-download",
            "level": "1.1.1",
            "max_retries": 1,
            "description": "download a file",
            "summary": "download a file",
            "timeout": 30,
            "url": "http://lab/kernel",
        }


class TestNamespaces:
    def test_tests_go_with_what_is_deployed_in_theirs(self, plan: Plan) -> None:
        pipeline = plan(
            {"deploy": {**DEPLOY, "namespace": "one"}},
            {"deploy": {**DEPLOY, "namespace": "two"}},
            {"boot": {**QEMU, "namespace": "one"}},
            {"boot": {**QEMU, "namespace": "two"}},
            {"test": shell_test("a", namespace="two")},
        )
        assert {step.namespace for step in pipeline.blocks} == {"one", "two"}
        fetching = [step for step in pipeline.walk() if step.name == "inline-repo-action"]
        assert [(step.level, step.namespace) for step in fetching] == [("2.1.1.1", "two")]
        shells = [step.namespace for step in pipeline.walk() if step.name == "expect-shell-connection"]
        assert shells == ["two"]
        assert pipeline.finalize.namespace == "common"

    def test_a_test_may_use_the_console_of_another(self, plan: Plan) -> None:
        pipeline = plan(
            {"deploy": {**DEPLOY, "namespace": "machine"}},
            {"boot": {**QEMU, "namespace": "machine"}},
            {"test": shell_test("a", namespace="mine", **{"connection-namespace": "machine"})},
        )
        running = step_of(pipeline, "lava-test-shell")
        assert (running.namespace, running.connection_namespace) == ("mine", "machine")
        assert "expect-shell-connection" in [step.name for step in pipeline.walk()]

    def test_what_another_namespace_deployed_does_not_count(self, plan: Plan) -> None:
        with pytest.raises(JobError, match=r"2\.1\.1 execute-qemu: needs Downloads, .* namespace 'two' provides"):
            plan({"deploy": {**DEPLOY, "namespace": "one"}}, {"boot": {**QEMU, "namespace": "two"}})

    def test_a_test_without_a_deploy_names_its_block(self, plan: Plan) -> None:
        with pytest.raises(JobError, match=r"actions\[1\]\.test: no deploy block in namespace 'two'"):
            plan({"deploy": {**DEPLOY, "namespace": "one"}}, {"test": shell_test("a", namespace="two")})


class TestTimeouts:
    """Later rows of the table win: each step adds one of them."""

    def timeout(self, plan: Plan, name: str, boot: dict[str, Any], timeouts: dict[str, Any]) -> tuple[float, str]:
        step = step_of(plan({"boot": {**MINIMAL, **boot}}, timeouts={"job": {"minutes": 10}, **timeouts}), name)
        return step.timeout.total_seconds(), step.timeout_source

    def test_the_precedence(self, plan: Plan, device: dict[str, Any]) -> None:
        boot: dict[str, Any] = {}
        timeouts: dict[str, Any] = {}

        def now(name: str = "login-action") -> tuple[float, str]:
            return self.timeout(plan, name, boot, timeouts)

        assert now() == (30, "built in")
        timeouts["action"] = {"seconds": 41}
        assert now() == (41, "timeouts.action")
        device["timeouts"] = {"actions": {"login-action": {"seconds": 42}}}
        assert now() == (42, "device")
        assert now("connect-device") == (41, "timeouts.action")
        boot["timeout"] = {"seconds": 43}
        assert now() == (43, "timeout of the block")
        boot["failure_retry"] = 2
        assert now("auto-login-action") == (21.5, "share of the attempt")
        assert now() == (10.75, "share of the attempt")  # that one is tried twice, too
        assert now("minimal-boot") == (43, "timeout of the block")
        timeouts["actions"] = {"login-action": {"seconds": 45}}
        assert now() == (45, "timeouts.actions.login-action")
        boot["timeouts"] = {"login-action": {"seconds": 46}}
        assert now() == (46, "timeouts of the block")
        assert now("connect-device") == (21.5, "share of the attempt")

    def test_an_override_of_one_block_does_not_touch_the_others(self, plan: Plan) -> None:
        own = {**MINIMAL, "timeouts": {"login-action": {"minutes": 3}}}
        pipeline = plan({"boot": own}, {"boot": MINIMAL}, timeouts={"job": {"minutes": 10}, "action": {"seconds": 50}})
        logins = [step.timeout for step in pipeline.walk() if step.name == "login-action"]
        assert logins == [timedelta(minutes=3), timedelta(seconds=50)]

    def test_names_that_nothing_has_break_no_job(self, plan: Plan) -> None:
        timeouts = {"job": {"minutes": 10}, "actions": {"wait-fastboot-interrupt": {"seconds": 5}}}
        assert step_of(plan({"boot": MINIMAL}, timeouts=timeouts), "login-action").timeout_source == "built in"

    def test_finalize_has_the_jobs_time_for_it(self, plan: Plan) -> None:
        timeouts = {"job": {"minutes": 10}, "action": {"minutes": 4}, "actions": {"finalize": {"minutes": 2}}}
        pipeline = plan({"boot": MINIMAL}, timeouts=timeouts)
        assert pipeline.finalize.timeout == timedelta(minutes=2)
        assert step_of(pipeline, "power-off").timeout == timedelta(minutes=4)

    def test_connection_timeouts(self, plan: Plan, device: dict[str, Any]) -> None:
        timeouts: dict[str, Any] = {"job": {"minutes": 10}}

        def now() -> float:
            step = step_of(plan({"boot": MINIMAL}, timeouts=timeouts), "login-action")
            return float(step.connection_timeout.total_seconds())

        assert now() == 30
        timeouts["connection"] = {"seconds": 11}
        assert now() == 11
        device["timeouts"] = {"connections": {"login-action": {"seconds": 12}}}
        assert now() == 12
        timeouts["connections"] = {"login-action": {"seconds": 13}}
        assert now() == 13

    def test_only_a_test_may_be_skipped(self, plan: Plan) -> None:
        skipped = shell_test("a", timeout={"seconds": 9, "skip": True})
        pipeline = plan({"deploy": DEPLOY}, {"boot": QEMU}, {"test": skipped}, {"test": shell_test("b")})
        assert [step.skip for step in pipeline.steps] == [False, False, True, False, False]


class TestAttempts:
    def attempts(self, plan: Plan, boot: dict[str, Any], **context: Any) -> dict[str, tuple[int, bool]]:
        pipeline = plan({"boot": {**MINIMAL, **boot}}, context={"arch": "amd64", **context})
        return {step.name: (step.max_retries, step.repeat) for step in pipeline.walk()}

    @pytest.mark.parametrize(
        ("boot", "context", "constants", "expected"),
        [
            ({}, {}, {}, (1, False)),
            ({"failure_retry": 3}, {}, {"failure_retry": 7, "boot_retry": 8}, (3, False)),
            ({"repeat": 4}, {}, {"failure_retry": 7}, (4, True)),
            ({}, {}, {"failure_retry": 5}, (5, False)),
            ({}, {}, {"failure_retry": 5, "boot_retry": 2}, (2, False)),
            ({}, {"failure_retry": 6}, {"failure_retry": 5}, (6, False)),
            ({}, {"boot_retry": 2}, {"failure_retry": 5}, (2, False)),
            ({}, {}, {"failure_retry": "junk"}, (1, False)),
        ],
    )
    def test_whose_number_counts(
        self,
        plan: Plan,
        device: dict[str, Any],
        boot: dict[str, Any],
        context: dict[str, Any],
        constants: dict[str, Any],
        expected: tuple[int, bool],
    ) -> None:
        device["constants"].update(constants)
        found = self.attempts(plan, boot, **context)
        assert found["minimal-boot"] == found["auto-login-action"] == expected
        assert found["connect-device"] == (1, False)

    def test_the_number_of_boots_is_not_that_of_deploys(self, plan: Plan, device: dict[str, Any]) -> None:
        device["constants"].update({"failure_retry": 3, "boot_retry": 2})
        pipeline = plan({"deploy": DEPLOY}, {"boot": QEMU})
        retries = {step.name: step.max_retries for step in pipeline.walk()}
        assert (retries["download-retry"], retries["boot-image-retry"]) == (3, 2)

    def test_the_pause_between_them(self, plan: Plan) -> None:
        boot = {**MINIMAL, "failure_retry": 3, "failure_retry_interval": 7}
        assert step_of(plan({"boot": boot}), "minimal-boot").retry_interval == timedelta(seconds=7)
        assert step_of(plan({"boot": MINIMAL}), "minimal-boot").retry_interval == timedelta(seconds=1)


class TestDevice:
    def test_the_pause_between_characters_is_the_sections(self, plan: Plan, device: dict[str, Any]) -> None:
        device["character_delays"] = {"boot": 5, "test": 10}
        pipeline = plan({"deploy": DEPLOY}, {"boot": QEMU}, {"test": shell_test("a")})
        delays = [step.character_delay for step in pipeline.blocks]
        assert delays == [timedelta(0), timedelta(milliseconds=5), timedelta(milliseconds=10)]

    def test_every_block_that_nothing_can_run_is_told(self, plan: Plan) -> None:
        with pytest.raises(JobError) as refusal:
            plan({"command": {"name": "rely"}}, {"boot": MINIMAL}, {"deploy": {"to": "overlay"}})
        assert [line for line in str(refusal.value).splitlines() if line.startswith("actions")] == [
            "actions[0].command: the device has no command 'rely'; did you mean 'relay'?",
            "actions[2].deploy: nothing can run deploy with 'overlay' on this device:",
        ]

    def test_a_device_without_boot_methods_is_configured_wrongly(self, plan: Plan, device: dict[str, Any]) -> None:
        del device["actions"]["boot"]
        with pytest.raises(ConfigurationError, match=r"actions\.boot\.methods"):
            plan({"boot": MINIMAL})
