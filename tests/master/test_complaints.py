"""What strangers do is logged, and fills no disk: protocol specification 10, G12."""

from __future__ import annotations

import logging

import pytest

from lava.master.complaints import MOST, SECONDS, Complaints


def test_g12_a_flood_is_logged_up_to_a_limit_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("test"))
    for number in range(5 * MOST):
        complaints.tell(1000.0 + number / 1000, "no %d", number)
    assert caplog.messages == [f"no {number}" for number in range(MOST)]
    caplog.clear()
    complaints.tell(1000.0 + SECONDS, "late")
    assert caplog.messages == [f"{4 * MOST} more like these were not logged", "late"]


def test_g12_a_few_are_all_logged(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("test"))
    for minute in range(3):
        complaints.tell(minute * SECONDS, "once in a while")
    assert caplog.messages == ["once in a while"] * 3
