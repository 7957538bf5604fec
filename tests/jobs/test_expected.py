"""Test cases that the job expects are reported in every case: dispatcher specification 10.6, job definition 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each test is a process of its own

PROMPT = "root@guest:~# "
SHELL = f"printf 'login: '; while read -r line; do eval \"$line\"; printf '{PROMPT}'; done"
#: a guest that answers ``say x`` by x, ``halt`` by its end
BOOTS = f"echo 'Linux version 6.1'; root() {{ :; }}; say() {{ echo \"$@\"; }}; halt() {{ echo off; exit 4; }}; {SHELL}"

METADATA = {"format": "Lava-Test Test Definition 1.0", "name": "inline", "description": "d"}
DEFINITIONS = {
    "definitions": [
        {
            "from": "inline",
            "name": "shell",
            "path": "inline.yaml",
            "expected": ["a", "b"],
            "repository": {"metadata": METADATA, "run": {"steps": ["true"]}},
        }
    ]
}
MONITORS = {
    "monitors": [
        {
            "name": "Watch",
            "start": "BEGIN",
            "end": "END",
            "pattern": r"(?P<test_case_id>\w+)=(?P<result>pass|fail)",
            "expected": ["a", "b"],
        }
    ]
}


def interactive(*commands: dict[str, Any]) -> dict[str, Any]:
    return {"interactive": [{"name": "typed", "prompts": [PROMPT], "expected": ["a", "b"], "script": list(commands)}]}


@pytest.fixture
def run(
    run_job: Callable[..., Any],
    job: dict[str, Any],
    device: dict[str, Any],
    deploy: dict[str, Any],
    boot: dict[str, Any],
    pretend: Callable[[str], None],
) -> Callable[..., Any]:
    def run(script: str, *tests: dict[str, Any]) -> Any:
        pretend(script)
        device["actions"]["deploy"]["methods"]["image"] = None  # this guest has no second disk
        job["actions"] = [deploy, boot, *({"test": test} for test in tests)]
        return run_job()

    return run


@pytest.mark.parametrize(
    ("test", "suite"),
    [
        (DEFINITIONS, "0_shell"),
        (MONITORS, "watch"),
        (interactive({"name": "a", "command": "say hello"}), "0_typed"),
    ],
    ids=["definitions", "monitors", "interactive"],
)
class TestNeverReached:
    """The list is the job's: it is known although the test did not run."""

    def check(self, outcome: Any, suite: str) -> None:
        records = [record for record in outcome.results if record["definition"] == suite]
        assert [(record["case"], record["result"]) for record in records] == [("a", "fail"), ("b", "fail")]
        assert all(record["extra"] == {"reason": "the test was not run"} and record["level"] for record in records)

    def test_after_a_boot_that_failed(self, run: Callable[..., Any], test: dict[str, Any], suite: str) -> None:
        outcome = run("exit 1", test)
        outcome.failed("Infrastructure")
        self.check(outcome, suite)

    def test_after_a_download_that_failed(
        self, run: Callable[..., Any], deploy: dict[str, Any], test: dict[str, Any], suite: str
    ) -> None:
        deploy["deploy"]["images"]["kernel"]["md5sum"] = "0" * 32
        outcome = run("exit 1", test)
        outcome.failed("Job", "md5sum does not match")
        self.check(outcome, suite)

    def test_after_a_test_that_failed(self, run: Callable[..., Any], test: dict[str, Any], suite: str) -> None:
        raising = {"command": "say no", "failures": [{"message": "no", "exception": "JobError", "error": "stop"}]}
        failing = {**interactive(raising)["interactive"][0], "name": "first"}
        outcome = run(BOOTS, {"interactive": [failing]}, test)
        outcome.failed("Job", "stop")
        assert outcome.cases("0_first") == [("a", "fail"), ("b", "fail")]
        self.check(outcome, suite)

    def test_a_job_that_is_refused_says_nothing_of_its_tests(
        self, run: Callable[..., Any], job: dict[str, Any], test: dict[str, Any], suite: str
    ) -> None:
        job["context"]["arch"] = "none"
        outcome = run(BOOTS, test)
        outcome.failed("Job", "context.arch 'none' is unknown")
        assert outcome.cases(suite) == []


@pytest.mark.parametrize("end", ["say END", "halt"], ids=["to-its-end", "cut"])
def test_a_monitor_says_what_was_not_reported(run: Callable[..., Any], end: str) -> None:
    outcome = run(
        f"{BOOTS.partition('printf')[0]} printf 'login: '; read -r line; printf '{PROMPT}'; echo; "
        f"say BEGIN; say a=pass; {end}; sleep 60",
        MONITORS,
    )
    assert outcome.cases("watch") == [("a", "pass"), ("b", "fail")]
    assert outcome.verdict["result"] == ("fail" if end == "halt" else "pass")


@pytest.mark.parametrize("end", ["say bye", "halt"], ids=["to-its-end", "cut"])
def test_a_script_says_what_was_not_reported(run: Callable[..., Any], end: str) -> None:
    outcome = run(BOOTS, interactive({"name": "a", "command": "say hello"}, {"name": "c", "command": end}))
    cases = outcome.cases("0_typed")
    assert cases[0] == ("a", "pass")
    assert cases[-1] == ("b", "fail")
    assert outcome.verdict["result"] == ("fail" if end == "halt" else "pass")
