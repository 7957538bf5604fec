"""Test cases that a job expects and that nobody reported.  Source: dispatcher specification 10.6."""

from __future__ import annotations

from collections.abc import Iterable

from lava.dispatcher.job import StepContext

NOT_REPORTED = "expected, but not reported"
NOT_RUN = "the test was not run"


def record_missing(job: StepContext, suite: str, cases: Iterable[str], reason: str = NOT_REPORTED) -> None:
    """Record the cases as failures."""
    for case in cases:
        job.log.warning(f"{suite}: the expected test case '{case}' was not reported")
        extra = {"reason": reason}
        job.result(
            {"definition": suite, "case": case, "result": "fail", "level": job.step.level, "extra": extra},
        )
