"""run.sh, install.sh, environment and secrets: dispatcher specification 12.3, 12.4."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.dispatcher.overlay.environment import DeviceEnvironment, secrets_text
from lava.dispatcher.overlay.scripts import Script, describe
from lava.model.errors import JobError
from lava.model.test_definition import TestDefinition, parse_test_definition


def a_definition(**keys: Any) -> TestDefinition:
    metadata = {"format": "Lava-Test Test Definition 1.0", "name": "smoke", "description": "d", "os": ["debian"]}
    return parse_test_definition({"metadata": metadata, **keys}, where="smoke.yaml")


def a_script(definition: TestDefinition, **keys: Any) -> Script:
    return Script("0_smoke", "/lava-1/0/tests/0_smoke", definition, keys.pop("variables", {}), **keys)


def shells() -> list[list[str]]:
    found = [[path] for path in [shutil.which("dash")] if path]
    busybox = shutil.which("busybox")
    return found + ([[busybox, "ash"]] if busybox else [])


def test_run_sh() -> None:
    definition = a_definition(
        params={"SIZE": 64, "NOTHING": None},
        run={"steps": ["echo $SIZE", None, "lava-test-case a --shell awk '{print $1}' file"]},
    )
    assert (
        a_script(definition, variables={"SIZE": "it's 128"}).run_sh()
        == """\
# variables of the test definition
SIZE='64'
NOTHING=''
# variables of the job
SIZE='it'\\''s 128'
set -e
set -x
export TESTRUN_ID=0_smoke
cd /lava-1/0/tests/0_smoke
UUID="$(cat uuid)"
set +x
echo "<LAVA_SIGNAL_STARTRUN $TESTRUN_ID $UUID>"
set -x
echo $SIZE
lava-test-case a --shell awk '{print \\$1}' file
set +x
echo "<LAVA_SIGNAL_ENDRUN $TESTRUN_ID $UUID>"
"""
    )


def test_run_sh_by_the_kernel_log_and_typed_slowly() -> None:
    text = a_script(a_definition(), kmsg=True, character_delay=timedelta(milliseconds=5)).run_sh()
    assert text.splitlines() == [
        "# USE_KMSG",
        "# variables of the test definition",
        "# variables of the job",
        "set -e",
        "set -x",
        "export TESTRUN_ID=0_smoke",
        "cd /lava-1/0/tests/0_smoke",
        'UUID="$(cat uuid)"',
        "set +x",
        "export CHARACTER_DELAY=0.005",
        "sleep 0.005",
        "export KMSG=true",
        'echo "<0><LAVA_SIGNAL_STARTRUN $TESTRUN_ID $UUID>" > /dev/kmsg',
        "set -x",
        "set +x",
        "sleep 0.005",
        'echo "<0><LAVA_SIGNAL_ENDRUN $TESTRUN_ID $UUID>" > /dev/kmsg',
        "unset KMSG",
    ]


INSTALL = {
    "keys": ["key1", "key2"],
    "sources": ["deb http://example.com x main"],
    "deps": ["curl"],
    "deps-debian": ["jq"],
    "deps-fedora": ["jq-f"],
    "steps": ["make"],
}


def test_install_sh() -> None:
    script = a_script(a_definition(install=INSTALL))
    assert (
        script.install_sh("debian")
        == """\
