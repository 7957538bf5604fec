"""W5, W9: the worker's own database, and the cluster it is in."""

from __future__ import annotations

from ..commands import ListClusters
from ..context import Context
from ..databases import Cluster, clusters, count_jobs, data_directories, other_databases
from ..facts import BACKUPS, dated, quoted
from ..history import v1_was_here
from ..machine import CannotTell, Machine, files_below
from ..result import Finding, Result, State, nothing, ok
from ..settings import Setting, instance


def records(machine: Machine, context: Context) -> Result:
    """Count the jobs in the worker's own database.  Source: R137 to R143."""
    name = instance(machine, "LAVA_DB_NAME")
    try:
        found = clusters(machine)
        counts = [(cluster, count_jobs(machine, cluster, name.value)) for cluster in found]
    except CannotTell:
        if v1_was_here(machine):
            raise
        return nothing("V1 never ran here")
    if not found:
        return nothing("no PostgreSQL is here")
    if all(count is None for _, count in counts):
        return ok(_finding(name, "does not exist"))
    full = [(cluster, count) for cluster, count in counts if count]
    if not full:
        return ok(_finding(name, "exists, and is empty"))
    findings = [
        _finding(name, f"has {count} jobs in cluster {cluster.version} {cluster.name}") for cluster, count in full
    ]
    findings.append(
        Finding(
            "neither the master nor the web pages see these records. Find out: were they made before this machine"
            " became a worker, or is its LAVA configuration wrong?"
        )
    )
    verify = ("sudo su postgres", f"psql {quoted(name.value)}", "SELECT count(id) from lava_scheduler_app_testjob;")
    return Result(State.OPEN, tuple(findings), verify=verify, can_be_confirmed=True)


def unused_clusters(machine: Machine, context: Context) -> Result:
    """Find clusters that hold nothing but LAVA's database.  Source: R150 to R153."""
    name = instance(machine, "LAVA_DB_NAME")
    try:
        found = clusters(machine)
    except CannotTell:
        if orphans := _data_without_programs(machine):
            return orphans
        if v1_was_here(machine):
            raise
        found = ()
    if found and not v1_was_here(machine):
        return nothing("V1 never ran here")
    if not found:
        return nothing("no PostgreSQL is here")
    findings: list[Finding] = []
    commands: list[str] = []
    for cluster in found:
        label = f"cluster {cluster.version} {cluster.name}"
        if others := other_databases(machine, cluster, name.value):
            text = f"{label}: do not drop it, other databases are in it: {', '.join(others)}"
            findings.append(Finding(text, cluster.directory, value=", ".join(others)))
            continue
        size = _size(machine, cluster.directory)
        text = f"{label} holds nothing but LAVA's database {name.said}; dropping it deletes all its databases{size}"
        findings.append(Finding(text, cluster.directory, value=f"{cluster.version} {cluster.name}"))
        commands += _drop(cluster, machine)
    if not commands:
        return Result(State.ADVICE, tuple(findings))
    findings.append(Finding("uninstalling PostgreSQL leaves the data behind: only dropping the cluster frees the disk"))
    return Result(State.OPEN, tuple(findings), tuple(commands), ("pg_lsclusters",))


def _drop(cluster: Cluster, machine: Machine) -> tuple[str, ...]:
    copy = dated(f"{BACKUPS}/postgresql-{cluster.version}-{cluster.name}.sql", machine)
    dump = f"cd / && umask 077 && runuser -u postgres -- pg_dumpall --port={cluster.port} > {copy}"
    return (
        f"sudo sh -c {quoted(dump)}",
        "sudo su postgres",
        "pg_lsclusters",
        f"pg_dropcluster {quoted(cluster.version, cluster.name)} --stop",
        "exit",
    )


def _data_without_programs(machine: Machine) -> Result | None:
    """Say that data was left behind when PostgreSQL was uninstalled."""
    directories = data_directories(machine)
    if not directories or not machine.run(ListClusters()).is_missing:
        return None
    findings = tuple(
        Finding(f"PostgreSQL is not installed, and its data is still here{_size(machine, directory)}", directory)
        for directory in directories
    )
    more = Finding("install postgresql-common again to drop the cluster: uninstalling leaves the data behind")
    return Result(State.OPEN, (*findings, more), verify=("pg_lsclusters",))


def _size(machine: Machine, directory: str) -> str:
    try:
        entries = [machine.entry(path) for path in files_below(machine, directory)]
    except CannotTell:
        return ""
    size = sum(entry.size for entry in entries if entry)
    return f" ({size / 1e6:.1f} MB)" if size else ""


def _finding(name: Setting, text: str) -> Finding:
    return Finding(f"the database {name.said} {text}", name.file, name.line, name.value)
