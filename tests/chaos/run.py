"""``make chaos``: a long run, and its figures.  ``CHAOS_SEED`` gives back a run that failed.

Environment: ``CHAOS_KILLS``, ``CHAOS_JOBS``, ``CHAOS_SEED``, ``CHAOS_GAP`` (seconds between two blows), and
``CHAOS_DATABASE`` (``sqlite`` or ``postgresql``).
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from harness.chaos import Chaos, Plan
from harness.lab import Lab
from harness.postgresql import PostgreSQL, programs


def main() -> int:
    """Run once on each database that is asked for; return the exit status."""
    settings = os.environ
    seed = int(settings.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    plan = Plan(
        seed,
        int(settings.get("CHAOS_KILLS") or 200),
        int(settings.get("CHAOS_JOBS") or 20),
        float(settings.get("CHAOS_GAP") or 1.0),
    )
    good = True
    for name in (settings.get("CHAOS_DATABASE") or "sqlite,postgresql").split(","):
        if name == "postgresql" and programs() is None:
            print("postgresql is left out: it is not installed (/usr/lib/postgresql/*/bin/initdb)")
            continue
        good &= _run(name, plan)
    return 0 if good else 1


def _run(name: str, plan: Plan) -> bool:
    root = Path(tempfile.mkdtemp(prefix="lava-chaos-"))
    print(f"{name}: seed {plan.seed}, {plan.blows} blows, {plan.jobs} jobs; data in {root}", flush=True)
    database = PostgreSQL() if name == "postgresql" else None
    lab = Lab(root, boards=(2, 2), database=database)
    try:
        lab.start()
        outcome = Chaos(lab, plan, say=lambda text: print(text, flush=True)).run()
        print(outcome, flush=True)
    finally:
        lab.close()
        if database is not None:
            database.close()
    if outcome.good:
        shutil.rmtree(root)
        return True
    again = f"CHAOS_SEED={plan.seed} CHAOS_KILLS={plan.blows} CHAOS_JOBS={plan.jobs} CHAOS_GAP={plan.gap_seconds}"
    print(f"the data is kept in {root}; once more: make chaos CHAOS_DATABASE={name} {again}")
    return False


if __name__ == "__main__":
    sys.exit(main())
