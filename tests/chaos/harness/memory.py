"""What daemons weigh, before and after many jobs: real ones, whose job process is a shell script of a few lines."""

from __future__ import annotations

from pathlib import Path

import psutil

from .daemons import Daemon, wait_for
from .lab import Lab
from .work import numbered_job

#: stands for ``lava-run``: leaves a log that passes, and ends
_SHORT_JOB = """#!/bin/sh
for word; do
    case $before in --output-dir) directory=$word ;; esac
    before=$word
done
cat {log} >> "$directory/logs.yaml"
"""
_LINE = '- {"dt": "2026-01-01T00:00:00.000000", "lvl": "target", "msg": "a line of what a board prints in a test"}\n'
_END = """\
- {"dt": "2026-01-01T00:00:00.000000", "lvl": "results", "msg": {"definition": "lava", "case": "job", "result": "pass"}}
"""
#: about 100 kB in a job's log: a daemon that keeps something of each is found out soon
_LINES = 1000
#: jobs that wait or run at a time
AT_ONCE = 50


def short_jobs_lab(root: Path, boards: int) -> Lab:
    """Return a lab that is not started yet, in which a job takes no time."""
    lab = Lab(root, boards=(boards,))
    script = root / "short-job"
    log = root / "log-of-each-job"
    log.write_text(_LINE * _LINES + _END)
    script.write_text(_SHORT_JOB.format(log=log))
    script.chmod(0o755)
    (slave,) = lab.slaves
    slave.daemon = lab.slave_daemon(slave.name, slave.cables.ports, slave.state, "--lava-run", str(script))
    return lab


def run_jobs(lab: Lab, count: int) -> None:
    """Run so many jobs; all of them are Complete."""
    text = numbered_job(10, 1, 0)
    while count > 0:
        jobs = [lab.submit(text) for _ in range(min(count, AT_ONCE))]
        count -= len(jobs)
        wait_for(lambda jobs=jobs: lab.show(jobs[-1])["state"] == "Finished", "the last job")
        for job in jobs:
            assert lab.wait_for_state(job, "Finished")["health"] == "Complete", lab.said()


def resident(daemon: Daemon) -> int:
    """Return the bytes of memory that a daemon has."""
    assert daemon.process is not None
    return int(psutil.Process(daemon.process.pid).memory_info().rss)
