#!/opt/lava/bin/python3
"""``create_certificate.py NAME``: the older name of ``lava-create-certificate``."""

import sys

from lava.daemon.create_certificate import main

if __name__ == "__main__":
    sys.exit(main())
