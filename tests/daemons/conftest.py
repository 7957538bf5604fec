"""The daemons: their options as they read them, and real processes of them."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Daemon:
    """A running daemon that logs to standard error."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> str:
        """Return the next line that matches; fail when the daemon ends before."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return self.said[-1]
        raise AssertionError(f"ended without {pattern!r}:\n" + "\n".join(self.said))

    def stop(self) -> int:
        """Stop it as a service manager does; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        self.said += self.process.stderr.read().splitlines()
        return self.process.wait()


Start = Callable[..., Daemon]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program of the package with words and more environment; all are gone afterwards."""
    running: list[Daemon] = []

    def start_daemon(module: str, *words: str | Path, **environment: str) -> Daemon:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        running.append(Daemon(process))
        return running[-1]

    yield start_daemon
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()


@pytest.fixture
def port() -> Callable[[], int]:
    """Return a port that nobody listens on, another one at each call."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(6)]
        return [int(probe.getsockname()[1]) for probe in probes].pop


@pytest.fixture
def own_logging() -> Iterator[None]:
    """What a daemon's start in this process does to the log is undone afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
