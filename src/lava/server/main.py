"""``lava-server manage …``: Django's management commands for this instance."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a management command."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] != ["manage"]:
        print("usage: lava-server manage COMMAND …", file=sys.stderr)
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["lava-server manage", *words[1:]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
