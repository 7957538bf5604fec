"""How the overlay is numbered and packed: dispatcher specification 10.1, 12.2."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from lava.dispatcher.overlay.archive import write_archive
from lava.dispatcher.overlay.repositories import inside, read_definition
from lava.dispatcher.overlay.stages import repeated_names, stage_of, stages_of
from lava.model.errors import JobError
from lava.model.job import DefinitionsTest, MonitorsTest, TestBlock


def a_block(*names: str) -> DefinitionsTest:
    definitions = [{"from": "git", "repository": "https://x/y", "path": "a.yaml", "name": name} for name in names]
    return DefinitionsTest.model_validate({"definitions": definitions})


def test_runs_are_numbered_through_all_blocks_and_stages_count_shell_tests() -> None:
    monitors = MonitorsTest.model_validate({"monitors": [{"name": "m", "start": "a", "end": "b", "pattern": "c"}]})
    tests: list[TestBlock] = [a_block("a", "b"), monitors, a_block("c")]
    stages = stages_of(tests)
    assert [[run.suite for run in stage.runs] for stage in stages] == [["0_a", "1_b"], ["2_c"]]
    assert [stage.number for stage in stages] == [0, 1]


def test_equal_blocks_are_told_apart() -> None:
    tests = [a_block("a"), a_block("a")]
    assert tests[0] == tests[1]
    assert [stage_of(test, tests).number for test in tests] == [0, 1]
    assert repeated_names(stages_of(tests)) == ["a"]


def test_the_archive_belongs_to_root_keeps_modes_and_leaves_the_devices_directories_alone(tmp_path: Path) -> None:
    top = tmp_path / "tree" / "data" / "tmp" / "lava-1"
    (top / "bin").mkdir(parents=True)
    (top / "bin" / "helper").write_text("x")
    (top / "bin" / "helper").chmod(0o755)
    (top / "secrets").write_text("x")
    (top / "secrets").chmod(0o600)
    (top / "link").symlink_to("bin")
    archive = tmp_path / "overlay.tar.gz"
    write_archive(archive, tmp_path / "tree", [top])
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar}
    assert list(members) == [f"data/tmp/lava-1{name}" for name in ("", "/bin", "/bin/helper", "/link", "/secrets")]
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "root")}
    assert (members["data/tmp/lava-1/bin/helper"].mode & 0o777, members["data/tmp/lava-1/secrets"].mode & 0o777) == (
        0o755,
        0o600,
    )
    assert members["data/tmp/lava-1/link"].issym()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x"])
def test_a_path_that_leads_out_of_the_repository_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(JobError, match="leads out of the repository"):
        inside(tmp_path, path)


def test_a_link_that_leads_out_of_the_repository_is_refused(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (tmp_path / "outside.yaml").write_text("metadata: {}")
    (repository / "a.yaml").symlink_to("../outside.yaml")
    with pytest.raises(JobError, match="leads out of the repository"):
        read_definition(repository, "a.yaml", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata: {name: x", "not YAML"),
        ("metadata: {format: nonsense, name: x}\nrun: {steps: [a]}", r"'nonsense' is no known format \(line 1"),
        ("metadata:\n  format: Lava-Test Test Definition 1.0\n  name: x\nrun: {}", r"run\.steps: required \(line 4"),
    ],
)
def test_a_definition_that_cannot_be_used_says_where(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(JobError, match=message):
        read_definition(tmp_path, "a.yaml", "a")
