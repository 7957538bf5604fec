"""What the devices of each type do, in two queries whatever the number of devices and jobs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from lava.model.states import USABLE_HEALTHS, DeviceState, WorkerState
from lava.server.visibility import AnyUser, devices_in_use, visible_device_types, visible_jobs

from .job_rows import WAITING

#: the condition for devices that can take jobs
USABLE = Q(health__in=list(USABLE_HEALTHS), worker_host__state=WorkerState.ONLINE)


@dataclass(frozen=True, slots=True)
class TypeCounts:
    """One device type, and how many of its devices are how."""

    name: str
    description: str
    #: can take a job now
    idle: int
    busy: int
    #: cannot take jobs: of a bad health, or their worker is offline
    away: int
    #: jobs that wait, of those that the user may see
    queued: int

    @property
    def is_stuck(self) -> bool:
        """Whether jobs wait and no device will take them."""
        return self.queued > 0 and not (self.idle or self.busy)


def type_counts(user: AnyUser) -> list[TypeCounts]:
    """Return every device type that the user may see, by name."""
    idle, total = Q(state=DeviceState.IDLE), Count("pk")
    devices = (
        devices_in_use(user)
        .order_by()
        .values("device_type")
        .annotate(total=total, busy=Count("pk", filter=~idle), idle=Count("pk", filter=idle & USABLE))
    )
    by_type = {row["device_type"]: row for row in devices}
    waiting = visible_jobs(user).filter(WAITING).order_by().values("requested_device_type").annotate(total=total)
    queued = {row["requested_device_type"]: row["total"] for row in waiting}
    none = {"total": 0, "busy": 0, "idle": 0}
    return [
        TypeCounts(
            name=kind.pk,
            description=kind.description or "",
            idle=(row := by_type.get(kind.pk, none))["idle"],
            busy=row["busy"],
            away=row["total"] - row["busy"] - row["idle"],
            queued=queued.get(kind.pk, 0),
        )
        for kind in visible_device_types(user).order_by("pk")
    ]
