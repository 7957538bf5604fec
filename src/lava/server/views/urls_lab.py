"""Addresses of the lists, the lab's objects, submission and accounts.  Source: server 13.1, 13.2."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.urls import URLPattern, URLResolver, path, reverse_lazy
from django.views.generic import RedirectView

from . import accounts, device_types, devices, help, home, job_lists, submit, workers

#: names of the lists of jobs that templates link to
_NAMES = {"alljobs": "jobs", "activejobs": "active-jobs", "running": "running-jobs", "myjobs": "my-jobs"}

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.page, name="home"),
    path("scheduler/", home.page, name="status"),
    # Pages that are not ours, such as the admin site, name no icon.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}icon.svg")),
    path("robots.txt", help.robots),
    path("api/help/", help.methods, name="api-help"),
    # jobs
    *(
        path(f"scheduler/{which}", job_lists.page, {"which": which}, name=_NAMES.get(which, which))
        for which in job_lists.LISTS
    ),
    path("scheduler/jobsubmit", submit.page, name="submit"),
    # the lab
    *(
        path(f"scheduler/{which}", devices.every, {"which": which}, name="devices" if which == "alldevices" else which)
        for which in devices.LISTS
    ),
    path("scheduler/device/<str:hostname>", devices.page, name="device"),
    path("scheduler/device/<str:hostname>/health", devices.set_health, name="device-health"),
    path("scheduler/device/<str:hostname>/devicedict", devices.dictionary, name="device-dictionary"),
    path("scheduler/device/<str:hostname>/devicedict/plain", devices.plain_dictionary, name="device-dictionary-plain"),
    path("scheduler/device_types", device_types.every, name="device-types"),
    path("scheduler/device_type/<str:name>", device_types.page, name="device-type"),
    path("scheduler/allworkers", workers.every, name="workers"),
    path("scheduler/worker/<str:hostname>", workers.page, name="worker"),
    path("scheduler/worker/<str:hostname>/health", workers.set_health, name="worker-health"),
    # accounts
    path("accounts/login/", LoginView.as_view(template_name="accounts/login.html"), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path(
        "accounts/password_change/",
        PasswordChangeView.as_view(template_name="accounts/password.html", success_url=reverse_lazy("profile")),
        name="password-change",
    ),
    path("me/", accounts.profile, name="profile"),
    path("api/tokens/", accounts.profile, name="tokens"),
    path("api/tokens/create/", accounts.create_token, name="token-create"),
    path("api/tokens/<int:pk>/delete/", accounts.delete_token, name="token-delete"),
]
