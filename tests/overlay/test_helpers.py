"""The helpers run on real shells: dispatcher specification 12.6."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lava.dispatcher.overlay.helpers import FAMILIES, helpers

DEVICE = {
    "parameters": {"interfaces": {"target": {"ip": "10.0.0.5", "mac": "00:11:22:33:44:55"}}},
    "static_info": [{"other": "x"}, {"probe_ip": "10.0.0.9", "probe_channel": "2"}],
    "storage_info": [{"SATA": "/dev/disk/by-id/ata-1"}, {"USB": "/dev/disk/by-id/usb-1"}],
}
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module", params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``sh`` and the programs that the helpers may use."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "busybox":
        subprocess.run([program, "--install", "-s", str(directory)], check=True)
    else:
        (directory / "sh").symlink_to(program)
        for name in ("cat", "date", "grep", "kill", "mkdir", "mv", "rm", "sed", "setsid", "sleep", "tr", "uname"):
            if found := shutil.which(name):
                (directory / name).symlink_to(found)
    return directory


def install(shell: Path, target: Path, distribution: str | None = None) -> Path:
    target.mkdir(parents=True)
    for name, content in helpers(str(shell / "sh"), distribution, DEVICE):
        (target / name).write_text(content)
        (target / name).chmod(0o755)
    return target


@pytest.fixture
def run(shell: Path, tmp_path: Path) -> Iterator[Run]:
    """Run a shell line on a system that has nothing but the shell's programs and the helpers."""
    programs = install(shell, tmp_path / "lava-1" / "bin")

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{programs}:{shell}", "SHELL": str(shell / "sh"), **variables}
        return subprocess.run(
            [str(shell / "sh"), "-c", line],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )

    yield run
    for pid in tmp_path.rglob("pid"):
        os.kill(int(pid.read_text()), 15)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        (
            "lava-test-case a --shell true",
            "<LAVA_SIGNAL_STARTTC a>|<LAVA_SIGNAL_ENDTC a>|<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>",
        ),
        (
            "lava-test-case a --shell 'echo one; exit 3'",
            "<LAVA_SIGNAL_STARTTC a>|one|<LAVA_SIGNAL_ENDTC a>|<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=fail>",
        ),
        (
            "lava-test-case a --shell echo 'two  words'",
            "<LAVA_SIGNAL_STARTTC a>|two  words|<LAVA_SIGNAL_ENDTC a>|"
            "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>",
        ),
        ("lava-test-case a --result skip", "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=skip>"),
        (
            "lava-test-case a --measurement 1.5 --units MB/s --result pass",
            "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass UNITS=MB/s MEASUREMENT=1.5>",
        ),
        (
            "echo content >file; lava-test-case a --result pass --output file",
            "<LAVA_SIGNAL_STARTTC a>|content|<LAVA_SIGNAL_ENDTC a>|<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>",
        ),
        ("lava-test-case 'a b' --result pass 2>&-", "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a_b RESULT=pass>"),
        ("lava-test-set start io", "<LAVA_SIGNAL_TESTSET START io>"),
        ("lava-test-set stop", "<LAVA_SIGNAL_TESTSET STOP>"),
        (
            "lava-test-reference r --result fail --reference https://example.com/?a=b",
            "<LAVA_SIGNAL_TESTREFERENCE r fail https://example.com/?a=b>",
        ),
        ("lava-test-event half way 'x -> y'", "<LAVA_SIGNAL_TESTEVENT half way x -_ y>"),
        ("lava-test-feedback --namespace other", "<LAVA_SIGNAL_TESTFEEDBACK other>"),
        ("lava-target-ip", "10.0.0.5"),
        ("lava-target-mac", "00:11:22:33:44:55"),
        ("lava-probe-ip", "10.0.0.9"),
        ("lava-probe-channel", "2"),
        ("lava-target-storage", "\tSATA\t/dev/disk/by-id/ata-1|\tUSB\t/dev/disk/by-id/usb-1"),
        ("lava-target-storage USB", "/dev/disk/by-id/usb-1"),
        ("lava-install-packages a b", ""),
        ("lava-lxc-device-add", ""),
    ],
)
def test_helper_prints_and_succeeds(run: Run, line: str, printed: str) -> None:
    done = run(line)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{row}\n" for row in printed.split("|") if printed)


@pytest.mark.parametrize(
    "line",
    [
        "lava-test-case",
        "lava-test-case a",
        "lava-test-case a --result",
        "lava-test-case a --units ms",
        "lava-test-case a --result pass --nosuch x",
        "lava-test-set start",
        "lava-test-set jump",
        "lava-test-reference r --result pass",
        "lava-test-event",
        "lava-test-feedback other",
        "lava-test-runner",
        "lava-target-storage NVME",
        "lava-echo-ipv4",
        "lava-background-process-stop nosuch",
        "lava-background-process-start name",
    ],
)
def test_wrong_use_fails_with_a_word_and_no_signal(run: Run, line: str) -> None:
    done = run(line)
    assert done.returncode == 1
    assert done.stderr
    assert done.stdout == ""


def test_raise_fails_so_that_the_test_ends(run: Run) -> None:
    done = run("set -e; lava-test-raise no disk; echo not reached")
    assert done.returncode == 1
    assert done.stdout == "<LAVA_SIGNAL_TESTRAISE no disk>\n"


