"""Results as clients and programs read them: YAML and CSV.  Source: server 9.4, 9.5.

Exports come in pieces, so that a job with a million cases costs no more memory than one with a thousand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import yaml
from django.db.models import QuerySet

from lava.server.models import TestJob

from .models import TestCase, TestSuite

#: columns of a CSV export, in the order that clients know
COLUMNS = (
    *("job", "suite", "result", "measurement", "unit", "duration", "timeout", "logged", "level", "metadata", "url"),
    *("name", "id", "log_start_line", "log_end_line"),
)
#: cases that are read at a time
_BATCH = 1000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def cases_of(job: TestJob) -> QuerySet[TestCase]:
    """Return all cases of a job in the order in which they came."""
    return TestCase.objects.filter(suite__job=job).select_related("suite").order_by("pk")


def metadata_of(case: TestCase) -> dict[str, Any]:
    """Return the record that was logged."""
    loaded = yaml.load(case.metadata, Loader=_Loader)  # noqa: S506 (a safe loader)
    return loaded if isinstance(loaded, dict) else {}


def exported_case(case: TestCase, job: TestJob) -> dict[str, Any]:
    """Return a case as clients read it: text all over, but the metadata."""
    metadata = metadata_of(case)
    return {
        "name": case.name,
        "job": job.display_id,
        "suite": case.suite.name,
        "result": case.outcome,
        "measurement": str(case.measurement),
        "unit": case.units,
        "level": str(metadata.get("level") or ""),
        "url": f"/results/{job.display_id}/{case.suite.name}/{case.name}",
        "id": str(case.pk),
        "logged": str(case.logged),
        "log_start_line": "" if case.start_log_line is None else str(case.start_log_line),
        "log_end_line": "" if case.end_log_line is None else str(case.end_log_line),
        "metadata": metadata,
    }


def as_yaml(cases: QuerySet[TestCase], job: TestJob) -> Iterator[str]:
    """Yield the pieces of a YAML list of cases."""
    empty = True
    for batch in _batches(cases):
        empty = False
        yield _dump([exported_case(case, job) for case in batch])
    if empty:
        yield "[]\n"


def as_csv(cases: QuerySet[TestCase], job: TestJob) -> Iterator[str]:
    """Yield the pieces of a CSV table of cases."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", quoting=csv.QUOTE_ALL, extrasaction="ignore")
    writer.writeheader()
    for batch in _batches(cases):
        writer.writerows(exported_case(case, job) for case in batch)
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def suites_as_yaml(job: TestJob) -> str:
    """Return the suites of a job as a YAML list."""
    suites = TestSuite.objects.filter(job=job).order_by("pk")
    return _dump([{"name": suite.name, "job": job.display_id, "id": str(suite.pk)} for suite in suites])


def metadata_as_yaml(job: TestJob) -> str:
    """Return the metadata of a job as a YAML list of pairs."""
    return _dump([{name: value} for name, value in job.metadata.items()])


def _batches(cases: QuerySet[TestCase]) -> Iterator[list[TestCase]]:
    if cases.query.is_sliced:
        if batch := list(cases):
            yield batch
        return
    last = 0
    while batch := list(cases.filter(pk__gt=last)[:_BATCH]):
        yield batch
        last = batch[-1].pk


def _dump(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
