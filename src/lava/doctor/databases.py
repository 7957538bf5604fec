"""The PostgreSQL clusters of this machine, asked over their sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .commands import Answer, CountJobs, ListClusters, ListDatabases
from .machine import CannotTell, Machine
from .processes import program

DATA = "/var/lib/postgresql"
_SYSTEM = frozenset({"postgres", "template0", "template1"})
_NO_DATABASE = re.compile(r'FATAL:\s+database ".*" does not exist')
_NO_TABLE = re.compile(r'ERROR:\s+relation ".*" does not exist')


@dataclass(frozen=True, slots=True)
class Cluster:
    """A line of ``pg_lsclusters``."""

    version: str
    name: str
    port: int
    is_online: bool
    directory: str


def clusters(machine: Machine) -> tuple[Cluster, ...]:
    """Return the clusters of this machine; columns are found by their headers.

    Raises:
        CannotTell: there is PostgreSQL here, and it cannot be asked.
    """
    answer = machine.run(ListClusters())
    if answer.is_missing:
        if directories := data_directories(machine):
            raise CannotTell(
                f"PostgreSQL's programs are not installed, and {directories[0]} is there: it cannot be asked"
            )
        if any(program(process) in ("postgres", "postmaster") for process in machine.processes()):
            raise CannotTell("a PostgreSQL runs here that pg_lsclusters does not know")
        return ()
    if answer.status:
        raise CannotTell(f"pg_lsclusters: {_reason(answer)}")
    return tuple(parse_clusters(answer.output))


def parse_clusters(output: str) -> list[Cluster]:
    """Return the clusters in the output of ``pg_lsclusters``, whatever the order of its columns.

    Raises:
        CannotTell: there is no header with the columns that are needed.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    if not lines:
        return []
    header = re.sub(r"Data directory|Log file", lambda match: match[0].replace(" ", "_"), lines[0]).lower().split()
    wanted = ("ver", "cluster", "port", "status")
    if any(name not in header for name in wanted):
        raise CannotTell(f"the header of pg_lsclusters was not understood: {lines[0].strip()}")
    found = []
    for line in lines[1:]:
        row = dict(zip(header, line.split(), strict=False))
        if not row.get("port", "").isdigit():
            raise CannotTell(f"a line of pg_lsclusters was not understood: {line.strip()}")
        directory = row.get("data_directory") or f"{DATA}/{row['ver']}/{row['cluster']}"
        found.append(
            Cluster(row["ver"], row["cluster"], int(row["port"]), row["status"].startswith("online"), directory)
        )
    return found


def data_directories(machine: Machine) -> tuple[str, ...]:
    """Return the data directories in the usual place."""
    return tuple(
        f"{DATA}/{version}/{name}"
        for version in machine.names(DATA)
        if re.fullmatch(r"\d+(\.\d+)?", version)
        for name in machine.names(f"{DATA}/{version}")
    )


def count_jobs(machine: Machine, cluster: Cluster, database: str) -> int | None:
    """Return how many jobs are in a database; None when there is no such database.

    Raises:
        CannotTell: it could not be asked.
    """
    _need_online(cluster)
    try:
        command = CountJobs(cluster.port, database)
    except ValueError as error:
        raise CannotTell(str(error)) from error
    answer = machine.run(command)
    if answer.status == 0 and answer.output.strip().isdigit():
        return int(answer.output.strip())
    if _NO_DATABASE.search(answer.error):
        return None
    if _NO_TABLE.search(answer.error):
        return 0
    raise CannotTell(f"the database {database} could not be asked: {_reason(answer)}")


def other_databases(machine: Machine, cluster: Cluster, own: str) -> tuple[str, ...]:
    """Return the databases of a cluster that are neither LAVA's nor PostgreSQL's own.

    Raises:
        CannotTell: it could not be asked.
    """
    _need_online(cluster)
    answer = machine.run(ListDatabases(cluster.port))
    if answer.status:
        raise CannotTell(f"the databases of cluster {cluster.version} {cluster.name}: {_reason(answer)}")
    names = {line.strip() for line in answer.output.splitlines() if line.strip()}
    return tuple(sorted(names - _SYSTEM - {own}))


def _need_online(cluster: Cluster) -> None:
    if not cluster.is_online:
        raise CannotTell(
            f"the cluster {cluster.version} {cluster.name} does not run: start it, so that it can be asked"
        )


def _reason(answer: Answer) -> str:
    lines = answer.error.strip().splitlines()
    return lines[0] if lines else f"exit status {answer.status}"
