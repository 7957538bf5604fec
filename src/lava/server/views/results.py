"""The results of one job: its suites, their cases, one case; and all of it for programs.  Source: server 13.3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from lava.server.models import TestJob
from lava.server.results.counts import suites_of
from lava.server.results.export import (
    as_csv,
    as_yaml,
    cases_of,
    metadata_as_yaml,
    metadata_of,
    suites_as_yaml,
)
from lava.server.results.models import OUTCOMES, TestCase, TestSet, TestSuite

from .one_job import find_job

_PAGE = 200


@require_safe
def suites(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show the suites of a job with their counts, and the job's metadata."""
    job = find_job(request.user, job_id)
    context = {"section": "jobs", "job": job, "suites": suites_of(job), "metadata": job.metadata.items()}
    return render(request, "job/suites.html", context)


@require_safe
def suite(request: HttpRequest, job_id: str, suite: str) -> HttpResponse:
    """Show the cases of a suite, a page at a time."""
    job = find_job(request.user, job_id)
    found = _suite(job, suite)
    counts = next(counted for counted in suites_of(job) if counted.name == found.name)
    cases = TestCase.objects.filter(suite=found).select_related("test_set").order_by("pk")
    context = {"section": "jobs", "job": job, "suite": found, "counts": counts, **_page_of_cases(request, cases)}
    return render(request, "job/suite.html", context)


@require_safe
def named(request: HttpRequest, job_id: str, suite: str, name: str) -> HttpResponse:
    """Show every case of that name in a suite, or the cases of the set of that name."""
    job = find_job(request.user, job_id)
    found = _suite(job, suite)
    cases = TestCase.objects.filter(suite=found, name=name)
    if not cases.exists():
        cases = TestCase.objects.filter(test_set=get_object_or_404(TestSet, suite=found, name=name))
    return _cases(request, job, found, name, cases)


@require_safe
def case_in_set(request: HttpRequest, job_id: str, suite: str, test_set: str, name: str) -> HttpResponse:
    """Show every case of that name in a set."""
    job = find_job(request.user, job_id)
    found = _suite(job, suite)
    cases = TestCase.objects.filter(suite=found, test_set__name=test_set, name=name)
    if not cases.exists():
        raise Http404(f"there is no case {name} in set {test_set}")
    return _cases(request, job, found, f"{test_set} / {name}", cases)


@require_safe
def case(request: HttpRequest, case_id: int) -> HttpResponse:
    """Show one case: its outcome, its place in the log, and what was logged."""
    found, job = _case(request, case_id)
    same = TestCase.objects.filter(suite=found.suite, name=found.name, test_set=found.test_set).order_by("pk")
    context = {
        "section": "jobs",
        "job": job,
        "suite": found.suite,
        "case": found,
        "metadata": metadata_of(found).items(),
        "attempts": same[:_PAGE],
    }
    return render(request, "job/case.html", context)


@require_safe
def case_yaml(request: HttpRequest, case_id: int) -> HttpResponse:
    """Send one case."""
    found, job = _case(request, case_id)
    return _whole(as_yaml(TestCase.objects.filter(pk=found.pk).select_related("suite"), job), "text/yaml")


@require_safe
async def export(request: HttpRequest, job_id: str, form: str, suite: str | None = None) -> HttpResponseBase:
    """Send all cases of a job or a suite as CSV or YAML; ``limit`` and ``offset`` choose some."""
    job = await sync_to_async(lambda: find_job(request.user, job_id))()
    cases = cases_of(job)
    name = f"lava_{job.display_id}"
    if suite is not None:
        found = await sync_to_async(_suite)(job, suite)
        cases, name = cases.filter(suite=found), f"{name}_{found.pk}"
    try:
        cases = _slice(cases, request)
    except ValueError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")
    pieces, kind = (as_csv(cases, job), "text/csv") if form == "csv" else (as_yaml(cases, job), "text/yaml")
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return StreamingHttpResponse(_streamed(pieces), content_type=f"{kind}; charset=utf-8", headers=headers)


@require_safe
def yaml_summary(request: HttpRequest, job_id: str) -> HttpResponse:
    """Send the suites of a job."""
    return HttpResponse(suites_as_yaml(find_job(request.user, job_id)), content_type="text/yaml; charset=utf-8")


@require_safe
def metadata(request: HttpRequest, job_id: str) -> HttpResponse:
    """Send the metadata of a job."""
    return HttpResponse(metadata_as_yaml(find_job(request.user, job_id)), content_type="text/yaml; charset=utf-8")


@require_safe
def count(request: HttpRequest, job_id: str, suite: str) -> HttpResponse:
    """Send how many cases a suite has."""
    found = _suite(find_job(request.user, job_id), suite)
    return HttpResponse(str(TestCase.objects.filter(suite=found).count()), content_type="text/plain")


def _suite(job: TestJob, name: str) -> TestSuite:
    return get_object_or_404(TestSuite, job=job, name=name)


def _case(request: HttpRequest, case_id: int) -> tuple[TestCase, TestJob]:
    related = TestCase.objects.select_related("suite__job", "test_set")
    found = get_object_or_404(related, pk=case_id)
    return found, find_job(request.user, found.suite.job.display_id)


def _cases(request: HttpRequest, job: TestJob, suite: TestSuite, title: str, cases: QuerySet[TestCase]) -> HttpResponse:
    listed = _page_of_cases(request, cases.select_related("test_set").order_by("pk"))
    context = {"section": "jobs", "job": job, "suite": suite, "title": title, **listed}
    return render(request, "job/suite.html", context)


def _page_of_cases(request: HttpRequest, cases: QuerySet[TestCase]) -> dict[str, object]:
    """Return a page of cases after the one that the address names, of the outcome that it names."""
    outcome = request.GET.get("result", "")
    if outcome in OUTCOMES:
        cases = cases.filter(result=OUTCOMES[outcome])
    after = request.GET.get("after", "")
    if after.isascii() and after.isdigit() and len(after) <= 18:
        cases = cases.filter(pk__gt=int(after))
    listed = list(cases[: _PAGE + 1])
    following = listed[_PAGE - 1].pk if len(listed) > _PAGE else None
    return {"cases": listed[:_PAGE], "following": following, "first": bool(after), "outcome": outcome}


def _slice(cases: QuerySet[TestCase], request: HttpRequest) -> QuerySet[TestCase]:
    limit, offset = request.GET.get("limit"), request.GET.get("offset")
    for number in (limit, offset):
        if number is not None and not (number.isascii() and number.isdigit() and len(number) < 12):
            raise ValueError("limit and offset are numbers")
    if limit is None:
        if offset is not None:
            raise ValueError("offset needs limit")
        return cases
    first = int(offset or 0)
    return cases[first : first + int(limit)]


def _whole(pieces: Iterator[str], kind: str) -> HttpResponse:
    return HttpResponse("".join(pieces), content_type=f"{kind}; charset=utf-8")


async def _streamed(pieces: Iterator[str]) -> AsyncIterator[str]:
    while (piece := await sync_to_async(lambda: next(pieces, None))()) is not None:
        yield piece
