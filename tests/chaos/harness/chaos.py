"""Jobs run while everything around them breaks; in the end all is mended, and the books must balance."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from lava.cli.client import ClientError

from .daemons import Daemon
from .killer import Blow, Kind, choose, schedule
from .lab import Lab, Slave
from .ledger import Account, table
from .work import numbered_job


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard."""

    seed: int
    blows: int = 200
    jobs: int = 20
    gap_seconds: float = 1.0
    lines: int = 600
    results: int = 60
    #: how long an undisturbed job prints
    job_seconds: float = 15.0


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    plan: Plan
    database: str
    seconds: float
    blows: Counter[Kind]
    accounts: list[Account]
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.faults and not any(account.faults for account in self.accounts)

    def __str__(self) -> str:
        blows = ", ".join(f"{count} {kind}" for kind, count in sorted(self.blows.items()))
        lines = [
            f"seed {self.plan.seed} on {self.database}: {self.blows.total()} blows to {len(self.accounts)} jobs"
            f" in {self.seconds:.0f} s",
            f"blows: {blows}",
            table(self.accounts),
            *(f"! {fault}" for fault in self.faults),
        ]
        return "\n".join(lines)


class Chaos:
    """One run."""

    def __init__(self, lab: Lab, plan: Plan, *, say: Callable[[str], None] = lambda text: None) -> None:
        self._lab = lab
        self._plan = plan
        self._say = say
        self._jobs: list[str] = []
        self._killed: set[str] = set()
        self._canceled: set[str] = set()
        self._blows: Counter[Kind] = Counter()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._lock: ExitStack | None = None
        self._over = False

    def run(self) -> Outcome:
        """Do everything and return what came of it."""
        began = time.monotonic()
        planned = schedule(self._plan.seed, self._plan.blows, gap_seconds=self._plan.gap_seconds)
        for blow in planned:
            self._at(blow.at, lambda blow=blow: self._strike(blow, began))
        last = planned[-1].at if planned else 0.0
        # Users have threads of their own: a server that does not answer must not keep us from mending it.
        with ThreadPoolExecutor(1) as submitter, ThreadPoolExecutor(4) as self._users:
            submitted = [
                submitter.submit(self._submit, number, began + last * number / self._plan.jobs)
                for number in range(self._plan.jobs)
            ]
            try:
                while self._agenda:
                    at, _, act = heapq.heappop(self._agenda)
                    time.sleep(max(0.0, began + at - time.monotonic()))
                    act()
                self._lab.start()
                jobs = [done.result() for done in submitted]
            finally:
                self._over = True
        left = self._lab.come_to_rest(jobs)
        collisions = [f"two jobs at a time: {path}" for path in self._lab.collisions()]
        database = "SQLite" if self._lab.database is None else "PostgreSQL"
        accounts = [self._account(job) for job in jobs]
        faults = [*left, *collisions, *self._lab.crashes()]
        return Outcome(self._plan, database, time.monotonic() - began, self._blows, accounts, faults)

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (seconds, next(self._numbers), act))

    def _account(self, job: str) -> Account:
        entry = self._lab.account(job)
        entry.check(
            expected_lines=self._plan.lines,
            expected_results=self._plan.results,
            killed=job in self._killed,
            canceled=job in self._canceled,
        )
        return entry

    def _submit(self, number: int, when: float) -> str:
        """Submit a job when it is time and return its id; an answer that was lost is looked up, not asked for again."""
        time.sleep(max(0.0, when - time.monotonic()))
        name = f"chaos {number}"
        text = numbered_job(self._plan.lines, self._plan.results, self._plan.job_seconds, name=name)
        while not self._over:
            try:
                listed = self._lab.client.call("scheduler.jobs.list", None, None, 0, 100)
                there = [str(job["id"]) for job in listed if job["description"] == name]
                return there[0] if there else self._lab.submit(text)
            except ClientError as error:
                self._say(f"{name}: {error}")
                time.sleep(0.2)
        raise AssertionError(f"{name} could not be submitted")

    # --- blows

    def _strike(self, blow: Blow, began: float) -> None:
        """Do what the blow says; when its victim is down already, something else breaks."""
        for kind in (blow.kind, Kind.MASTER_KILL, Kind.SLAVE_KILL, Kind.WEB_KILL, Kind.CUT):
            heal = self._strike_with(kind, blow.pick)
            if heal is not None:
                self._say(str(replace(blow, kind=kind)))
                self._blows[kind] += 1
                self._at(time.monotonic() - began + blow.seconds, heal)
                return

    def _strike_with(self, kind: Kind, pick: int) -> Callable[[], None] | None:
        """Strike, and return what mends it; None when there is nothing to strike."""
        lab = self._lab
        slave = lab.slaves[pick % len(lab.slaves)]
        match kind:
            case Kind.MASTER_TERM | Kind.MASTER_KILL:
                return self._stop(lab.master, kind is Kind.MASTER_KILL)
            case Kind.SLAVE_TERM | Kind.SLAVE_KILL:
                return self._stop(slave.daemon, kind is Kind.SLAVE_KILL)
            case Kind.WEB_TERM | Kind.WEB_KILL:
                return self._stop(lab.web, kind is Kind.WEB_KILL)
            case Kind.JOB_KILL:
                return self._kill_job(pick)
            case Kind.MACHINE:
                self._killed |= lab.kill_machine(slave)
                return slave.daemon.start
            case Kind.DATABASE_STOP | Kind.DATABASE_KILL:
                return self._stop_database(kind)
            case Kind.CANCEL:
                return self._cancel(pick)
            case _:
                return self._harm_cable(slave, kind, pick)

    def _kill_job(self, pick: int) -> Callable[[], None] | None:
        job = choose(list(self._lab.job_processes()), pick)
        if job is None or not self._lab.kill_job_process(job):
            return None
        self._killed.add(job)
        return _nothing

    def _stop(self, daemon: Daemon, kill: bool) -> Callable[[], None] | None:
        if not daemon.running:
            return None
        daemon.stop(signal.SIGKILL if kill else signal.SIGTERM)
        return daemon.start

    def _stop_database(self, kind: Kind) -> Callable[[], None] | None:
        database = self._lab.database
        if database is not None:
            if not database.running:
                return None
            database.stop(signal.SIGKILL if kind is Kind.DATABASE_KILL else signal.SIGQUIT)
            return database.start
        if self._lock is not None:
            return None
        self._lock = ExitStack()  # a file cannot be killed, but its lock can be held
        self._lock.enter_context(self._lab.locked_database())
        return self._unlock_database

    def _unlock_database(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _cancel(self, pick: int) -> Callable[[], None] | None:
        job = choose(list(self._lab.job_processes()), pick)
        if job is None:
            return None
        self._canceled.add(job)
        self._users.submit(self._ask_to_cancel, job)
        return _nothing

    def _ask_to_cancel(self, job: str) -> None:
        """Whether it was heard is not known when the answer is lost."""
        with contextlib.suppress(ClientError):
            self._lab.client.call("scheduler.jobs.cancel", job)

    def _harm_cable(self, slave: Slave, kind: Kind, pick: int) -> Callable[[], None]:
        commands = {
            Kind.CUT: ["cut"],
            Kind.STALL: ["stall"],
            Kind.HALF_OPEN: ["half-open"],
            Kind.DELAY: ["delay 0.3"],
            Kind.DROP: [f"drop up {pick % 3 + 1}", f"drop down {pick % 2}"],
            Kind.CORRUPT: [f"corrupt up {pick % 2}", f"corrupt down {pick % 3 + 1}"],
        }
        for command in commands[kind]:
            slave.cables.tell(command)
        return lambda: _tell(slave, "restore")


def _tell(slave: Slave, command: str) -> None:
    slave.cables.tell(command)


def _nothing() -> None:
    """Some things are not mended."""
