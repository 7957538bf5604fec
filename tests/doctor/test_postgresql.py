"""The doctor's questions to a real PostgreSQL, asked over its socket.  Source: R137 to R141, R150, R184."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lava.doctor.commands import Answer, Command, ListClusters, SystemRunner
from lava.doctor.databases import Cluster, count_jobs, other_databases
from lava.doctor.machine import CannotTell
from lava.doctor.machine import Tree as Machine

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("doctor-postgresql")]

SOCKETS = Path("/var/run/postgresql")
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def run(*words: str | Path) -> None:
    subprocess.run(["runuser", "-u", "postgres", "--", *map(str, words)], check=True, capture_output=True, cwd="/")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if os.geteuid() != 0 or not PROGRAMS or not SOCKETS.is_dir() or not shutil.which("runuser"):
        pytest.skip("needs root, and PostgreSQL")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    control = PROGRAMS[-1].with_name("pg_ctl")
    made = subprocess.run(
        ["runuser", "-u", "postgres", "--", "mktemp", "-d"], check=True, capture_output=True, text=True, cwd="/"
    )
    directory = Path(made.stdout.strip())
    try:
        run(PROGRAMS[-1], "--auth=peer", "--no-sync", "--pgdata", directory)
        options = f"-p {port} -k {SOCKETS} -c listen_addresses="
        run(control, "-w", "-D", directory, "-o", options, "-l", directory / "log", "start")
        try:
            yield Cluster("9.4", "main", port, True, str(directory))
        finally:
            run(control, "-w", "-D", directory, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def machine() -> Machine:
    return Machine(Path("/"), SystemRunner())


def make(cluster: Cluster, database: str, *queries: str) -> None:
    psql = ("psql", "--host", SOCKETS, "--port", str(cluster.port), "--command")
    run(*psql, f'CREATE DATABASE "{database}"', "--dbname", "postgres")
    for query in queries:
        run(*psql, query, "--dbname", database)


def test_r140_r141_what_a_server_says_of_its_databases(cluster: Cluster, machine: Machine) -> None:
    assert count_jobs(machine, cluster, "lavaserver") is None
    make(cluster, "lavaserver")
    assert count_jobs(machine, cluster, "lavaserver") == 0, "no table of LAVA"
    table = "CREATE TABLE lava_scheduler_app_testjob (id serial)"
    make(cluster, "lava-lab.1", table, "INSERT INTO lava_scheduler_app_testjob SELECT generate_series(1, 17)")
    assert count_jobs(machine, cluster, "lava-lab.1") == 17
    assert other_databases(machine, cluster, "lavaserver") == ("lava-lab.1",)


def test_a_server_that_does_not_answer_is_no_missing_database(cluster: Cluster, machine: Machine) -> None:
    silent = Cluster("9.4", "main", 1, True, "")
    with pytest.raises(CannotTell, match="could not be asked: psql: "):
        count_jobs(machine, silent, "lavaserver")


def test_r152_the_list_of_this_machine_is_understood(cluster: Cluster, machine: Machine) -> None:
    from lava.doctor.databases import parse_clusters

    command: Command = ListClusters()
    answer = machine.run(command)
    if answer.is_missing:
        pytest.skip("no pg_lsclusters")
    assert isinstance(answer, Answer)
    assert all(found.port and found.directory.startswith("/") for found in parse_clusters(answer.output))