def test_signals_go_to_the_kernel_log_when_asked(run: Run, tmp_path: Path) -> None:
    common = tmp_path / "lava-1" / "bin" / "lava-common-functions"
    common.write_text(common.read_text().replace("/dev/kmsg", str(tmp_path / "kmsg")))
    done = run("lava-test-case a --result pass", KMSG="true")
    assert done.stdout == ""
    assert (tmp_path / "kmsg").read_text() == "<0><LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>\n"


def test_os_build_says_what_it_is(run: Run) -> None:
    assert run("lava-os-build").stdout.strip()


def test_a_background_process_runs_until_it_is_stopped(run: Run, tmp_path: Path) -> None:
    done = run(
        "lava-background-process-start beat --cmd 'echo beat >>beats; sleep 60';"
        "while ! [ -s beats ]; do sleep 0.05; done;"
        "pid=$(cat results/beat/pid); kill -0 $pid && echo running;"
        "lava-background-process-stop beat; while kill -0 $pid 2>/dev/null; do sleep 0.05; done; echo stopped",
        LAVA_RESULT_DIR=str(tmp_path),
    )
    assert done.stdout == "running\nstopped\n"


def test_a_second_background_process_of_the_name_is_refused(run: Run, tmp_path: Path) -> None:
    line = "lava-background-process-start beat --cmd 'sleep 60'"
    done = run(f"{line}; {line}; echo $?; lava-background-process-stop beat", LAVA_RESULT_DIR=str(tmp_path))
    assert done.stdout == "1\n"


def make_test(stage: Path, name: str, script: str, install: str | None = None) -> None:
    directory = stage / "tests" / name
    directory.mkdir(parents=True)
    (directory / "run.sh").write_text(script)
    if install is not None:
        (directory / "install.sh").write_text(install)
    with (stage / "lava-test-runner.conf").open("a") as conf:
        conf.write(f"{directory}\n")


def test_the_runner_runs_every_test_and_says_that_it_is_over(run: Run, tmp_path: Path) -> None:
    stage = tmp_path / "lava-1" / "0"
    make_test(stage, "0_first", "set -e\necho first\nfalse\necho not reached\n", "echo prepared")
    make_test(stage, "1_second", "cat\necho second in $(pwd)\n")
    make_test(stage, "2_third", "echo not reached\n", "exit 7")
    make_test(stage, "3_fourth", "# USE_KMSG\necho KMSG=$KMSG\n")
    done = run(f"lava-test-runner {stage}; echo again; lava-test-runner {stage}")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("lava-test-runner:")]
    assert lines == [
        "prepared",
        "first",
        f"second in {stage}/tests/1_second",
        "<LAVA_TEST_RUNNER INSTALL_FAIL>",
        "KMSG=true",
        "<LAVA_TEST_RUNNER EXIT>",
        "again",
        "<LAVA_TEST_RUNNER EXIT>",
    ]
    results = {path.name.rpartition("-")[0]: path for path in (stage / "results").iterdir()}
    codes = {name: (path / "return_code").read_text().strip() for name, path in results.items() if name != "2_third"}
    assert codes == {"0_first": "1", "1_second": "0", "3_fourth": "0"}
    assert (results["2_third"] / "install_return_code").read_text() == "7\n"
    assert not (results["2_third"] / "return_code").exists()


def test_the_runner_says_that_it_is_over_when_it_is_killed(run: Run, tmp_path: Path) -> None:
    stage = tmp_path / "lava-1" / "0"
    make_test(stage, "0_first", "kill -TERM $PPID\n")
    done = run(f"lava-test-runner {stage}")
    assert done.stdout.splitlines()[-1] == "<LAVA_TEST_RUNNER EXIT>"


@pytest.mark.parametrize("distribution", sorted(FAMILIES))
def test_versions_for_distributions_replace_the_generic_ones(shell: Path, tmp_path: Path, distribution: str) -> None:
    programs = install(shell, tmp_path / "bin", distribution)
    generic = dict(helpers(str(shell / "sh"), None, DEVICE))
    assert {path.name for path in programs.iterdir()} == set(generic)
    assert any(path.read_text() != generic[path.name] for path in programs.iterdir())
    for path in programs.iterdir():
        checked = subprocess.run([str(shell / "sh"), "-n", str(path)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_packages_are_installed_with_several_attempts(shell: Path, tmp_path: Path) -> None:
    programs = install(shell, tmp_path / "bin", "debian")
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "apt-get").write_text(
        f'#!{shell}/sh\necho "apt-get $*"\ncase $* in *install*) echo x >>{tmp_path}/n; '
        f"[ $(grep -c x {tmp_path}/n) -ge 3 ];; esac\n"
    )
    common = programs / "lava-common-functions"  # busybox has a sleep of its own, which no PATH replaces
    common.write_text(common.read_text().replace("sleep 60", "echo sleep 60"))
    for path in fake.iterdir():
        path.chmod(0o755)
    done = subprocess.run(
        [str(programs / "lava-install-packages"), "curl", "jq"],
        env={"PATH": f"{fake}:{programs}:{shell}"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0
    assert done.stdout.count("sleep 60") == 2
    assert done.stdout.splitlines()[-1].endswith("install curl jq")
