"""A job that is canceled or killed, wherever it is: dispatcher specification 1.1, 9.5."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from lava.model.logline import decode
from lava.spool import LogFile, read_lines

pytestmark = pytest.mark.slow  # each test is a process of its own

PROMPT = "root@guest:~# "
BOOTS = f"echo 'Linux version 6.1'; printf 'login: '; read -r user; printf '{PROMPT}'; echo"
MONITOR = {"name": "watch", "start": "BEGIN", "end": "END", "pattern": "(?P<test_case_id>x)=(?P<result>pass)"}
TEST = {"test": {"monitors": [{**MONITOR, "expected": ["y"]}]}}

Pretend = Callable[[str], None]
RunJob = Callable[..., Any]
Process = subprocess.Popen[bytes]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


class StalledServer:
    """Begins to send a file, and never ends."""

    def __init__(self) -> None:
        self.asked = Event()
        self._over = Event()
        stalled = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._head()

            def do_GET(self) -> None:
                self._head()
                self.wfile.write(b"x")
                stalled.asked.set()
                stalled._over.wait(60)

            def _head(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/image"

    @contextmanager
    def running(self) -> Iterator[StalledServer]:
        thread = Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@pytest.fixture
def stalled() -> Iterator[StalledServer]:
    with StalledServer().running() as server:
        yield server


@pytest.fixture
def blocks(job: dict[str, Any], deploy: dict[str, Any], boot: dict[str, Any]) -> list[dict[str, Any]]:
    job["actions"] = [deploy, boot, TEST]
    return [deploy, boot, TEST]


def canceled(outcome: Any, power: Path, *, begun: bool = True, reason: str = "the job was canceled") -> None:
    """Assert that the job ended in good order."""
    outcome.failed("Canceled", reason)
    assert outcome.verdict["error_msg"] == reason
    assert outcome.text("error").splitlines() == [reason, "JobCanceled: the job was canceled."]
    assert outcome.text("info").count("Cleaning after the job") == 1
    assert len(power.read_text().splitlines()) == begun
    assert not (outcome.output.parent / "scratch" / "42").exists()


class TestCanceled:
    def test_before_anything_ran(
        self, run_job: RunJob, blocks: list[dict[str, Any]], pretend: Pretend, power: Path, bell: Any
    ) -> None:
        pretend("exit")
        program = power.parent / "qemu"
        # The device's QEMU is asked for its version while the job is validated: it takes its time.
        program.write_text(f"#!/bin/sh\necho $$ > {bell.path}; exec sleep 60\n")
        pids: list[int] = []

        def cancel(process: Process) -> None:
            pids.append(int(bell.wait()))
            process.terminate()

        outcome = run_job(while_running=cancel)
        canceled(outcome, power, begun=False)
        assert outcome.cases("lava") == [("validate", "fail"), ("job", "fail")]
        assert gone(pids[0])

    def test_while_it_downloads(
        self,
        run_job: RunJob,
        blocks: list[dict[str, Any]],
        deploy: dict[str, Any],
        pretend: Pretend,
        power: Path,
        stalled: StalledServer,
    ) -> None:
        pretend("exit")
        deploy["deploy"]["images"]["kernel"]["url"] = stalled.url

        def cancel(process: Process) -> None:
            assert stalled.asked.wait(60)
            process.terminate()

        outcome = run_job(while_running=cancel)
        canceled(outcome, power)
        assert "end: 1.1.1 http-download" in outcome.text("debug")
        assert "boot-image-retry" not in outcome.text("info")

    @pytest.mark.parametrize(
        "script",
        ["echo $$ > {bell}; exec sleep 60", BOOTS + "; echo BEGIN; echo x=pass; echo $$ > {bell}; exec sleep 60"],
        ids=["boots", "tests"],
    )
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_while_it_runs(
        self,
        run_job: RunJob,
        blocks: list[dict[str, Any]],
        pretend: Pretend,
        power: Path,
        bell: Any,
        script: str,
        number: signal.Signals,
    ) -> None:
        pretend(script.format(bell=bell.path))
        pids: list[int] = []

        def cancel(process: Process) -> None:
            pids.append(int(bell.wait()))
            process.send_signal(number)

        canceled(run_job(while_running=cancel), power)
        assert gone(pids[0])

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2])
    def test_by_each_of_the_other_signals(
        self,
        run_job: RunJob,
        blocks: list[dict[str, Any]],
        pretend: Pretend,
        power: Path,
        bell: Any,
        number: signal.Signals,
    ) -> None:
        pretend(f"echo up > {bell.path}; exec sleep 60")

        def cancel(process: Process) -> None:
            bell.wait()
            process.send_signal(number)

        canceled(run_job(while_running=cancel), power)

    def test_because_the_server_does_not_know_it(
        self, run_job: RunJob, blocks: list[dict[str, Any]], pretend: Pretend, power: Path, bell: Any
    ) -> None:
        pretend(f"echo up > {bell.path}; exec sleep 60")

        def cancel(process: Process) -> None:
            bell.wait()
            process.send_signal(signal.SIGUSR1)

        reason = "the job was canceled: the server does not know it any more"
        canceled(run_job(while_running=cancel), power, reason=reason)

    def test_by_many_at_once_it_is_still_switched_off(
        self, run_job: RunJob, blocks: list[dict[str, Any]], pretend: Pretend, power: Path, bell: Any
    ) -> None:
        """Somebody presses Ctrl-C at a terminal and the daemon cancels, at the same time."""
        pretend(f"echo up > {bell.path}; exec sleep 60")

        def cancel(process: Process) -> None:
            bell.wait()
            for number in (signal.SIGINT, signal.SIGTERM):
                process.send_signal(number)

        outcome = run_job(while_running=cancel)
        outcome.failed("Canceled")
        assert len(power.read_text().splitlines()) == 1

    def test_a_second_time_a_stuck_clean_up_is_abandoned(
        self,
        run_job: RunJob,
        job: dict[str, Any],
        device: dict[str, Any],
        power: Path,
        bell: Any,
        tmp_path: Path,
    ) -> None:
        for name in ("do", "undo"):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\necho {name} > {bell.path}; exec sleep 60\n")
            program.chmod(0o755)
        device["commands"]["users"] = {"relay": {"do": str(tmp_path / "do"), "undo": str(tmp_path / "undo")}}
        job["actions"] = [{"command": {"name": "relay"}}]

        def cancel(process: Process) -> None:
            for expected in ("do", "undo"):
                assert bell.wait() == expected
                process.terminate()

        outcome = run_job(while_running=cancel)
        outcome.failed("Canceled", "the job was canceled")
        assert "job-cleanup: the job was canceled" in outcome.text("error")
        assert len(power.read_text().splitlines()) == 1
        assert not (tmp_path / "scratch" / "42").exists()


class TestKilled:
    """``kill -9``: nobody cleans up, but what was written can be read, and the guest does not live on."""

    def test_no_torn_line_is_read(
        self, run_job: RunJob, blocks: list[dict[str, Any]], pretend: Pretend, bell: Any
    ) -> None:
        pretend(f"echo 'Linux version 6.1'; yes {'word ' * 50} & echo up > {bell.path}; exec sleep 60")

        def kill(process: Process) -> None:
            bell.wait()
            process.kill()

        outcome = run_job(while_running=kill)
        assert outcome.status == -signal.SIGKILL
        assert not (outcome.output / "result.yaml").exists()
        path = outcome.output / "logs.yaml"
        whole = path.read_bytes()
        read = read_lines(path, 0, len(whole) + 1)
        assert whole.startswith(read)
        messages = [decode(line).message for line in read.splitlines()]
        assert messages[0].startswith("lava-dispatcher, installed at version")  # type: ignore[union-attr]
        assert "job" not in [message.get("case") for message in messages if isinstance(message, dict)]
        LogFile(path).close()  # whoever writes on begins behind the last whole line
        assert path.read_bytes() == read
        assert (outcome.output / "description.yaml").exists()

    def test_the_guest_does_not_live_on(
        self, run_job: RunJob, blocks: list[dict[str, Any]], pretend: Pretend, bell: Any
    ) -> None:
        """Its terminal hangs up, and every program on it gets SIGHUP."""
        pretend(f"exec 3> {bell.path}; echo up >&3; sleep 60 & wait")

        def kill(process: Process) -> None:
            assert bell.wait() == "up"
            process.kill()
            bell.wait_until_nobody_has_it()

        run_job(while_running=kill)

    def test_another_run_takes_nothing_of_the_last_one_for_its_own(
        self, run_job: RunJob, blocks: list[dict[str, Any]], pretend: Pretend, power: Path, bell: Any
    ) -> None:
        pretend("exit 1")
        first = run_job()
        assert (first.output / "result.yaml").exists()
        left = first.output.parent / "scratch" / "42" / "left"
        left.parent.mkdir()
        left.touch()
        pretend(f"echo up > {bell.path}; exec sleep 60")

        def look(process: Process) -> None:
            bell.wait()
            assert not (first.output / "result.yaml").exists()
            assert not left.exists()
            process.terminate()

        second = run_job(while_running=look)
        assert yaml.safe_load((second.output / "result.yaml").read_text())["error_type"] == "Canceled"
