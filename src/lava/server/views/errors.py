"""What people see when a page cannot be shown: what is wrong, and what to do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


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
    """Answer without the database and without the user: they may be what failed."""
    text = "The server failed. The people who run it find the reason in its log."
    if _wants_json(request):
        return JsonResponse({"error": text}, status=500)
    return HttpResponse(
        f"<!doctype html><title>The server failed</title><h1>The server failed</h1><p>{text}", status=500
    )


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
