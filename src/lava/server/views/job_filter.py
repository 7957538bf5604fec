"""What a list of jobs is narrowed to: filters that can be linked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import QueryDict

from lava.model.states import JobHealth, JobState
from lava.server.models import TestJob

from .job_rows import ACTIVE, WAITING

LONGEST_PAGE = 100
_SHORTEST_PAGE = 10
_LARGEST_ID = 2**63 - 1

#: one word for the user, state or health for us
STATUSES: Final[dict[str, Q]] = {
    "waiting": WAITING,
    "active": ACTIVE,
    **{
        health.name.lower(): Q(state=JobState.FINISHED, health=health)
        for health in (JobHealth.COMPLETE, JobHealth.INCOMPLETE, JobHealth.CANCELED)
    },
}
#: whose fault it was: the error types of failed jobs.  Source: server 9.3
ERRORS: Final = (
    "Infrastructure",
    "Configuration",
    "Bug",
    "Job",
    "Test",
    "LAVATimeout",
    "MultinodeTimeout",
    "Canceled",
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What the user wants to see."""

    search: str = ""
    status: str = ""
    error: str = ""
    device_type: str = ""
    device: str = ""
    submitter: str = ""
    before: int | None = None
    length: int = 25

    @classmethod
    def read(cls, query: QueryDict) -> Filter:
        """Read the address; values that make no sense count as not given."""
        status, error = query.get("status", ""), query.get("error", "")
        return cls(
            search=_text(query, "search"),
            status=status if status in STATUSES else "",
            error=error if error in ERRORS else "",
            device_type=_text(query, "device_type"),
            device=_text(query, "device"),
            submitter=_text(query, "submitter"),
            before=parse_id(query.get("before", "")),
            length=_length(query.get("length", "")),
        )

    @property
    def is_set(self) -> bool:
        """Whether it narrows the list."""
        return any((self.search, self.status, self.error, self.device_type, self.device, self.submitter))

    @property
    def is_unindexed(self) -> bool:
        """Whether the rows have to be looked at one by one to find those that are wanted."""
        return bool(
            (self.search or self.error or self.status not in ("", "waiting", "active"))
            and not (self.device or self.submitter)
        )

    def apply(self, jobs: QuerySet[TestJob]) -> QuerySet[TestJob]:
        """Return the jobs that are wanted."""
        conditions: dict[str, Any] = {
            "description__icontains": self.search,
            "error_type": self.error,
            "requested_device_type": self.device_type,
            "actual_device": self.device,
            "submitter__username": self.submitter,
        }
        jobs = jobs.filter(**{key: value for key, value in conditions.items() if value})
        return jobs.filter(STATUSES[self.status]) if self.status else jobs

    def address(self, **changes: object) -> str:
        """Return the query part of an address with some values changed; that of the newest page without a change."""
        names = ("search", "status", "error", "device_type", "device", "submitter", "length")
        values = {name: getattr(self, name) for name in names} | changes
        return urlencode({name: value for name, value in values.items() if value})


def parse_id(text: str) -> int | None:
    """Return the number of a job that the text is, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= _LARGEST_ID else None


def _text(query: QueryDict, name: str) -> str:
    # A NUL cannot be asked of PostgreSQL.
    return query.get(name, "").replace("\0", "").strip()[:200]


def _length(text: str) -> int:
    chosen = parse_id(text) or int(settings.DEFAULT_TABLE_LENGTH)
    return max(_SHORTEST_PAGE, min(chosen, LONGEST_PAGE))
