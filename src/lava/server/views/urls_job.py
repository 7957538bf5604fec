"""Addresses of one job: its page, log, definition and results.  Source: server 13.2, 13.3."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from . import job_log
from .one_job import JobId

register_converter(JobId, "job")

urlpatterns: list[URLPattern | URLResolver] = [
    path("scheduler/job/<job:job_id>/log_stream", job_log.log_stream, name="job-log-stream"),
    path("scheduler/job/<job:job_id>/log_file/plain", job_log.plain_log, name="job-log-plain"),
]
