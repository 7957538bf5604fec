"""Whole test blocks on a real shell behind a real terminal: dispatcher specification 10, 12, 13."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.dispatcher.configuration import DispatcherConfiguration, Environment
from lava.dispatcher.executor import Executor, Verdict
from lava.dispatcher.job import Job
from lava.dispatcher.joblog import JobLog
from lava.dispatcher.plan import plan_job
from lava.model.device import parse_device
from lava.model.errors import ConnectionClosedError, JobError, TestError
from lava.model.job import parse_job_text
from lava.spool import LogFile

PROMPT = "dut:# "
#: a shell that prompts but is not interactive, so that it ends when it is told to
LOOP = f'export DUT=$$; cd "$HOME"; while printf "{PROMPT}" && IFS= read -r line; do eval "$line"; done'
METADATA = {"format": "Lava-Test Test Definition 1.0", "name": "test", "description": "d"}


@dataclass
class Outcome:
    """What a job left."""

    verdict: Verdict
    log: list[dict[str, Any]]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [line["msg"] for line in self.log if line["lvl"] == "results"]

    def cases(self, suite: str) -> list[tuple[str, str]]:
        return [(record["case"], record["result"]) for record in self.results if record["definition"] == suite]

    def text(self, *levels: str) -> str:
        return "\n".join(line["msg"] for line in self.log if line["lvl"] in levels)


RunTest = Callable[..., Any]


@pytest.fixture(params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The device's shell, as ``sh`` in a directory of its own."""
    program = shutil.which(request.param)
    if program is None or shutil.which("busybox") is None:
        pytest.skip(f"{request.param} or busybox is not installed")
    programs = tmp_path / "programs"
    programs.mkdir()
    subprocess.run(["busybox", "--install", "-s", str(programs)], check=True)
    (programs / "sh").unlink(missing_ok=True)
    (programs / "sh").symlink_to(program)
    return str(programs / "sh")


@pytest.fixture
def run_test(shell: str, tmp_path: Path) -> RunTest:
    """Deploy the overlay, "boot" the shell, run a test block."""

    home = tmp_path / "home"
    home.mkdir()

    async def run(*tests: dict[str, Any]) -> Outcome:
        path = f"{Path(shell).parent}"
        device = {
            "hostname": "shell01",
            "devicetype": "shell",
            "constants": {
                "default-shell-prompt": PROMPT,
                "posix": {"lava_test_sh_cmd": shell, "lava_test_shell_file": ""},
            },
            "parameters": {},
            "timeouts": {},
            "commands": {"connect": f"env -i PATH={path} HOME={home} {shell} -c '{LOOP}'"},
            "actions": {
                "deploy": {"methods": {"overlay": None}, "connections": {}},
                "boot": {"methods": {"minimal": None}, "connections": {}},
            },
        }
        document = {
            "job_name": "shell",
            "device_type": "shell",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 1}, "action": {"seconds": 50}, "connection": {"seconds": 20}},
            "context": {"lava_test_results_dir": f"{tmp_path}/lava-%s"},
            "secrets": {"TOKEN": "hunter22"},
            "actions": [
                {"deploy": {"to": "overlay"}},
                {
                    "boot": {
                        "method": "minimal",
                        "reset": False,
                        "prompts": [PROMPT],
                        "parameters": {"kernel-start-message": ""},
                        "transfer_overlay": {"download_command": "wget -q", "unpack_command": "tar -C / -xzf"},
                    }
                },
                *({"test": test} for test in tests),
            ],
        }
        definition = parse_job_text(yaml.safe_dump(document))
        configured = parse_device(device)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        log = JobLog(LogFile(tmp_path / "logs.yaml"), secrets=["hunter22"])
        job = Job(
            "7",
            definition,
            configured,
            DispatcherConfiguration({"dispatcher_ip": "127.0.0.1"}),
            Environment(overrides={"PROXY": "http://proxy"}),
            log,
            tmp_path,
            scratch,
        )
        pipeline = plan_job(definition, configured, job_id="7")
        verdict = await Executor(job, pipeline, canceled=lambda: None).run(validate_only=False)
        log.close()
        lines = (tmp_path / "logs.yaml").read_text().splitlines()
        return Outcome(verdict, [json.loads(line.removeprefix("- ")) for line in lines])

    return run


def inline(name: str, *steps: str, **keys: Any) -> dict[str, Any]:
    """An inline definition; keys of the test definition are those that a job's entry cannot have."""
    repository = {"metadata": METADATA, "run": {"steps": list(steps)}}
    for key in ("install", "parse", "params"):
        if key in keys:
            repository[key] = keys.pop(key)
    return {"from": "inline", "name": name, "path": f"inline/{name}.yaml", "repository": repository, **keys}


