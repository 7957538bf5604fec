"""A user's own page: who they are, and the tokens that let programs speak for them.  Source: server 13.1, 14.2."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from lava.server.models import AuthToken


@require_safe
@login_required
@never_cache
def profile(request: HttpRequest) -> HttpResponse:
    """Show the user's account and tokens."""
    tokens = AuthToken.objects.filter(user=request.user.pk).order_by("-created_on")
    return render(request, "accounts/profile.html", {"section": "profile", "tokens": tokens})


@require_POST
@login_required
def create_token(request: HttpRequest) -> HttpResponse:
    """Make a token."""
    assert request.user.is_authenticated  # noqa: S101 (the decorator saw to it)
    AuthToken.objects.create(user=request.user, description=request.POST.get("description", "").strip()[:200])
    messages.success(request, "The token is made.")
    return redirect("profile")


@require_POST
@login_required
def delete_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a token of the user's own: what uses it is refused from now on."""
    get_object_or_404(AuthToken, pk=pk, user=request.user.pk).delete()
    messages.success(request, "The token is deleted.")
    return redirect("profile")
