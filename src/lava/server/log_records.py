"""What is logged of faults that are not ours."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError


def shorten_database_faults(record: logging.LogRecord) -> bool:
    """Log a database that is away in one line: where in our code that was noticed helps nobody."""
    fault = record.exc_info[1] if record.exc_info else None
    if isinstance(fault, InterfaceError | OperationalError):
        said = (str(fault).strip().splitlines() or [""])[0]
        record.msg, record.args = f"the database cannot be used: {said} ({record.getMessage()})", ()
        record.exc_info = record.exc_text = None
    return True
