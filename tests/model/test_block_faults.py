"""What is wrong with an action block is said with its path, place, reason and remedy.  Job definition 7-11, 14."""

from __future__ import annotations

import pytest

from lava.model.faults import Fault, SubmissionError
from lava.model.job import parse_job_text, strict_warnings
from lava.model.yaml_source import Source

_HEAD = """\
job_name: a job
device_type: qemu
visibility: public
timeouts: {job: {minutes: 10}}
actions:
"""
#: where the block stands
_LINE, _INDENT = 6, 2


def block(text: str) -> str:
    """Return the job with one action."""
    return f"{_HEAD}- {text}\n"


def faults_of(text: str, *, strict: bool = False) -> list[Fault]:
    try:
        parse_job_text(text, strict=strict)
    except SubmissionError as error:
        return list(error.faults)
    return []


BLOCKS = [
    ("deploy: {images: {}}", "deploy.to", 1, "required", "for example 'to: "),
    ("deploy: {to: tftpp}", "deploy.to", 10, "unknown method 'tftpp'", "did you mean 'tftp'?"),
    ("deploy: {to: [a]}", "deploy.to", 10, "unknown method '['a']'", ""),
    ("deploy: {to: tmpfs}", "deploy.images", 1, "required", ""),
    ("deploy: {to: tmpfs, images: {}}", "deploy.images", 21, "at least one image is needed", "write 'name: {url: …}'"),
    ("deploy: {to: tmpfs, images: {a/b: {url: u}}}", "deploy.images", 21, "'a/b' is no name for an image", "one word"),
    ("deploy: {to: tmpfs, images: {a: {}}}", "deploy.images.a.url", 30, "required", ""),
    (
        "deploy: {to: tmpfs, images: {a: {url: u/}}}",
        "deploy.images.a.url",
        34,
        "the address of a file must not end",
        "",
    ),
    (
        "deploy: {to: tmpfs, images: {a: {url: u, compression: lzma}}}",
        "deploy.images.a.compression",
        42,
        "the text 'lzma' is none of the choices",
        "one of: bz2, gz, xz, zip, zstd",
    ),
    (
        "deploy: {to: tmpfs, images: {a: {url: u, sha256sum: abc}}}",
        "deploy.images.a.sha256sum",
        42,
        "the text 'abc' has a wrong form",
        "it must match ^[0-9a-fA-F]{64}$",
    ),
    (
        "deploy: {to: tmpfs, images: {a: {url: u, overlays: {x: {url: v, format: tar, path: b}}}}}",
        "deploy.images.a.overlays.x.path",
        78,
        "'b' is no absolute path",
        "start with '/'",
    ),
    (
        "deploy: {to: tftp, nfsrootfs: {url: u}, persistent_nfs: {address: a}}",
        "deploy",
        1,
        "nfsrootfs and persistent_nfs exclude each other",
        "keep one of them",
    ),
    (
        "deploy: {to: tftp, nfsrootfs: {url: u, prefix: /a}}",
        "deploy.nfsrootfs.prefix",
        40,
        "'/a' is no relative directory",
        "without a leading and with a trailing '/'",
    ),
    (
        "deploy: {to: nbd, kernel: {url: u}, nbdroot: {url: u}, initrd: {url: u}, ramdisk: {url: u}}",
        "deploy",
        1,
        "'ramdisk' cannot be used with nbd",
        "use initrd and nbdroot",
    ),
    ("deploy: {to: usb, device: d}", "deploy", 1, "exactly one of image and images is needed", ""),
    ("deploy: {to: docker, image: {name: 'A b'}}", "deploy.image.name", 30, "the text 'A b' has a wrong form", ""),
    ("deploy: {to: overlay, failure_retry: 0}", "deploy.failure_retry", 23, "must be at least 1, not the number 0", ""),
    (
        "deploy: {to: overlay, failure_retry: 2, repeat: 2}",
        "deploy",
        1,
        "failure_retry and repeat exclude each other",
        "keep one of them",
    ),
    (
        "deploy: {to: overlay, namespace: common}",
        "deploy.namespace",
        23,
        "the namespace 'common' is reserved",
        "choose another name",
    ),
    (
        "deploy: {to: overlay, timeout: {minutes: 11}}",
        "deploy.timeout",
        23,
        "Action timeout is larger than job timeout (0:11:00 > 0:10:00)",
        "raise timeouts.job or lower this one",
    ),
    ("boot: {}", "boot.method", 1, "required", "for example 'method: "),
    ("boot: {method: uboot}", "boot.method", 8, "unknown method 'uboot'", "did you mean 'u-boot'?"),
    ("boot: {method: u-boot}", "boot.commands", 1, "required", ""),
    ("boot: {method: minimal, prompts: ['']}", "boot.prompts[0]", 35, "must not be empty", ""),
    ("boot: {method: minimal, prompts: 5}", "boot.prompts", 25, "must be a list, not the number 5", ""),
    (
        "boot: {method: minimal, reset: 'no'}",
        "boot.reset",
        25,
        "must be true or false, not the text 'no'",
        "no quotes",
    ),
    ("boot: {method: minimal, auto_login: {username: root}}", "boot.auto_login.login_prompt", 25, "required", ""),
    (
        "boot: {method: minimal, auto_login: {login_prompt: 'l:', username: r, password_prompt: 'P:'}}",
        "boot.auto_login",
        25,
        "password_prompt needs a password",
        "write password: ''",
    ),
    (
        "boot: {method: minimal, transfer_overlay: {unpack_command: tar}}",
        "boot.transfer_overlay",
        25,
        "download_command is needed",
        "for example 'wget'",
    ),
    ("test: {timeout: {minutes: 1}}", "test", 1, "no kind of test", "add one of: definitions, interactive, monitors"),
    ("test: {definitions: []}", "test.definitions", 8, "must not be empty", ""),
    (
        "test: {definitions: [{from: svn, name: a, path: b, repository: c}]}",
        "test.definitions[0].from",
        23,
        "the text 'svn' is none of the choices",
        "one of: bzr, git, inline, tar, url",
    ),
    (
        "test: {definitions: [{from: git, name: a b, path: b, repository: c}]}",
        "test.definitions[0].name",
        34,
        "the text 'a b' has a wrong form",
        "it must match ^[-_a-zA-Z0-9.]+$",
    ),
    (
        "test: {definitions: [{from: git, name: lava, path: b, repository: c}]}",
        "test.definitions[0].name",
        34,
        "the name 'lava' is reserved",
        "",
    ),
    (
        "test: {definitions: [{from: inline, name: a, path: b, repository: c}]}",
        "test.definitions[0]",
        22,
        "repository of an inline definition is the test definition itself",
        "write a mapping below it",
    ),
    (
        "test: {definitions: [{from: git, name: a, path: b, repository: c, revision: d, shallow: true}]}",
        "test.definitions[0]",
        22,
        "revision cannot be combined with 'shallow: true'",
        "",
    ),
    (
        "test: {definitions: [{from: git, name: a, path: b, repository: c, skip_install: [dep]}]}",
        "test.definitions[0].skip_install",
        67,
        "'dep' cannot be skipped",
        "one of: keys, sources, deps, steps, git-repos, all",
    ),
    (
        "test: {definitions: [{from: inline, name: a, path: b, repository: {metadata: {name: x}}}]}",
        "test.definitions[0].repository.metadata.format",
        68,
        "required",
        "write 'format: Lava-Test Test Definition 1.0'",
    ),
    (
        "test: {interactive: [{name: a, prompts: ['='], script: [{command: a, delay: 1}]}]}",
        "test.interactive[0].script[0]",
        57,
        "a step does exactly one thing",
        "one of: command, delay",
    ),
    (
        "test: {monitors: [{name: a, start: b, end: c}]}",
        "test.monitors[0].pattern",
        19,
        "required",
        "",
    ),
    (
        "test: {monitors: [{name: a, start: b, end: c, pattern: d, fixupdict: {OK: passed}}]}",
        "test.monitors[0].fixupdict.OK",
        71,
        "the text 'passed' is none of the choices",
        "did you mean 'pass'?",
    ),
    ("command: {}", "command.name", 1, "required", ""),
]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("text", "path", "column", "message", "hint"), BLOCKS)
def test_faults_of_a_block(text: str, path: str, column: int, message: str, hint: str, strict: bool) -> None:
    faults = faults_of(block(text), strict=strict)
    assert [fault.place for fault in faults] == [f"actions[0].{path}"]
    assert faults[0].message.startswith(message)
    assert hint in faults[0].hint
    assert (faults[0].line, faults[0].column) == (_LINE, _INDENT + column)


