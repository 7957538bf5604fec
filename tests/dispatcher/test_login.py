"""Logging in over a real terminal, whatever stands in between: dispatcher specification 15.4, 15.5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lava.model.errors import ConnectionClosedError, JobError

PROMPT = "root@board:~# "
SHELL = f"while printf '{PROMPT}'; read -r line; do echo \"ran $line\"; done"
#: what a login program does: it does not echo the password
PASSWORD = "stty -echo; printf 'Password: '; read -r password; stty echo; echo"

Login = Callable[..., Any]


@pytest.fixture
def login(execute: Callable[..., Any], tmp_path: Path) -> Login:
    """Boot a device that says what the script says."""

    async def login(script: str, auto_login: dict[str, Any] | None, **boot: Any) -> Any:
        program = tmp_path / "console"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        device = {
            "constants": {"default-shell-prompt": PROMPT, "kernel-start-message": "Linux version [0-9]"},
            "commands": {"connect": str(program)},
            "actions": {
                "deploy": {"methods": {}, "connections": {}},
                "boot": {"methods": {"minimal": None}, "connections": {}},
            },
        }
        if auto_login is not None:
            boot["auto_login"] = {"login_prompt": "login:", "username": "root", **auto_login}
        block = {"method": "minimal", "reset": False, "prompts": [PROMPT], **boot}
        return await execute(device, {"boot": block})

    return login


def typed(outcome: Any) -> list[str]:
    return outcome.text("input").splitlines()


LINUX = "echo 'Linux version 6.1'"


@pytest.mark.parametrize(
    ("script", "auto_login", "expected"),
    [
        (SHELL, None, []),
        (f"printf 'login: '; read -r user; {SHELL}", {}, ["root"]),
        (
            f"printf 'login: '; echo; echo; printf 'board login: '; read -r user; {SHELL}",
            {},
            ["root"],
        ),
        (
            f"printf 'login: '; read -r user; {PASSWORD}; [ $password = secret ] || exit; {SHELL}",
            {"password_prompt": "Password:", "password": "secret"},
            ["root", "********"],
        ),
        (
            f"printf 'login: '; read -r user; {PASSWORD}; [ -z \"$password\" ] || exit; {SHELL}",
            {"password_prompt": "Password:", "password": ""},
            ["root", "********"],
        ),
        (
            f"printf 'login: '; read -r user; {SHELL}",
            {"password_prompt": "Password:", "password": "not asked for"},
            ["root"],
        ),
        (SHELL, {}, ["root"]),
        (
            f"printf 'login: '; read -r user; {SHELL}",
            {"login_commands": ["su", "stty cols 200"]},
            ["root", "su", "stty cols 200"],
        ),
        (
            f"printf 'login: '; read -r user; printf 'Last login: Mon on console\\nAuthorised login: only\\n'; {SHELL}",
            {},
            ["root"],
        ),
    ],
    ids=[
        "no-login",
        "user",
        "prompted-twice",
        "password",
        "empty-password",
        "password-not-asked-for",
        "logged-in-already",
        "commands",
        "greetings",
    ],
)
async def test_logged_in(login: Login, script: str, auto_login: dict[str, Any] | None, expected: list[str]) -> None:
    outcome = await login(f"{LINUX}; {script}", auto_login)
    assert outcome.verdict.error is None
    assert typed(outcome) == expected
    (result,) = [record for record in outcome.results if record["case"] == "login-action"]
    assert result["result"] == "pass"


async def test_commands_wait_for_their_prompts(login: Login) -> None:
    outcome = await login(
        f"{LINUX}; printf 'login: '; read -r user; {SHELL}", {"login_commands": ["one", "two", "three"]}
    )
    ran = [line for line in outcome.text("target").splitlines() if line.startswith("ran ")]
    assert ran == ["ran one", "ran two", "ran three"]
    order = [line["msg"] for line in outcome.log if line["lvl"] == "input" or line["msg"] in ran]
    assert order == ["root", "one", "ran one", "two", "ran two", "three", "ran three"]


@pytest.mark.slow
async def test_a_message_over_the_prompt_costs_time_but_no_login(login: Login) -> None:
    message = "[    2.000000] random: crng init done"
    spoilt = f"printf 'board lo{message}\\ngin: '; read -r user"
    outcome = await login(
        f"{LINUX}; {spoilt}; printf 'board login: '; read -r user; [ $user = root ] || exit; {SHELL}",
        {},
        timeout={"seconds": 4},
    )
    assert outcome.verdict.error is None
    assert typed(outcome) == ["#", "root"]
    assert "typing '#' to get another one (1/6)" in outcome.text("debug")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            f"{PASSWORD}; echo 'Login incorrect'; printf 'login: '",
            "the device refused the log in with 'Login incorrect': check user and password",
        ),
        (
            f"{PASSWORD}; echo 'Login timed out after 60 seconds'",
            "the device refused the log in with 'Login timed out': password_prompt may be wrong",
        ),
        ("echo 'Login incorrect'", "the device answered 'Login incorrect' to the user name 'root'"),
    ],
    ids=["incorrect", "timed-out", "user-refused"],
)
async def test_refused(login: Login, script: str, message: str) -> None:
    outcome = await login(
        f"{LINUX}; printf 'login: '; read -r user; {script}; sleep 60",
        {"password_prompt": "Password:", "password": "wrong"},
    )
    assert isinstance(outcome.verdict.error, JobError)
    assert str(outcome.verdict.error) == message
    assert "wrong" not in outcome.text("input", "target")


async def test_the_blocks_attempts_are_used(login: Login, tmp_path: Path) -> None:
    """The first boot refuses the log in, the second does not."""
    refuse = f"{PASSWORD}; touch {tmp_path}/refused; echo 'Login incorrect'; exit"
    outcome = await login(
        f"{LINUX}; printf 'login: '; read -r user; [ -e {tmp_path}/refused ] || {{ {refuse}; }}; {PASSWORD}; {SHELL}",
        {"password_prompt": "Password:", "password": "x"},
        failure_retry=2,
    )
    assert outcome.verdict.error is None
    assert outcome.text("error").count("auto-login-action failed: 1 of 2 attempts") == 1
    assert "Retrying: 1 minimal-boot" in outcome.text("warning")


async def test_a_console_that_ends_says_how_far_it_came(login: Login) -> None:
    outcome = await login(
        f"{LINUX}; printf 'login: '; read -r user; {PASSWORD}; exit 3",
        {"password_prompt": "Password:", "password": "x"},
    )
    assert isinstance(outcome.verdict.error, ConnectionClosedError)
    assert str(outcome.verdict.error).endswith("the boot came so far: the password was typed")


async def test_the_jobs_failure_message(login: Login) -> None:
    outcome = await login(f"{LINUX}; echo 'mount: /data: E-7 broken'; sleep 60", {}, failure_message="E-[0-9]+ broken")
    assert str(outcome.verdict.error) == "the device printed the job's failure message: 'E-7 broken'"
    (result,) = [record for record in outcome.results if record["case"] == "kernel-messages"]
    assert result["result"] == "fail"
    assert result["extra"]["extra"] == [{"kind": "custom-error", "message": "E-7 broken"}]


TROUBLE = "printf '[    1.0] BUG: sleeping\\n[    1.1] Internal error: Oops: 0\\n'"


async def test_what_the_kernel_complains_about_is_recorded_and_no_failure(login: Login) -> None:
    outcome = await login(f"{LINUX}; {TROUBLE}; printf 'login: '; read -r user; {SHELL}", {})
    assert outcome.verdict.error is None
    (result,) = [record for record in outcome.results if record["case"] == "kernel-messages"]
    assert (result["result"], result["level"], result["namespace"]) == ("pass", "1.2.1", "common")
    assert result["extra"]["extra"] == [
        {"kind": "bug", "message": "[    1.0] BUG: sleeping"},
        {"kind": "oops", "message": "[    1.1] Internal error: Oops: 0"},
    ]


async def test_the_kernel_is_not_listened_to_when_the_job_says_so(login: Login) -> None:
    panic = "echo 'Kernel panic - not syncing: only a quotation'"
    outcome = await login(f"{LINUX}; {TROUBLE}; {panic}; {SHELL}", None, ignore_kernel_messages=True)
    assert outcome.verdict.error is None
    assert not [record for record in outcome.results if record["case"] == "kernel-messages"]


@pytest.mark.parametrize("parameters", [{"kernel-start-message": ""}, {"kernel-start-message": "NetBSD [0-9]+"}])
async def test_another_kernel_or_none(login: Login, parameters: dict[str, str]) -> None:
    outcome = await login(f"echo 'NetBSD 10'; {SHELL}", None, parameters=parameters)
    assert outcome.verdict.error is None


async def test_a_prompt_that_anything_may_print_is_warned_of(login: Login) -> None:
    outcome = await login(f"{LINUX}; {SHELL}", None, prompts=["# ", PROMPT, r"\$ "])
    assert outcome.text("warning") == "the prompt '# ' is not distinctive: a colon or an escaped character helps"


async def test_a_prompt_that_is_no_pattern_is_found_before_anything_runs(login: Login) -> None:
    outcome = await login("echo started", {"login_prompt": "login(:"}, prompts=["[root"])
    assert isinstance(outcome.verdict.error, JobError)
    for pattern in ("[root", "login(:"):
        assert f"1.2.1 login-action: '{pattern}' is no regular expression: " in str(outcome.verdict.error)
    assert "started" not in outcome.text("target")
