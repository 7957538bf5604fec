"""Where Django finds its data in the tests: a directory that is gone afterwards.

``LAVA_TEST_DATABASE=postgres://…`` runs the server's tests on that PostgreSQL server instead of SQLite.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import django

_directory = tempfile.mkdtemp(prefix="lava-tests-")
atexit.register(shutil.rmtree, _directory, ignore_errors=True)

os.environ["DJANGO_SETTINGS_MODULE"] = "lava.server.settings"
os.environ["LAVA_DATA_DIR"] = _directory
os.environ.pop("DATABASE_URL", None)
if address := os.environ.get("LAVA_TEST_DATABASE"):
    os.environ["DATABASE_URL"] = address
django.setup()  # before any test module names a model
