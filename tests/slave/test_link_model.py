"""Any loss, repetition and reordering of messages, any kill point: the promises of the link hold in the end.

The slave is the real one without its sockets: :class:`Control`, :class:`Jobs`, :class:`Forwarder`, :class:`SlavePeer`
and the journal on disk; of the master it is :class:`MasterPeer`.  Simulated are the machine that processes run on, the
net, the clock, and the master's database.  Hypothesis chooses what happens; then the net heals, and everything must
come to an end.

Source: protocol specification 10: G1 to G7, G24, G25.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.slave.control import Control
from lava.slave.forwarder import Forwarder
from lava.slave.jobs import Jobs
from lava.slave.journal import Journal
from lava.slave.processes import CannotStart, ProcessId
from lava.wire.master_peer import Admit, Do, Effect, Ended, MasterPeer, Order, Send, Started
from lava.wire.messages import Ack, Cancel, End, EndOk, Log, Message, Start, decode, encode, join_route
from lava.wire.slave_peer import SlavePeer

JOBS = ("1", "2")
NAME = "worker"


class Killed(BaseException):
    """The slave's process is gone, here and now."""


@dataclass
class Kill:
    """Counts the acts of a slave and ends it before one of them."""

    acts_left: int | None = None
    happened: bool = False

    def act(self) -> None:
        if self.happened:
            raise Killed
        if self.acts_left is not None:
            self.acts_left -= 1
            if self.acts_left < 0:
                self.acts_left, self.happened = None, True
                raise Killed


@dataclass
class Program:
    """One run of a job."""

    directory: Path
    written: int = 0
    status: int | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, lines: int) -> None:
        with (self.directory / "logs.yaml").open("ab") as log:
            for _ in range(lines):
                self.written += 1
                log.write(b"- line %06d\n" % self.written)

    def end(self, status: int) -> None:
        if self.status is None:
            self.status = status
            (self.directory / "result.yaml").write_text(f"result: {'fail' if status else 'pass'}\n")
            self.gone.set()


class Machine:
    """Where programs run: they outlive the slave that started them."""

    def __init__(self, kill: Kill) -> None:
        self._kill = kill
        self.programs: dict[ProcessId, Program] = {}
        #: of the slave that lives now
        self.children: set[ProcessId] = set()

    def start(self, job_id: str, directory: Path, environment: Mapping[str, str]) -> ProcessId:
        self._kill.act()
        if not (directory / "job.yaml").exists():
            raise CannotStart("no job.yaml")
        process = ProcessId(100 + len(self.programs), 1000 + len(self.programs))
        self.programs[process] = Program(directory)
        self._kill.act()
        self.children.add(process)
        return process

    def find(self, directory: Path) -> ProcessId | None:
        return next((p for p, program in self._alive() if program.directory == directory), None)

    def is_alive(self, process: ProcessId) -> bool:
        return any(p == process for p, _ in self._alive())

    async def wait(self, process: ProcessId) -> int | None:
        program = self.programs[process]
        await program.gone.wait()
        return program.status if process in self.children else None

    async def stop(self, process: ProcessId) -> None:
        self.programs[process].end(1)

    def runs_of(self, job: str) -> list[Program]:
        return [program for program in self.programs.values() if program.directory.name == job]

    def _alive(self) -> list[tuple[ProcessId, Program]]:
        return [(p, program) for p, program in self.programs.items() if program.status is None]


class KillableJournal(Journal):
    """The journal, with a kill point before and after each of its writes."""

    def __init__(self, directory: Path, kill: Kill) -> None:
        self._kill = kill
        super().__init__(directory)

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        if statement.startswith(("SELECT", "PRAGMA", "CREATE")):
            return super()._execute(statement, values)
        self._kill.act()
        rows = super()._execute(statement, values)
        self._kill.act()
        return rows


@dataclass
class Record:
    """What the master's database knows of a job."""

    wanted: str = "run"
    state: str = "scheduled"
    log: bytes = b""
    end: End | None = None


