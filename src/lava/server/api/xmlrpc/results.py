"""``results.*``.  Source: XML-RPC specification 13."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any
from xmlrpc.client import Fault

import yaml
from django.contrib.auth.models import User
from django.db.models import QuerySet

from lava.server.models import TestJob
from lava.server.results.models import TestCase, TestSuite

from .jobs import find_job
from .registry import FORBIDDEN, NOT_AUTHENTICATED, bad_request, method, not_found

#: columns of a CSV export, in the order that clients know
COLUMNS = (
    *("job", "suite", "result", "measurement", "unit", "duration", "timeout", "logged", "level", "metadata", "url"),
    *("name", "id", "log_start_line", "log_end_line"),
)


def exported_case(case: TestCase, job: TestJob) -> dict[str, Any]:
    """Return a case as clients read it: text all over, but the metadata.  Source: server 9.4."""
    metadata = yaml.safe_load(case.metadata) or {}
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


def _visible(user: User, job_id: Any) -> TestJob:
    if not job_id:
        raise bad_request("no job id is given")
    try:
        return find_job(user, job_id)
    except Fault as fault:
        if fault.faultCode == FORBIDDEN:
            raise Fault(NOT_AUTHENTICATED, fault.faultString) from fault
        raise


def _cases(job: TestJob) -> QuerySet[TestCase]:
    return TestCase.objects.filter(suite__job=job).select_related("suite").order_by("pk")


def _suite(job: TestJob, name: str) -> TestSuite:
    suite = TestSuite.objects.filter(job=job, name=name).first()
    if suite is None:
        raise not_found(f"suite '{name}' of job {job.display_id}")
    return suite


def _page(cases: QuerySet[TestCase], limit: int | None, offset: int | None) -> QuerySet[TestCase]:
    if offset and limit is None:
        raise bad_request("offset needs limit")
    first = int(offset or 0)
    return cases[first:] if limit is None else cases[first : first + int(limit)]


def _yaml(cases: Iterable[TestCase], job: TestJob) -> str:
    text: str = yaml.safe_dump([exported_case(case, job) for case in cases], sort_keys=False, allow_unicode=True)
    return text


def _csv(cases: Iterable[TestCase], job: TestJob) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", quoting=csv.QUOTE_ALL, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(exported_case(case, job) for case in cases)
    return out.getvalue()


@method("results.get_testjob_results_yaml", authenticated=True)
def job_results_yaml(user: User, job_id: Any) -> str:
    """Return all results of a job as YAML."""
    job = _visible(user, job_id)
    return _yaml(_cases(job), job)


@method("results.get_testjob_results_csv", authenticated=True)
def job_results_csv(user: User, job_id: Any) -> str:
    """Return all results of a job as CSV."""
    job = _visible(user, job_id)
    return _csv(_cases(job), job)


@method("results.get_testsuite_results_yaml", authenticated=True)
def suite_results_yaml(
    user: User, job_id: Any, suite_name: str, limit: int | None = None, offset: int | None = None
) -> str:
    """Return the results of a suite as YAML."""
    job = _visible(user, job_id)
    return _yaml(_page(_cases(job).filter(suite=_suite(job, suite_name)), limit, offset), job)


@method("results.get_testsuite_results_csv", authenticated=True)
def suite_results_csv(
    user: User, job_id: Any, suite_name: str, limit: int | None = None, offset: int | None = None
) -> str:
    """Return the results of a suite as CSV."""
    job = _visible(user, job_id)
    return _csv(_page(_cases(job).filter(suite=_suite(job, suite_name)), limit, offset), job)


@method("results.get_testsuite_results_count", authenticated=True)
def suite_results_count(user: User, job_id: Any, suite_name: str) -> int:
    """Return how many results a suite has."""
    job = _visible(user, job_id)
    return _cases(job).filter(suite=_suite(job, suite_name)).count()


@method("results.get_testcase_results_yaml", authenticated=True)
def case_results_yaml(user: User, job_id: Any, suite_name: str, case_name: str) -> str:
    """Return all results of a case as YAML."""
    job = _visible(user, job_id)
    return _yaml(_cases(job).filter(suite=_suite(job, suite_name), name=case_name), job)


@method("results.get_testjob_suites_list_yaml", authenticated=True)
def suites_list_yaml(user: User, job_id: Any) -> str:
    """Return the suites of a job as YAML."""
    job = _visible(user, job_id)
    suites = TestSuite.objects.filter(job=job).order_by("pk")
    text: str = yaml.safe_dump(
        [{"name": suite.name, "job": job.display_id, "id": str(suite.pk)} for suite in suites], sort_keys=False
    )
    return text


@method("results.get_testjob_metadata", authenticated=True)
def job_metadata(user: User, job_id: Any) -> list[dict[str, Any]]:
    """Return the metadata of a job."""
    return [{name: value} for name, value in _visible(user, job_id).metadata.items()]
