"""Give free devices to waiting jobs.

:mod:`.snapshot` reads the lab in a fixed number of queries, :mod:`.assign` decides (pure), :mod:`.apply` writes each
decision by compare-and-set.  A round may run at any time, twice at once, or late: the database's constraints hold.
"""

from .rounds import run_round

__all__ = ["run_round"]
