"""The doctor's command line: options, exit status, JSON, and its two names.  Source: R183, R187 to R189."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lava.doctor.context import load_lab
from lava.doctor.main import MODES, main, parser
from lava.server.main import main as server

from .conftest import Doctor
from .trees import CleanMaster, FreshWorker, MixedWorker, Tree

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "migrate-a-worker.md"


def test_r183_the_options_are_these() -> None:
    options = {word for action in parser()._actions for word in action.option_strings}
    assert options == {"-h", "--help", "--root", "--lab", "--only", "--confirm", "--json"}


def test_r183_it_is_installed_with_the_dispatcher() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["lava-dispatcher-doctor"] == f"{main.__module__}:{main.__name__}"


def test_r187_there_is_no_fix(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "--fix" not in out
    assert "Nothing is changed" in " ".join(out.split())
    assert "for this run only, nothing is recorded" in " ".join(out.split())


def test_r183_lava_server_doctor_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = CleanMaster(tmp_path / "root")
    assert main(["master", "--root", str(tree.root)]) == 0
    first = capsys.readouterr().out
    assert server(["doctor", "master", "--root", str(tree.root)]) == 0
    assert capsys.readouterr().out == first
    with pytest.raises(SystemExit) as end:
        server(["doctor", "slave"])
    assert end.value.code == 2
    assert "lava-server doctor: error: " in capsys.readouterr().err


def test_r183_on_a_worker_no_web_framework_is_needed(tmp_path: Path) -> None:
    tree = FreshWorker(tmp_path / "root")
    code = (
        "import sys\n"
        "sys.modules.update(django=None, psycopg=None, zmq=None)\n"
        "from lava.doctor.main import main\n"
        f"sys.exit(main(['worker', '--root', {str(tree.root)!r}, '--only', 'W3']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "W3  ok " in done.stdout


def test_r188_status(doctor: Doctor, worker: MixedWorker, tmp_path: Path) -> None:
    assert doctor("worker", FreshWorker(tmp_path / "fresh")).status == 0
    assert doctor("worker", worker).status == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["worker", "--only", "W21"], "there is no step W21; the steps are W0, P1, W1"),
        (["master", "--only", "W1"], "the steps are M0, M1, M2, M3, M4, O1, C1"),
        (["worker", "--confirm", "W11"], "W11 cannot be confirmed; these can: W1, W2, W5, W7, W15, W20"),
        (["slave"], "invalid choice: 'slave'"),
        ([], "required"),
        (["worker", "--fix"], "unrecognized arguments: --fix"),
    ],
)
def test_r188_wrong_usage_is_status_2(options: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(options)
    assert end.value.code == 2
    assert word in capsys.readouterr().err


def test_r188_a_root_that_cannot_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--root", str(tmp_path / "nowhere")]) == 2
    assert "nowhere cannot be looked at: No such file" in capsys.readouterr().err


def test_r189_json_is_a_list_of_objects(doctor: Doctor, worker: MixedWorker) -> None:
    rows = json.loads(doctor("worker", worker, "--json").out)
    assert [set(row) for row in rows] == [{"step", "state", "title", "findings", "commands", "blocked_by"}] * 22
    for row in rows:
        assert row["state"] in ("ok", "nothing to do", "open", "advice", "cannot tell") or (
            row["state"] == f"blocked by {row['blocked_by'][0]}"
        )
        for finding in row["findings"]:
            assert {name: type(value) for name, value in finding.items()} == {
                "text": str,
                "file": str,
                "line": int,
                "value": str,
            }


def test_only_prints_one_step_and_counts_only_it(doctor: Doctor, worker: MixedWorker) -> None:
    assert list(doctor("worker", worker, "--only", "w3", "--json").steps) == ["W3"]
    assert doctor("worker", worker, "--only", "W0").status == 0
    assert doctor("worker", worker, "--only", "W3").status == 1


def test_confirming_what_is_settled_says_nothing(doctor: Doctor, tmp_path: Path) -> None:
    fresh = FreshWorker(tmp_path / "root")
    assert doctor("worker", fresh, "--confirm", "W5").out == doctor("worker", fresh).out


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("devices: 3", "lab.yaml:1:1: devices: must be a list"),
        ("devices:\n- {exclusive: true}", "lab.yaml:2:3: devices[0]: needs a name"),
        ("devices:\n- {name: a, exclusive: maybe}", "devices[0].exclusive: must be true or false"),
        ("devices:\n- {name: a, worker: 3}", "devices[0].worker: must be text"),
        ("workers:\n- {name: a, last_seen: never}", "workers[0].last_seen: must be a date"),
        ("workers:\n- {name: a, colour: red}", "workers[0].colour: unknown (known: name, v1, certificate, last_seen)"),
        ("health_checks: all", "health_checks: must be a list of device types"),
        ("- 3", "must be a mapping"),
        ("{", "not YAML"),
    ],
)
def test_a_lab_file_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(text)
    assert main(["worker", "--root", str(Tree(tmp_path / "root").root), "--lab", str(file)]) == 2
    assert word in capsys.readouterr().err


def test_the_lab_file_of_the_documents_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(PAGE.read_text().split("```yaml\n")[1].split("```")[0])
    lab = load_lab(file)
    assert (lab.workers[0].certificate, lab.devices[0].exclusive, lab.health_checks) == ("rack-1", True, {"panda"})


@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_step_is_documented_in_order(mode: str) -> None:
    heading = {"worker": "## On each worker", "master": "## On the master"}[mode]
    section = PAGE.read_text().split(heading)[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z]\d+)(?:, ([A-Z]\d+))? \|", section, re.MULTILINE)
    assert [name for row in rows for name in row if name] == [step.name for step in MODES[mode].steps]


def test_a_lab_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--root", str(tmp_path), "--lab", str(tmp_path / "no.yaml")]) == 2
    assert "no.yaml: cannot be read" in capsys.readouterr().err


def test_dates_of_a_lab_file(doctor: Doctor, worker: MixedWorker) -> None:
    """With or without a time, with or without a zone."""
    worker.do_until("W19")
    for when in ("2016-11-26", "2016-11-25 12:00:00", "2016-11-25 13:00:00 +01:00"):
        text = f"devices: [{{name: panda01, last_health_check: {when}}}]\n"
        file = worker.root.parent / "lab.yaml"
        file.write_text(text)
        worker.lab = None  # type: ignore[assignment]
        said = doctor("worker", worker, "--json", "--lab", str(file))
        assert said.states()["W20"] == "ok", when


def test_names_on_the_machine_do_not_steer_the_terminal(doctor: Doctor, worker: MixedWorker) -> None:
    worker.do("P1", "W1", "W2", "W3")
    worker.write("/etc/lava-dispatcher/devices/\x1b[2J.txt", "")
    out = doctor("worker", worker, "--only", "W3").out
    assert "\x1b" not in out
    assert "\\x1b[2J.txt" in out


def test_both_modes_have_a_step_for_each_name() -> None:
    for mode in MODES.values():
        names = [step.name for step in mode.steps]
        assert len(set(names)) == len(names)
        for place, step in enumerate(mode.steps):
            assert set(step.waits_for) <= set(names[:place]), "a step waits for earlier ones only"