class Master:
    """The real :class:`MasterPeer`, and what the daemon around it does in its database."""

    def __init__(self) -> None:
        self.records = {job: Record() for job in JOBS}
        self.peer = MasterPeer("1")

    def restart(self) -> None:
        self.peer = MasterPeer("1")

    def round(self, now: float) -> list[Message]:
        """Return the orders that are due."""
        orders: list[Order] = []
        for job, record in self.records.items():
            if record.state == "scheduled":
                orders.append((Do.START, job))
            elif record.state == "canceling":
                orders.append((Do.CANCEL, job))
        return [
            Start(job, b"definition: 1", b"device") if what is Do.START else Cancel(job)
            for _, _, (what, job) in self.peer.due({NAME: orders}, now)
        ]

    def receive(self, route: bytes, message: Message, now: float) -> list[Message]:
        return self._perform(self.peer.receive(route, "", message, now), now)

    def tick(self, now: float) -> None:
        self.peer.tick(now)

    def _perform(self, effects: Sequence[Effect], now: float) -> list[Message]:
        answers: list[Message] = []
        for effect in effects:
            match effect:
                case Send(_, message):
                    answers.append(message)
                case Admit():
                    known = [job for job, record in self.records.items() if record.state in ("running", "canceling")]
                    answers += self._perform(self.peer.answer(effect, "", known, now), now)
                case Started(_, job):
                    if self.records[job].state == "scheduled":
                        self.records[job].state = "running"
                case Ended(_, _, end):
                    record = self.records[end.job]
                    if record.state != "finished" and len(record.log) >= end.log_length:
                        record.state, record.end = "finished", end
                    if record.state == "finished":
                        answers.append(EndOk(end.job))
                case _:
                    pass
        return answers

    def store(self, route: bytes, log: Log, now: float) -> list[Message]:
        if self.peer.speaks_for(route, "", now) is None:
            return []
        record = self.records[log.job]
        known = len(record.log) - log.offset
        if 0 <= known < len(log.lines):
            record.log += log.lines[known:]
        return [Ack(log.job, len(record.log))]

    def cancel(self, job: str) -> None:
        record = self.records[job]
        if record.state in ("scheduled", "running"):
            record.state = "canceling" if record.state == "running" else "finished"


class World:
    """Everything together, under a clock that only this class moves."""

    def __init__(self, directory: Path) -> None:
        self.now = 100.0
        self.kill = Kill()
        self.directory = directory
        self.machine = Machine(self.kill)
        self.master = Master()
        #: messages under way, as frames, by direction
        self.net: dict[str, list[list[bytes]]] = {"up": [], "down": [], "log": [], "ack": []}
        self.control: Control | None = None
        self.died = 0

    async def start_slave(self) -> None:
        self.journal = KillableJournal(self.directory, self.kill)
        self.machine.children.clear()
        self.jobs = Jobs(self.journal, self.directory / "tmp", self.machine, on_end=lambda end: self._ended(end))
        self.route = join_route(NAME, f"epoch-{self.died}")
        peer = SlavePeer("1", self.journal.instance)
        self.control = Control(peer, self.jobs, send=lambda message: self._put("up", message))
        self.forwarder = Forwarder(self._send_log, lambda: self.now)
        await self._doing(self.jobs.adopt)

    async def kill_slave(self) -> None:
        """What it had in memory, and in the queues of its sockets, is gone."""
        self.control = None
        self.kill.happened, self.kill.acts_left = False, None
        self.died += 1
        await self.jobs.leave()
        self.journal.close()
        for queue in self.net.values():
            queue.clear()
        await self.start_slave()

    def _ended(self, end: End) -> None:
        if self.control is not None:
            self.control.ended(end, self.now)

    def _put(self, queue: str, message: Message) -> None:
        self.net[queue].append(encode(message))

    async def _send_log(self, log: Log) -> bool:
        self._put("log", log)
        return True

    async def _doing(self, work: Callable[[], object]) -> None:
        with contextlib.suppress(Killed):
            result = work()
            if isinstance(result, Coroutine):
                await result
        await self.settle()

    async def settle(self) -> None:
        """Let the watchers of processes run; one of them may be where the slave is killed."""
        for _ in range(6):
            await asyncio.sleep(0)
        if self.kill.happened:
            await self.kill_slave()

    async def deliver(self, queue: str, index: int) -> None:
        """Deliver one of the messages under way."""
        message = decode(self.net[queue].pop(index))
        match queue:
            case "up":
                for answer in self.master.receive(self.route, message, self.now):
                    self._put("down", answer)
            case "log":
                assert isinstance(message, Log)
                for answer in self.master.store(self.route, message, self.now):
                    self._put("ack", answer)
            case "down":
                await self._doing(lambda: self._control().receive(message, self.now))
            case "ack":
                assert isinstance(message, Ack)
                self.forwarder.acknowledge(message.job, message.offset)
                await self._doing(lambda: self._control().stored(message.job, message.offset))

    def _control(self) -> Control:
        assert self.control is not None
        return self.control

    async def tick(self, seconds: float) -> None:
        self.now += seconds
        await self._doing(lambda: self._control().tick(self.now))
        await self._doing(lambda: self.forwarder.forward(self.jobs.log_files))
        self.master.tick(self.now)
        for order in self.master.round(self.now):
            self._put("down", order)

    async def heal(self) -> None:
        """No more trouble: everything that is under way arrives, time goes on, and programs come to their end."""
        self.kill.acts_left = None
        for turn in range(60):
            await self.tick(2.0)
            for queue in ("up", "log", "ack", "down"):
                while self.net[queue]:
                    await self.deliver(queue, 0)
            if turn > 8:
                for program in self.machine.programs.values():
                    program.end(0)
                await self.settle()
            if all(record.state == "finished" for record in self.master.records.values()) and not self.jobs.log_files:
                return


