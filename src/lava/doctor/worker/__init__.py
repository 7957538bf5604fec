"""The steps that take V1 away from a worker, in the documented order.  Source: seed requirements P, Q."""

from __future__ import annotations

from ..examine import Mode, in_order
from ..result import Step
from . import contact, coordinator, database, files, gate, mount, packages, running, web

#: no step's commands are printed while one of these before it is not settled: R125, R128, R129, R156, R158
GUARDS = ("W0", "W1", "W2", "W5", "W6", "W7", "W10", "W11")

HEADER = """\
From V1 and V2 to V2 only, on this worker.

WARNING. A V1 worker is wired to its master: steps out of order can erase data ON THE MASTER.
- Keep the order. A step that is blocked shows no commands; settle what blocks it first.
- While the SSHFS mount of V1 is there, nothing below it and no package may be removed: its files are the master's.
- Look at the database with psql on this machine only; the commands of lava-server reach the master's database.
The doctor changes nothing. It reads, and says what to do."""

_STEPS = (
    Step("W0", "this machine is a worker", "None of this may be done on a master.", gate.which_machine),
    Step(
        "P1",
        "no lava-master runs on the worker",
        "It talks to this machine only, and can take a job from the real master. Do this on all remote workers before"
        " V2 jobs are submitted for their devices, and never on the master.",
        gate.useless_master,
    ),
    Step(
        "W1",
        "every device type has a V2 health check",
        "V1 may go once all devices of the worker can do V2.",
        gate.health_checks,
        confirmation="every device type of this worker has a V2 health check",
    ),
    Step(
        "W2",
        "every device is exclusive to V2",
        "A device that still takes V1 jobs would have nothing to run them.",
        gate.exclusive,
        confirmation="every device of this worker is exclusive to V2",
    ),
    Step(
        "W3",
        "no V1 configuration of devices",
        "Files of V1 devices and device types have no use any more.",
        files.v1_configuration,
    ),
    Step(
        "W4",
        "the slave reaches the master",
        "A slave that does not work now will not work afterwards.",
        contact.slave_contact,
    ),
    Step(
        "W5",
        "the worker's own database has no records",
        "Records here belong to a time before, or show that the configuration is wrong; the master does not see them.",
        database.records,
        confirmation="the records in this worker's database were investigated",
    ),
    Step("W6", "the V1 scheduler is stopped", "It would start V1 jobs while you take V1 away.", running.scheduler),
    Step(
        "W7",
        "the V1 SSHFS mount is gone",
        "It gives read and write access to the master's job logs: what is deleted here is deleted there.",
        mount.sshfs,
        confirmation="the local data in the place of the mount was inspected",
        confirm_unseen=False,
    ),
    Step(
        "W8",
        "lavapdu is here only if a device needs it",
        "It came with V1; only devices whose power commands call pduclient need it.",
        packages.lavapdu,
    ),
    Step(
        "W9",
        "no unused PostgreSQL cluster",
        "Its data fills the disk, and stays when PostgreSQL is uninstalled.",
        database.unused_clusters,
    ),
    Step(
        "W10",
        "the coordinator is stopped and its configuration kept",
        "The package goes with a later step; MultiNode jobs need its configuration again.",
        coordinator.keep_configuration,
    ),
    Step("W11", "the server package is removed", "Only the master has it.", packages.server_package),
    Step(
        "W12",
        "what the server package pulled in is removed",
        "Check the list before you agree to it.",
        packages.pulled_in,
    ),
    Step(
        "W13",
        "the slave still reaches the master",
        "The removal must not have touched the slave.",
        contact.slave_contact,
    ),
    Step(
        "W14",
        "nothing is left in /etc/lava-server",
        "Files that are left make this look like a V1 worker.",
        files.left_in_server_directory,
    ),
    Step(
        "W15",
        "the coordinator's configuration is back",
        "MultiNode jobs on this worker find their coordinator in it.",
        coordinator.restore_configuration,
        confirmation="the coordinator's configuration is the right one",
    ),
    Step("W16", "only lava-slave runs", "A daemon of the server has nothing to do here.", running.processes),
    Step(
        "W17",
        "Apache can be restarted",
        "Links to modules and sites that are gone keep Apache from starting.",
        web.apache_restarts,
    ),
    Step("W18", "Apache serves the files of jobs", "Some deployments offer files over HTTP.", web.apache_for_v2),
    Step("W19", "FUSE is as it was before V1", "V1 opened mounts to other users.", web.fuse),
    Step(
        "W20",
        "health checks pass on every device",
        "They prove that nothing is missing: this ends the migration.",
        gate.proof,
        confirmation="a health check of each device passed after the last change",
    ),
)

WORKER = Mode("worker", HEADER, in_order(_STEPS, GUARDS))
