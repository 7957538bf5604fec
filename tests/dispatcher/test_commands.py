"""Programs on the worker: split without a shell, logged line by line, killed with all their children."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lava.dispatcher.commands import run_command
from lava.dispatcher.joblog import JobLog
from lava.model.errors import ConfigurationError, InfrastructureError
from lava.spool import LogFile


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[JobLog]:
    log = JobLog(LogFile(tmp_path / "logs.yaml"), secrets=["hunter2"])
    yield log
    log.close()


def logged(tmp_path: Path) -> list[str]:
    return [json.loads(line.removeprefix("- "))["msg"] for line in (tmp_path / "logs.yaml").read_text().splitlines()]


async def test_output_is_logged_line_by_line(log: JobLog, tmp_path: Path) -> None:
    done = await run_command("sh -c 'echo out; echo err >&2; printf \"no end \\377\"'", log)
    assert (done.status, done.output) == (0, "out\nerr\nno end \ufffd")
    assert logged(tmp_path)[1:] == [">> out", ">> err", ">> no end \ufffd"]


async def test_a_text_is_split_and_no_shell_reads_it(log: JobLog, tmp_path: Path) -> None:
    done = await run_command("echo 'a  b' $HOME; * > x", log, directory=tmp_path)
    assert done.output == "a  b $HOME; * > x"
    assert not (tmp_path / "x").exists()


async def test_secrets_stay_out_of_the_log(log: JobLog, tmp_path: Path) -> None:
    await run_command("echo hunter2", log)
    assert logged(tmp_path) == ["calling: echo [MASKED]", ">> [MASKED]"]


async def test_a_failure_quotes_the_last_line(log: JobLog) -> None:
    with pytest.raises(InfrastructureError, match="ended with status 3: no such relay"):
        await run_command(["sh", "-c", "echo trying; echo no such relay; echo; exit 3"], log)
    assert (await run_command("false", log, check=False)).status == 1


async def test_a_missing_program_is_named(log: JobLog) -> None:
    with pytest.raises(InfrastructureError, match="cannot run 'no-such-relay': it is not installed on the worker"):
        await run_command("no-such-relay --off", log)


async def test_a_program_that_may_not_be_run_is_named(log: JobLog, tmp_path: Path) -> None:
    (tmp_path / "relay").write_text("#!/bin/sh\n")
    with pytest.raises(InfrastructureError, match="relay': Permission denied"):
        await run_command([str(tmp_path / "relay")], log)


@pytest.mark.parametrize(("command", "complaint"), [("echo 'a", "cannot be split"), ("  ", "is empty")])
async def test_a_command_that_is_none_is_a_fault_of_the_configuration(
    log: JobLog, command: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        await run_command(command, log)


async def test_environment_and_directory(log: JobLog, tmp_path: Path) -> None:
    done = await run_command(
        ["sh", "-c", "echo $ONLY $HOME; pwd"],
        log,
        environment={"ONLY": "1", "PATH": os.environ["PATH"]},
        directory=tmp_path,
    )
    assert done.output == f"1\n{tmp_path}"


async def test_a_line_that_never_ends_comes_in_pieces(log: JobLog) -> None:
    done = await run_command(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"], log, quiet=True)
    assert len(done.output.replace("\n", "")) == 300_000


async def test_cancelled_it_is_killed_with_everything_it_started(log: JobLog, tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    # The children hold the fifo open: its reader sees the end when the last of them is gone.
    script = f"exec 3>{shlex.quote(str(fifo))}; trap '' TERM HUP; sleep 1000 & sleep 1000"
    running = asyncio.create_task(run_command(["sh", "-c", script], log))
    reader = await asyncio.to_thread(os.open, fifo, os.O_RDONLY)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(os.read, reader, 1) == b""
    os.close(reader)


async def test_what_is_left_in_the_background_is_killed_at_the_end(log: JobLog, tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    running = asyncio.create_task(run_command(["sh", "-c", f"sleep 1000 >{fifo} 2>&1 & exit 0"], log))
    reader = await asyncio.to_thread(os.open, fifo, os.O_RDONLY)
    assert (await running).status == 0
    assert await asyncio.to_thread(os.read, reader, 1) == b""
    os.close(reader)
