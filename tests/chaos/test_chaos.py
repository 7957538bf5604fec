"""Everything breaks at random, on both databases; then the books balance: protocol specification 10, G1 to G8, G18.

``make chaos`` does the same at length.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.chaos import Chaos, Plan
from harness.killer import Kind, schedule
from harness.lab import Lab
from harness.postgresql import PostgreSQL

SHORT = Plan(seed=7, blows=16, jobs=4, lines=300, results=30, job_seconds=8)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("chaos-random")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost_doubled_or_started_twice(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: PostgreSQL | None = request.getfixturevalue("postgresql") if database == "postgresql" else None
    lab = Lab(tmp_path, boards=(1, 1), database=server)
    try:
        lab.start()
        outcome = Chaos(lab, SHORT, say=print).run()
        assert outcome.good, f"{outcome}\n{lab.said()}"
        assert outcome.blows.total() == SHORT.blows
    finally:
        lab.close()


def test_a_seed_gives_back_its_schedule() -> None:
    assert schedule(7, 100) == schedule(7, 100)
    assert schedule(7, 100) != schedule(8, 100)
    assert {blow.kind for blow in schedule(7, 1000)} == set(Kind)
