"""Submit a job by a form.  Source: server 5.1, 13.2."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from lava.model.faults import Fault, SubmissionError
from lava.server.actions.submit import check_job, submit_job

_PAGE = "lab/submit.html"


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the form; submit or check what comes back, and say every fault beside the text that has it."""
    user = request.user
    if not user.is_authenticated:
        return render(request, _PAGE, {"section": "submit", "anonymous": True}, status=401)
    if request.method != "POST":
        return render(request, _PAGE, {"section": "submit", "definition": ""})
    # A form sends the ends of lines as CR LF; the definition had none of that.
    text = request.POST.get("definition", "").replace("\r\n", "\n")
    if "check" in request.POST:
        return _check(request, user, text)
    try:
        job = submit_job(user, text)
    except SubmissionError as error:
        context = {"section": "submit", "definition": text, "faults": _in_order(error.faults)}
        return render(request, _PAGE, context, status=400)
    messages.success(request, f"Job {job.display_id} is submitted.")
    return redirect("job", job_id=job.display_id)


def _check(request: HttpRequest, user: User, text: str) -> HttpResponse:
    """Say what a submission would; only the findings when a script of the page asks."""
    context: dict[str, object] = {"section": "submit", "definition": text}
    status = 200
    try:
        definition, warnings = check_job(user, text)
        context["warnings"] = _in_order(warnings)
        context["accepted"] = definition.job_name
    except SubmissionError as error:
        context["faults"] = _in_order(error.faults)
        status = 400
    if request.headers.get("X-Requested-With") == "check":
        return render(request, "lab/findings.html", context)
    return render(request, _PAGE, context, status=status)


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults in the order of the text."""
    return sorted(faults, key=lambda fault: (fault.line, fault.column))