STRICT_ONLY = [
    ("deploy: {to: tmpfs, images: {a: {url: u, sha1sum: x}}}", "deploy.images.a.sha1sum", "check its place"),
    ("deploy: {to: tmpfs, images: {a: {url: u, format: qcow2}}}", "deploy.images.a.format", "an image with overlays"),
    ("deploy: {to: downloads, images: {a: {url: u, type: image}}}", "deploy.images.a.type", "kernel of 'tftp'"),
    ("deploy: {to: tftp, dtb: {url: u, image_arg: x}}", "deploy.dtb.image_arg", "images of 'tmpfs'"),
    ("deploy: {to: tftp, dtbo: [{url: u, type: x}]}", "deploy.dtbo[0].type", "kernel of 'tftp'"),
    ("deploy: {to: overlay, overlay_backends: auto}", "deploy.overlay_backends", "did you mean 'overlay_backend'?"),
    ("boot: {method: qemu, connection: serial}", "boot.connection", "a virtual machine has one console"),
    ("boot: {method: minimal, prompt: ['#']}", "boot.prompt", "did you mean 'prompts'?"),
    ("boot: {method: minimal, media: tmpfs}", "boot.media", ""),
    ("boot: {method: u-boot, commands: nfs, docker: {image: debian}}", "boot.docker", ""),
    ("test: {monitors: [{name: a, start: b, end: c, pattern: d, x: 1}]}", "test.monitors[0].x", "check its place"),
    (
        "test: {definitions: [{from: git, name: a, path: b, repository: c, timeout: {minutes: 1}}]}",
        "test.definitions[0].timeout",
        "take it away",
    ),
    (
        "test: {definitions: [{from: inline, name: a, path: b, repository: {metadata: {name: x, format: Lava-Test "
        "Test Definition 1.0}, runs: {}}}]}",
        "test.definitions[0].repository.runs",
        "did you mean 'run'?",
    ),
]


