"""``lava-server manage …``: Django's management commands for this instance; ``lava-server doctor …``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a management command, or the doctor."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["doctor"]:
        from lava.doctor.main import main as doctor

        return doctor(words[1:], program="lava-server doctor")
    if words[:1] != ["manage"]:
        print("usage: lava-server manage COMMAND …\n       lava-server doctor worker|master …", file=sys.stderr)
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["lava-server manage", *words[1:]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
