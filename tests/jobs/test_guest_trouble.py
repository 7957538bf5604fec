"""Whatever is wrong with a guest ends its job in one clear message of the right class: dispatcher specification 6."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each test is a process of its own

BOOTS = """
echo 'Linux version 6.1.0 (pretended)'
printf 'guest login: '; read -r user
"""
PROMPT = "root@guest:~# "
#: a shell that does what is typed; it is not interactive, so that nothing is said twice
SHELL = f"while printf '{PROMPT}' && IFS= read -r line; do eval \"$line\"; done"
MEGABYTE = 1_000_000

Pretend = Callable[[str], None]
Job = Callable[..., Any]


@pytest.fixture
def guest(
    run_job: Callable[..., Any],
    pretend: Pretend,
    job: dict[str, Any],
    deploy: dict[str, Any],
    boot: dict[str, Any],
    power: Path,
) -> Job:
    """Run a job on a guest that does what the script says; the device is switched off whatever happens."""

    def run(script: str, *tests: dict[str, Any], **options: Any) -> Any:
        pretend(script)
        job["actions"] = [deploy, boot, *tests]
        outcome = run_job(**options)
        assert len(power.read_text().splitlines()) == 1
        assert not (outcome.output.parent / "scratch" / "42").exists()
        return outcome

    return run


def monitors(seconds: int = 20) -> dict[str, Any]:
    monitor = {"name": "Watch", "start": "BEGIN", "end": "END", "pattern": r"(?P<test_case_id>\w+)=(?P<result>\w+)\r"}
    return {"test": {"timeout": {"seconds": seconds}, "monitors": [{**monitor, "fixupdict": {"ok": "pass"}}]}}


def definitions(*steps: str, seconds: int = 20) -> dict[str, Any]:
    metadata = {"format": "Lava-Test Test Definition 1.0", "name": "inline", "description": "d"}
    repository = {"metadata": metadata, "run": {"steps": [*steps]}}
    definition = {"from": "inline", "name": "inline", "path": "inline.yaml", "repository": repository}
    return {"test": {"timeout": {"seconds": seconds}, "definitions": [definition]}}


class TestBoot:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("says", "parts"),
        [
            ("", ["nothing was received from the device"]),
            ("printf '\\377\\000?'", ["nothing but noise was received; it said last:\n", "?"]),
            ("echo 'SeaBIOS (version 1)'", ["firmware or boot loader ran; it said last:\nSeaBIOS (version 1)"]),
            ("echo 'Linux version 6.1'", ["the kernel started; it said last:\nLinux version 6.1"]),
            (
                "echo 'Linux version 6.1'; echo '[    1.2] Run /init as init process'; echo; echo driver",
                ["the kernel started its first program; it said last:\n", "\ndriver"],
            ),
            (
                "echo 'Linux version 6.1'; printf 'other login: '; read -r user; printf 'Password: '",
                ["the user name 'root' was typed; it said last:\n", "other login: root\nPassword: "],
            ),
        ],
        ids=["silence", "noise", "firmware", "kernel", "init", "login"],
    )
    def test_one_that_never_prompts_says_how_far_it_came(
        self, guest: Job, boot: dict[str, Any], says: str, parts: list[str]
    ) -> None:
        boot["boot"]["timeout"] = {"seconds": 3}
        outcome = guest(f"{says}\nsleep 60")
        outcome.failed(
            "Job",
            "login-action timed out after ",
            " seconds: no prompt ('root@guest:~# ') came; the boot came so far: ",
            *parts,
        )
        assert [case for case, result in outcome.cases("lava") if result == "fail"] == [
            "login-action",
            "auto-login-action",
            "boot-image-retry",
            "job",
        ]

    @pytest.mark.slow
    def test_the_jobs_own_time_is_up(self, guest: Job, job: dict[str, Any]) -> None:
        job["timeouts"] = {"job": {"seconds": 3}, "action": {"seconds": 3}, "connection": {"seconds": 3}}
        guest(f"{BOOTS} sleep 60").failed("Job", "login-action timed out after", "the user name 'root' was typed")

    @pytest.mark.parametrize(
        "rest",
        [
            "echo '[    1.0] ---[ end Kernel panic - not syncing: VFS: no root ]---'; sleep 60",
            "exit 1",
        ],
        ids=["whole", "cut"],
    )
    def test_a_panic_is_named(self, guest: Job, rest: str) -> None:
        panic = "[    1.000000] Kernel panic - not syncing: VFS: no root"
        outcome = guest(f"echo 'Linux version 6.1'\necho '{panic}'\necho '[    1.1] Call Trace:'\n{rest}")
        outcome.failed("Job", "Kernel panic - not syncing: VFS: no root\nthe boot came so far: the kernel started")
        (messages,) = [record for record in outcome.results if record["case"] == "kernel-messages"]
        assert messages["result"] == "fail"
        (message,) = messages["extra"]["extra"]
        assert message["kind"] == "panic"
        assert message["message"].startswith(f"{panic}\n[    1.1] Call Trace:")

    @pytest.mark.slow
    def test_a_panic_that_comes_too_late_to_be_read_whole_is_named_too(self, guest: Job, boot: dict[str, Any]) -> None:
        boot["boot"]["timeout"] = {"seconds": 3}
        guest("echo 'Linux version 6.1'; echo 'Kernel panic - not syncing: late'; sleep 60").failed(
            "Job", "the boot came so far: the kernel started, then 'Kernel panic - not syncing'"
        )

    def test_thousands_of_warnings_are_a_result_that_can_be_read(self, guest: Job) -> None:
        warning = "WARNING: CPU: 0 PID: 1 at kernel/x.c:1\\nRIP: 0010:x\\n---[ end trace 0 ]---\\n"
        count = 2_000
        loop = f"i=0; while [ $i -lt {count} ]; do printf '{warning}'; i=$((i+1)); done"
        outcome = guest(f"echo 'Linux version 6.1'\n{loop}\nexit 7")
        outcome.failed("Infrastructure", "was closed (exit status 7)")
        (messages,) = [record for record in outcome.results if record["case"] == "kernel-messages"]
        assert messages["result"] == "pass"
        assert messages["extra"]["extra"][0]["kind"] == "warning"
        assert outcome.text("target").count("WARNING: CPU: 0") == count

    @pytest.mark.parametrize(
        ("script", "parts"),
        [
            ("exit 3", ["the connection by 'qemu' was closed (exit status 3) without a word"]),
            ("echo 'qemu: no such machine'; exit 1", ["(exit status 1); it said last:\nqemu: no such machine"]),
            ("echo 'Linux version 6.1'; kill -SEGV $$", ["(signal 11); it said last:\n", "so far: the kernel started"]),
            (BOOTS, ["(exit status 0)", "so far: the user name 'root' was typed"]),
        ],
        ids=["at-once", "refused", "crashed", "after-the-login"],
    )
    def test_one_that_ends_is_the_labs_fault(self, guest: Job, script: str, parts: list[str]) -> None:
        guest(script).failed("Infrastructure", *parts)

    def test_a_wrong_password_is_named_and_not_shown(self, guest: Job, boot: dict[str, Any]) -> None:
        boot["boot"]["auto_login"].update({"password_prompt": "Password:", "password": "open sesame"})
        ask = "stty -echo; printf 'Password: '; read -r password; stty echo; echo; echo 'Login incorrect'"
        outcome = guest(f"{BOOTS} {ask}; sleep 60")
        outcome.failed("Job", "the device refused the log in with 'Login incorrect': check user and password")
        assert "********" in outcome.text("input").splitlines()
        assert "sesame" not in (outcome.output / "logs.yaml").read_text()


class TestFlood:
    """However much a console says, memory is bounded and the log is whole."""

    @staticmethod
    def memory(power: Path) -> int:
        kilobytes, unit = power.read_text().split()
        assert unit == "kB"
        return int(kilobytes)

    @pytest.mark.slow
    @pytest.mark.parametrize("end", ["\\n", ""], ids=["lines", "one-line"])
    def test_a_hundred_megabytes(self, guest: Job, power: Path, end: str) -> None:
        outcome = guest(f"echo ready; yes '{'x' * 99}' | tr '\\n' '{end or 'x'}' | head -c {100 * MEGABYTE}; exit 9")
        outcome.failed("Infrastructure", "was closed (exit status 9); it said last:\nxxx")
        assert len(outcome.verdict["error_msg"]) < 2_000
        said = [line["msg"] for line in outcome.log if line["lvl"] == "target"]
        assert sum(len(line) for line in said[1:]) == (99 if end else 100) * MEGABYTE
        assert self.memory(power) < 80_000

    @pytest.mark.slow
    def test_one_that_never_ends_is_stopped_in_time(self, guest: Job, boot: dict[str, Any], power: Path) -> None:
        boot["boot"]["timeout"] = {"seconds": 3}
        guest(f"echo 'Linux version 6.1'; yes {'flood' * 100}").failed("Job", "login-action timed out after", "flood")
        assert self.memory(power) < 80_000

    def test_any_bytes_are_survived(self, guest: Job, tmp_path: Path) -> None:
        noise = tmp_path / "noise"
        noise.write_bytes(bytes(range(256)) * 10 + random.Random(1).randbytes(200_000) + b"\r\n")
        outcome = guest(f"stty raw; cat {noise}; stty sane; {BOOTS} printf '{PROMPT}'; cat {noise}; sleep 60")
        assert outcome.verdict["result"] == "pass"
        assert outcome.status == 0
        assert len(outcome.text("target")) > 100_000
        assert "\x1b" not in outcome.text("target")


class TestTest:
    @pytest.fixture(autouse=True)
    def no_disk(self, device: dict[str, Any]) -> None:
        """The pretended guest has no second disk for the tests."""
        device["actions"]["deploy"]["methods"]["image"] = None

    def test_one_that_ends_during_its_tests(self, guest: Job) -> None:
        outcome = guest(f"{BOOTS} printf '{PROMPT}'; echo; echo BEGIN; echo a=ok; exit 5", monitors())
        outcome.failed("Infrastructure", "the connection by 'qemu' was closed (exit status 5)", "a=ok")
        assert outcome.cases("watch") == [("a", "pass")]

    @pytest.mark.slow
    def test_nothing_comes_within_the_connection_timeout(self, guest: Job, job: dict[str, Any]) -> None:
        job["timeouts"]["connection"] = {"seconds": 1}
        outcome = guest(f"{BOOTS} printf '{PROMPT}'; echo; echo BEGIN; echo a=ok; sleep 60", monitors())
        outcome.failed("Test", "Watch: its end did not come")
        assert "neither a result nor the end came within 1 seconds" in outcome.text("error")

    @pytest.mark.slow
    def test_a_shell_that_stops_to_answer(self, guest: Job, job: dict[str, Any]) -> None:
        job["timeouts"]["connection"] = {"seconds": 1}
        outcome = guest(
            f"{BOOTS} printf '{PROMPT}'; read -r line; printf '{PROMPT}'; echo; echo gone; sleep 60",
            definitions("true"),
        )
        outcome.failed("Job", "the shell gave no prompt within 1 seconds after '#'; it said last:\n", "gone")

    @pytest.mark.slow
    def test_a_test_that_hangs_says_in_which(self, guest: Job) -> None:
        runner = "echo '<LAVA_SIGNAL_STARTRUN 0_inline 42_1.1.1.1>'; echo working; sleep 60"
        script = SHELL.replace(
            'eval "$line"',
            f'case "$line" in */lava-test-runner*) {runner};; ". "*) '
            'printf "<LAVA_SIGNAL_RETRUNCODE 0>\\n";; *) eval "$line";; esac',
        )
        outcome = guest(f"{BOOTS} {script}", definitions("true", seconds=3))
        outcome.failed(
            "Test", "lava-test-shell timed out after ", " seconds: in '0_inline'; it said last:\n", "working"
        )
        assert ("0_inline", "fail") in outcome.cases("lava")
