"""The commands that the doctor may run: none changes anything, and none leaves this machine.

The database is asked over its UNIX socket only: ``instance.conf`` of a V1 worker names the master's database.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

#: status of a command that is not there, as a shell gives it
NOT_FOUND = 127
#: file with the answers of commands, in a copy of a machine's files
ANSWERS = "doctor-answers.yaml"
_SECONDS = 60
_DATABASE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.$-]*")


@dataclass(frozen=True, slots=True)
class ListClusters:
    """List the PostgreSQL clusters of this machine."""

    @property
    def argv(self) -> tuple[str, ...]:
        return ("pg_lsclusters",)


@dataclass(frozen=True, slots=True)
class CountJobs:
    """Count the jobs in a database of this machine."""

    port: int
    database: str

    def __post_init__(self) -> None:
        """Refuse what psql would read as an address: the database of another machine is not asked."""
        if not _DATABASE_NAME.fullmatch(self.database):
            raise ValueError(f"{self.database!r} is no name of a database")

    @property
    def argv(self) -> tuple[str, ...]:
        return _psql(self.port, self.database, "SELECT count(id) from lava_scheduler_app_testjob;")


@dataclass(frozen=True, slots=True)
class ListDatabases:
    """List the databases of a cluster of this machine."""

    port: int

    @property
    def argv(self) -> tuple[str, ...]:
        return _psql(self.port, "postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate;")


@dataclass(frozen=True, slots=True)
class SimulateAutoremove:
    """Say what autoremove would remove; neither a lock nor a cache of apt is written."""

    @property
    def argv(self) -> tuple[str, ...]:
        no_files = ("Debug::NoLocking=true", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=")
        options = (word for option in no_files for word in ("-o", option))
        return ("apt-get", "--simulate", *options, "--purge", "autoremove")


Command = ListClusters | CountJobs | ListDatabases | SimulateAutoremove
_ALLOWED = (ListClusters, CountJobs, ListDatabases, SimulateAutoremove)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered."""

    status: int
    output: str = ""
    error: str = ""

    @property
    def is_missing(self) -> bool:
        """The program is not installed."""
        return self.status == NOT_FOUND


class Runner(Protocol):
    """Answers commands."""

    def run(self, command: Command) -> Answer:
        """Return the answer; of a command that cannot be run, a status other than 0 and the reason."""


class SystemRunner:
    """Run the commands of the list on this machine."""

    def run(self, command: Command) -> Answer:
        if not isinstance(command, _ALLOWED):
            raise TypeError(f"{command!r} is not in the list of commands")
        # No PGHOST, no PGSERVICE, and the messages in English.
        environment = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                command.argv,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                check=False,
                env=environment,
                timeout=_SECONDS,
                cwd="/",
            )
        except FileNotFoundError:
            return Answer(NOT_FOUND, error=f"{command.argv[0]}: not found")
        except (OSError, subprocess.TimeoutExpired) as error:
            return Answer(1, error=str(error))
        return Answer(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class RecordedRunner:
    """Answer from what was written down on the machine whose files are looked at."""

    answers: Mapping[str, Answer]

    @classmethod
    def of(cls, root: Path) -> RecordedRunner:
        """Read the answers beside the files, if there are any.

        Raises:
            ValueError: the file is not a list of ``command``, ``status``, ``output``, ``error``.
        """
        path = root / ANSWERS
        try:
            rows = yaml.safe_load(path.read_text(encoding="utf-8")) or []
            answers = {
                str(row["command"]): Answer(int(row.get("status", 0)), row.get("output") or "", row.get("error") or "")
                for row in rows
            }
        except FileNotFoundError:
            return cls({})
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: must be a list of command, status, output and error: {error}") from error
        return cls(answers)

    def run(self, command: Command) -> Answer:
        line = shlex.join(command.argv)
        missing = Answer(
            1, error=f"only files are here: run this on the machine and put its answer into {ANSWERS}: {line}"
        )
        return self.answers.get(line, missing)


def _psql(port: int, database: str, query: str) -> tuple[str, ...]:
    socket = "--host=/var/run/postgresql"
    return (
        *("runuser", "-u", "postgres", "--", "psql", "--no-psqlrc", "--no-align", "--tuples-only", "--no-password"),
        *(socket, f"--port={port}", f"--dbname={database}", f"--command={query}"),
    )
