"""A whole instance, as ``lava up`` starts one: web server, master, and slaves behind cables, all encrypted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from lava.cli.client import Client, ClientError
from lava.embedded.layout import Layout
from lava.wire.certificates import ensure_certificate

from .daemons import Cables, Daemon, free_port, wait_for
from .ledger import Account, account
from .postgresql import PostgreSQL
from .work import numbered_job

#: says to which lab a process belongs
MARK = "LAVA_CHAOS_LAB"
SLAVE_MARK = "LAVA_CHAOS_SLAVE"
_WRAPPER = """#!/bin/sh
# Take down that a job process starts, keep its log by a second link, and become it.
for word; do
    case $before in --job-id) job=$word ;; --output-dir) directory=$word ;; esac
    before=$word
done
: >> "$directory/logs.yaml"
ln "$directory/logs.yaml" "{ledger}/$job.$$.log"
exec {python} -m lava.dispatcher.main "$@"
"""


@dataclass
class Slave:
    """A slave, its machine and its cable."""

    name: str
    daemon: Daemon
    cables: Cables
    state: Path
    scratch: Path
    boards: list[str] = field(default_factory=list)

    @property
    def job_directories(self) -> list[Path]:
        """What the slave keeps of jobs."""
        return sorted((self.state / "tmp").glob("*"))


class Lab:
    """The daemons of an instance and everything that can be done to them."""

    def __init__(self, root: Path, *, boards: Sequence[int] = (1,), database: PostgreSQL | None = None) -> None:
        """Prepare an instance.

        Args:
            boards: for each slave, how many boards it has.
            database: instead of SQLite.
        """
        self.layout = Layout(root)
        self.database = database
        self.ledger = root / "ledger"
        self.environment = {
            **os.environ,
            MARK: str(root),
            "LAVA_DATA_DIR": str(root),
            "DJANGO_SETTINGS_MODULE": "lava.server.settings",
        }
        self.environment.pop("DATABASE_URL", None)
        if database is not None:
            self.environment["DATABASE_URL"] = database.address
        for directory in (self.layout.logs, self.layout.devices, self.ledger):
            directory.mkdir(parents=True, exist_ok=True)
        wrapper = root / "run-job"
        wrapper.write_text(_WRAPPER.format(ledger=self.ledger, python=sys.executable))
        wrapper.chmod(0o755)
        self.wrapper = str(wrapper)
        self._web_socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        url = f"http://127.0.0.1:{self._web_socket.getsockname()[1]}"
        self.web = self._daemon(
            *("web", "uvicorn", "lava.server.asgi:application", "--fd", str(self._web_socket.fileno())),
            *("--log-level", "warning", "--timeout-graceful-shutdown", "2"),
            inherited=(self._web_socket.fileno(),),
        )
        self.ports = (free_port(), free_port())
        self._master_public, self._master_secret = ensure_certificate(self.layout.certificates / "master", "master")
        self.known = self.layout.certificates / "slaves"
        self.known.mkdir(exist_ok=True)
        self.master = self.another_master("master", self.ports)
        self.manage("prepare_instance", "--worker", "s1", "--device-type", "none", "--device", "none")
        self.slaves = [self._add_slave(f"s{number}", count) for number, count in enumerate(boards, start=1)]
        self.client = Client(url, self.layout.token.read_text().strip())

    def _daemon(self, name: str, *command: str, inherited: Sequence[int] = (), **environment: str) -> Daemon:
        log = self.layout.logs / f"{name}.log"
        return Daemon(name, (sys.executable, "-m", *command), {**self.environment, **environment}, log, inherited)

    def another_master(self, name: str, ports: Sequence[int]) -> Daemon:
        """Return a master of this instance on the ports."""
        control, logs = (f"tcp://127.0.0.1:{port}" for port in ports)
        return self._daemon(
            *(name, "lava.master.main", "--master-socket", control, "--log-socket", logs, "--encrypt"),
            *("--master-cert", str(self._master_secret), "--slaves-certs", str(self.known)),
            *("--level", "INFO", "--log-file", "-"),
        )

    def _add_slave(self, name: str, boards: int) -> Slave:
        public, _ = ensure_certificate(self.layout.certificates / name, name)
        shutil.copy(public, self.known)
        scratch = self.layout.scratch / name
        scratch.mkdir(parents=True)
        configuration = self.layout.root / "dispatcher.d" / name
        configuration.mkdir(parents=True)
        settings = {"dispatcher_download_dir": str(scratch), "dispatcher_ip": "127.0.0.1"}
        (configuration / "dispatcher.yaml").write_text(yaml.safe_dump(settings))
        names = self._run("lava.sim.register", "--worker", name, "--count", str(boards), "--disks", str(self.disks))
        state = self.layout.root / "slaves" / name
        cables = Cables(self.ports)
        return Slave(name, self.slave_daemon(name, cables.ports, state), cables, state, scratch, names.split())

    def slave_daemon(self, name: str, ports: Sequence[int], state: Path, *options: str, log: str = "") -> Daemon:
        """Return a slave with the certificate of that name."""
        control, logs = (f"tcp://127.0.0.1:{port}" for port in ports)
        secret = self.layout.certificates / name / f"{name}.key_secret"
        return self._daemon(
            *(log or name, "lava.slave.main", "--master", control, "--socket-addr", logs, "--hostname", name),
            *("--encrypt", "--master-cert", str(self._master_public), "--slave-cert", str(secret)),
            *("--state-dir", str(state), "--level", "INFO", "--log-file", "-", "--lava-run", self.wrapper, *options),
            **{SLAVE_MARK: name},
        )

    @property
    def disks(self) -> Path:
        """Where the boards' disks are."""
        return self.layout.root / "disks"

    # --- daemons

    @property
    def daemons(self) -> list[Daemon]:
        return [self.web, self.master, *(slave.daemon for slave in self.slaves)]

    def start(self) -> None:
        """Start what does not run, mend what is cut, and return when everybody is there."""
        if self.database is not None:
            self.database.start()
        for slave in self.slaves:
            slave.cables.tell("restore")
        for daemon in self.daemons:
            daemon.start()
        wait_for(self.answers, "the web server")
        for slave in self.slaves:
            self.wait_for_worker(slave.name, "Online")

    def close(self) -> None:
        """End everything that belongs to the lab."""
        for daemon in self.daemons:
            with contextlib.suppress(AssertionError):
                daemon.kill()
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for slave in self.slaves:
            slave.cables.close()
        self._web_socket.close()

    def processes(self, slave: str = "", *, jobs_only: bool = False) -> list[psutil.Process]:
        """Return the running processes of the lab, or those of the jobs on a slave's machine."""
        daemons = {daemon.process.pid for daemon in self.daemons if daemon.process is not None}
        return [
            process
            for process, environment in _environments()
            if environment.get(MARK) == str(self.layout.root)
            and (not slave or environment.get(SLAVE_MARK) == slave)
            and not (jobs_only and (process.pid in daemons or "LAVA_JOB_ID" not in environment))
        ]

    def manage(self, *arguments: str) -> str:
        return self._run("lava.server.main", "manage", *arguments)

    def _run(self, *module: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *module], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def locked_database(self) -> Iterator[None]:
        """Hold SQLite's lock: nobody else can write."""
        connection = sqlite3.connect(self.layout.root / "lava.sqlite3", timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            yield
        finally:
            connection.close()

    # --- machines and job processes

    def in_database(self, code: str) -> str:
        """Run Python beside the database, with the models of the lab imported; return what it prints."""
        return self._run_code(
            "import django; django.setup(); from lava.server.models import *; from lava.model.states import *\n" + code
        )

    def _run_code(self, code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def job_processes(self) -> dict[str, psutil.Process]:
        """Return the job process of each job that runs."""
        found = {}
        for process in self.processes(jobs_only=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if "lava.dispatcher.main" in words and "--job-id" in words:
                    found[words[words.index("--job-id") + 1]] = process
        return found

    def kill_job_process(self, job: str, number: signal.Signals = signal.SIGKILL) -> bool:
        """Send a signal to a job process; False when there is none."""
        process = self.job_processes().get(job)
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        return True

    def kill_machine(self, slave: Slave) -> set[str]:
        """End everything that runs on a machine, as a reset does; return the jobs that ran."""
        slave.daemon.kill()
        jobs: set[str] = set()
        while processes := self.processes(slave.name):
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    jobs.add(process.environ().get("LAVA_JOB_ID", ""))
                    process.kill()
            psutil.wait_procs(processes, 5)
        return jobs - {""}

    # --- jobs

    def answers(self) -> bool:
        try:
            self.client.call("system.version")
        except ClientError:
            return False
        return True

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask the server, again and again while it is away; only for questions."""
        failures: list[ClientError] = []

        def answer() -> list[Any]:
            try:
                return [self.client.call(method, *arguments)]
            except ClientError as error:
                failures.append(error)
                if "no answer" in str(error) or "answered 5" in str(error):
                    return []
                raise

        return wait_for(answer, f"an answer to {method}: {failures[-1:]}")[0]

    def submit(self, text: str) -> str:
        return str(self.client.call("scheduler.jobs.submit", text))

    def show(self, job: str) -> dict[str, Any]:
        return dict(self.call("scheduler.jobs.show", job))

    def log(self, job: str) -> bytes:
        """Return what is stored of a job's log."""
        data = bytes(self.call("scheduler.jobs.logs", job)[1])
        return b"" if data == b"[]" else data

    def results(self, job: str) -> list[dict[str, Any]]:
        """Return the results of a job, in the order in which they came."""
        return yaml.load(self.call("results.get_testjob_results_yaml", job), yaml.CSafeLoader) or []

    def device(self, name: str) -> str:
        """Return the state of a device."""
        return str(self.call("scheduler.devices.show", name)["state"])

    def worker(self, name: str) -> str:
        return str(self.call("scheduler.workers.show", name)["state"])

    def wait_for_worker(self, name: str, state: str, patience: float = 60.0) -> None:
        wait_for(lambda: self.worker(name) == state, f"worker {name} to be {state}", patience)

    def wait_for_state(self, job: str, state: str, patience: float = 60.0) -> dict[str, Any]:
        wait_for(lambda: self.show(job)["state"] == state, f"job {job} to be {state}", patience)
        return self.show(job)

    def wait_for_line(self, job: str, number: int, patience: float = 60.0) -> None:
        """Return when so many lines of the board are stored."""
        wanted = f'"line {number:06}"'.encode()
        wait_for(lambda: wanted in self.log(job), f"line {number} of job {job}", patience)

    def starts(self, job: str) -> list[Path]:
        """Return the logs of all starts of a job, as its processes wrote them."""
        return sorted(self.ledger.glob(f"{job}.*.log"), key=lambda path: path.stat().st_ctime)

    def account(self, job: str) -> Account:
        """Return what became of a job that has finished."""
        return account(job, self.starts(job), self.log(job), self.results(job), self.show(job))

    # --- rest

    def unrest(self, jobs: Iterable[str]) -> list[str]:
        """Return what is not at rest: jobs, devices, processes, files."""
        found = [f"job {job} is {state}" for job in jobs if (state := self.show(job)["state"]) != "Finished"]
        if found:
            return found
        for slave in self.slaves:
            found += [f"device {name} is {state}" for name in slave.boards if (state := self.device(name)) != "Idle"]
            found += [f"left on {slave.name}: {path}" for path in slave.job_directories]
        found += [f"still runs: {process}" for process in self.processes(jobs_only=True)]
        return found

    def come_to_rest(self, jobs: Sequence[str], patience: float = 120.0) -> list[str]:
        """Wait until nothing is left to do; return what is left when it never comes to that."""
        deadline = time.monotonic() + patience
        while (left := self.unrest(jobs)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left or self._sweep()

    def _sweep(self) -> list[str]:
        """Return the temporary files that stay: what a killed job left goes with the next job on its worker."""
        if any(list(slave.scratch.iterdir()) for slave in self.slaves):
            count = sum(len(slave.boards) for slave in self.slaves)
            jobs = [self.submit(numbered_job(10, 1, 1, name="sweep")) for _ in range(count)]
            wait_for(lambda: not self.unrest(jobs), f"the last jobs to end: {self.unrest(jobs)}")
        return [f"left on {slave.name}: {path}" for slave in self.slaves for path in slave.scratch.iterdir()]

    def collisions(self) -> list[str]:
        """Return the boards whose console two jobs wanted at a time."""
        return [str(path) for path in self.disks.glob("*/collisions")]

    def crashes(self) -> list[str]:
        """Return the masters and slaves that said something with a traceback: that is not how a fault is told.

        The web server does so for each request that a missing database fails.
        """
        return [
            f"a traceback in {path}"
            for path in sorted(self.layout.logs.iterdir())
            if path.stem != "web" and "Traceback (most recent call last)" in path.read_text(errors="replace")
        ]

    def said(self) -> str:
        """Return the ends of what the daemons said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}"
            for path in sorted(self.layout.logs.iterdir())
        )


def _environments() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, process.environ()
