"""The command line of ``lava-run``: flags, exit statuses, files: dispatcher specification 1, 2.3, 18.4."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.dispatcher.main import main, parser

JOB: dict[str, Any] = {
    "job_name": "flags",
    "device_type": "board",
    "visibility": "public",
    "timeouts": {"job": {"minutes": 1}},
    "secrets": {"TOKEN": "hunter22"},
    "actions": [{"command": {"name": "look"}}],
}
DEVICE: dict[str, Any] = {
    "hostname": "board-01",
    "devicetype": "board",
    "constants": {},
    "parameters": {},
    "timeouts": {},
    "commands": {"users": {"look": {"do": "true"}}},
    "actions": {kind: {"methods": {}, "connections": {}} for kind in ("deploy", "boot")},
}

LavaRun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with ``job.yaml``, ``device.yaml`` and ``dispatcher.yaml``."""
    write(tmp_path / "job.yaml", JOB)
    write(tmp_path / "device.yaml", DEVICE)
    write(tmp_path / "dispatcher.yaml", {"dispatcher_download_dir": f"{tmp_path}/scratch", "prefix": "lab1-"})
    return tmp_path


def write(path: Path, value: Any) -> None:
    path.write_text(yaml.safe_dump(value))


@pytest.fixture
def lava_run(files: Path) -> LavaRun:
    """Run the program with these flags; None takes a flag away that is there otherwise."""

    def run(*flags: str, **replaced: str | None) -> subprocess.CompletedProcess[str]:
        given: dict[str, str | None] = {
            "job-id": "42",
            "output-dir": str(files / "output"),
            "device": str(files / "device.yaml"),
            "dispatcher": str(files / "dispatcher.yaml"),
        }
        given.update({key.replace("_", "-"): value for key, value in replaced.items()})
        words = [word for key, value in given.items() if value is not None for word in (f"--{key}", value)]
        command = [sys.executable, "-m", "lava.dispatcher.main", "--skip-sudo-warning", *words, *flags]
        return subprocess.run(
            [*command, str(files / "job.yaml")], capture_output=True, text=True, check=False, timeout=60
        )

    return run


def does(files: Path, command: str) -> None:
    """Let the device's command be this shell line."""
    program = files / "look"
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    write(files / "device.yaml", {**DEVICE, "commands": {"users": {"look": {"do": str(program)}}}})


def log_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("- ")) for line in (output / "logs.yaml").read_text().splitlines()]


def printed(output: Path) -> list[str]:
    """Return what commands printed."""
    texts = [line["msg"] for line in log_of(output) if line["lvl"] == "debug"]
    return [text.removeprefix(">> ") for text in texts if text.startswith(">> ")]


class TestFiles:
    def test_a_job_that_passes(self, lava_run: LavaRun, files: Path) -> None:
        done = lava_run()
        output = files / "output"
        assert done.returncode == 0
        assert done.stdout == ""
        assert {path.name for path in output.iterdir()} == {"logs.yaml", "description.yaml", "result.yaml"}
        verdict = {"definition": "lava", "case": "job", "result": "pass"}
        assert yaml.safe_load((output / "result.yaml").read_text()) == verdict
        described = yaml.safe_load((output / "description.yaml").read_text())
        assert [(step["level"], step["name"]) for step in described["pipeline"]] == [
            ("1", "user-command"),
            ("2", "finalize"),
        ]
        messages = [line["msg"] for line in log_of(output)]
        assert messages[0].startswith("lava-dispatcher, installed at version: ")
        assert messages[1] == "start: 0 validate"
        assert messages[2].startswith("Start time: ")
        assert messages[2].endswith(" (UTC)")
        assert messages[-2:] == ["Job finished correctly", verdict]
        assert yaml.safe_load((output / "logs.yaml").read_text())[-1]["msg"] == verdict

    def test_a_job_that_fails(self, lava_run: LavaRun, files: Path) -> None:
        does(files, "echo broken; exit 3")
        done = lava_run()
        assert done.returncode == 1
        result = yaml.safe_load((files / "output" / "result.yaml").read_text())
        assert (result["result"], result["error_type"]) == ("fail", "Infrastructure")
        assert result["error_msg"] == f"'{files}/look' ended with status 3: broken"

    def test_the_log_goes_to_standard_error_too_unless_quiet(self, lava_run: LavaRun, files: Path) -> None:
        done = lava_run()
        assert [json.loads(line) for line in done.stderr.splitlines()] == log_of(files / "output")
        assert lava_run("--quiet", output_dir=str(files / "quiet")).stderr == ""

    def test_the_scratch_directory(self, lava_run: LavaRun, files: Path) -> None:
        scratch = files / "scratch" / "lab1-42"
        (scratch / "old").mkdir(parents=True)
        does(files, f"cd {scratch}; stat -c '%n %a' . *; readlink logs.yaml")
        assert lava_run().returncode == 0
        said = printed(files / "output")
        assert said == [". 755", "logs.yaml 777", f"{files}/output/logs.yaml"]
        assert [*(files / "scratch").iterdir()] == []

    def test_secrets_are_in_no_file(self, lava_run: LavaRun, files: Path) -> None:
        does(files, "echo the token is hunter22; exit 1")
        images = {"kernel": {"url": "file:///no/hunter22/file"}}
        write(
            files / "job.yaml", {**JOB, "actions": [*JOB["actions"], {"deploy": {"to": "downloads", "images": images}}]}
        )
        done = lava_run()
        assert done.returncode == 1
        written = {path.name: path.read_text() for path in (files / "output").iterdir()}
        assert "hunter22" not in "".join([*written.values(), done.stderr])
        assert "file:///no/[MASKED]/file" in written["description.yaml"]
        write(files / "job.yaml", JOB)
        lava_run()
        written = {path.name: path.read_text() for path in (files / "output").iterdir()}
        assert "hunter22" not in "".join(written.values())
        assert "the token is [MASKED]" in written["result.yaml"]

    def test_the_result_of_an_earlier_run_is_not_taken_for_this_ones(self, lava_run: LavaRun, files: Path) -> None:
        assert lava_run().returncode == 0
        does(files, f"ls {files}/output")
        lava_run()
        said = printed(files / "output")
        assert said == ["description.yaml", "logs.yaml"]


