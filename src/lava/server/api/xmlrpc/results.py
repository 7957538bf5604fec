"""``results.*``.  Source: XML-RPC specification 13."""

from __future__ import annotations

from typing import Any
from xmlrpc.client import Fault

from django.contrib.auth.models import User
from django.db.models import QuerySet

from lava.server.models import TestJob
from lava.server.results.export import as_csv, as_yaml, cases_of, suites_as_yaml
from lava.server.results.models import TestCase, TestSuite

from .jobs import find_job
from .registry import FORBIDDEN, NOT_AUTHENTICATED, bad_request, method, not_found


def _visible(user: User, job_id: Any) -> TestJob:
    if not job_id:
        raise bad_request("no job id is given")
    try:
        return find_job(user, job_id)
    except Fault as fault:
        if fault.faultCode == FORBIDDEN:
            raise Fault(NOT_AUTHENTICATED, fault.faultString) from fault
        raise


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


@method("results.get_testjob_results_yaml", authenticated=True)
def job_results_yaml(user: User, job_id: Any) -> str:
    """Return all results of a job as YAML."""
    job = _visible(user, job_id)
    return "".join(as_yaml(cases_of(job), job))


@method("results.get_testjob_results_csv", authenticated=True)
def job_results_csv(user: User, job_id: Any) -> str:
    """Return all results of a job as CSV."""
    job = _visible(user, job_id)
    return "".join(as_csv(cases_of(job), job))


@method("results.get_testsuite_results_yaml", authenticated=True)
def suite_results_yaml(
    user: User, job_id: Any, suite_name: str, limit: int | None = None, offset: int | None = None
) -> str:
    """Return the results of a suite as YAML."""
    job = _visible(user, job_id)
    return "".join(as_yaml(_page(cases_of(job).filter(suite=_suite(job, suite_name)), limit, offset), job))


@method("results.get_testsuite_results_csv", authenticated=True)
def suite_results_csv(
    user: User, job_id: Any, suite_name: str, limit: int | None = None, offset: int | None = None
) -> str:
    """Return the results of a suite as CSV."""
    job = _visible(user, job_id)
    return "".join(as_csv(_page(cases_of(job).filter(suite=_suite(job, suite_name)), limit, offset), job))


@method("results.get_testsuite_results_count", authenticated=True)
def suite_results_count(user: User, job_id: Any, suite_name: str) -> int:
    """Return how many results a suite has."""
    job = _visible(user, job_id)
    return cases_of(job).filter(suite=_suite(job, suite_name)).count()


@method("results.get_testcase_results_yaml", authenticated=True)
def case_results_yaml(user: User, job_id: Any, suite_name: str, case_name: str) -> str:
    """Return all results of a case as YAML."""
    job = _visible(user, job_id)
    return "".join(as_yaml(cases_of(job).filter(suite=_suite(job, suite_name), name=case_name), job))


@method("results.get_testjob_suites_list_yaml", authenticated=True)
def suites_list_yaml(user: User, job_id: Any) -> str:
    """Return the suites of a job as YAML."""
    job = _visible(user, job_id)
    return suites_as_yaml(job)


@method("results.get_testjob_metadata", authenticated=True)
def job_metadata(user: User, job_id: Any) -> list[dict[str, Any]]:
    """Return the metadata of a job."""
    return [{name: value} for name, value in _visible(user, job_id).metadata.items()]