async def test_a_test_block(run_test: RunTest) -> None:
    outcome = await run_test(
        {
            "definitions": [
                inline(
                    "smoke",
                    "lava-test-case good --shell true",
                    "lava-test-case bad --shell false",
                    "lava-test-set start io",
                    "lava-test-case speed --result pass --measurement 41.5 --units MB/s",
                    "lava-test-set stop",
                    "lava-test-reference doc --result pass --reference https://example.com",
                    "lava-test-event half way",
                    'echo "prepared $(cat prepared), size $SIZE, $PROXY_SEEN, job $LAVA_JOB_ID"',
                    "echo 'secret hunter22'",
                    'echo "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=raw RESULT=pass>"',
                    params={"SIZE": 1},
                    parameters={"SIZE": 2},
                    install={"deps": ["nothing"], "steps": ["echo yes >prepared"]},
                ),
                inline("ends-early", "false", "lava-test-case never --result pass"),
                inline("not-installed", "lava-test-case never --result pass", install={"steps": ["false"]}),
                inline("after", "lava-test-case last --result skip"),
            ]
        }
    )
    assert outcome.verdict.error is None
    assert outcome.cases("0_smoke") == [
        ("good", "pass"),
        ("bad", "fail"),
        ("speed", "pass"),
        ("doc", "pass"),
        ("raw", "pass"),
    ]
    assert outcome.cases("3_after") == [("last", "skip")]
    assert [case for case in outcome.cases("lava") if case[0][0].isdigit() or "stage" in case[0]] == [
        ("0_smoke", "pass"),
        ("1_ends-early", "fail"),
        ("stage_0", "fail"),
        ("3_after", "pass"),
    ]
    speed = next(record for record in outcome.results if record["case"] == "speed")
    assert (speed["measurement"], speed["units"], speed["set"]) == (41.5, "MB/s", "io")
    good = next(record for record in outcome.results if record["case"] == "good")
    assert outcome.log[good["starttc"]]["msg"] == "<LAVA_SIGNAL_STARTTC good>"
    assert outcome.log[good["endtc"]]["msg"] == "<LAVA_SIGNAL_ENDTC good>"
    assert outcome.text("event") == "half way"
    assert "prepared yes, size 2, , job 7" in outcome.text("target")
    assert "hunter22" not in outcome.text("target", "input", "debug")


async def test_results_of_many_cases_come_back_once_and_in_order(run_test: RunTest) -> None:
    step = (
        'i=0; while [ $i -lt 3000 ]; do echo "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=c-$i RESULT=pass>"; i=$((i+1)); done'
    )
    outcome = await run_test({"definitions": [inline("many", "set +x", step)]})
    assert outcome.verdict.error is None
    assert outcome.cases("0_many") == [(f"c-{number}", "pass") for number in range(3000)]


async def test_a_raise_ends_the_job_with_its_text(run_test: RunTest) -> None:
    outcome = await run_test({"definitions": [inline("first", "lava-test-raise no disk here")]})
    assert isinstance(outcome.verdict.error, TestError)
    assert str(outcome.verdict.error) == "no disk here"
    assert ("0_first", "fail") in outcome.cases("lava")


async def test_expected_cases(run_test: RunTest) -> None:
    outcome = await run_test(
        {
            "definitions": [
                inline(
                    "a", "lava-test-case one --result pass", "lava-test-case x --result pass", expected=["one", "two"]
                ),
                inline("b", "lava-test-raise enough"),
                inline("c", "true", expected=["three"]),
            ]
        }
    )
    assert outcome.cases("0_a") == [("one", "pass"), ("x", "fail"), ("two", "fail")]
    assert outcome.cases("2_c") == [("three", "fail")]


async def test_a_pattern_in_the_definition_reports_cases(run_test: RunTest) -> None:
    outcome = await run_test(
        {
            "definitions": [
                inline(
                    "parsed",
                    "set +x; printf 'disk: OK\\nnet: BROKEN\\nrate: 12.5\\n'",
                    parse={
                        "pattern": r"^(?P<test_case_id>\w+): ((?P<result>OK|BROKEN)|(?P<measurement>[0-9.]+))",
                        "fixupdict": {"OK": "pass", "BROKEN": "fail"},
                    },
                )
            ]
        }
    )
    assert outcome.cases("0_parsed") == [("disk", "pass"), ("net", "fail"), ("rate", "pass")]


async def test_a_panic_ends_the_test_at_once_and_is_named(run_test: RunTest) -> None:
    panic = "Kernel panic - not syncing: sysrq triggered crash"
    says = (
        f"printf '[   12.345678] %s\\n[   12.4] Call Trace:\\n[   12.345679] ---[ end %s ]---\\n' '{panic}' '{panic}'"
    )
    outcome = await run_test({"definitions": [inline("crash", f"set +x; {says}; sleep 60")]})
    assert isinstance(outcome.verdict.error, JobError)
    assert str(outcome.verdict.error) == panic
    (record,) = [record for record in outcome.results if record["case"] == "kernel-messages"]
    assert record["result"] == "fail"
    assert record["extra"]["extra"][0]["kind"] == "panic"
    assert "Call Trace" in record["extra"]["extra"][0]["message"]
    assert ("0_crash", "fail") in outcome.cases("lava")


