"""What people see when a page cannot be shown: what is wrong, and what to do."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(request, 400, "This request makes no sense", exception, "Go back and try it again.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    remedy = (
        "Ask the people who run this lab for the right to do it."
        if request.user.is_authenticated
        else "Sign in: perhaps your account may."
    )
    return _problem(request, 403, "You may not", exception, remedy)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(
        request, 404, "There is nothing here", exception, "Check the address, or start from the lists above."
    )


def crashed(request: HttpRequest) -> HttpResponse:
    """Answer without the database and without the user: they may be what failed.  Source: server 13."""
    kind, value, _ = sys.exc_info()
    database_away = isinstance(value, InterfaceError | OperationalError)
    status, title = (503, "The database cannot be reached") if database_away else (500, "The server failed")
    if _wants_json(request):
        cause = {"exception_type": kind.__name__ if kind else "", "exception_value": str(value or "")}
        return JsonResponse({"error": title[:1].lower() + title[1:], **cause}, status=status)
    return HttpResponse(render_to_string("crashed.html", {"title": title}), status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    message = f"The form is not from this session: {reason}"
    return _problem(request, 403, "You may not", Exception(message), "Load the page again, then repeat what you did.")


def _problem(request: HttpRequest, status: int, title: str, exception: Exception, remedy: str) -> HttpResponse:
    # Django's own 404 carries a mapping; ours carries a sentence.
    argument = exception.args[0] if exception.args else ""
    message = argument if isinstance(argument, str) else ""
    if _wants_json(request):
        return JsonResponse({"error": message or title, "remedy": remedy}, status=status)
    context = {"title": title, "message": message[:1].upper() + message[1:], "remedy": remedy}
    return render(request, "problem.html", context, status=status)


def _wants_json(request: HttpRequest) -> bool:
    return not request.accepts("text/html")
