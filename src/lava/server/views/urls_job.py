"""Addresses of one job: its page, log, definition and results.  Source: server 13.2, 13.3."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from . import job, job_log, results
from .one_job import JobId

register_converter(JobId, "job")

_JOB = "scheduler/job/<job:job_id>"
_RESULTS = "results/<job:job_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(_JOB, job.page, name="job"),
    path(f"{_JOB}/", job.page),
    path(f"{_JOB}/log_stream", job_log.log_stream, name="job-log-stream"),
    path(f"{_JOB}/log_file/plain", job_log.plain_log, name="job-log-plain"),
    path(f"{_JOB}/definition", job.definition, name="job-definition"),
    path(f"{_JOB}/definition/plain", job.plain_definition, name="job-definition-plain"),
    path(f"{_JOB}/description", job.description, name="job-description"),
    path(f"{_JOB}/cancel", job.cancel, name="job-cancel"),
    path(f"{_JOB}/resubmit", job.resubmit, name="job-resubmit"),
    # Words that stand where a suite's name could come first.
    path(_RESULTS, results.suites, name="results"),
    path(f"{_RESULTS}/", results.suites),
    path(f"{_RESULTS}/csv", results.export, {"form": "csv"}, name="results-csv"),
    path(f"{_RESULTS}/yaml", results.export, {"form": "yaml"}, name="results-yaml"),
    path(f"{_RESULTS}/yaml_summary", results.yaml_summary, name="results-yaml-summary"),
    path(f"{_RESULTS}/metadata", results.metadata, name="results-metadata"),
    path(f"{_RESULTS}/<str:suite>", results.suite, name="results-suite"),
    path(f"{_RESULTS}/<str:suite>/csv", results.export, {"form": "csv"}, name="results-suite-csv"),
    path(f"{_RESULTS}/<str:suite>/stream/csv", results.export, {"form": "csv"}),
    path(f"{_RESULTS}/<str:suite>/yaml", results.export, {"form": "yaml"}, name="results-suite-yaml"),
    path(f"{_RESULTS}/<str:suite>/+testcase-count", results.count, name="results-suite-count"),
    path(f"{_RESULTS}/<str:suite>/<str:name>", results.named, name="results-case"),
    path(f"{_RESULTS}/<str:suite>/<str:test_set>/<str:name>", results.case_in_set, name="results-case-in-set"),
    path("results/testcase/<int:case_id>", results.case, name="case"),
    path("results/testcase/<int:case_id>/yaml", results.case_yaml, name="case-yaml"),
]
