"""The table of methods, and what they may answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from xmlrpc.client import Fault

from django.contrib.auth.models import AnonymousUser, User

BAD_REQUEST, NOT_AUTHENTICATED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
NO_SUCH_METHOD, INTERNAL = -32601, -32603

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Method:
    """One method that clients can call."""

    name: str
    function: Callable[..., Any]
    authenticated: bool
    permission: str | None

    @property
    def help(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def parameters(self) -> str:
        """The parameters as they are called, without the caller."""
        names = list(inspect.signature(self.function).parameters.values())[1:]
        return ", ".join(str(parameter).split(":")[0] for parameter in names)


METHODS: dict[str, Method] = {}


def method(
    name: str, *, authenticated: bool = False, permission: str | None = None
) -> Callable[[FunctionT], FunctionT]:
    """Offer a function under a name; its first parameter is the caller.

    Args:
        authenticated: anonymous callers are refused.
        permission: ``codename`` of a permission of the lab's application that the caller needs.
    """

    def register(function: FunctionT) -> FunctionT:
        METHODS[name] = Method(name, function, authenticated or permission is not None, permission)
        return function

    return register


def call(name: str, user: User | AnonymousUser, arguments: tuple[Any, ...]) -> Any:
    """Call a method for a user.

    Raises:
        Fault: there is no such method, the user may not, or the method says no.
    """
    found = METHODS.get(name)
    if found is None:
        raise Fault(NO_SUCH_METHOD, f"there is no method '{name}'; system.listMethods names them all")
    if found.authenticated and not user.is_authenticated:
        raise Fault(NOT_AUTHENTICATED, f"{name} needs a user: put 'user:token@' before the host of the address")
    if found.permission and not user.has_perm(f"lava_scheduler_app.{found.permission}"):
        raise Fault(FORBIDDEN, f"{name} needs the permission {found.permission}")
    try:
        inspect.signature(found.function).bind(user, *arguments)
    except TypeError as error:
        raise Fault(INTERNAL, f"{name}({found.parameters}): {error}") from error
    return found.function(user, *arguments)


def not_found(what: str) -> Fault:
    """Return the fault for something that is not there, or must look so."""
    return Fault(NOT_FOUND, f"{what} not found")


def bad_request(message: str) -> Fault:
    return Fault(BAD_REQUEST, message)


def forbidden(message: str) -> Fault:
    return Fault(FORBIDDEN, message)
