"""The supervisor with real processes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from lava.embedded.supervisor import Daemon, Supervisor

WRITE_PID_AND_WAIT = "import os, signal, sys; print(os.getpid(), flush=True); signal.pause()"


def daemon(tmp_path: Path) -> Daemon:
    return Daemon("one", (sys.executable, "-c", WRITE_PID_AND_WAIT), dict(os.environ), tmp_path / "one.log")


async def pids(log: Path, count: int) -> list[int]:
    async with asyncio.timeout(20):
        while True:
            written = log.read_text().split() if log.exists() else []
            if len(written) >= count:
                return [int(pid) for pid in written]
            await asyncio.sleep(0.01)


async def test_a_killed_daemon_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    supervisor.start(daemon(tmp_path))
    (first,) = await pids(tmp_path / "one.log", 1)

    os.kill(first, signal.SIGKILL)
    _, second = await pids(tmp_path / "one.log", 2)
    running = supervisor.pid("one")
    await supervisor.stop(["one"])

    assert running == second != first
    assert "one ended with signal SIGKILL" in said[0]


async def test_stopping_ends_every_daemon_and_starts_none_again(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    supervisor.start(daemon(tmp_path))
    (pid,) = await pids(tmp_path / "one.log", 1)

    await supervisor.stop(["one"])

    assert supervisor.pid("one") is None
    assert not Path(f"/proc/{pid}").exists()
    assert said == []
