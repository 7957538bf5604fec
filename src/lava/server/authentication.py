"""Tokens: programs speak for users.  Source: server 14.2, XML-RPC 1."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import timedelta

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from lava.server.models import AuthToken

#: The time of last use is written at most this often: a poll of a client must not be a write.
_LAST_USE_STEP = timedelta(minutes=5)


class BadCredentials(Exception):
    """The header cannot be read (400), or names nobody (401)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def user_of_header(header: str) -> User:
    """Return the active user that an ``Authorization`` header speaks for.

    Raises:
        BadCredentials: it does not speak for anybody.
    """
    scheme, separator, value = header.partition(" ")
    if not separator:
        raise BadCredentials(400, "the Authorization header has no blank in it")
    name: str | None = None
    match scheme.lower():
        case "basic":
            name, secret = _basic(value)
        case "token":
            secret = value.strip()
        case _:
            raise BadCredentials(400, f"the scheme '{scheme}' is not supported; use Basic or Token")
    token = AuthToken.objects.select_related("user").filter(secret=secret, user__is_active=True).first()
    if token is None or (name is not None and token.user.get_username() != name):
        raise BadCredentials(401, "the token is unknown, of another user, or its user is not active")
    now = timezone.now()
    if token.last_used_on is None or now - token.last_used_on > _LAST_USE_STEP:
        AuthToken.objects.filter(pk=token.pk).update(last_used_on=now)
    return token.user


def _basic(value: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadCredentials(400, "the Authorization header is not base64 of text") from error
    name, separator, secret = decoded.partition(":")
    if not separator:
        raise BadCredentials(400, "the Authorization header has no colon between user and token")
    return name, secret


class TokenMiddleware:
    """Lets a request with a token act as its user; without one, the session decides."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        answer = self._get_response
        if iscoroutinefunction(answer):
            return self._refuse_or_await(request, answer)
        return self._refusal(request) or answer(request)

    async def _refuse_or_await(
        self, request: HttpRequest, answer: Callable[[HttpRequest], Awaitable[HttpResponseBase]]
    ) -> HttpResponseBase:
        if "Authorization" in request.headers:
            refused = await sync_to_async(self._refusal)(request)
            if refused is not None:
                return refused
        return await answer(request)

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        try:
            user = user_of_header(header)
        except BadCredentials as error:
            response = HttpResponse(str(error), status=error.status, content_type="text/plain")
            if error.status == 401:
                response["WWW-Authenticate"] = 'Basic realm="LAVA"'
            return response
        request.user = user

        async def auser() -> User:
            return user

        request.auser = auser
        # No browser sends such a header by itself: there is nothing to forge.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return None
