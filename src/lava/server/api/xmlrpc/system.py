"""``system.*``.  Source: XML-RPC specification 4."""

from __future__ import annotations

from typing import Any
from xmlrpc.client import Fault

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from lava import __version__

from .registry import METHODS, call, method

Caller = User | AnonymousUser
_BAD_MULTICALL = -32602


@method("system.listMethods")
def list_methods(user: Caller) -> list[str]:
    """Return the names of all methods."""
    return sorted(METHODS)


@method("system.methodSignature")
def method_signature(user: Caller, name: str) -> str:
    """Return the types of a method; they are not declared."""
    return "undef" if name in METHODS else ""


@method("system.methodHelp")
def method_help(user: Caller, name: str) -> str:
    """Return what a method does."""
    return METHODS[name].help if name in METHODS else ""


@method("system.multicall")
def multicall(user: Caller, calls: list[Any]) -> list[Any]:
    """Call several methods in order; a failure is a fault in its place."""
    answers: list[Any] = []
    for item in calls:
        try:
            if not isinstance(item, dict) or set(item) != {"methodName", "params"}:
                raise Fault(_BAD_MULTICALL, "an item of a multicall has methodName and params, nothing else")
            answers.append([call(item["methodName"], user, tuple(item["params"]))])
        except Fault as fault:
            answers.append({"faultCode": fault.faultCode, "faultString": fault.faultString})
    return answers


@method("system.getCapabilities")
def capabilities(user: Caller) -> dict[str, Any]:
    """Return what this server can do beyond plain XML-RPC."""
    url = "http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php"
    return {
        "introspect": {"specUrl": "http://xmlrpc-epi.sourceforge.net/specs/rfc.introspection.php", "specVersion": 1},
        "faults_interop": {"specUrl": url, "specVersion": 20010516},
        "auth_token": {"specUrl": "/api/help/", "specVersion": 20110516},
    }


@method("system.whoami")
def whoami(user: Caller) -> str | None:
    """Return the caller's name, or nothing for an anonymous one."""
    return user.get_username() if user.is_authenticated else None


@method("system.version")
def version(user: Caller) -> str:
    """Return the version of the server."""
    return __version__


@method("system.api_version")
def api_version(user: Caller) -> int:
    """Return the version of this interface."""
    return 2


@method("system.master_config")
def master_config(user: Caller) -> dict[str, Any]:
    """Return where events are published, and how large a log is shown."""
    return {
        "EVENT_TOPIC": settings.EVENT_TOPIC,
        "EVENT_SOCKET": settings.EVENT_SOCKET,
        "EVENT_NOTIFICATION": False,
        "LOG_SIZE_LIMIT": settings.LOG_SIZE_LIMIT,
    }
