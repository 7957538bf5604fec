#!/usr/bin/env python3
"""Many slaves at one master on PostgreSQL: is anything lost, how late are lines, what does it cost?

A fleet of slaves (``lava.sim.fleet``: real slaves, pretended boards) runs jobs that write lines at a steady rate.  Each
line is timed from the moment in which the board wrote it until its slave knew that it is in the store.  The same is
done at half and at twice the load, to show how the cost grows.  Then one busy job streams as fast as it goes; the limit
beside it is a plain copy of the same bytes to the same disk, made durable.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from submit_to_start import postgresql

from lava.sim.fleet import LINE, slave_names
from lava.wire.certificates import create_certificate

MEDIAN_GOAL, P95_GOAL = 0.25, 1.0
STREAM_GOAL_MEGABYTES = 20
JOB = """
job_name: load
device_type: load
visibility: public
timeouts: {job: {hours: 1}, action: {hours: 1}}
actions: [{boot: {method: minimal, prompts: ["#"]}}]
"""


class Lab:
    """A database with workers, devices and jobs, and a master."""

    def __init__(self, directory: Path, database: str) -> None:
        self.directory = directory
        os.environ.update(
            {
                "DATABASE_URL": database,
                "LAVA_DATA_DIR": str(directory),
                "DJANGO_SETTINGS_MODULE": "lava.server.settings",
            }
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        (directory / "devices").mkdir(parents=True)
        self.master_public, self.master_secret = create_certificate(directory / "master", "master")
        self.control, self.log = "tcp://127.0.0.1:20556", "tcp://127.0.0.1:20555"

    def fill(self, slaves: int, jobs: int) -> None:
        """Make workers with certificates, a device for each job, and the jobs."""
        from django.contrib.auth.models import User

        from lava.model.states import DeviceHealth
        from lava.server.actions.submit import submit_job
        from lava.server.models import Device, DeviceType, TestJob, Worker

        TestJob.objects.all().delete()
        Device.objects.all().delete()
        Worker.objects.all().delete()
        user, _ = User.objects.get_or_create(username="load")
        kind, _ = DeviceType.objects.get_or_create(pk="load")
        names = slave_names(slaves)
        Worker.objects.bulk_create([Worker(hostname=name) for name in names])
        for name in names:
            if not (self.directory / "slaves" / f"{name}.key").exists():
                create_certificate(self.directory / "slaves", name)
        for number in range(jobs):
            device = f"board-{number:04d}"
            (self.directory / "devices" / f"{device}.jinja2").write_text("commands: {connect: /bin/true}\n")
            Device.objects.create(
                hostname=device, device_type=kind, worker_host_id=names[number % slaves], health=DeviceHealth.GOOD
            )
        for _ in range(jobs):
            submit_job(user, JOB)

    @contextlib.contextmanager
    def master(self) -> Iterator[psutil.Process]:
        command = [sys.executable, "-m", "lava.master.main", "--config", "/dev/null"]
        command += ["--master-socket", self.control, "--log-socket", self.log, "--encrypt"]
        command += ["--master-cert", str(self.master_secret), "--slaves-certs", str(self.directory / "slaves")]
        with (self.directory / "master.log").open("ab") as log:
            process = subprocess.Popen([*command, "--level", "INFO"], stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def postmaster(directory: Path) -> psutil.Process:
    """Return the database server whose files are below the directory."""
    for process in psutil.process_iter(["cmdline"]):
        if str(directory / "cluster") in (process.info["cmdline"] or ()):
            return process
    raise AssertionError("no database server runs")


def cpu_of(processes: list[psutil.Process]) -> float:
    """Return the seconds of CPU that processes, and those that they started, have used."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = one.cpu_times()
                    total += times.user + times.system
                    if one == process:  # and those that have ended
                        total += times.children_user + times.children_system
    return total


def finished() -> int:
    from lava.server.models import TestJob

    return TestJob.objects.filter(state=5).count()


