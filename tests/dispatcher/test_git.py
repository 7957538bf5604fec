"""Cloning on the worker, with the real git: dispatcher specification 7.7."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lava.dispatcher.git import GitSource, Remote, clone
from lava.dispatcher.joblog import JobLog
from lava.model.errors import InfrastructureError, JobError
from lava.spool import LogFile

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(directory: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    names = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    command = ["git", *names, "-C", str(directory), *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits on ``main``, one more on ``other``."""
    directory = tmp_path / "repository"
    directory.mkdir()
    git(directory, "init", "-q")
    for number in (1, 2):
        (directory / "file").write_text(f"{number}\n")
        git(directory, "add", "file")
        git(directory, "commit", "-q", "-m", str(number))
    git(directory, "checkout", "-q", "-b", "other")
    (directory / "file").write_text("other\n")
    git(directory, "commit", "-q", "-a", "-m", "other")
    git(directory, "checkout", "-q", "main")
    return directory


@pytest.fixture
def log(tmp_path: Path) -> Iterator[JobLog]:
    log = JobLog(LogFile(tmp_path / "logs.yaml"))
    yield log
    log.close()


async def test_the_tip_of_the_default_branch_is_cloned_without_history(
    repository: Path, tmp_path: Path, log: JobLog
) -> None:
    target = tmp_path / "clone"
    commit = await clone(GitSource(str(repository)), target, log)
    assert commit == git(repository, "rev-parse", "main")
    assert (target / "file").read_text() == "2\n"
    assert git(target, "rev-list", "--count", "HEAD") == "1"


async def test_a_branch_a_revision_and_no_git_directory(repository: Path, tmp_path: Path, log: JobLog) -> None:
    assert await clone(GitSource(f"file://{repository}", branch="other"), tmp_path / "a", log)
    assert (tmp_path / "a" / "file").read_text() == "other\n"
    first = git(repository, "rev-parse", "main~1")
    assert await clone(GitSource(str(repository), revision=first, history=False), tmp_path / "b", log) == first
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["file"]


async def test_a_branch_or_revision_that_is_not_there_is_the_submitters_fault(
    repository: Path, tmp_path: Path, log: JobLog
) -> None:
    with pytest.raises(JobError, match="Remote branch nosuch not found"):
        await clone(GitSource(str(repository), branch="nosuch"), tmp_path / "a", log)
    with pytest.raises(JobError, match="no revision 'nosuch'"):
        await clone(GitSource(str(repository), revision="nosuch"), tmp_path / "b", log)


async def test_what_looks_like_an_option_is_none(repository: Path, tmp_path: Path, log: JobLog) -> None:
    with pytest.raises(JobError, match="'--force' is no revision"):
        await clone(GitSource(str(repository), revision="--force"), tmp_path / "a", log)
    with pytest.raises((JobError, InfrastructureError)):
        await clone(GitSource("--upload-pack=touch pwned"), tmp_path / "b", log, attempts=1)
    assert not (tmp_path / "pwned").exists()


async def test_an_unreachable_repository_is_tried_again_and_then_the_labs_fault(tmp_path: Path, log: JobLog) -> None:
    retries: list[int] = []
    with pytest.raises(InfrastructureError, match="3 attempts"):
        await clone(
            GitSource("http://127.0.0.1:9/x.git"),
            tmp_path / "a",
            log,
            attempts=3,
            pause_seconds=0,
            on_retry=lambda: retries.append(1),
        )
    assert len(retries) == 2


class Ailing(SimpleHTTPRequestHandler):
    """Serves files, after it was unavailable twice."""

    refusals = 2

    def do_GET(self) -> None:
        if Ailing.refusals > 0:
            Ailing.refusals -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_a_server_that_comes_back_and_knows_no_shallow_clones(
    repository: Path, tmp_path: Path, log: JobLog
) -> None:
    git(repository, "update-server-info")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ailing, directory=str(repository / ".git"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        retries: list[int] = []
        url = f"http://127.0.0.1:{server.server_port}/"
        commit = await clone(GitSource(url), tmp_path / "a", log, pause_seconds=0, on_retry=lambda: retries.append(1))
        server.shutdown()
    assert commit == git(repository, "rev-parse", "main")
    assert len(retries) == 2
    assert git(tmp_path / "a", "rev-list", "--count", "HEAD") == "2"


def test_credentials_go_by_the_environment_only() -> None:
    remote = Remote.parse("https://$USER_NAME:p%40ss@example.com/x.git", {"USER_NAME": "me"})
    assert remote.url == "https://example.com/x.git"
    environment = remote.environment({})
    assert environment["LAVA_GIT_USERNAME"] == "me"
    assert environment["LAVA_GIT_PASSWORD"] == "p@ss"
    filled = subprocess.run(
        ["git", "credential", "fill"],
        input="protocol=https\nhost=example.com\n\n",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "username=me\n" in filled.stdout
    assert "password=p@ss\n" in filled.stdout


@pytest.mark.parametrize(
    "url", ["git@example.com:x.git", "ssh://git@example.com/x.git", "https://example.com/x.git", "file:///x.git"]
)
def test_other_addresses_stay_as_they_are(url: str) -> None:
    assert Remote.parse(url, {}).url == url