class TestValidate:
    def test_a_job_that_could_run(self, lava_run: LavaRun, files: Path) -> None:
        does(files, f"touch {files}/ran")
        done = lava_run("--validate")
        assert done.returncode == 0
        assert not (files / "ran").exists()
        results = [line["msg"] for line in log_of(files / "output") if line["lvl"] == "results"]
        assert [(record["case"], record["result"]) for record in results] == [("validate", "pass"), ("job", "pass")]

    def test_a_job_that_could_not(self, lava_run: LavaRun, files: Path) -> None:
        images = {"kernel": {"url": "file:///no/such/file"}}
        write(files / "job.yaml", {**JOB, "actions": [{"deploy": {"to": "downloads", "images": images}}]})
        done = lava_run("--validate")
        assert done.returncode == 1
        result = yaml.safe_load((files / "output" / "result.yaml").read_text())
        assert result["error_type"] == "Job"
        assert "Invalid job data: " in result["error_msg"]


class TestFlags:
    @pytest.mark.parametrize("missing", ["job_id", "output_dir", "device"])
    def test_what_is_required(self, lava_run: LavaRun, files: Path, missing: str) -> None:
        done = lava_run(**{missing: None})
        assert done.returncode == 2
        assert f"the following arguments are required: --{missing.replace('_', '-')}" in done.stderr
        assert not (files / "output").exists()

    def test_one_that_nobody_knows(self, lava_run: LavaRun, files: Path) -> None:
        done = lava_run("--dry-run")
        assert done.returncode == 2
        assert "unrecognized arguments: --dry-run" in done.stderr
        assert not (files / "output").exists()

    @pytest.mark.parametrize("job_id", ["", ".", "..", "../other", "/", "a/b"])
    def test_an_id_that_names_another_directory_removes_nothing(
        self, lava_run: LavaRun, files: Path, job_id: str
    ) -> None:
        write(files / "dispatcher.yaml", {"dispatcher_download_dir": f"{files}/scratch"})
        precious = files / "scratch" / "other" / "precious"
        precious.parent.mkdir(parents=True)
        precious.touch()
        done = lava_run(job_id=job_id)
        assert done.returncode == 2
        assert f"argument --job-id: '{job_id}' is no id of a job" in done.stderr
        assert precious.exists()
        assert not (files / "output").exists()

    def test_an_id_of_a_node(self, lava_run: LavaRun, files: Path) -> None:
        does(files, f"ls {files}/scratch; tr -d '\\n' < /proc/$PPID/comm")
        assert lava_run(job_id="123.1").returncode == 0
        said = printed(files / "output")
        assert said == ["lab1-123.1", "lava-run 123.1"]

    def test_an_address_to_stream_to_is_refused_with_the_reason(self, lava_run: LavaRun, files: Path) -> None:
        done = lava_run("--url", "http://lab", "--token", "secret")
        assert done.returncode == 1
        assert done.stderr == ("lava-run: --url is not supported: the slave ships the log from the output directory\n")
        assert not (files / "output").exists()

    def test_what_older_workers_pass_is_taken(self, lava_run: LavaRun) -> None:
        assert lava_run("--job-log-interval", "10", "--token", "secret").returncode == 0
        assert lava_run("--job-log-interval", "often").returncode == 2

    def test_whoever_is_not_root_has_to_say_that_it_is_meant(
        self, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        words = ["--job-id", "1", "--output-dir", f"{files}/output", "--device", f"{files}/device.yaml"]
        assert main([*words, f"{files}/job.yaml"]) == 1
        assert capsys.readouterr().err == (
            "lava-run: run as root, or with --skip-sudo-warning if no action of the job needs it\n"
        )
        assert not (files / "output").exists()

    @pytest.mark.parametrize("flags", [[], ["--debug"]])
    def test_a_traceback_only_for_developers(self, lava_run: LavaRun, files: Path, flags: list[str]) -> None:
        write(files / "job.yaml", {**JOB, "actions": [{"command": {"name": "none"}}]})
        done = lava_run(*flags)
        assert done.returncode == 1
        assert "the device has no command 'none'" in done.stderr
        assert ("Traceback (most recent call last)" in done.stderr) == bool(flags)

    def test_the_help_names_every_flag_that_is_for_people(self) -> None:
        shown = parser().format_help()
        for flag in (
            "--job-id",
            "--output-dir",
            "--device",
            "--dispatcher",
            "--env-dut",
            "--validate",
            "--skip-sudo-warning",
            "--debug",
            "--quiet",
        ):
            assert f"{flag} " in shown or f"{flag}\n" in shown


class TestOtherFiles:
    """Each file that cannot be used is named, and it is its owner's fault."""

    @pytest.mark.parametrize(
        ("name", "text", "complaint"),
        [
            ("device", None, "device.yaml: cannot be read: No such file or directory"),
            ("dispatcher", None, "dispatcher.yaml: cannot be read: No such file or directory"),
            ("dispatcher", "- a", "dispatcher.yaml: must be a mapping of settings, not a list"),
            ("dispatcher", "dispatcher_download_dir: 5", "dispatcher_download_dir must be text, not the number 5"),
            ("env_dut", None, "env_dut.yaml: cannot be read: No such file or directory"),
            ("env_dut", "overrides: text", "env_dut.yaml: must be a mapping with purge, removes and overrides"),
        ],
    )
    def test_a_file_of_the_worker(
        self, lava_run: LavaRun, files: Path, name: str, text: str | None, complaint: str
    ) -> None:
        path = files / f"{name}.yaml"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        done = lava_run(**{name: str(path)})
        assert done.returncode == 1
        result = yaml.safe_load((files / "output" / "result.yaml").read_text())
        assert result["error_type"] == "Configuration"
        assert complaint in result["error_msg"]
        assert "Traceback" not in done.stderr

    def test_the_definition(self, lava_run: LavaRun, files: Path) -> None:
        (files / "job.yaml").unlink()
        done = lava_run()
        assert done.returncode == 1
        result = yaml.safe_load((files / "output" / "result.yaml").read_text())
        assert result["error_type"] == "Job"
        assert result["error_msg"] == f"{files}/job.yaml: cannot be read: No such file or directory"

    def test_the_environment_of_the_device_is_exported_there(self, lava_run: LavaRun, files: Path) -> None:
        write(files / "env_dut.yaml", {"overrides": {"http_proxy": "http://proxy:3128"}})
        prompt = "printf 'root@board:~# '"
        board = files / "board"
        board.write_text(f'#!/bin/sh\nwhile {prompt}; read -r line; do eval "$line"; done\n')
        board.chmod(0o755)
        device = {**DEVICE, "commands": {"connect": str(board)}}
        device["constants"] = {
            "default-shell-prompt": "root@board:~# ",
            "kernel-start-message": "",
            "posix": {
                "lava_test_sh_cmd": "/bin/sh",
                "lava_test_results_dir": f"{files}/lava-%s",
                "lava_test_shell_file": f"{files}/profile",
            },
        }
        device["actions"] = {
            "deploy": {"methods": {"overlay": None}, "connections": {}},
            "boot": {"methods": {"minimal": None}, "connections": {}},
        }
        write(files / "device.yaml", device)
        inline = {"metadata": {"format": "Lava-Test Test Definition 1.0", "name": "x"}, "run": {"steps": ["true"]}}
        definition = {"from": "inline", "name": "x", "path": "x.yaml", "repository": inline}
        write(
            files / "job.yaml",
            {
                **JOB,
                "actions": [
                    {"deploy": {"to": "overlay"}},
                    {"boot": {"method": "minimal", "reset": False, "prompts": ["root@board:~# "]}},
                    {"test": {"definitions": [definition], "timeout": {"seconds": 5}}},
                ],
            },
        )
        lava_run(env_dut=str(files / "env_dut.yaml"))  # the overlay does not get there: the tests do not matter
        assert (files / "profile").read_text() == "export http_proxy=http://proxy:3128\n"
