"""What a virtual machine is started with, its disk of tests above all: dispatcher specification 10.1, 15.7, 17."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lava.dispatcher.methods.guest_disk import GuestDisk
from lava.model.errors import ConfigurationError, InfrastructureError, JobError

DEBUGFS = shutil.which("debugfs") or shutil.which("debugfs", path="/usr/sbin:/sbin")

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None or DEBUGFS is None, reason="qemu-img or e2fsprogs is not installed"
)

GUEST = {"size": 8, "interface": "virtio", "driveid": "lavatest"}
METADATA = {"format": "Lava-Test Test Definition 1.0", "name": "x"}

Boot = Callable[..., Any]


@pytest.fixture
def boot(execute: Callable[..., Any], tmp_path: Path) -> Boot:
    """Deploy and boot; the pretended QEMU writes its words to a file, keeps its disk, and ends."""
    program = tmp_path / "qemu"
    program.write_text(f"""#!/bin/sh
[ "$1" = --version ] && {{ echo 'QEMU emulator version 9.9.1 (Debian)'; exit; }}
for word in "$@"; do printf '%s\\0' "$word"; done > {tmp_path}/words
for directory in {tmp_path}/scratch/apply-overlay-guest-*; do
    [ -d "$directory" ] && cp -r "$directory" {tmp_path}/kept
done
exit 0
""")
    program.chmod(0o755)

    async def boot(
        images: dict[str, Any],
        *,
        guest: Any = GUEST,
        steps: tuple[str, ...] = ("true",),
        options: list[str] | None = None,
        context: dict[str, Any] | None = None,
    ) -> Any:
        device = {
            "available_architectures": ["amd64", "arm64"],
            "constants": {
                "default-shell-prompt": "# ",
                "kernel-start-message": "",
                "posix": {
                    "lava_test_sh_cmd": "/bin/sh",
                    "lava_test_results_dir": "/lava-%s",
                    "lava_test_shell_file": "",
                },
            },
            "actions": {
                "deploy": {"methods": {"image": {"parameters": {"guest": guest}}}, "connections": {}},
                "boot": {
                    "methods": {"qemu": {"parameters": {"command": str(program), "options": options or []}}},
                    "connections": {},
                },
            },
        }
        inline = {"metadata": METADATA, "run": {"steps": list(steps)}}
        definition = {"from": "inline", "name": "x", "path": "x.yaml", "repository": inline}
        return await execute(
            device,
            {"deploy": {"to": "tmpfs", "images": images}},
            {"boot": {"method": "qemu", "media": "tmpfs", "prompts": ["# "]}},
            {"test": {"definitions": [definition]}},
            context={"arch": "amd64"} if context is None else context,
        )

    return boot


@pytest.fixture
def image(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "kernel").write_bytes(b"kernel")
    return {"url": (tmp_path / "kernel").as_uri(), "image_arg": "-kernel {kernel}"}


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def words(tmp_path: Path) -> list[str]:
    return (tmp_path / "words").read_text().split("\0")[:-1]


async def test_the_disk_holds_the_tests(boot: Boot, image: dict[str, Any], tmp_path: Path) -> None:
    outcome = await boot({"kernel": image})
    assert isinstance(outcome.verdict.error, InfrastructureError)  # this QEMU ends at once
    raw, disk = tmp_path / "kept" / "lava-guest.raw", tmp_path / "kept" / "lava-guest.qcow2"
    assert "Filesystem volume name:   LAVA\n" in said(str(DEBUGFS), "-R", "stats", str(raw))
    assert raw.stat().st_size == 8 * 1024 * 1024
    assert said(str(DEBUGFS), "-R", "cat /bin/lava-test-runner", str(raw)).startswith("#!/bin/sh\n")
    assert "export TESTRUN_ID=0_x" in said(str(DEBUGFS), "-R", "cat /0/tests/0_x/run.sh", str(raw))
    described = json.loads(said("qemu-img", "info", "-U", "--output=json", str(disk)))
    assert (described["format"], described["backing-filename-format"]) == ("qcow2", "raw")
    drive = words(tmp_path)[-1]
    assert words(tmp_path)[-2] == "-drive"
    assert drive.startswith(f"format=qcow2,file={tmp_path}/scratch/apply-overlay-guest-")
    assert drive.endswith("/lava-guest.qcow2,media=disk,if=virtio,id=lavatest")


def test_a_comma_in_its_path_is_no_option() -> None:
    disk = GuestDisk(Path("/tmp/lab,1/disk.qcow2"), "ide", "lavatest")
    assert disk.arguments == [
        "-drive",
        "format=qcow2,file=/tmp/lab,,1/disk.qcow2,media=disk,if=ide,id=lavatest",
    ]


@pytest.mark.slow
async def test_tests_that_do_not_fit_on_the_disk(boot: Boot, image: dict[str, Any]) -> None:
    outcome = await boot({"kernel": image}, guest={**GUEST, "size": 1}, steps=("x" * 1_200_000,))
    assert isinstance(outcome.verdict.error, InfrastructureError)
    assert "mke2fs" in str(outcome.verdict.error)
    assert "Could not allocate block" in str(outcome.verdict.error)


@pytest.mark.parametrize("guest", [{"size": 8}, "nonsense"])
async def test_a_device_that_does_not_say_how(boot: Boot, image: dict[str, Any], guest: Any, tmp_path: Path) -> None:
    outcome = await boot({"kernel": image}, guest=guest)
    assert isinstance(outcome.verdict.error, ConfigurationError)
    assert "guest with size, interface and driveid" in str(outcome.verdict.error)
    assert not (tmp_path / "words").exists()


@pytest.mark.parametrize(("program", "package"), [("mke2fs", "e2fsprogs"), ("qemu-img", "qemu-utils")])
async def test_a_program_that_is_missing_is_named_with_its_package(
    boot: Boot, image: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, package: str
) -> None:
    """R18-R20: what is only recommended may be missing; a job that needs it says so, and there is no heavy library."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for other in {"mke2fs", "qemu-img", "sh", "cp"} - {program}:
        (programs / other).symlink_to(shutil.which(other) or f"/usr/sbin/{other}")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("lava.dispatcher.methods.guest_disk._ADMIN_PATH", str(programs))
    outcome = await boot({"kernel": image})
    assert isinstance(outcome.verdict.error, InfrastructureError)
    assert str(outcome.verdict.error) == f"'{program}' is not installed on the worker (Debian package {package})"


