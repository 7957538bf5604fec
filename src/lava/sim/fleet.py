"""Many slaves in one process, whose jobs only write lines: load for a master.

The slaves are the real ones, journal and sockets and all; only the processes of their jobs are pretended.
``python -m lava.sim.fleet --help`` says how to start it.  What it measured stands on standard output, as JSON, when it
is told to stop.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import zmq.asyncio

from lava.slave.daemon import Configuration, Slave
from lava.slave.journal import Journal
from lava.slave.processes import ProcessId
from lava.wire.certificates import Certificate, load_certificate

#: a result at the end, as every job has one: time
_END = b'- {"dt": "%s", "lvl": "results", "msg": {"definition": "lava", "case": "job", "result": "pass"}}\n'
#: a line of a board: time, number
LINE = b'- {"dt": "%s", "lvl": "target", "msg": "line %06d of what a board prints while its tests run"}\n'


@dataclass(slots=True)
class Figures:
    """What was measured."""

    lines: int = 0
    #: (when a line was written, seconds until the slave knew that it is stored)
    delays: list[tuple[float, float]] = field(default_factory=list)
    first_full: float = 0.0
    running: int = 0
    most: int = 0
    ended: int = 0
    first_end: float = 0.0

    def summary(self) -> dict[str, float]:
        """Return the figures of the time in which all jobs ran."""
        until = self.first_end or time.monotonic()
        delays = sorted(delay for when, delay in self.delays if self.first_full <= when <= until) or [0.0]
        return {
            "lines": self.lines,
            "jobs": self.most,
            "ended": self.ended,
            "seconds": until - self.first_full,
            "measured": len(delays),
            "median": delays[len(delays) // 2],
            "p95": delays[len(delays) * 95 // 100],
            "worst": delays[-1],
        }


@dataclass(frozen=True, slots=True)
class Script:
    """What each job does."""

    #: lines in a second
    rate: float
    seconds: float
    #: lines at once, at the beginning
    burst: int = 0


class PretendedProcesses:
    """Jobs that write lines at a steady rate for a while, and then pass."""

    def __init__(self, script: Script, figures: Figures, numbers: itertools.count[int]) -> None:
        self._script = script
        self._figures = figures
        self._numbers = numbers
        self._tasks: dict[ProcessId, asyncio.Task[None]] = {}
        #: lines that are not known to be stored: (end of the line in the log, when it was written), by job
        self.waiting: dict[str, deque[tuple[int, float]]] = {}

    def start(self, job_id: str, directory: Path, environment: Mapping[str, str]) -> ProcessId:
        """Begin to write."""
        process = ProcessId(next(self._numbers), 1)
        self.waiting[job_id] = deque()
        self._tasks[process] = asyncio.create_task(self._run(job_id, directory), name=f"job {job_id}")
        return process

    async def _run(self, job: str, directory: Path) -> None:
        figures = self._figures
        figures.running += 1
        if figures.running > figures.most:
            figures.most, figures.first_full = figures.running, time.monotonic()
        script = self._script
        size = number = 0
        with (directory / "logs.yaml").open("ab", buffering=0) as log:
            while number < script.burst:
                count = min(1000, script.burst - number)
                lines = b"".join(LINE % (_now(), number + one) for one in range(1, count + 1))
                size += log.write(lines)
                number += count
                await asyncio.sleep(0)
            due = time.monotonic()
            last = due + script.seconds
            while due < last:
                number += 1
                line = LINE % (_now(), number)
                log.write(line)
                size += len(line)
                self.waiting[job].append((size, time.monotonic()))
                due += 1 / script.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            log.write(_END % _now())
        figures.lines += number + 1
        figures.running -= 1
        figures.ended += 1
        figures.first_end = figures.first_end or time.monotonic()

    def find(self, directory: Path) -> ProcessId | None:
        """Return nothing: pretended processes do not outlive their slave."""
        return None

    def is_alive(self, process: ProcessId) -> bool:
        """Return whether the job still writes."""
        return process in self._tasks and not self._tasks[process].done()

    async def wait(self, process: ProcessId) -> int | None:
        """Return when the job has ended."""
        await asyncio.wait([self._tasks[process]])
        return 0

    async def stop(self, process: ProcessId) -> None:
        """End the job."""
        self._tasks[process].cancel()


class MeasuredSlave(Slave):
    """A slave that measures how long its lines are on their way."""

    def __init__(
        self,
        configuration: Configuration,
        journal: Journal,
        processes: PretendedProcesses,
        context: zmq.asyncio.Context,
        figures: Figures,
    ) -> None:
        super().__init__(configuration, journal, processes=processes, context=context)
        self._processes = processes
        self._figures = figures

    def stored(self, job: str, offset: int) -> None:
        """Take the time."""
        now = time.monotonic()
        waiting = self._processes.waiting.get(job)
        while waiting and waiting[0][0] <= offset:
            _, written = waiting.popleft()
            self._figures.delays.append((written, now - written))
        super().stored(job, offset)


def _now() -> bytes:
    return datetime.now(UTC).isoformat().encode()


def slave_names(count: int) -> list[str]:
    """Return the names of the slaves of a fleet."""
    return [f"sim-worker-{number:03d}" for number in range(1, count + 1)]


async def run(args: argparse.Namespace) -> Figures:
    """Run the fleet until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    figures, numbers = Figures(), itertools.count(1)
    script = Script(args.rate, args.seconds, args.burst)
    context = zmq.asyncio.Context()
    context.set(zmq.MAX_SOCKETS, 20 * args.slaves + 100)
    master = load_certificate(args.master_cert, secret=False) if args.master_cert else None
    slaves = []
    for name in slave_names(args.slaves):
        own: Certificate | None = None
        if args.certificates:
            own = load_certificate(args.certificates / f"{name}.key_secret", secret=True)
        directory = args.state_dir / name
        configuration = Configuration(
            name, [(args.master, args.logger)], directory, own, master, look_seconds=args.look_seconds
        )
        processes = PretendedProcesses(script, figures, numbers)
        slaves.append(MeasuredSlave(configuration, Journal(directory), processes, context, figures))
    await asyncio.gather(*(slave.run(stop) for slave in slaves))
    context.destroy(linger=0)
    return figures


def main() -> int:
    """Run the fleet and print its figures."""
    options = argparse.ArgumentParser(prog="lava.sim.fleet", description="Many slaves whose jobs only write lines.")
    options.add_argument("--master", required=True, metavar="ADDRESS")
    options.add_argument("--logger", required=True, metavar="ADDRESS")
    options.add_argument("--slaves", type=int, default=200)
    options.add_argument("--rate", type=float, default=10.0, help="lines of each job in a second")
    options.add_argument("--seconds", type=float, default=60.0, help="that each job runs")
    options.add_argument("--burst", type=int, default=0, help="lines that each job writes at once when it starts")
    options.add_argument("--look-seconds", type=float, default=0.1, help="how often a slave looks at its logs")
    options.add_argument("--state-dir", type=Path, required=True, metavar="DIR")
    options.add_argument("--certificates", type=Path, metavar="DIR", help="with NAME.key_secret of each slave")
    options.add_argument("--master-cert", type=Path, metavar="FILE")
    logging.basicConfig(level="ERROR")
    print(json.dumps(asyncio.run(run(options.parse_args())).summary()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
