"""What keeps the master's data safe: no command out of order, no word and no look that could do harm.  R129 to R131."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.doctor.commands import Answer, Command, RecordedRunner
from lava.doctor.context import Context, Lab, LabDevice
from lava.doctor.examine import Outcome, examine
from lava.doctor.facts import media_mounts
from lava.doctor.machine import Entry, Machine, Mount, Process
from lava.doctor.machine import Tree as RealTree
from lava.doctor.text import as_json, as_text
from lava.doctor.worker import GUARDS, WORKER

from .conftest import Doctor
from .trees import MEDIA, NOW, SSHFS, MixedWorker

REMOVING = ("purge", "autoremove", "pg_dropcluster", "rm ", "sed -i", "apt-get")
BEFORE_W7 = ("P1", "W1", "W2", "W3", "W4", "W5", "W6")


def test_r129_the_warning_stands_above_everything(doctor: Doctor, worker: MixedWorker) -> None:
    out = doctor("worker", worker).out
    assert "can erase data ON THE MASTER" in out[: out.index("\nW0 ")]


def test_r129_with_the_mount_everything_behind_it_is_blocked(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do(*BEFORE_W7)
    said = doctor("worker", worker, "--json")
    states = said.states()
    assert states["W7"] == "open"
    assert {states[f"W{number}"] for number in range(8, 21)} == {"blocked by W7"}
    text = doctor("worker", worker).out
    assert [word for word in REMOVING if word in text] == []


@pytest.mark.parametrize("step", ["w8", "w9", "w11", "w12"])
def test_r130_no_option_gets_at_a_blocked_command(doctor: Doctor, worker: MixedWorker, step: str) -> None:
    worker.do(*BEFORE_W7)
    confirmed = [word for name in ("W1", "W2", "W5", "W7", "W20") for word in ("--confirm", name)]
    out = doctor("worker", worker, "--only", step, *confirmed).out
    assert f"{step.upper():<4}blocked by W7" in out
    assert "purge" not in out


def test_r131_no_command_of_the_server_in_any_state_of_the_migration(doctor: Doctor, worker: MixedWorker) -> None:
    for step in ("nothing", *worker.by_name):
        if step != "nothing":
            worker.do(step)
        assert "lava-server manage" not in doctor("worker", worker).out


def test_r131_a_name_that_holds_the_words_takes_its_step_s_commands_along(doctor: Doctor, worker: MixedWorker) -> None:
    """A part of the commands, or a name that was changed, would be other commands."""
    worker.do("P1", "W1", "W2")
    worker.write("/etc/lava-dispatcher/device-types/lava-server manage.conf", "")
    step = doctor("worker", worker, "--json").steps["W3"]
    assert (step["state"], step["commands"]) == ("open", [])
    assert step["findings"][-1]["text"].startswith("a command is left out, for the name in it")


def test_r130_without_a_mount_table_the_word_is_kept_back(doctor: Doctor, worker: MixedWorker) -> None:
    worker.write("/etc/lava-dispatcher/device-types/purge.conf", "")
    assert "purge.conf" not in doctor("worker", worker).out, "mounted"
    worker.do("W7")
    assert "purge.conf" in doctor("worker", worker).out
    worker.remove("/proc/mounts")
    assert "purge" not in doctor("worker", worker).out


@contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """Collect everything that the interpreter opens, changes or starts."""
    seen: list[tuple[str, Any]] = []
    _listeners.append(seen)
    try:
        yield seen
    finally:
        _listeners.remove(seen)


_listeners: list[list[tuple[str, Any]]] = []
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.chown",
    "os.link",
    "os.symlink",
    "os.truncate",
)


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if _listeners and event in ("open", "os.listdir", "os.scandir", "subprocess.Popen", "socket.connect", *_CHANGES):
        for listener in _listeners:
            listener.append((event, args))


sys.addaudithook(_listen)


def look(worker: MixedWorker, **lab: Any) -> list[Outcome]:
    machine = RealTree(worker.root, RecordedRunner.of(worker.root), lambda: NOW)
    return examine(WORKER, machine, Context(**lab), mounted=bool(media_mounts(machine)))


@pytest.mark.parametrize("done", ["nothing", "W6", "W10", "W20"])
def test_r184_nothing_is_written_started_or_connected(worker: MixedWorker, done: str) -> None:
    if done != "nothing":
        worker.do_until(done)
    look(worker)  # what is imported on the way is written to the cache of Python
    before = {path: path.lstat() for path in worker.root.rglob("*")}
    with watched() as seen:
        outcomes = look(worker)
        as_text(WORKER, outcomes)
    assert any(event == "open" for event, _ in seen)
    writing = [args for event, args in seen if event == "open" and (args[2] & (0o3 | 0o100 | 0o1000))]
    assert writing == []
    assert [event for event, _ in seen if event not in ("open", "os.listdir", "os.scandir")] == []
    after = {path: path.lstat() for path in worker.root.rglob("*")}
    assert {path: (s.st_mtime_ns, s.st_size, s.st_mode) for path, s in before.items()} == {
        path: (s.st_mtime_ns, s.st_size, s.st_mode) for path, s in after.items()
    }


@pytest.mark.parametrize("prefix", ["/var/lib/lava-server", "/srv/lava"])
def test_r147_nobody_looks_below_the_mount(tmp_path: Path, prefix: str) -> None:
    """Not even to ask whether something is there: a dead SSHFS hangs whoever asks."""
    worker = MixedWorker(tmp_path / "root", prefix=prefix)
    worker.write(f"{worker.media}/job-output/1/output.yaml", "the master's\n")
    touched: list[str] = []

    class Tripwire(RealTree):
        def _locate(self, path: str, *, follow_last: bool = True) -> Path:
            found = super()._locate(path, follow_last=follow_last)
            touched.append("/" + str(found.relative_to(worker.root)))
            return found

    machine = Tripwire(worker.root, RecordedRunner.of(worker.root), lambda: NOW)
    outcomes = examine(WORKER, machine, Context(), mounted=True)
    assert next(outcome for outcome in outcomes if outcome.step.name == "W7").result.findings
    assert touched
    assert [path for path in touched if path.startswith(worker.media)] == []


def test_a_link_into_the_mount_is_not_followed(doctor: Doctor, worker: MixedWorker) -> None:
    """V1's directory of devices may be anything, also a link to the master's files."""
    worker.do("P1", "W1", "W2", "W3")
    worker.remove("/etc/lava-dispatcher/devices")
    worker.write(f"{MEDIA}/devices/precious.conf", "the master's\n")
    worker.link("/etc/lava-dispatcher/devices", f"{MEDIA}/devices")
    said = doctor("worker", worker, "--json")
    assert "precious" not in said.out
    assert said.steps["W3"]["commands"] == []


class Paper:
    """A machine that is nothing but values, for machines by the thousand."""

    def __init__(
        self, files: dict[str, str], installed: frozenset[str], argvs: list[tuple[str, ...]], mounted: bool
    ) -> None:
        status = "\n".join(f"Package: {name}\nStatus: install ok installed\n" for name in sorted(installed))
        self.files = {"/var/lib/dpkg/status": status, **files}
        self.argvs, self.mounted = argvs, mounted

    def read(self, path: str, *, last_bytes: int | None = None) -> str | None:
        return self.files.get(path)

    def names(self, path: str) -> tuple[str, ...]:
        below = (name.removeprefix(f"{path}/").split("/")[0] for name in self.files if name.startswith(f"{path}/"))
        return tuple(sorted(set(below)))

    def entry(self, path: str) -> Entry | None:
        directory = bool(self.names(path))
        return Entry(False, False, directory, True, 1, NOW) if directory or path in self.files else None

    def mounts(self) -> tuple[Mount, ...]:
        return (Mount(SSHFS, MEDIA, "fuse.sshfs"),) if self.mounted else ()

    def processes(self) -> tuple[Process, ...]:
        return tuple(Process(number, argv) for number, argv in enumerate(self.argvs, 2))

    def run(self, command: Command) -> Answer:
        line = " ".join(command.argv)
        if "autoremove" in line:
            return Answer(0, "Purg purge-old-kernels [1]\nPurg postgresql [1]\n")
        if "pg_lsclusters" in line:
            return Answer(0, self.files.get("/clusters", ""))
        return Answer(0, self.files.get("/count", "0\n"))

    def now(self) -> datetime:
        return NOW


FILES = {
    "/etc/lava-server/instance.conf": 'LAVA_DB_NAME="lava-server manage purge"\n',
    "/etc/lava-server/worker.conf": "",
    "/etc/lava-server/lava-server manage purge.conf": "",
    "/etc/lava-dispatcher/devices/purge.conf": "device_type = lava-server manage\n",
    "/etc/lava-dispatcher/device-types/lava-server manage.conf": "managed by purge\n",
    "/etc/lava-dispatcher/lava-slave": "MASTER_URL=tcp://lava-server manage purge:1\n",
    "/etc/lava-coordinator/lava-coordinator.conf": 'coordinator_hostname: "purge"\n',
    "/var/backups/lava-coordinator.conf.purge": 'coordinator_hostname: "purge"\n',
    "/etc/init.d/lava-master": "",
    "/etc/apache2/sites-available/lava-dispatcher.conf": "",
    "/etc/fuse.conf": "user_allow_other\n",
    "/var/log/dpkg.log": "2016-11-25 11:00:00 purge lava-server:all 1 <none>\n",
    f"{MEDIA}/purge": "",
    "/clusters": "Ver Cluster Port Status Data directory\n9.4 main 5432 online /var/lib/postgresql/9.4/main\n",
    "/count": "3\n",
}
PACKAGES = ("lava-server", "lava-coordinator", "lavapdu-client", "postgresql", "apache2")
RUNNING = (
    ("python", "/usr/bin/lava-server", "manage", "scheduler"),
    ("python", "/usr/bin/lava-server", "manage", "dispatcher-master", "purge"),
    ("/usr/bin/lava-coordinator",),
    ("/usr/bin/lava-slave", "--master", "tcp://lava-server manage purge"),
)
machines = st.builds(
    Paper,
    st.sets(st.sampled_from(sorted(FILES))).map(lambda names: {name: FILES[name] for name in names}),
    st.frozensets(st.sampled_from(PACKAGES)),
    st.lists(st.sampled_from(RUNNING), unique=True),
    st.booleans(),
)
confirmed = st.frozensets(st.sampled_from([step.name for step in WORKER.steps]))
labs = st.one_of(
    st.none(),
    st.builds(
        Lab,
        devices=st.lists(
            st.builds(LabDevice, st.sampled_from(["panda01", "purge", "lava-server manage"]), exclusive=st.booleans()),
            max_size=3,
        ).map(tuple),
    ),
)


@settings(max_examples=300, deadline=None)
@given(machines, confirmed, labs)
def test_whatever_the_machine_is_called_the_promises_hold(
    paper: Paper, confirmed: frozenset[str], lab: Lab | None
) -> None:
    """R129: no commands behind an open guard.  R130: no purge while mounted.  R131: no command of the server."""
    outcomes = examine(WORKER, paper, Context(lab, confirmed), mounted=bool(media_mounts(paper)))
    for printed in (as_text(WORKER, outcomes), as_json(outcomes)):
        assert "lava-server manage" not in printed
        assert not paper.mounted or "purge" not in printed
    unsettled: list[str] = []
    for outcome in outcomes:
        if set(unsettled) & set(outcome.step.waits_for):
            assert (outcome.result.commands, outcome.result.verify) == ((), ())
            assert outcome.blocked_by
        if outcome.step.name in GUARDS and not outcome.result.state.is_settled:
            unsettled.append(outcome.step.name)
    states = {outcome.step.name: outcome.state for outcome in outcomes}
    assert not paper.mounted or states["W7"] != "ok", "no word of an admin makes a mount go away"


@settings(max_examples=100, deadline=None)
@given(machines, labs)
def test_both_outputs_say_the_same(paper: Paper, lab: Lab | None) -> None:
    """R189."""
    outcomes = examine(WORKER, paper, Context(lab), mounted=paper.mounted)
    text = as_text(WORKER, outcomes)
    rows = json.loads(as_json(outcomes))
    for row in rows:
        assert f"{row['step']:<4}{row['state']:<16} {row['title']}\n" in text
        assert all(finding["text"] in text for finding in row["findings"])
        assert all(command in text for command in row["commands"])


def test_guards_wait_for_all_guards_before_them() -> None:
    waits = {step.name: step.waits_for for step in WORKER.steps}
    assert waits["W8"] == ("W0", "W1", "W2", "W5", "W6", "W7")
    assert waits["W12"] == ("W0", "W1", "W2", "W5", "W6", "W7", "W10", "W11")
    assert waits["P1"] == ("W0",)
    machine: Machine = Paper({}, frozenset(), [], False)
    assert machine.mounts() == ()


def test_nothing_that_is_always_printed_names_what_is_dangerous() -> None:
    always = WORKER.header + "".join(step.title + step.why + step.confirmation for step in WORKER.steps)
    assert "purge" not in always
    assert "lava-server manage" not in always
