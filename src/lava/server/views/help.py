"""What programs can call, and where crawlers should not go.  Source: server 13.1."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lava.server.api.xmlrpc.registry import METHODS

_ROBOTS = "User-agent: *\nDisallow: /scheduler/\nDisallow: /results/\nDisallow: /api/\n"


@require_safe
def methods(request: HttpRequest) -> HttpResponse:
    """List the methods of the XML-RPC interface."""
    context = {
        "section": "api",
        # Odd parts of the text stand between pairs of back quotes: code.
        "methods": [(METHODS[name], METHODS[name].help.split("``")) for name in sorted(METHODS)],
        "endpoint": request.build_absolute_uri("/RPC2"),
    }
    return render(request, "lab/api_help.html", context)


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Ask crawlers to leave what is large and changes all the time."""
    return HttpResponse(_ROBOTS, content_type="text/plain")
