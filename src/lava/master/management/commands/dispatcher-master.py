"""``lava-server manage dispatcher-master``: the master by a name that it once had."""

from __future__ import annotations

from lava.master.management.daemon import MasterCommand


class Command(MasterCommand):
    pass
