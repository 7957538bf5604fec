"""Addresses: one list of pages for each subject, beside its views.  Source: server 13."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from lava.server.api.xmlrpc.view import endpoint


def health(request: HttpRequest) -> HttpResponse:
    """Answer a probe: the process serves."""
    return HttpResponse('{"health": "good"}', content_type="application/json")


urlpatterns = [
    path("RPC2", endpoint),
    path("RPC2/", endpoint),
    path("v1/healthz/", health),
    path("admin/", admin.site.urls),
    # One job, its log and its results; before the lists, which have no numbers in their addresses.
    path("", include("lava.server.views.urls_job")),
    path("", include("lava.server.views.urls_lab")),
]

handler400 = "lava.server.views.errors.bad_request"
handler403 = "lava.server.views.errors.forbidden"
handler404 = "lava.server.views.errors.not_found"
handler500 = "lava.server.views.errors.crashed"
