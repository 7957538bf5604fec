"""What must hold of a job when everything has come to rest."""

from __future__ import annotations

import signal

from harness.lab import Lab

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def check(lab: Lab, job: str, lines: int, results: int, *, killed: bool = False, canceled: bool = False) -> None:
    """A job has ended as it should, with every line and result once, and nothing is left of it."""
    assert lab.come_to_rest([job], 60) == [], lab.said()
    entry = lab.account(job)
    entry.check(expected_lines=lines, expected_results=results, killed=killed, canceled=canceled)
    assert entry.faults == [], lab.said()
    assert entry.starts == 1
    assert lab.collisions() == []
