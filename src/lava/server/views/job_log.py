"""The log of a job, as its bytes: live, and whole."""

from __future__ import annotations

import asyncio
import re
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

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BLOCK_BYTES = 256 * 1024


@require_safe
async def log_stream(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Send log and state as server-sent events, from ``Last-Event-ID`` or ``offset`` on.  Ends with the job."""
    try:
        offset = _offset(request.headers.get("Last-Event-ID") or request.GET.get("offset") or "0")
    except ValueError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")
    job = await sync_to_async(find_job_for_stream)(request, job_id)
    files = JobFiles.of(job)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return HttpResponse(content_type="text/event-stream", headers=headers)
    events = stream(hub(), job.pk, files, snapshot_of(job), offset)
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=headers)


@require_safe
async def plain_log(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """Send the log as it is stored: all of it, or the bytes that a ``Range`` asks for."""
    job = await sync_to_async(find_job_for_stream)(request, job_id)
    length = job.log_length
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": f'inline; filename="job_{job.display_id}.yaml"'}
    wanted, status = range(length), 200
    if chosen := _chosen(request.headers.get("Range", ""), length):
        wanted, status = chosen, 206
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{length}"
    headers["Content-Length"] = str(len(wanted))
    kind = "text/plain; charset=utf-8"
    if request.method == "HEAD":
        return HttpResponse(content_type=kind, headers=headers, status=status)
    blocks = _blocks(JobFiles.of(job), wanted)
    return StreamingHttpResponse(blocks, content_type=kind, headers=headers, status=status)


def _chosen(header: str, length: int) -> range | None:
    """Return the bytes that the header asks for; None when it asks for all, or for nothing that is there.

    A header of another unit, or for several ranges, is left aside, as RFC 9110 14.2 allows.
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if first:
        return range(int(first), min(int(last) + 1 if last else length, length)) or None
    return range(max(0, length - int(last)), length) or None if last else None


async def _blocks(files: JobFiles, wanted: range) -> AsyncIterator[bytes]:
    offset, end = wanted.start, wanted.stop
    while offset < end:
        block = await asyncio.to_thread(files.read, offset, min(_BLOCK_BYTES, end - offset))
        if not block:
            return
        offset += len(block)
        yield block


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"'{text[:40]}' is no offset: give the number of bytes that you have")
    return int(text)