async def test_a_test_that_hangs_is_left_behind_when_the_job_says_so(run_test: RunTest) -> None:
    block = {"timeout": {"seconds": 2, "skip": True}, "definitions": [inline("hangs", "sleep 60")]}
    outcome = await run_test(block)
    assert outcome.verdict.error is None
    assert ("0_hangs", "fail") in outcome.cases("lava")
    assert ("lava-test-retry", "fail") in outcome.cases("lava")


async def test_a_console_that_ends_is_named(run_test: RunTest) -> None:
    outcome = await run_test({"definitions": [inline("ends", "kill -9 -$DUT")]})
    assert isinstance(outcome.verdict.error, ConnectionClosedError)
    assert ("0_ends", "fail") in outcome.cases("lava")


async def test_an_archive_behind_an_address(run_test: RunTest, tmp_path: Path) -> None:
    archive = tmp_path / "tests.tar.gz"
    text = yaml.safe_dump({"metadata": METADATA, "run": {"steps": ["./helper.sh"]}}).encode()
    with tarfile.open(archive, "w:gz") as tar:
        for name, content, mode in (
            ("top/smoke.yaml", text, 0o644),
            ("top/helper.sh", b"#!/bin/sh\nlava-test-case packed --result pass\n", 0o755),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    definition = {
        "from": "url",
        "repository": f"file://{archive}",
        "path": "smoke.yaml",
        "name": "packed",
        "compression": "gz",
        "strip-components": 1,
    }
    outcome = await run_test({"definitions": [definition]})
    assert outcome.verdict.error is None
    assert outcome.cases("0_packed") == [("packed", "pass")]


async def test_a_missing_file_of_a_repository_is_the_submitters_fault(run_test: RunTest, tmp_path: Path) -> None:
    archive = tmp_path / "tests.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("other.yaml"), io.BytesIO())
    definition = {"from": "url", "repository": f"file://{archive}", "path": "smoke.yaml", "name": "x"}
    outcome = await run_test({"definitions": [definition]})
    assert isinstance(outcome.verdict.error, JobError)
    assert "no such file; its top directory has: other.yaml" in str(outcome.verdict.error)


async def test_interactive_scripts(run_test: RunTest) -> None:
    outcome = await run_test(
        {
            "interactive": [
                {
                    "name": "talk",
                    "prompts": ["dut:# "],
                    "echo": "discard",
                    "script": [
                        {
                            "command": "echo address=10.0.0.1",
                            "name": "ask",
                            "successes": [{"message": r"address=(?P<IP>[\d.]+)"}],
                        },
                        {
                            "command": "echo got {IP} in job {JOB_ID}",
                            "name": "tell",
                            "successes": [{"message": "got 10.0.0.1 in job 7"}],
                        },
                        {"command": "true", "name": "quiet"},
                        {"command": "echo ERROR", "name": "wrong", "failures": [{"message": "ERROR"}]},
                        {"command": "true", "name": "silent", "successes": [{"message": "never"}]},
                        {"delay": 0},
                    ],
                }
            ]
        }
    )
    assert outcome.verdict.error is None
    assert outcome.cases("0_talk") == [
        ("ask", "pass"),
        ("tell", "pass"),
        ("quiet", "pass"),
        ("wrong", "fail"),
        ("silent", "fail"),
    ]
    assert ("0_talk", "fail") in outcome.cases("lava")


async def test_an_interactive_failure_that_names_its_exception(run_test: RunTest) -> None:
    step = {
        "command": "echo no carrier",
        "name": "net",
        "failures": [{"message": "no carrier", "exception": "InfrastructureError", "error": "the cable is out"}],
    }
    outcome = await run_test(
        {"interactive": [{"name": "talk", "prompts": ["dut:# "], "echo": "discard", "script": [step]}]}
    )
    assert outcome.verdict.record["error_type"] == "Infrastructure"
    assert outcome.verdict.record["error_msg"] == "the cable is out"
    assert outcome.cases("0_talk") == [("net", "fail")]


async def test_monitors(run_test: RunTest, tmp_path: Path) -> None:
    lines = ["BEGIN", "PASS - One.two", "FAIL - three", "GOOD - four", "speed 5 MB", "END", "PASS - too.late"]
    (tmp_path / "home" / "firmware").write_text("".join(f"echo {line}\n" for line in lines))
    starting = {"command": "echo starting; sh firmware", "wait_for_prompt": False}
    outcome = await run_test(
        {"interactive": [{"name": "start", "prompts": ["starting\r"], "script": [starting]}]},
        {
            "monitors": [
                {
                    "name": "Zephyr",
                    "start": "BEGIN",
                    "end": "END",
                    "pattern": r"^(?P<result>[A-Z]+) - (?P<test_case_id>\S+)",
                    "fixupdict": {"PASS": "pass", "FAIL": "fail"},
                    "expected": ["one_two", "three", "five"],
                }
            ]
        },
    )
    assert outcome.verdict.error is None
    assert outcome.cases("zephyr") == [("one_two", "pass"), ("three", "fail"), ("five", "fail")]
    assert "'PASS - too.late'" not in outcome.text("error")
    assert "the result 'GOOD' of 'four' is none of" in outcome.text("error")
