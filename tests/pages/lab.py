"""The lab of a test instance: does what a user, the scheduler and a slave do, by the functions that these use.

A program of its own: reads one command a line (JSON: name and keywords) and answers each with one line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.test import Client  # noqa: E402

from lava.master.scheduler.rounds import run_round  # noqa: E402
from lava.model.logline import Level, encode_lines  # noqa: E402
from lava.model.states import DeviceHealth, WorkerState  # noqa: E402
from lava.server.actions import lifecycle  # noqa: E402
from lava.server.actions.ingest import Chunk, store_chunks  # noqa: E402
from lava.server.actions.submit import submit_job  # noqa: E402
from lava.server.models import AuthToken, Device, DeviceType, TestJob, Worker  # noqa: E402

COMMANDS: dict[str, Callable[..., Any]] = {}


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    COMMANDS[function.__name__] = function
    return function


@command
def user(name: str, superuser: bool = False) -> dict[str, str]:
    """Make a user; return an API token and the key of a session."""
    account = User.objects.create_user(name, password="correct horse battery", is_superuser=superuser)
    client = Client()
    client.force_login(account)
    return {"token": AuthToken.objects.create(user=account).secret, "session": str(client.session.session_key)}


@command
def device(name: str, health: str = "GOOD") -> None:
    """Add a device to the lab's one worker."""
    worker, _ = Worker.objects.get_or_create(pk="localhost", defaults={"state": WorkerState.ONLINE})
    kind, _ = DeviceType.objects.get_or_create(pk="qemu")
    Device.objects.create(hostname=name, device_type=kind, worker_host=worker, health=DeviceHealth[health])


@command
def submit(user: str, text: str) -> int:
    return submit_job(User.objects.get(username=user), text).pk


@command
def schedule() -> int:
    return run_round()


@command
def start(job: int) -> bool:
    return lifecycle.job_started("localhost", str(job))


def _store(job: int, lines: bytes) -> int | None:
    (answer,) = store_chunks([Chunk("localhost", str(job), TestJob.objects.get(pk=job).log_length, lines)])
    return answer


@command
def log(job: int, lines: list[list[str]]) -> int | None:
    """Append lines of (level, text)."""
    now = datetime.now(UTC)
    chunk = b"".join(encode_lines(now, Level(level), [text]) for level, text in lines)
    return _store(job, chunk)


@command
def flood(job: int, count: int) -> int | None:
    chunk = encode_lines(datetime.now(UTC), Level.TARGET, [f"flood {number}" for number in range(count)])
    return _store(job, chunk)


@command
def raw(job: int, text: str) -> int | None:
    """Append lines as some other writer made them."""
    return _store(job, text.encode())


@command
def end(job: int, description: str = "") -> bool:
    length = TestJob.objects.get(pk=job).log_length
    report = {"log_length": length, "exit_status": 0, "error_text": "", "description": description}
    return lifecycle.job_ended("localhost", str(job), **report)  # type: ignore[arg-type]


@command
def show(job: int) -> dict[str, Any]:
    found = TestJob.objects.get(pk=job)
    return {"state": found.job_state.text, "health": found.job_health.text, "submitter": found.submitter.get_username()}


def main() -> None:
    for line in sys.stdin:
        name, keywords = json.loads(line)
        print(json.dumps(COMMANDS[name](**keywords)), flush=True)


if __name__ == "__main__":
    main()
