"""The messages between master and slave, and their frames.

A message is frames: its name, a header (one JSON object), and bodies.  Fields that a reader does not know are left
alone, so that either side may be one version ahead.  Whatever arrives is either one of these or a :class:`WireError`.

Source: protocol specification 2, 3, G12.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Final

#: what this version speaks; it is understood by the versions before and after it
PROTOCOL = 1
#: what this version still understands
OLDEST_PROTOCOL = max(1, PROTOCOL - 1)
LARGEST_HEADER = 64 * 1024
#: a body is a chunk of a log, or a file of a job: more than the server takes as a definition
LARGEST_BODY = 24 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
#: changes each time the slave starts
_EPOCH = re.compile(r"[0-9A-Za-z-]{1,40}")
_JOB = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?")
#: names that are no slave's
RESERVED = frozenset({"lava-logs", "master"})


class WireError(Exception):
    """What arrived is no message; the text says why."""


def check_name(name: str) -> str:
    """Return the name of a slave.

    Raises:
        WireError: it has characters that stand in no host name, or is reserved.
    """
    if not _NAME.fullmatch(name):
        raise WireError(f"{name[:60]!r} is no name of a worker: letters, digits, '-', '_' and '.' only")
    if name in RESERVED:
        raise WireError(f"the name '{name}' is reserved")
    return name


def join_route(name: str, epoch: str) -> bytes:
    """Return what a slave's sockets call themselves: two slaves with one name must not be taken for one."""
    return f"{name}/{epoch}".encode()


def split_route(route: bytes) -> tuple[str, str]:
    """Return name and epoch.

    Raises:
        WireError: it is none of ours.
    """
    name, separator, epoch = route.decode("utf-8", "replace").partition("/")
    if not separator or not _EPOCH.fullmatch(epoch):
        raise WireError(f"{route[:60]!r} is no route of a slave")
    return check_name(name), epoch


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages: fields of kind ``bytes`` travel as bodies, the others in the header."""

    tag: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """A slave comes, or comes again."""

    tag = "HELLO"
    protocol: int
    version: str
    #: stays the same when a slave starts again with the same state directory; tells it from another with its name
    instance: str = ""


@dataclass(frozen=True, slots=True)
class HelloOk(Message):
    """The slave is admitted."""

    tag = "HELLO_OK"
    protocol: int
    version: str
    ping_seconds: int
    #: of several masters, the one with the highest term counts
    term: int = 0


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """The slave is not admitted."""

    tag = "REFUSED"
    reason: str


@dataclass(frozen=True, slots=True)
class Who(Message):
    """The master does not know the slave: it has started again, or the slave was silent.  Answered by HELLO."""

    tag = "WHO"


@dataclass(frozen=True, slots=True)
class Standby(Message):
    """Another master works; this one follows when it is gone."""

    tag = "STANDBY"


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """The slave lives."""

    tag = "PING"


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """The master lives."""

    tag = "PONG"
    ping_seconds: int


@dataclass(frozen=True, slots=True)
class Start(Message):
    """Run a job; repeated until it is answered."""

    tag = "START"
    job: str
    definition: bytes
    device: bytes
    dispatcher: bytes = b""
    environment: bytes = b""
    device_environment: bytes = b""


@dataclass(frozen=True, slots=True)
class StartOk(Message):
    """The job process runs."""

    tag = "START_OK"
    job: str


@dataclass(frozen=True, slots=True)
class Cancel(Message):
    """Stop a job; repeated until its END."""

    tag = "CANCEL"
    job: str


@dataclass(frozen=True, slots=True)
class Status(Message):
    """Does the job run?  Answered by START_OK or END."""

    tag = "STATUS"
    job: str


@dataclass(frozen=True, slots=True)
class End(Message):
    """The job process and all of its children are gone; repeated until it is acknowledged."""

    tag = "END"
    job: str
    #: bytes that the job's log has
    log_length: int
    #: None: it could not be started, or its end was not seen
    exit_status: int | None = None
    #: what it left on standard error, or why it could not run
    error: str = ""
    #: ``description.yaml``
    description: bytes = b""


@dataclass(frozen=True, slots=True)
class EndOk(Message):
    """Everything of the job is stored: forget it."""

    tag = "END_OK"
    job: str


@dataclass(frozen=True, slots=True)
class Log(Message):
    """Whole lines of a job's log."""

    tag = "LOG"
    job: str
    #: bytes of the log before them
    offset: int
    lines: bytes


