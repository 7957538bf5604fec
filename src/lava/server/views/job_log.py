"""The log of a job, as its bytes: live, and whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from lava.server.live.hub import hub
from lava.server.live.snapshot import snapshot_of
from lava.server.live.stream import stream
from lava.server.logs import JobFiles

from .one_job import find_job_for_stream

_BLOCK_BYTES = 256 * 1024


@require_safe
async def log_stream(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Send log and state as server-sent events, from ``Last-Event-ID`` or ``offset`` on.  Ends with the job."""
    try:
        offset = _offset(request.headers.get("Last-Event-ID") or request.GET.get("offset") or "0")
    except ValueError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")
    job = await sync_to_async(find_job_for_stream)(request, job_id)
    files = JobFiles(job.pk, job.submit_time)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return HttpResponse(content_type="text/event-stream", headers=headers)
    events = stream(hub(), job.pk, files, snapshot_of(job), offset)
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=headers)


@require_safe
async def plain_log(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Send the whole log as it is stored."""
    job = await sync_to_async(find_job_for_stream)(request, job_id)
    headers = {
        "Content-Length": str(job.log_length),
        "Content-Disposition": f'inline; filename="job_{job.display_id}.yaml"',
    }
    if request.method == "HEAD":
        return HttpResponse(content_type="text/plain; charset=utf-8", headers=headers)
    blocks = _blocks(JobFiles(job.pk, job.submit_time), job.log_length)
    return StreamingHttpResponse(blocks, content_type="text/plain; charset=utf-8", headers=headers)


async def _blocks(files: JobFiles, length: int) -> AsyncIterator[bytes]:
    offset = 0
    while offset < length:
        block = await asyncio.to_thread(files.read, offset, min(_BLOCK_BYTES, length - offset))
        if not block:
            return
        offset += len(block)
        yield block


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"'{text[:40]}' is no offset: give the number of bytes that you have")
    return int(text)
