"""How many cases of each suite of a job passed, failed, were skipped."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from lava.model.results import JOB_SUITE
from lava.server.models import TestJob

from .models import OUTCOMES, TestSuite


@dataclass(frozen=True, slots=True)
class SuiteCounts:
    """One suite."""

    name: str
    passed: int
    failed: int
    skipped: int
    unknown: int

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped + self.unknown


def suites_of(job: TestJob) -> list[SuiteCounts]:
    """Return the suites in the order in which they came, the suite of the job's own actions last; one query."""
    counted = {
        name: Count("cases", filter=Q(cases__result=OUTCOMES[outcome]))
        for name, outcome in (("passed", "pass"), ("failed", "fail"), ("skipped", "skip"), ("unknown_", "unknown"))
    }
    rows = TestSuite.objects.filter(job=job).annotate(**counted).order_by("pk")
    suites = [
        SuiteCounts(name, passed, failed, skipped, unknown)
        for name, passed, failed, skipped, unknown in rows.values_list("name", *counted)
    ]
    return sorted(suites, key=lambda suite: suite.name == JOB_SUITE)
