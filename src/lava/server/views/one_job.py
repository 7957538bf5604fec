"""Find the job that an address names, for somebody who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Q
from django.http import Http404, HttpRequest

from lava.server.models import TestJob
from lava.server.visibility import visible_jobs

if TYPE_CHECKING:
    from lava.server.visibility import AnyUser

#: longer numbers fit into no database
_DIGITS = 18


class JobId:
    """Path converter: ``123``, or ``123.1`` for a node of a MultiNode group."""

    regex = r"[0-9]+(?:\.[0-9]+)?"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: object) -> str:
        return str(value)


def find_job(user: AnyUser, display_id: str) -> TestJob:
    """Return the job.

    Raises:
        Http404: there is none.
        PermissionDenied: the user may not see it.
    """
    if "." in display_id:
        wanted = Q(sub_id=display_id)
    elif len(display_id) <= _DIGITS:
        wanted = Q(pk=int(display_id))
    else:
        raise Http404(f"there is no job {display_id}")
    related = TestJob.objects.select_related("actual_device", "requested_device_type", "submitter")
    job = related.filter(wanted).first()
    if job is None:
        raise Http404(f"there is no job {display_id}")
    if not visible_jobs(user).filter(pk=job.pk).exists():
        raise PermissionDenied(f"job {display_id} is not visible to you")
    return job


def find_job_for_stream(request: HttpRequest, display_id: str) -> TestJob:
    """Return the job as :func:`find_job` does, and give back the connection: what follows may take hours."""
    try:
        return find_job(request.user, display_id)
    finally:
        if not connection.in_atomic_block:
            connection.close()
