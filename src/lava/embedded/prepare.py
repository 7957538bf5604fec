"""Fill the data directory of an embedded instance on its first start, and keep what is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

from lava.guest import GuestError, build, default_cache, kvm_works

from .layout import DEVICE, DEVICE_TYPE, WORKER, Layout

_MARK = "{# written by 'lava up' at every start; take this line away to keep your changes #}"


class PrepareError(Exception):
    """The data directory cannot be prepared; the message says why and what to do."""


def prepare(layout: Layout, environment: Mapping[str, str], *, say: Callable[[str], None]) -> None:
    """Make everything that is missing in the data directory.

    Raises:
        PrepareError: the database cannot be set up.
    """
    for directory in (
        layout.logs,
        layout.scratch,
        layout.devices,
        layout.slave_state,
        layout.dispatcher_configuration,
    ):
        directory.mkdir(parents=True, exist_ok=True)
    _prepare_device(layout, say)
    _prepare_worker(layout)
    _prepare_examples(layout)
    _prepare_database(environment)


def _prepare_device(layout: Layout, say: Callable[[str], None]) -> None:
    dictionary = layout.devices / f"{DEVICE}.jinja2"
    if dictionary.exists() and not dictionary.read_text().startswith(_MARK):
        return
    try:
        guest = build(default_cache(), say=say)
        address, emulated = guest.as_uri(), not kvm_works(guest)
    except GuestError as error:
        say(f"warning: no demonstration guest, the example jobs cannot run: {error}")
        address, emulated = "file:///no-guest", True
    lines = [_MARK, "{% extends 'qemu.jinja2' %}", "{% set static_info = [{'GUEST': '" + address + "'}] %}"]
    if emulated:
        lines.append("{% set no_kvm = True %}{# KVM does not work on this machine #}")
    dictionary.write_text("\n".join(lines) + "\n")


def _prepare_worker(layout: Layout) -> None:
    configuration = layout.dispatcher_configuration / "dispatcher.yaml"
    if not configuration.exists():
        configuration.write_text(
            "# Given to every job of this worker; see the documentation of dispatcher.yaml.\n"
            f"dispatcher_download_dir: {layout.scratch}\n"
            "dispatcher_ip: 127.0.0.1\n"
        )
    environment = layout.dispatcher_configuration / "env.yaml"
    if not environment.exists():
        environment.write_text(
            "# Environment of the job processes: definitions may use these names in repository addresses.\n"
            "overrides:\n"
            f"  EXAMPLES: {layout.examples}\n"
        )


def _prepare_examples(layout: Layout) -> None:
    """Make a git repository of the test definitions that the example jobs use."""
    if layout.examples.exists():
        return
    work = layout.scratch / "examples"
    shutil.copytree(Path(str(files("lava.embedded").joinpath("examples"))), work, dirs_exist_ok=True)
    author = ["-c", "user.name=LAVA", "-c", "user.email=lava@localhost", "-c", "init.defaultBranch=main"]
    try:
        for arguments in (
            ["init", "-q"],
            ["add", "."],
            ["commit", "-q", "-m", "Test definitions of the examples."],
        ):
            subprocess.run(["git", *author, *arguments], cwd=work, check=True, capture_output=True)
        clone = ["git", "clone", "-q", "--bare", str(work), str(layout.examples)]
        subprocess.run(clone, check=True, capture_output=True)
    except FileNotFoundError:
        raise PrepareError("git is missing: install it, jobs fetch their test definitions with it") from None
    except subprocess.CalledProcessError as error:
        raise PrepareError(f"git cannot make {layout.examples}: {error.stderr.decode().strip()}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _prepare_database(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "lava.server.main", "manage", "prepare_instance"]
    command += ["--worker", WORKER, "--device-type", DEVICE_TYPE, "--device", DEVICE]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no output"]
        raise PrepareError(f"the database cannot be prepared: {last[0]}")
