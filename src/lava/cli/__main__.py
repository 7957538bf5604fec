"""``python -m lava.cli`` is the ``lava`` command."""

import sys

from . import main

sys.exit(main())
