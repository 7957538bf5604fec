"""Store what slaves send of logs, each line once: durable point E of a job's path.

One transaction checks the offsets, writes the bytes, stores the results and moves the offsets.  The bytes are on disk
before the database says that they count; if the transaction fails, the next attempt writes the same bytes to the same
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

import yaml
from django.db import DataError, IntegrityError, connection, transaction

from lava.model.logline import Level, LogLineError, decode
from lava.model.results import JOB_SUITE, Outcome, Result, ResultError, parse_result
from lava.server import wake
from lava.server.logs import Addition, JobFiles, write_each
from lava.server.models import TestJob, by_display_id
from lava.server.results.models import OUTCOMES, TestCase, TestSet, TestSuite

_FIELDS = (
    *("pk", "sub_id", "actual_worker_id", "submit_time", "log_length", "log_lines"),
    *("passed", "error_type", "error_msg", "failure_comment"),
)
#: Django's own bulk update takes longer to write its query than the database to do it
_MOVE = (
    f"WITH moved (id, length, lines) AS (VALUES {{}}) UPDATE {TestJob._meta.db_table} AS job "  # noqa: S608 (our names)
    "SET log_length = moved.length, log_lines = moved.lines FROM moved WHERE job.id = moved.id"
)
#: metadata longer than this is cut down.  Source: server 9.1
METADATA_LIMIT = 4096
_RESULT_LINE = b'"lvl": "results"'


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines that a worker sent."""

    worker: str
    #: id that people use
    job: str
    #: bytes of the job's log before them; the start of a line
    offset: int
    lines: bytes


@dataclass(slots=True)
class _Growth:
    """What is new of one job's log."""

    job: TestJob
    new: bytes = b""
    #: fields that changed, beside the size of the log
    news: list[str] = field(default_factory=list)

    @property
    def length(self) -> int:
        return self.job.log_length + len(self.new)

    def take(self, chunk: Chunk) -> int:
        """Add what is not stored yet, and nothing behind a gap; return the next offset that is expected."""
        known = self.length - chunk.offset
        if 0 <= known < len(chunk.lines):
            self.new += chunk.lines[known : chunk.lines.rfind(b"\n") + 1]
        return self.length

    def addition(self) -> Addition:
        """Return what is to be on the disk before the database says that it counts."""
        job = self.job
        return Addition(JobFiles.of(job), job.log_length, job.log_lines, self.new)

    def keep(self) -> None:
        """Store the results among the new lines, and move the offset."""
        job = self.job
        complaints = _store_results(job, self.new)
        job.log_length += len(self.new)
        job.log_lines += self.new.count(b"\n")
        if complaints:
            job.failure_comment = _storable("\n".join([*filter(None, [job.failure_comment]), *complaints]))[:10_000]
            self.news.append("failure_comment")
        if job.passed is not None:
            self.news += ["passed", "error_type", "error_msg"]


@transaction.atomic
def store_chunks(chunks: Sequence[Chunk], write: Callable[[Sequence[Addition]], None] = write_each) -> list[int | None]:
    """Store chunks and return for each the next offset of its job, or None when the worker runs no such job.

    Args:
        write: makes additions durable.
    """
    growths = {key: _Growth(job) for key, job in _locked({(chunk.worker, chunk.job) for chunk in chunks}).items()}
    answers = [
        growth.take(chunk) if (growth := growths.get((chunk.worker, chunk.job))) is not None else None
        for chunk in chunks
    ]
    grown = [growth for growth in growths.values() if growth.new]
    write([growth.addition() for growth in grown])
    for growth in grown:
        growth.keep()
    _save(grown)
    wake.announce(wake.LOG, *(growth.job.pk for growth in grown))
    return answers


def _locked(wanted: Set[tuple[str, str]]) -> dict[tuple[str, str], TestJob]:
    """Return the jobs by worker and id, locked in the one order in which everybody locks them."""
    jobs = TestJob.objects.filter(by_display_id(*(job for _, job in wanted)))
    found = jobs.select_for_update().only(*_FIELDS).order_by("pk")
    return {key: job for job in found if (key := (job.actual_worker_id or "", job.display_id)) in wanted}


