#!/usr/bin/env python3
"""How much memory slave and master have, idle and after many jobs.

A whole instance on SQLite with one slave; its job process is a shell script that leaves a log of a thousand lines, so
that the daemons do all of their work and nothing else.  The first jobs are left out of the growth: caches fill.  The
limit beside it is what Python has resident once it has loaded the modules of the daemon.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "chaos"))

from harness.memory import resident, run_jobs, short_jobs_lab

IDLE_GOAL_MEGABYTES = 60
GROWTH_GOAL_BYTES = 1024
WARM_UP_JOBS = 200
_LOADED = """
import os, sys, importlib
if "master" in sys.argv[1]:
    import django; django.setup()
importlib.import_module(sys.argv[1])
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE"))
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=1000)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lab = short_jobs_lab(Path(scratch), 8)
        try:
            lab.start()
            daemons = {"slave": lab.slaves[0].daemon, "master": lab.master}
            idle = {name: resident(daemon) for name, daemon in daemons.items()}
            run_jobs(lab, WARM_UP_JOBS)
            warm = {name: resident(daemon) for name, daemon in daemons.items()}
            run_jobs(lab, args.jobs)
            after = {name: resident(daemon) for name, daemon in daemons.items()}
        finally:
            lab.close()
        good = idle["slave"] <= IDLE_GOAL_MEGABYTES * 1e6
        for name in daemons:
            command = [sys.executable, "-c", _LOADED, f"lava.{name}.daemon"]
            loaded = int(subprocess.run(command, env=lab.environment, stdout=subprocess.PIPE, check=True).stdout)
            growth = (after[name] - warm[name]) / args.jobs
            good = good and growth <= GROWTH_GOAL_BYTES
            goal = f"   goal: at most {IDLE_GOAL_MEGABYTES} MB" if name == "slave" else ""
            print(f"{name}")
            print(f"  idle                          {idle[name] / 1e6:7.1f} MB{goal}")
            print(f"  its modules alone             {loaded / 1e6:7.1f} MB   (the limit)")
            print(f"  after {WARM_UP_JOBS} jobs                {warm[name] / 1e6:7.1f} MB")
            print(f"  after {args.jobs} more              {after[name] / 1e6:7.1f} MB")
            print(f"  growth of each job            {growth:7.0f} B    goal: at most {GROWTH_GOAL_BYTES} B")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
