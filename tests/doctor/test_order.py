"""Every step of a migration in turn, on trees: 20 machines, each stopped after a step.  Source: R185, R190."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Doctor
from .trees import CleanMaster, FreshWorker, MixedWorker, Tree, V1Master

WORKER_STEPS = ["W0", "P1", *(f"W{number}" for number in range(1, 21))]
MASTER_STEPS = ["M0", "M1", "M2", "M3", "M4", "O1", "C1"]
TO_DO = WORKER_STEPS[1:]
GUARDS = ["W1", "W2", "W5", "W6", "W7", "W10", "W11"]
SETTLED = ("ok", "nothing to do", "advice")


def test_r190_a_fresh_worker_is_all_ok(doctor: Doctor, tmp_path: Path) -> None:
    said = doctor("worker", FreshWorker(tmp_path / "root"), "--json")
    assert {name: state for name, state in said.states().items() if state not in ("ok", "nothing to do")} == {}
    assert said.status == 0
    assert said.states()["P1"] == "nothing to do", "R127"


@pytest.mark.parametrize("mode", ["worker", "master"])
def test_r185_steps_stand_in_the_documented_order(doctor: Doctor, worker: MixedWorker, mode: str) -> None:
    wanted = {"worker": WORKER_STEPS, "master": MASTER_STEPS}[mode]
    assert list(doctor(mode, worker, "--json").steps) == wanted
    text = doctor(mode, worker).out
    places = [text.index(f"\n{name:<4}") for name in wanted]
    assert places == sorted(places)


def test_r128_a_mixed_worker_is_blocked_by_its_gate(doctor: Doctor, worker: MixedWorker) -> None:
    said = doctor("worker", worker, "--json")
    states = said.states()
    assert said.status == 1
    assert (states["P1"], states["W1"]) == ("open", "open")
    assert {states[name] for name in WORKER_STEPS[3:]} == {"blocked by W1"}
    assert said.steps["W3"]["blocked_by"] == ["W1", "W2"]
    worker.do("P1", "W1")
    states = doctor("worker", worker, "--json").states()
    assert states["W2"] == "open"
    assert {states[name] for name in WORKER_STEPS[4:]} == {"blocked by W2"}


@pytest.mark.parametrize("last", ["nothing", *TO_DO])
def test_r190_stopped_after_each_step(doctor: Doctor, worker: MixedWorker, last: str) -> None:
    """What is done is settled, the next step is to be done, and a guard holds up what comes after it."""
    if last != "nothing":
        worker.do_until(last)
    states = doctor("worker", worker, "--json").states()
    done = TO_DO[: TO_DO.index(last) + 1] if last != "nothing" else []
    assert {name: states[name] for name in done if states[name] not in SETTLED} == {}
    following = TO_DO[len(done) :]
    if following and following[0] != "W13":  # a look only
        assert states[following[0]] in ("open", "advice")
    blocker = next((name for name in following if name in GUARDS), None)
    if blocker:
        behind = following[following.index(blocker) + 1 :]
        assert {states[name] for name in behind} == {f"blocked by {blocker}"}


@pytest.mark.parametrize(
    ("prefix", "database"), [("/var/lib/lava-server", "lavaserver"), ("/srv/lava", "lava-lab")], ids=["usual", "own"]
)
def test_r190_completing_a_step_opens_no_earlier_one(
    doctor: Doctor, tmp_path: Path, prefix: str, database: str
) -> None:
    worker = MixedWorker(tmp_path / "root", prefix=prefix, database=database)
    before = doctor("worker", worker, "--json").states()
    for step in TO_DO:
        worker.do(step)
        after = doctor("worker", worker, "--json").states()
        earlier = ["W0", *TO_DO[: TO_DO.index(step)]]
        assert [name for name in earlier if before[name] in SETTLED and after[name] not in SETTLED] == [], step
        before = after
    assert set(before.values()) <= set(SETTLED)


def test_a_finished_migration_is_status_0(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do_until("W19")
    assert doctor("worker", worker, "--json").states()["W20"] == "open"
    worker.do("W20")
    assert doctor("worker", worker).status == 0
    assert doctor("worker", worker).out.endswith("\n22 of 22 steps are settled.\n")


@pytest.mark.parametrize("kind", [CleanMaster, V1Master])
def test_r190_a_master_with_and_without_leftovers(doctor: Doctor, tmp_path: Path, kind: type[Tree]) -> None:
    said = doctor("master", kind(tmp_path / "root"), "--json", lab={"workers": [{"name": "worker1", "v1": False}]})
    leftovers = kind is V1Master
    wanted = ["open"] * 4 if leftovers else ["ok"] * 4
    assert [said.states()[name] for name in ("M1", "M2", "M3", "M4")] == wanted
    assert said.status == int(leftovers)
