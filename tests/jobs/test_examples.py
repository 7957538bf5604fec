"""Every example job, by the real ``lava-run`` on the real guest: what it reports, to the last number."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.devices import SHIPPED, Templates
from lava.guest import GuestError, build, default_cache, kvm_works

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def guest() -> Path:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    try:
        return build(default_cache(), say=print)
    except GuestError as error:
        pytest.skip(f"the guest cannot be built here: {error}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository of the test definitions that the examples use."""
    work = tmp_path / "definitions"
    shutil.copytree(Path(str(files("lava.embedded").joinpath("examples"))), work)
    author = ["-c", "user.name=LAVA", "-c", "user.email=lava@localhost", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Definitions."]):
        subprocess.run(["git", *author, *arguments], cwd=work, check=True)
    return work


@pytest.fixture
def run_example(run_job: Callable[..., Any], guest: Path, repository: Path, tmp_path: Path) -> Callable[[str], Any]:
    """Run an example on a device that is rendered from the shipped template."""

    def run(name: str) -> Any:
        text = (EXAMPLES / name).read_text()
        dictionary = ["{% extends 'qemu.jinja2' %}", f"{{% set static_info = [{{'GUEST': '{guest.as_uri()}'}}] %}}"]
        if not kvm_works(guest):
            dictionary.append("{% set no_kvm = True %}")
        devices = tmp_path / "devices"
        devices.mkdir()
        (devices / "qemu-01.jinja2").write_text("\n".join(dictionary))
        context = yaml.safe_load(text)["context"]
        configuration = Templates(devices, [SHIPPED]).render(
            "qemu-01.jinja2", hostname="qemu-01", device_type="qemu", context=context
        )
        environment = {"EXAMPLES": str(repository)}
        outcome = run_job(text, configuration=configuration, environment=environment, timeout=380)
        assert not (tmp_path / "scratch" / "42").exists()
        return outcome

    return run


def reported(outcome: Any) -> list[dict[str, Any]]:
    """Return what the tests reported, without the numbers of the lines; these point at the console's words."""
    found = []
    for record in outcome.results:
        if record["definition"] != "lava":
            first, last = record.pop("starttc"), record.pop("endtc")
            assert first <= last
            lines = [outcome.log[number] for number in (first, last)]
            assert all(line["lvl"] == "target" and record["case"] in line["msg"] for line in lines)
            found.append(record)
    return found


def lava_of(outcome: Any) -> list[tuple[str, str]]:
    """Return the cases of the suite of the job itself."""
    return [case for case in outcome.cases("lava") if case[0][:1].isdigit() or case[0] in ("validate", "job")]


def case(definition: str, name: str, result: str, **more: Any) -> dict[str, Any]:
    return {"definition": definition, "case": name, "result": result, **more}


def smoke(outcome: Any) -> None:
    assert outcome.verdict == {"definition": "lava", "case": "job", "result": "pass"}
    assert outcome.status == 0
    assert outcome.text("error") == ""
    found = reported(outcome)
    measured = {record["case"]: record.pop("measurement") for record in found if "measurement" in record}
    assert found == [
        case("0_smoke", "kernel", "pass"),
        case("0_smoke", "proc-mounted", "pass", set="files"),
        case("0_smoke", "fails-on-purpose", "fail", set="files"),
        case("0_smoke", "hardware-clock", "skip"),
        case("0_smoke", "boot-time", "pass", units="seconds"),
        case("1_network", "interface-up", "pass"),
        case("1_network", "ping-self", "pass"),
        case("2_memory", "memory-total", "pass", units="kB"),
        case("2_memory", "memory-free", "pass", units="kB"),
    ]
    assert measured.keys() == {"boot-time", "memory-total", "memory-free"}
    assert 0 < measured["boot-time"] < 300
    assert 100_000 < measured["memory-total"] < 256 * 1024
    assert 0 < measured["memory-free"] < measured["memory-total"]
    assert lava_of(outcome) == [
        ("validate", "pass"),
        *((name, "pass") for name in ("0_smoke", "1_network", "2_memory")),
        ("job", "pass"),
    ]
    runs = {record["case"]: record for record in outcome.results if record.get("uuid")}
    assert runs["0_smoke"]["repository"] == "inline"
    assert re.fullmatch("[0-9a-f]{40}", runs["1_network"]["commit_id"])
    assert runs["2_memory"]["commit_id"] == runs["1_network"]["commit_id"]
    assert runs["1_network"]["path"] == "network.yaml"


def gives_up(outcome: Any) -> None:
    outcome.failed("Test", "no camera is attached")
    assert outcome.verdict["error_msg"] == "no camera is attached"
    assert reported(outcome) == [case("0_preconditions", "can-start", "pass")]
    assert lava_of(outcome) == [("validate", "pass"), ("0_preconditions", "fail"), ("job", "fail")]


def panics(outcome: Any) -> None:
    outcome.failed("Job", "Kernel panic - not syncing: ")
    assert reported(outcome) == [case("0_crash", "alive", "pass")]
    assert lava_of(outcome) == [("validate", "pass"), ("0_crash", "fail"), ("job", "fail")]
    (messages,) = [record for record in outcome.results if record["case"] == "kernel-messages"]
    assert messages["result"] == "fail"
    (message,) = messages["extra"]["extra"]
    assert message["kind"] == "panic"
    assert "Kernel panic - not syncing: " in message["message"]


EXPECTED: Mapping[str, Callable[[Any], None]] = {
    "qemu-smoke.yaml": smoke,
    "qemu-raise.yaml": gives_up,
    "qemu-panic.yaml": panics,
}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_an_example(run_example: Callable[[str], Any], name: str) -> None:
    EXPECTED[name](run_example(name))
