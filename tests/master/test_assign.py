"""Who gets which device: properties that hold for every lab and every queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.master.scheduler.assign import DeviceView, JobView, Snapshot, WorkerView, assign
from lava.model.states import USABLE_HEALTHS, DeviceHealth, DeviceState, WorkerHealth, WorkerState

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TYPES = st.sampled_from(["qemu", "panda", "x86"])
TAGS = st.frozensets(st.sampled_from(["usb", "hdmi", "fast"]))
WORKER_NAMES = ["w1", "w2"]
MOMENTS = st.integers(0, 1000).map(lambda seconds: NOW - timedelta(seconds=seconds))

workers = st.fixed_dictionaries(
    {
        name: st.builds(
            WorkerView,
            st.just(name),
            st.sampled_from(WorkerState),
            st.sampled_from(WorkerHealth),
            st.integers(0, 2),
        )
        for name in WORKER_NAMES
    }
)
devices = st.lists(
    st.builds(
        DeviceView,
        st.integers(0, 30).map("d{}".format),
        TYPES,
        st.sampled_from([*WORKER_NAMES, None]),
        st.sampled_from(DeviceState),
        st.sampled_from(DeviceHealth),
        TAGS,
        st.none() | MOMENTS,
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda device: device.name,
)
jobs = st.lists(
    st.builds(
        JobView,
        st.integers(1, 60),
        TYPES,
        st.sampled_from([0, 50, 100]),
        MOMENTS,
        TAGS,
        st.none() | st.integers(0, 30).map("d{}".format),
        st.none() | st.sampled_from(WORKER_NAMES),
        st.none() | st.integers(0, 1000),
    ),
    max_size=15,
    unique_by=lambda job: job.id,
)
labs = st.builds(Snapshot, workers, devices, jobs)


def usable(device: DeviceView, lab: Snapshot) -> bool:
    worker = lab.workers.get(device.worker or "")
    return (
        device.display
        and device.state is DeviceState.IDLE
        and device.health in USABLE_HEALTHS
        and worker is not None
        and worker.state is WorkerState.ONLINE
        and worker.health is WorkerHealth.ACTIVE
    )


def fits(job: JobView, device: DeviceView) -> bool:
    return (
        job.device_type == device.device_type
        and job.tags <= device.tags
        and job.device in (None, device.name)
        and job.worker in (None, device.worker)
    )


@given(labs)
def test_each_device_is_given_once_and_only_to_a_job_that_it_fits(lab: Snapshot) -> None:
    given_out = assign(lab, NOW).assignments
    assert len(set(given_out.values())) == len(given_out)
    by_name = {device.name: device for device in lab.devices}
    by_id = {job.id: job for job in lab.jobs}
    for job, device in given_out.items():
        assert usable(by_name[device], lab)
        assert fits(by_id[job], by_name[device])


@given(labs)
def test_every_job_gets_a_device_or_a_reason_or_has_waited_too_long(lab: Snapshot) -> None:
    decided = assign(lab, NOW)
    parts = [set(decided.assignments), set(decided.reasons), set(decided.expired)]
    assert set().union(*parts) == {job.id for job in lab.jobs}
    assert sum(len(part) for part in parts) == len(lab.jobs)
    assert all(decided.reasons.values())


@given(labs)
def test_no_worker_gets_more_than_its_limit(lab: Snapshot) -> None:
    given_out = set(assign(lab, NOW).assignments.values())
    for worker in lab.workers.values():
        held = [device for device in lab.devices if device.worker == worker.name]
        busy = sum(device.state is not DeviceState.IDLE for device in held)
        new = sum(device.name in given_out for device in held)
        assert not worker.job_limit or new == 0 or busy + new <= worker.job_limit


@given(labs)
def test_no_job_waits_for_a_device_that_one_behind_it_got(lab: Snapshot) -> None:
    decided = assign(lab, NOW)
    by_name = {device.name: device for device in lab.devices}
    by_id = {job.id: job for job in lab.jobs}

    def rank(job: JobView) -> tuple[int, datetime, int]:
        return (-job.priority, job.submitted, job.id)

    for waiting in decided.reasons:
        for job, device in decided.assignments.items():
            if fits(by_id[waiting], by_name[device]):
                assert rank(by_id[job]) < rank(by_id[waiting])


@given(labs)
def test_no_device_stays_idle_while_a_job_that_fits_waits(lab: Snapshot) -> None:
    decided = assign(lab, NOW)
    by_id = {job.id: job for job in lab.jobs}
    for device in lab.devices:
        worker = lab.workers.get(device.worker or "")
        if device.name in decided.assignments.values() or not usable(device, lab) or worker is None or worker.job_limit:
            continue
        assert not any(fits(by_id[job], device) for job in decided.reasons)


@given(labs, st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(lab: Snapshot, random: st.DataObject) -> None:
    jobs, devices = list(lab.jobs), list(lab.devices)
    random.shuffle(jobs)  # type: ignore[attr-defined]
    random.shuffle(devices)  # type: ignore[attr-defined]
    assert assign(Snapshot(lab.workers, devices, jobs), NOW) == assign(lab, NOW)


def lab_with(device: DeviceView | None, worker: WorkerView | None = None) -> Snapshot:
    worker = worker or WorkerView("w1", WorkerState.ONLINE, WorkerHealth.ACTIVE)
    job = JobView(1, "qemu", 50, NOW, frozenset({"usb"}))
    return Snapshot({worker.name: worker}, [device] if device else [], [job])


def board(**changes: object) -> DeviceView:
    fields = {"state": DeviceState.IDLE, "health": DeviceHealth.GOOD, "tags": frozenset({"usb"}), **changes}
    return DeviceView("d1", "qemu", "w1", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lab", "reason"),
    [
        (lab_with(None), "there is no device of type qemu"),
        (lab_with(board(tags=frozenset())), "no device of type qemu has tag usb"),
        (lab_with(board(health=DeviceHealth.MAINTENANCE)), "device d1 is in health Maintenance"),
        (lab_with(board(state=DeviceState.RUNNING)), "1 device of type qemu busy"),
        (lab_with(board(), WorkerView("w1", WorkerState.OFFLINE, WorkerHealth.ACTIVE)), "worker w1 is offline"),
        (
            lab_with(board(), WorkerView("w1", WorkerState.ONLINE, WorkerHealth.MAINTENANCE)),
            "worker w1 is in maintenance",
        ),
        (lab_with(board(display=False)), "its device type is not displayed"),
    ],
)
def test_a_waiting_job_is_told_what_it_waits_for(lab: Snapshot, reason: str) -> None:
    assert assign(lab, NOW).reasons == {1: reason}


def test_the_device_that_rested_longest_is_taken() -> None:
    worker = WorkerView("w1", WorkerState.ONLINE, WorkerHealth.ACTIVE)
    views = [
        DeviceView(name, "qemu", "w1", DeviceState.IDLE, DeviceHealth.GOOD, last_used=used)
        for name, used in (("late", NOW), ("early", NOW - timedelta(days=1)), ("never", None))
    ]
    jobs = [JobView(number, "qemu", 50, NOW) for number in (1, 2, 3)]
    assert assign(Snapshot({"w1": worker}, views, jobs), NOW).assignments == {1: "never", 2: "early", 3: "late"}