@dataclass(frozen=True, slots=True)
class Ack(Message):
    """Everything before an offset is stored."""

    tag = "ACK"
    job: str
    offset: int


@dataclass(frozen=True, slots=True)
class Gone(Message):
    """The master does not know the job: stop it, and forget its log."""

    tag = "GONE"
    job: str


_KINDS: Final[Mapping[str, type[Message]]] = {
    kind.tag: kind
    for kind in (
        Hello,
        HelloOk,
        Refused,
        Who,
        Standby,
        Ping,
        Pong,
        Start,
        StartOk,
        Cancel,
        Status,
        End,
        EndOk,
        Log,
        Ack,
        Gone,
    )
}
_CHECKS: Final[Mapping[str, tuple[type, ...]]] = {"int": (int,), "str": (str,), "int | None": (int, type(None))}


_FIELDS: Final = {kind: fields(kind) for kind in _KINDS.values()}
#: fields of each kind that travel in the header, and those that are bodies
_LAYOUT: Final = {
    kind: (
        [entry.name for entry in fields(kind) if entry.type != "bytes"],
        [entry.name for entry in fields(kind) if entry.type == "bytes"],
    )
    for kind in _KINDS.values()
}


def encode(message: Message) -> list[bytes]:
    """Return the frames of a message."""
    header, bodies = _LAYOUT[type(message)]
    text = json.dumps({name: getattr(message, name) for name in header})
    return [message.tag.encode(), text.encode(), *(getattr(message, name) for name in bodies)]


def decode(frames: Sequence[bytes]) -> Message:
    """Return the message that the frames hold.

    Raises:
        WireError: they hold none.
    """
    if len(frames) < 2:
        raise WireError(f"a message has at least 2 frames, not {len(frames)}")
    tag, raw_header, *bodies = frames
    kind = _KINDS.get(tag[:20].decode("ascii", "replace"))
    if kind is None:
        raise WireError(f"unknown message {tag[:20]!r}")
    if len(raw_header) > LARGEST_HEADER or any(len(body) > LARGEST_BODY for body in bodies):
        raise WireError(f"{kind.tag}: too large")
    try:
        header = json.loads(raw_header.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(f"{kind.tag}: the header is no JSON") from error
    if not isinstance(header, dict):
        raise WireError(f"{kind.tag}: the header is no object")
    return _build(kind, header, bodies)


def _build(kind: type[Message], header: Mapping[str, Any], bodies: list[bytes]) -> Message:
    values: dict[str, Any] = {}
    for entry in _FIELDS[kind]:
        if entry.type == "bytes":
            if bodies:
                values[entry.name] = bodies.pop(0)
            elif entry.default is MISSING:
                raise WireError(f"{kind.tag}: the body '{entry.name}' is missing")
            continue
        if entry.name not in header:
            if entry.default is MISSING:
                raise WireError(f"{kind.tag}: '{entry.name}' is missing")
            continue
        value: Any = header[entry.name]
        if not _is_a(str(entry.type), value):
            raise WireError(f"{kind.tag}: '{entry.name}' has the wrong type")
        if isinstance(value, int) and not 0 <= abs(value) < 2**62:
            raise WireError(f"{kind.tag}: '{entry.name}' is out of range")
        if entry.name in ("offset", "log_length") and value < 0:
            raise WireError(f"{kind.tag}: '{entry.name}' is negative")
        if entry.name == "job" and not _JOB.fullmatch(value):
            raise WireError(f"{kind.tag}: {value[:40]!r} is no id of a job")
        values[entry.name] = _storable(value) if isinstance(value, str) else value
    return kind(**values)


def _storable(text: str) -> str:
    """Return the text as files and databases take it: JSON also carries NUL and halves of characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _is_a(kind: str, value: object) -> bool:
    return isinstance(value, _CHECKS[kind]) and not isinstance(value, bool)
