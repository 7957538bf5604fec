"""One master works at a time: it holds a lease, and all that it writes is fenced with the lease's term.

Time is the database's, so that the clocks of masters need not agree.  Source: decision record 0010.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from lava.server.models import MasterLease

#: a master that does not renew its lease for so long is followed by another
LEASE_SECONDS = 8.0
_THE_ONE = 1


class LeaseLostError(Exception):
    """Another master works: what this one wanted to write does not count."""


@transaction.atomic
def take_lease(holder: str, term: int, *, again: bool = False) -> int | None:
    """Take or renew the lease and return its term; None while another master holds it.

    Args:
        holder: says which master it is, to people.
        term: that this master holds the lease with; 0 when it does not.
        again: this master has just started, and listens where the holder of that name listened: that one is gone.
    """
    MasterLease.objects.get_or_create(pk=_THE_ONE, defaults={"expires": datetime(2000, 1, 1, tzinfo=UTC)})
    lease = MasterLease.objects.select_for_update().annotate(now=Now()).get(pk=_THE_ONE)
    ours = term == lease.term and lease.holder == holder
    free = lease.expires <= lease.now or (again and lease.holder == holder)
    if not ours and not free:
        return None
    if not ours:
        lease.term += 1
    lease.holder = holder
    lease.expires = lease.now + timedelta(seconds=LEASE_SECONDS)
    lease.save()
    return lease.term


def check_lease(term: int) -> None:
    """Make sure, until the running transaction ends, that no other master follows.

    Raises:
        LeaseLostError: one has followed already.
    """
    lock = " FOR SHARE" if connection.vendor == "postgresql" else ""  # SQLite has one writer at a time
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT term FROM {MasterLease._meta.db_table} WHERE id = %s{lock}", [_THE_ONE])  # noqa: S608
        row = cursor.fetchone()
    if row is None or row[0] != term:
        raise LeaseLostError(f"another master works: its term is {row[0] if row else 'unknown'}, ours was {term}")


def give_up_lease(term: int) -> None:
    """Let another master follow at once."""
    MasterLease.objects.filter(pk=_THE_ONE, term=term).update(expires=Now())


def lease_holder() -> str:
    """Return which master works, or worked last, for people."""
    return MasterLease.objects.filter(pk=_THE_ONE).values_list("holder", flat=True).first() or ""
