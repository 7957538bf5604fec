"""One round: look, decide, write."""

from __future__ import annotations

from django.utils import timezone

from lava.server.actions.lifecycle import cancel_job

from .apply import give_all, note_reasons
from .assign import assign
from .snapshot import take_snapshot


def run_round() -> int:
    """Give free devices to waiting jobs and return how many were given."""
    snapshot = take_snapshot()
    if not snapshot.jobs:
        return 0
    decided = assign(snapshot, timezone.now())
    given = give_all(decided.assignments) if decided.assignments else 0
    note_reasons(dict(decided.reasons))
    for job in decided.expired:
        cancel_job(None, job)
    return given