def load(lab: Lab, slaves: int, jobs: int, rate: float, seconds: float) -> bool:
    """Run the jobs and print the figures of the time in which all of them ran; return whether the goals are met."""
    from django.db import connection

    from lava.server.models import TestJob, Worker

    lab.fill(slaves, jobs)
    with lab.master() as master, tempfile.TemporaryDirectory(dir=lab.directory) as state:
        command = [sys.executable, "-m", "lava.sim.fleet", "--master", lab.control, "--logger", lab.log]
        command += ["--slaves", str(slaves), "--rate", str(rate), "--seconds", str(seconds), "--state-dir", state]
        command += ["--certificates", str(lab.directory / "slaves"), "--master-cert", str(lab.master_public)]
        fleet = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        database = postmaster(lab.directory.parent)
        watched = {"master": [master], "fleet": [psutil.Process(fleet.pid)], "database": [database]}
        offline = 0
        while TestJob.objects.filter(state=3).count() < jobs:
            if finished():
                raise SystemExit(f"the first job ended before the last began: raise --seconds ({seconds:.0f})")
            time.sleep(0.5)
        before = {name: cpu_of(processes) for name, processes in watched.items()}
        began = time.monotonic()
        while finished() < jobs:
            offline = max(offline, Worker.objects.exclude(state=0).count())
            time.sleep(0.5)
            if time.monotonic() - began < seconds / 2:
                after = {name: cpu_of(processes) for name, processes in watched.items()}
                measured = time.monotonic() - began
        memory = master.memory_info().rss / 1e6
        fleet.terminate()
        figures = json.loads(fleet.communicate()[0])
    stored = sum(TestJob.objects.values_list("log_lines", flat=True))
    complete = TestJob.objects.filter(health=1).count()
    connection.close()
    lost = figures["lines"] - stored
    print(f"{slaves} slaves, {jobs} jobs, {jobs * rate:.0f} lines/s for {figures['seconds']:.0f} s")
    print(f"  lines written, stored, lost   {figures['lines']}, {stored}, {lost}   goal: 0 lost")
    print(f"  jobs complete                 {complete} of {jobs}; slaves offline meanwhile: {offline}")
    print(f"  median delay                  {figures['median'] * 1000:7.0f} ms   goal: at most {MEDIAN_GOAL} s")
    print(f"  95 % within                   {figures['p95'] * 1000:7.0f} ms   goal: at most {P95_GOAL} s")
    print(f"  worst                         {figures['worst'] * 1000:7.0f} ms")
    for name in watched:
        print(f"  CPU of {name:<8}               {(after[name] - before[name]) / measured * 100:7.0f} % of a core")
    print(f"  resident memory of master     {memory:7.0f} MB")
    return (
        lost == 0
        and complete == jobs
        and not offline
        and figures["median"] <= MEDIAN_GOAL
        and figures["p95"] <= P95_GOAL
    )


def stream(lab: Lab, megabytes: int) -> None:
    """One busy job: how fast does its log reach the store?"""
    from lava.server.models import TestJob

    line = LINE % (b"2026-01-02T03:04:05.000006+00:00", 1)
    lab.fill(1, 1)
    with lab.master(), tempfile.TemporaryDirectory(dir=lab.directory) as state:
        lines = megabytes * 10**6 // len(line)
        command = [
            sys.executable,
            "-m",
            "lava.sim.fleet",
            "--master",
            lab.control,
            "--logger",
            lab.log,
            "--slaves",
            "1",
        ]
        command += ["--burst", str(lines), "--seconds", "0.1", "--look-seconds", "0.02", "--state-dir", state]
        command += ["--certificates", str(lab.directory / "slaves"), "--master-cert", str(lab.master_public)]
        fleet = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while TestJob.objects.get().log_length == 0:
            time.sleep(0.01)
        began, first = time.monotonic(), TestJob.objects.get().log_length
        while not finished():
            time.sleep(0.02)
        took = time.monotonic() - began
        size = TestJob.objects.get().log_length - first
        fleet.terminate()
        fleet.communicate()
    data = bytes(256 * 1024)
    with tempfile.NamedTemporaryFile(dir=lab.directory) as plain:
        began = time.monotonic()
        for _ in range(size // len(data)):
            plain.write(data)
            plain.flush()
            os.fdatasync(plain.fileno())
        copied = time.monotonic() - began
    print(f"one busy job, {size / 1e6:.0f} MB")
    print(
        f"  into the store                {size / took / 1e6:7.1f} MB/s   goal: at least {STREAM_GOAL_MEGABYTES} MB/s"
    )
    print(f"  plain durable copy            {size / copied / 1e6:7.1f} MB/s   (the limit)")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--slaves", type=int, default=200)
    options.add_argument("--jobs", type=int, default=500)
    options.add_argument("--rate", type=float, default=10.0, help="lines of each job in a second")
    options.add_argument("--seconds", type=float, default=90.0, help="that each job runs")
    options.add_argument("--megabytes", type=int, default=200)
    options.add_argument("--once", action="store_true", help="only this load")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        with postgresql(directory) as database:
            lab = Lab(directory / "lab", database)
            good = load(lab, args.slaves, args.jobs, args.rate, args.seconds)
            for factor in () if args.once else (0.5, 2.0):
                load(lab, args.slaves, args.jobs, args.rate * factor, args.seconds)
            stream(lab, args.megabytes)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