class TestCommandLine:
    async def test_options_then_images_in_the_order_of_the_job(
        self, boot: Boot, image: dict[str, Any], tmp_path: Path
    ) -> None:
        second = {**image, "image_arg": "-drive format=raw,file={rootfs},if=virtio"}
        outcome = await boot({"kernel": image, "rootfs": second}, options=["-nographic", "-append 'quiet splash'"])
        given = words(tmp_path)
        assert given[:3] == ["-nographic", "-append", "quiet splash"]
        assert given[3] == "-kernel"
        assert given[4].endswith("/kernel/kernel")
        assert given[5] == "-drive"
        assert given[6].startswith(f"format=raw,file={tmp_path}/scratch/")
        (result,) = [record for record in outcome.results if record["case"] == "execute-qemu"]
        assert result["extra"]["qemu_version"] == "9.9.1"
        assert result["extra"]["job_arch"] == "amd64"

    async def test_a_name_with_blanks_and_quotes_is_one_word(
        self, boot: Boot, image: dict[str, Any], tmp_path: Path
    ) -> None:
        odd = tmp_path / "it's my kernel"
        odd.write_bytes(b"kernel")
        await boot({"kernel": {**image, "url": f"file://{odd}"}})
        assert words(tmp_path)[1].endswith("/kernel/it's my kernel")

    async def test_an_argument_that_cannot_be_split(self, boot: Boot, image: dict[str, Any]) -> None:
        outcome = await boot({"kernel": {**image, "image_arg": "-append 'open"}})
        assert isinstance(outcome.verdict.error, JobError)
        assert 'image_arg "-append \'open" cannot be split into words' in str(outcome.verdict.error)

    async def test_the_job_says_which_machine(self, boot: Boot, image: dict[str, Any]) -> None:
        outcome = await boot({"kernel": image}, context={})
        assert isinstance(outcome.verdict.error, JobError)
        assert "context.arch is needed" in str(outcome.verdict.error)
