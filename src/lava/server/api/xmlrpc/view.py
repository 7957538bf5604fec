"""The end point: parse a call, call it, answer.  Source: XML-RPC specification 1, 2."""

from __future__ import annotations

import logging
import re
from typing import Any
from xmlrpc.client import Fault, dumps, loads

import defusedxml.xmlrpc
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.csrf import csrf_exempt

from . import devices, jobs, results, scheduler, system, workers
from .registry import INTERNAL, call

_log = logging.getLogger("lava.xmlrpc")

_NOT_XMLRPC = -32600
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

__all__ = ["devices", "endpoint", "jobs", "results", "scheduler", "system", "workers"]

defusedxml.xmlrpc.monkey_patch()


@csrf_exempt
def endpoint(request: HttpRequest) -> HttpResponse:
    """Answer one call; a fault is an answer, too."""
    if request.method != "POST" or not request.body:
        return HttpResponseRedirect("/api/help/")
    return HttpResponse(answer(request), content_type="application/xml; charset=utf-8")


def answer(request: HttpRequest) -> bytes:
    """Return the XML of the answer."""
    try:
        arguments, name = loads(request.body, use_builtin_types=True)
    except Exception as error:
        return _fault(Fault(_NOT_XMLRPC, f"this is no XML-RPC call: {error}"))
    if name is None:
        return _fault(Fault(_NOT_XMLRPC, "this is no call: it names no method"))
    if name == "close":  # Python's proxies send it
        return _encode(None)
    try:
        return _encode(call(name, request.user, arguments))
    except Fault as fault:
        return _fault(fault)
    except Exception as error:
        _log.exception("%s failed", name)
        return _fault(Fault(INTERNAL, f"{name} failed: {type(error).__name__}: {error}"))


def _encode(value: Any) -> bytes:
    return _xml(dumps((value,), methodresponse=True, allow_none=True))


def _fault(fault: Fault) -> bytes:
    return _xml(dumps(fault, allow_none=True))


def _xml(text: str) -> bytes:
    """Return what every parser takes: a device may print what XML has no way to write."""
    return _NOT_XML.sub("\ufffd", text).encode()