def _save(grown: Sequence[_Growth]) -> None:
    """Write the rows: the many that only grew in one go, the few with news each by itself."""
    plain = [growth.job for growth in grown if not growth.news]
    if plain:
        values = [number for job in plain for number in (job.pk, job.log_length, job.log_lines)]
        with connection.cursor() as cursor:
            cursor.execute(_MOVE.format(", ".join(["(%s, %s, %s)"] * len(plain))), values)
    for growth in grown:
        if growth.news:
            growth.job.save(update_fields=["log_length", "log_lines", *growth.news])


def _store_results(job: TestJob, chunk: bytes) -> list[str]:
    """Store the results among the lines, all in a few queries; return what could not be kept."""
    complaints: list[str] = []
    found: list[tuple[Result, datetime]] = []
    for raw in _result_lines(chunk):
        try:
            line = decode(raw)
            if line.level is not Level.RESULTS:
                continue
            result = parse_result(line.message)
        except (LogLineError, ResultError) as error:
            complaints.append(str(error)[:256])
            continue
        if result.complaint:
            complaints.append(result.complaint[:256])
        if result.suite == JOB_SUITE and result.case == "job":
            job.passed = result.outcome is Outcome.PASS
            job.error_type = _storable(result.metadata.get("error_type"))[:40]
            job.error_msg = _storable(result.metadata.get("error_msg"))
        found.append((result, line.when))
    return complaints + _keep(job, found) if found else complaints


def _keep(job: TestJob, found: list[tuple[Result, datetime]]) -> list[str]:
    """Store results together, or one by one if the database refuses one of them: the log goes on in any case."""
    try:
        with transaction.atomic():
            _create(job, found)
    except (DataError, IntegrityError, OverflowError, ValueError) as error:
        if len(found) == 1:
            result = found[0][0]
            return [f"the database refuses the result {result.suite}/{result.case}: {error}"[:256]]
        return [complaint for each in found for complaint in _keep(job, [each])]
    return []


def _create(job: TestJob, found: list[tuple[Result, datetime]]) -> None:
    suites = _suites(job, {result.suite[:200] for result, _ in found})
    sets = _sets(suites, {(result.suite[:200], result.test_set) for result, _ in found if result.test_set})
    TestCase.objects.bulk_create(_case(result, when, suites, sets) for result, when in found)


def _storable(value: object) -> str:
    """Return text that every database takes."""
    return str(value or "").replace("\0", "")


def _result_lines(chunk: bytes) -> Iterator[bytes]:
    if _RESULT_LINE in chunk:
        for raw in chunk.splitlines():
            if _RESULT_LINE in raw:
                yield raw


def _suites(job: TestJob, names: set[str]) -> dict[str, TestSuite]:
    TestSuite.objects.bulk_create([TestSuite(job=job, name=name) for name in sorted(names)], ignore_conflicts=True)
    return {suite.name: suite for suite in TestSuite.objects.filter(job=job, name__in=names)}


def _sets(suites: dict[str, TestSuite], names: set[tuple[str, str]]) -> dict[tuple[str, str], TestSet]:
    if not names:
        return {}
    wanted = [TestSet(suite=suites[suite], name=name[:200]) for suite, name in sorted(names)]
    TestSet.objects.bulk_create(wanted, ignore_conflicts=True)
    known = TestSet.objects.filter(suite__in={entry.suite for entry in wanted}).select_related("suite")
    return {(entry.suite.name, entry.name): entry for entry in known}


def _case(
    result: Result, when: datetime, suites: dict[str, TestSuite], sets: dict[tuple[str, str], TestSet]
) -> TestCase:
    suite = result.suite[:200]
    return TestCase(
        name=result.case,
        suite=suites[suite],
        test_set=sets.get((suite, (result.test_set or "")[:200])),
        result=OUTCOMES[result.outcome.value],
        measurement=result.measurement,
        units=result.units,
        metadata=_metadata(result),
        start_log_line=result.start_line,
        end_log_line=result.end_line,
        logged=when,
    )


def _metadata(result: Result) -> str:
    text = yaml.safe_dump(dict(result.metadata), sort_keys=False, allow_unicode=True)
    if len(text) <= METADATA_LIMIT:
        return text
    kept = {
        key: result.metadata[key] for key in ("case", "definition", "result", "error_type") if key in result.metadata
    }
    if "error_msg" in result.metadata:
        kept["error_msg"] = str(result.metadata["error_msg"])[:256]
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
