"""The steps that take the access of V1 workers away on the master, in the documented order.  Source: seed R, R120."""

from __future__ import annotations

from ..examine import Mode, in_order
from ..result import Step
from . import keys, lab, postgres

GUARDS = ("M0",)

HEADER = """\
Taking the access of V1 workers away, on the master.

V1 needed read and write access to the database from every worker, and the SSHFS mount: both are a danger to the
master's data, and must go once no worker runs V1. The master's own worker stays as it is and keeps working.
The doctor changes nothing. It reads, and says what to do."""

_ACCESS = (
    Step(
        "M0",
        "every worker is V2 only",
        "A V1 worker stops working when its access is taken away.",
        lab.all_workers,
        confirmation="V1 was taken from every worker",
    ),
    Step("M1", "no SSH keys of V1 workers", "Whoever has such a key reads and writes the job logs.", keys.v1_keys),
    Step(
        "M2",
        "PostgreSQL listens to this machine only",
        "With V2, no process of LAVA on another machine connects to the database.",
        postgres.listen_addresses,
    ),
    Step(
        "M3",
        "LAVA's database lets nobody in from other machines",
        "V2 needs the default rules only: local, 127.0.0.1 and ::1.",
        postgres.client_rules,
    ),
    Step("M4", "PostgreSQL knows its configuration", "It reads it when it is started.", postgres.restart),
)
_LAB = (
    Step("O1", "every device has a dictionary", "Without it, a device cannot run V2 jobs.", lab.dictionaries),
    Step(
        "C1",
        "every certificate is a slave's",
        "An old key that is still there still opens the door.",
        lab.certificates,
        confirmation="every certificate is in use",
    ),
)

MASTER = Mode("master", HEADER, (*in_order(_ACCESS, GUARDS), *_LAB))
