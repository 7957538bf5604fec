"""Addresses of the lists, the lab's objects, submission and accounts.

The navigation bar refers to these names: ``home``, ``jobs``, ``devices``, ``device-types``, ``workers``, ``submit``,
``login``, ``logout`` (POST), ``profile``; pages refer to ``device`` (hostname), ``device-type`` (name) and ``worker``
(hostname).
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
