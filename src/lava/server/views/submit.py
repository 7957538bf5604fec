"""Submit a job by a form.  Source: server 5.1, 13.2."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from lava.model.faults import SubmissionError
from lava.model.job import strict_warnings
from lava.server.actions.submit import read_definition, submit_job


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the form; submit or check what comes back, and say every fault beside the text that has it."""
    if not request.user.is_authenticated:
        return render(request, "lab/submit.html", {"section": "submit", "anonymous": True}, status=401)
    context: dict[str, object] = {"section": "submit", "definition": ""}
    if request.method != "POST":
        return render(request, "lab/submit.html", context)
    # A form sends the ends of lines as CR LF; the definition had none of that.
    text = request.POST.get("definition", "").replace("\r\n", "\n")
    context["definition"] = text
    try:
        if "check" in request.POST:
            source, definition = read_definition(text)
            context["accepted"] = definition.job_name
            context["warnings"] = strict_warnings(source)
            return render(request, "lab/submit.html", context)
        job = submit_job(request.user, text)
    except SubmissionError as error:
        context["faults"] = error.faults
        return render(request, "lab/submit.html", context, status=400)
    messages.success(request, f"Job {job.display_id} is submitted.")
    return redirect("job", job_id=job.display_id)
