"""Programs that run beside the test, and end with it."""

from __future__ import annotations

import ctypes
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PATIENCE_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, patience: float = PATIENCE_SECONDS) -> T:
    """Return what the condition returns once that is something; fail with ``what`` when it never is."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for: {what}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """Return a port that nobody is given by chance: from outside the range of outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def end_with_parent() -> None:
    """In a child: be killed when the test is."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Daemon:
    """A program that is started, killed and started again."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    inherited: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(self.inherited),
                process_group=0,
                preexec_fn=end_with_parent,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal and wait for its end; one that does not go is killed, which fails the test."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} does not stop on {number.name}:\n{self.said()[-3000:]}") from None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Cables:
    """The relay between a slave and its master."""

    def __init__(self, ports: Sequence[int]) -> None:
        command = [sys.executable, "-m", "lava.sim.relay"]
        for port in ports:
            command += ["--cable", f"127.0.0.1:{port}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, preexec_fn=end_with_parent
        )
        ready, *near = self._answer().split()
        assert ready == "ready"
        self.ports = [int(port) for port in near]

    def tell(self, command: str) -> str:
        """Give a command and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        answer = self._answer()
        assert not answer.startswith("error"), answer
        return answer

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, "the relay died"
        return answer.strip()

    def close(self) -> None:
        self._process.communicate(timeout=20)
