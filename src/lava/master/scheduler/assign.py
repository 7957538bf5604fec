"""Which job gets which device, and why the others wait.  Pure.  Source: server 4.3."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lava.model.states import USABLE_HEALTHS, DeviceHealth, DeviceState, WorkerHealth, WorkerState


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as the scheduler sees it."""

    name: str
    state: WorkerState
    health: WorkerHealth
    #: 0 is no limit
    job_limit: int = 0

    @property
    def obstacle(self) -> str | None:
        """Why no job can start on it, or None."""
        if self.health is WorkerHealth.RETIRED:
            return f"worker {self.name} is retired"
        if self.health is not WorkerHealth.ACTIVE:
            return f"worker {self.name} is in {self.health.text.lower()}"
        if self.state is not WorkerState.ONLINE:
            return f"worker {self.name} is offline"
        return None


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device as the scheduler sees it."""

    name: str
    device_type: str
    worker: str | None
    state: DeviceState
    health: DeviceHealth
    tags: frozenset[str] = frozenset()
    #: None: never
    last_used: datetime | None = None
    #: false: its type is hidden
    display: bool = True


@dataclass(frozen=True, slots=True)
class JobView:
    """A waiting job as the scheduler sees it."""

    id: int
    device_type: str
    priority: int
    submitted: datetime
    tags: frozenset[str] = frozenset()
    device: str | None = None
    worker: str | None = None
    #: seconds it may wait
    queue_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lab at one moment."""

    workers: Mapping[str, WorkerView]
    devices: Sequence[DeviceView]
    jobs: Sequence[JobView]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round decides."""

    #: job: device
    assignments: Mapping[int, str] = field(default_factory=dict)
    #: waiting job: why
    reasons: Mapping[int, str] = field(default_factory=dict)
    #: jobs that waited for too long
    expired: Sequence[int] = ()


def assign(snapshot: Snapshot, now: datetime) -> Round:
    """Return the decisions of one round.

    Higher priority first, then who was submitted first; of the devices that fit, the one that rested longest.
    """
    busy = Counter(device.worker for device in snapshot.devices if device.state is not DeviceState.IDLE)
    free: dict[str, list[DeviceView]] = defaultdict(list)
    by_type: dict[str, list[DeviceView]] = defaultdict(list)
    for device in sorted(snapshot.devices, key=_rested):
        by_type[device.device_type].append(device)
        if _obstacle(device, snapshot.workers) is None:
            free[device.device_type].append(device)
    assignments: dict[int, str] = {}
    reasons: dict[int, str] = {}
    expired: list[int] = []
    for job in sorted(snapshot.jobs, key=lambda job: (-job.priority, job.submitted, job.id)):
        if job.queue_timeout is not None and (now - job.submitted).total_seconds() > job.queue_timeout:
            expired.append(job.id)
            continue
        chosen = next(
            (
                device
                for device in free[job.device_type]
                if _fits(job, device) and not _is_full(snapshot.workers.get(device.worker or ""), busy)
            ),
            None,
        )
        if chosen is None:
            reasons[job.id] = _reason(job, by_type[job.device_type], snapshot.workers, busy, assignments)
            continue
        free[job.device_type].remove(chosen)
        busy[chosen.worker] += 1
        assignments[job.id] = chosen.name
    return Round(assignments, reasons, expired)


def _rested(device: DeviceView) -> tuple[float, str]:
    return (device.last_used.timestamp() if device.last_used else 0.0, device.name)


def _fits(job: JobView, device: DeviceView) -> bool:
    return job.tags <= device.tags and job.device in (None, device.name) and job.worker in (None, device.worker)


def _is_full(worker: WorkerView | None, busy: Counter[str | None]) -> bool:
    return worker is not None and worker.job_limit > 0 and busy[worker.name] >= worker.job_limit


def _obstacle(device: DeviceView, workers: Mapping[str, WorkerView]) -> str | None:
    """Return why the device cannot take a job now, or None."""
    if not device.display:
        return "its device type is not displayed"
    worker = workers.get(device.worker or "")
    if worker is not None and worker.health is WorkerHealth.RETIRED:
        return worker.obstacle  # and its devices with it
    if device.health not in USABLE_HEALTHS:
        return f"device {device.name} is in health {device.health.text}"
    if worker is None:
        return f"device {device.name} has no worker"
    if worker.obstacle is not None:
        return worker.obstacle
    return None if device.state is DeviceState.IDLE else f"device {device.name} is busy"


def _reason(
    job: JobView,
    devices: Sequence[DeviceView],
    workers: Mapping[str, WorkerView],
    busy: Counter[str | None],
    assigned: Mapping[int, str],
) -> str:
    """Say in words why a job waits."""
    if not devices:
        return f"there is no device of type {job.device_type}"
    fitting = [device for device in devices if _fits(job, device)]
    if not fitting:
        wishes = [f"tag {tag}" for tag in sorted(job.tags)]
        wishes += [f"device {job.device}"] if job.device else []
        wishes += [f"worker {job.worker}"] if job.worker else []
        return f"no device of type {job.device_type} has {' and '.join(wishes)}"
    taken = set(assigned.values())
    obstacles: Counter[str] = Counter()
    waiting = 0
    for device in fitting:
        obstacle = _obstacle(device, workers)
        worker = workers.get(device.worker or "")
        if device.name in taken or (obstacle or "").endswith("is busy"):
            waiting += 1
        elif obstacle is not None:
            obstacles[obstacle] += 1
        elif worker is not None and _is_full(worker, busy):
            obstacles[f"worker {worker.name} runs its limit of {worker.job_limit} jobs"] += 1
    parts = []
    if waiting:
        parts.append(f"{waiting} device{'s' if waiting > 1 else ''} of type {job.device_type} busy")
    parts += [text if count == 1 else f"{text} ({count} devices)" for text, count in obstacles.most_common(3)]
    return "; ".join(parts) or "waiting for the next round"
