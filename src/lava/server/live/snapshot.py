"""What the database says of a job at one moment: enough for everybody who watches it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lava.model.states import JobHealth, JobState
from lava.server.models import TestJob

_FIELDS = (
    *("pk", "state", "health", "actual_device_id", "waiting_reason", "error_type", "error_msg", "failure_comment"),
    *("submit_time", "start_time", "end_time", "log_length"),
)


@dataclass(frozen=True, slots=True)
class Status:
    """What is shown of a job beside its log."""

    state: JobState
    health: JobHealth
    device: str | None
    #: why it waits
    reason: str
    #: who must act on its failure, and why it failed
    error_type: str
    error: str
    submitted: datetime
    started: datetime | None
    ended: datetime | None

    @property
    def finished(self) -> bool:
        return self.state is JobState.FINISHED

    def event(self, now: datetime) -> dict[str, Any]:
        """Return the object of a ``state`` event; spans of time are in seconds."""
        return {
            "state": self.state.text,
            "health": self.health.text,
            "device": self.device,
            "reason": self.reason,
            "error_type": self.error_type,
            "error": self.error,
            "submit_time": self.submitted.isoformat(),
            "start_time": _iso(self.started),
            "end_time": _iso(self.ended),
            "waited": _seconds(self.submitted, self.started or self.ended or now),
            "duration": _seconds(self.started, self.ended or now) if self.started else None,
            "now": now.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job's status, and the bytes of its log that counted at that moment."""

    status: Status
    log_length: int


def snapshot_of(job: TestJob) -> Snapshot:
    """Return the snapshot of a job as it was read."""
    status = Status(
        state=job.job_state,
        health=job.job_health,
        device=job.actual_device_id,
        reason=job.waiting_reason if job.job_state in (JobState.SUBMITTED, JobState.SCHEDULING) else "",
        error_type=job.error_type,
        error=job.error_msg or job.failure_comment or "",
        submitted=job.submit_time,
        started=job.start_time,
        ended=job.end_time,
    )
    return Snapshot(status, job.log_length)


def read_snapshots(jobs: Collection[int]) -> Mapping[int, Snapshot]:
    """Return the snapshots of the jobs that exist, in one query."""
    found = TestJob.objects.filter(pk__in=jobs).only(*_FIELDS)
    return {job.pk: snapshot_of(job) for job in found}


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _seconds(start: datetime, end: datetime) -> float:
    return round(max(0.0, (end - start).total_seconds()), 3)
