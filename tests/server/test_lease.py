"""The lease: one master works at a time, and what another writes does not count.  G34."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from lava.server.actions.lease import LeaseLostError, check_lease, give_up_lease, lease_holder, take_lease
from lava.server.models import MasterLease


def expire() -> None:
    MasterLease.objects.update(expires=timezone.now() - timedelta(seconds=1))


def test_the_first_takes_it_and_renews_it(db: None) -> None:
    term = take_lease("one", 0)
    assert term == 1
    assert take_lease("one", 1) == 1
    assert lease_holder() == "one"
    check_lease(1)


def test_another_waits_until_it_is_over(db: None) -> None:
    take_lease("one", 0)
    assert take_lease("two", 0) is None
    expire()
    assert take_lease("two", 0) == 2
    assert take_lease("one", 1) is None
    with pytest.raises(LeaseLostError, match="another master works: its term is 2, ours was 1"):
        check_lease(1)


def test_a_master_that_starts_again_at_its_place_does_not_wait_for_itself(db: None) -> None:
    take_lease("one", 0)
    assert take_lease("one", 0, again=True) == 2
    # The process that was there before, if it lived after all, has lost it.
    assert take_lease("one", 1) is None


def test_what_is_given_up_is_free_at_once(db: None) -> None:
    take_lease("one", 0)
    give_up_lease(1)
    assert take_lease("two", 0) == 2


def test_who_has_lost_it_gives_up_nothing(db: None) -> None:
    take_lease("one", 0)
    expire()
    take_lease("two", 0)
    give_up_lease(1)
    assert take_lease("three", 0) is None


def test_a_lease_that_ran_out_goes_on_if_nobody_took_it(db: None) -> None:
    """The database was away for a while."""
    take_lease("one", 0)
    expire()
    assert take_lease("one", 1) == 1
    assert take_lease("two", 0) is None


def test_without_a_lease_nothing_counts(db: None) -> None:
    with pytest.raises(LeaseLostError):
        check_lease(1)