Step = tuple[str, int, int]
EVENTS: dict[str, tuple[int, int]] = {
    # what happens, and the ranges of what it is told
    "write": (1, 4),
    "end": (1, 1),
    "cancel": (1, 0),
    "kill slave": (0, 12),
    "restart master": (0, 0),
    "reboot": (0, 0),
    "nothing": (0, 0),
}
STEPS = st.sampled_from(["write", "write", "nothing", *EVENTS]).flatmap(
    lambda event: st.tuples(st.just(event), *[st.integers(0, limit) for limit in EVENTS[event]])
)
#: what becomes of the next message: mostly it arrives
FATES = st.lists(
    st.sampled_from(["arrive"] * 5 + ["lose", "put off", "come again", "come again", "wait", "overtake"]),
    min_size=1,
    max_size=40,
)


async def happen(world: World, event: str, first: int, second: int) -> None:
    match event:
        case "write":
            for program in world.machine.runs_of(JOBS[first]):
                if program.status is None:
                    program.write(second)
        case "end":
            for program in world.machine.runs_of(JOBS[first]):
                program.end(second)
            await world.settle()
        case "cancel":
            world.master.cancel(JOBS[first])
        case "kill slave" if second == 0:
            await world.kill_slave()
        case "kill slave":
            world.kill.acts_left = second - 1
        case "restart master":
            world.master.restart()
            world.net["down"].clear()
            world.net["ack"].clear()
        case "reboot":
            for program in world.machine.programs.values():
                program.status = -9 if program.status is None else program.status
            await world.kill_slave()
        case _:
            pass


async def play(world: World, steps: list[Step], fates: list[str]) -> None:
    fate = itertools.cycle(fates)
    late: list[tuple[int, str, list[bytes]]] = []
    for step, (event, first, second) in enumerate(steps):
        await happen(world, event, first, second)
        await world.tick(2.5)
        for due in [entry for entry in late if entry[0] <= step]:
            late.remove(due)
            world.net[due[1]].append(due[2])
        for queue in ("up", "down", "log", "ack", "up", "down"):
            for _ in range(len(world.net[queue])):
                if not world.net[queue]:
                    break  # the slave was killed
                match next(fate):
                    case "lose":
                        world.net[queue].pop(0)
                    case "put off":
                        late.append((step + 3, queue, world.net[queue].pop(0)))
                    case "come again":
                        late.append((step + 1 + step % 5, queue, world.net[queue][0]))
                        await world.deliver(queue, 0)
                    case "wait":
                        break
                    case "overtake":
                        await world.deliver(queue, -1)
                    case _:
                        await world.deliver(queue, 0)


def check(world: World) -> None:
    for job, record in world.master.records.items():
        runs = world.machine.runs_of(job)
        assert len(runs) <= 1, f"job {job} was started {len(runs)} times"
        assert record.state == "finished", f"job {job} hangs in {record.state}"
        for program in runs:
            assert program.status is not None, f"job {job} is finished, and still runs"
        if record.end is not None and runs:
            expected = b"".join(b"- line %06d\n" % number for number in range(1, runs[0].written + 1))
            assert record.log == expected
            assert record.end.exit_status == (runs[0].status if runs[0].status in (0, 1) else None)
    assert not world.jobs.log_files, "an end was not acknowledged"
    assert list((world.directory / "tmp").glob("*")) == [], "files are left behind"


def run(steps: list[Step], fates: list[str]) -> None:
    async def scene() -> None:
        directory = Path(tempfile.mkdtemp(prefix="lava-link-"))
        world = World(directory)
        try:
            await world.start_slave()
            await play(world, steps, fates)
            await world.heal()
            check(world)
        finally:
            await world.jobs.leave()
            world.journal.close()
            shutil.rmtree(directory)

    asyncio.run(scene())


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, min_size=3, max_size=30), FATES)
def test_whatever_happens_jobs_run_once_lines_come_once_and_ends_are_acknowledged(
    steps: list[Step], fates: list[str]
) -> None:
    run(steps, fates)


ONE_LIFE: list[Step] = [
    *[("nothing", 0, 0)] * 2,
    *[("write", 0, 3), ("write", 1, 3), ("write", 0, 3), ("end", 0, 0), ("write", 1, 3), ("end", 1, 1)],
    *[("nothing", 0, 0)] * 4,
]


@pytest.mark.parametrize("kill_point", range(30))
def test_g05_the_slave_may_be_killed_before_and_after_each_act(kill_point: int) -> None:
    run([("kill slave", 0, kill_point + 1), *ONE_LIFE], ["arrive"])


@pytest.mark.parametrize("step", range(len(ONE_LIFE)))
@pytest.mark.parametrize("event", ["kill slave", "restart master", "reboot", "cancel"])
def test_g01_g06_g08_trouble_at_any_time(event: str, step: int) -> None:
    run([*ONE_LIFE[:step], (event, 0, 0), *ONE_LIFE[step:]], ["arrive"])


@pytest.mark.parametrize("lost", range(30))
@pytest.mark.parametrize("fate", ["lose", "put off", "come again"])
def test_g04_each_message_may_be_lost_late_or_repeated(fate: str, lost: int) -> None:
    run(ONE_LIFE, [*["arrive"] * lost, fate, *["arrive"] * 100])
