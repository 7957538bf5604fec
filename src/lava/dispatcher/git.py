"""Clone git repositories on the worker.  Source: dispatcher specification 7.7.

A user name and password in the address are given to git through its environment, which only this user can read:
they stand in no process list, in no log and not in the clone that goes to the device.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from lava.model.errors import InfrastructureError, JobError

from .commands import Completed, run_command
from .joblog import JobLog

ATTEMPTS = 6
PAUSE_SECONDS = 5.0

#: what git says when trying again is of no use, and the submitter has to act
_HOPELESS = (
    "Remote branch",
    "not found in upstream",
    "does not appear to be a git repository",
    "is not a valid repository name",
    "detected dubious ownership",
)
#: what git says when the server can give a repository only as a whole
_NO_SHALLOW = ("does not support shallow", "dumb http transport")


@dataclass(frozen=True, slots=True)
class GitSource:
    """What to clone."""

    url: str
    branch: str | None = None
    revision: str | None = None
    #: None: yes, unless a revision is asked for
    shallow: bool | None = None
    #: keep ``.git``
    history: bool = True
    #: submodules, too
    recursive: bool = False

    @property
    def is_shallow(self) -> bool:
        """Whether only the tip is fetched."""
        return self.revision is None if self.shallow is None else self.shallow


@dataclass(frozen=True, slots=True)
class Remote:
    """An address as git gets it, apart from what is secret about it."""

    url: str
    username: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str, environment: Mapping[str, str]) -> Remote:
        """Expand ``$NAME`` and ``${NAME}``, take the credentials out, and make an address of a path."""
        url = _expand(url, environment)
        if url.startswith("/"):
            return cls(f"file://{url}")  # a plain path would be cloned as a whole, whatever the depth
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.username is None:
            return cls(url)
        host = parts.netloc.rpartition("@")[2]
        return cls(
            urlunsplit(parts._replace(netloc=host)),
            unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
        )

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return git's environment: it asks nobody, answers in English, and knows the credentials."""
        environment = {**inherited, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C"}
        if self.username is not None:
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "credential.helper",
                "GIT_CONFIG_VALUE_0": '!echo "username=$LAVA_GIT_USERNAME"; echo "password=$LAVA_GIT_PASSWORD"; :',
                "LAVA_GIT_USERNAME": self.username,
                "LAVA_GIT_PASSWORD": self.password or "",
            }
        return environment


def _expand(text: str, environment: Mapping[str, str]) -> str:
    if "$" not in text:
        return text
    for name in sorted(environment, key=len, reverse=True):
        text = text.replace(f"${{{name}}}", environment[name]).replace(f"${name}", environment[name])
    return text


async def clone(
    source: GitSource,
    directory: Path,
    log: JobLog,
    *,
    attempts: int = ATTEMPTS,
    pause_seconds: float = PAUSE_SECONDS,
    on_retry: Callable[[], None] = lambda: None,
) -> str:
    """Clone into ``directory``, which must not exist, and return the id of the commit.

    Raises:
        JobError: there is no such branch or revision, or that is no repository.
        InfrastructureError: it did not work for as often as it was tried.
    """
    if source.revision is not None and source.revision.startswith("-"):
        raise JobError(f"'{source.revision}' is no revision")  # git would take it for an option
    remote = Remote.parse(source.url, os.environ)
    environment = remote.environment(os.environ)
    shallow = source.is_shallow
    for attempt in range(1, attempts + 1):
        completed = await _clone_once(remote.url, source, shallow, directory, log, environment)
        if completed.status == 0:
            break
        await asyncio.to_thread(shutil.rmtree, directory, True)
        if shallow and any(text in completed.output for text in _NO_SHALLOW):
            log.debug("the server gives the repository only as a whole")
            shallow = False
        elif any(text in completed.output for text in _HOPELESS):
            raise JobError(f"cannot clone {remote.url}: {_reason(completed)}")
        elif attempt < attempts:
            log.warning(f"cannot clone {remote.url} ({attempt} of {attempts}): {_reason(completed)}")
            on_retry()
            await asyncio.sleep(pause_seconds)
    else:
        raise InfrastructureError(f"cannot clone {remote.url}, {attempts} attempts: {_reason(completed)}")
    if source.revision is not None:
        checkout = await run_command(
            ["git", "-C", str(directory), "checkout", "--quiet", "--detach", source.revision, "--"],
            log,
            check=False,
            environment=environment,
        )
        if checkout.status:
            raise JobError(f"{remote.url} has no revision '{source.revision}': {_reason(checkout)}")
    head = await run_command(["git", "-C", str(directory), "rev-parse", "HEAD"], log, check=False, quiet=True)
    if head.status:
        raise JobError(f"{remote.url} is empty: it has no commit")
    if not source.history:
        await asyncio.to_thread(shutil.rmtree, directory / ".git")
    return head.output.strip()


async def _clone_once(
    url: str, source: GitSource, shallow: bool, directory: Path, log: JobLog, environment: Mapping[str, str]
) -> Completed:
    command = ["git", "clone"]
    if source.recursive:
        command.append("--recurse-submodules")
        if shallow:
            command.append("--shallow-submodules")
    if source.branch is not None:
        command += ["--branch", source.branch]
    if shallow:
        command.append("--depth=1")
    return await run_command([*command, "--", url, str(directory)], log, check=False, environment=environment)


def _reason(completed: Completed) -> str:
    """Return git's own words, the line that says most."""
    lines = [line for line in completed.output.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or ["no output"])[0].removeprefix("fatal: ").removeprefix("error: ")