@pytest.mark.parametrize(("text", "path", "hint"), STRICT_ONLY)
def test_a_key_that_means_nothing_is_a_fault_for_the_strict_reading_only(text: str, path: str, hint: str) -> None:
    job = block(text)
    assert faults_of(job) == []
    (fault,) = faults_of(job, strict=True)
    assert (fault.place, fault.message) == (f"actions[0].{path}", "unknown key")
    assert hint in fault.hint
    assert fault.line == _LINE
    assert strict_warnings(Source(job)) == [fault.as_warning()]


@pytest.mark.parametrize(
    "text",
    [
        "boot: {method: minimal}",
        "boot: {method: minimal, os: debian, type: zimage, connection: serial}",
        "boot: {method: u-boot, commands: []}",
        "boot: {method: qemu, media: tmpfs, prompts: '#'}",
        "boot: {method: fastboot, docker: {image: debian}}",
        "deploy: {to: docker, image: 'debian:12'}",
        "deploy: {to: tmpfs, type: monitor, images: {'partition:0': {url: u, compression: ''}}}",
        "deploy: {to: tmpfs, images: {a: {url: u, compression: none, image_arg: x}}}",
        "deploy: {to: tftp, kernel: {url: u, type: image}, ramdisk: {url: u, compression: gz, header: u-boot}}",
        "deploy: {to: tmpfs, images: {a: {url: u, format: ext4, overlays: {lava: true}}}}",
        "deploy: {to: avh, fw_package: {url: u, storage_file: nand, root_partition: 1}}",
        "command: {name: usbg_ms_commands_disable}",
        "test: {name: x, interactive: [{name: a, prompts: ['='], script: [{command: null}, {lava-sync: a}]}]}",
    ],
)
def test_what_is_legal_is_accepted_by_both_readings(text: str) -> None:
    assert faults_of(block(text), strict=True) == []
    assert len(parse_job_text(block(text), strict=True).blocks) == 1
