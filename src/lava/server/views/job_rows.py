"""What the rows of a list of jobs need, in one query and without the large texts."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from lava.model.states import JobState
from lava.server.models import TestJob

_RELATED = ("submitter", "requested_device_type", "actual_device")
#: tens of kilobytes a row that no list shows
_LARGE = ("definition", "original_definition", "multinode_definition", "metadata")

#: Says nothing new beside a set of states, but lets every database use its index of unfinished jobs.
_UNFINISHED = Q(state__lt=JobState.FINISHED)

WAITING = Q(state__in=(JobState.SUBMITTED, JobState.SCHEDULING)) & _UNFINISHED
ACTIVE = Q(state__in=(JobState.SCHEDULED, JobState.RUNNING, JobState.CANCELING)) & _UNFINISHED
RUNNING = Q(state=JobState.RUNNING) & _UNFINISHED


def for_rows(jobs: QuerySet[TestJob]) -> QuerySet[TestJob]:
    """Return the jobs with what a row shows of other tables."""
    return jobs.select_related(*_RELATED).defer(*_LARGE)