# variables of the test definition
# variables of the job
set -e
set -x
lava-add-keys key1
lava-add-keys key2
lava-add-sources deb http://example.com x main
lava-install-packages curl jq
cd /lava-1/0/tests/0_smoke
pwd
make
"""
    )


def test_there_is_no_install_sh_without_an_install() -> None:
    assert a_script(a_definition()).install_sh() is None


@pytest.mark.parametrize(
    ("skipped", "left"),
    [
        ("keys", "sources packages steps"),
        ("sources", "keys packages steps"),
        ("deps", "keys sources steps"),
        ("steps", "keys sources packages"),
        ("all", ""),
    ],
)
def test_the_job_leaves_parts_of_the_installation_out(skipped: str, left: str) -> None:
    text = a_script(a_definition(install=INSTALL), skip_install=(skipped,)).install_sh("debian")
    assert text is not None
    marks = {"keys": "lava-add-keys", "sources": "lava-add-sources", "packages": "lava-install", "steps": "make"}
    assert [part for part, mark in marks.items() if mark in text] == left.split()


def test_a_parameter_that_no_shell_takes_is_the_submitters_fault() -> None:
    with pytest.raises(JobError, match="'a-b' cannot be the name"):
        a_script(a_definition(), variables={"a-b": 1}).run_sh()


def test_metadata() -> None:
    assert describe(a_definition(), source="git", repository="https://example.com/x", commit="abc") == {
        "os": ["debian"],
        "devices": None,
        "environment": None,
        "branch_vcs": "git",
        "project_name": "https://example.com/x",
        "commit_id": "abc",
    }


def test_environment() -> None:
    environment = DeviceEnvironment(
        job_id="7.1",
        device={
            "environment": {"DUT": "x y"},
            "device_info": [{"board_id": "007"}],
            "static_info": [{"a-b": {"c": [1, True]}}],
            "storage_info": [{"SATA": "/dev/sda"}],
            "hostname": "board-1",
            "devicetype": "board",
        },
        job={"FLAG": False, "COUNT": 3, "EMPTY": None},
        tags=("usb", "fast"),
        dispatcher_ip="10.0.0.1",
        dispatcher_prefix="p-",
        http_cache="http://cache/?%s",
    )
    assert (
        environment.text()
        == """\
export DUT='x y'
export LAVA_DEVICE_INFO_0_board_id=007
export LAVA_STATIC_INFO_0_a_b_c_0=1
export LAVA_STATIC_INFO_0_a_b_c_1=1
export LAVA_STORAGE_INFO_0_SATA=/dev/sda
export FLAG=0
export COUNT=3
export EMPTY=''
export LAVA_JOB_ID=7.1
export LAVA_DISPATCHER_IP=10.0.0.1
export LAVA_JOB_TAGS=usb,fast
export LAVA_DISPATCHER_PREFIX=p-
export LAVA_DEVICE_HOSTNAME=board-1
export LAVA_DEVICE_TYPE=board
export HTTP_CACHE='http://cache/?%s'
"""
    )


def test_what_is_not_known_is_left_out() -> None:
    text = DeviceEnvironment(job_id="1", device={}).text()
    assert text == "export LAVA_JOB_ID=1\nexport LAVA_JOB_TAGS=''\nexport LAVA_DISPATCHER_PREFIX=''\n"


def test_secrets_come_before_the_labs_variables() -> None:
    assert secrets_text({"TOKEN": "a'b"}, {"PROXY": "http://p"}) == "TOKEN='a'\"'\"'b'\nPROXY=http://p\n"


@pytest.mark.skipif(not shells(), reason="neither dash nor busybox is installed")
@settings(deadline=None, max_examples=15)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=40))
def test_every_value_arrives_as_it_is_written(value: str) -> None:
    script = a_script(a_definition(), variables={"VALUE": value})
    run_sh = script.run_sh().split("set -e\n")[0] + 'printf %s "$VALUE"'
    environment = DeviceEnvironment(job_id="1", device={}, job={"VALUE": value}).text() + 'printf %s "$VALUE"'
    secrets = secrets_text({"VALUE": value}, {}) + 'printf %s "$VALUE"'
    for shell in shells():
        for text in (run_sh, environment, secrets):
            done = subprocess.run([*shell, "-c", text], capture_output=True, check=True)
            assert done.stdout == value.encode()


@pytest.mark.skipif(not shells(), reason="neither dash nor busybox is installed")
def test_a_failing_step_ends_the_run_without_an_end_marker(tmp_path: Path) -> None:
    (tmp_path / "uuid").write_text("1_1.1\n")
    for steps, ended in ((["echo one"], True), (["false", "echo one"], False)):
        definition = a_definition(run={"steps": steps})
        script = Script("0_smoke", str(tmp_path), definition, {})
        (tmp_path / "run.sh").write_text(script.run_sh())
        for shell in shells():
            done = subprocess.run([*shell, "-e", str(tmp_path / "run.sh")], capture_output=True, text=True)
            assert "<LAVA_SIGNAL_STARTRUN 0_smoke 1_1.1>" in done.stdout
            assert ("<LAVA_SIGNAL_ENDRUN 0_smoke 1_1.1>" in done.stdout) is ended
            # A marker that stands in the trace would be taken for the marker itself.
            assert "LAVA_SIGNAL" not in done.stderr
