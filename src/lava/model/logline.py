"""One line of a job's log: written once by the dispatcher, the same bytes everywhere after that.

A stored log is a YAML list of flow mappings, one a line, each of which is also one JSON object::

    - {"dt": "2026-03-02T09:15:01.250000+00:00", "lvl": "info", "msg": "start: 0 validate"}

A place in a log is a byte offset.  Source: dispatcher specification 18.1; readers accept the tagged
scalars (``!!int "12"``) that older writers produced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

#: A message longer than this many characters is replaced by a note that says so.
LONGEST_MESSAGE = 100_000

#: JSON text of a string, non-ASCII characters kept
_quote: Callable[[str], str] = json.encoder.encode_basestring

# Characters that JSON allows bare and YAML does not (C1 controls, DEL, line separators, surrogates, BOM).
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

# Numbers that Python writes in a way that YAML 1.1 takes for text, or that no other JSON parser takes; and texts, which
# may look so inside.
_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![.\d])(-?\d+)(e[+-]\d+)|(-?Infinity|NaN)')

_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n"))


class Level(StrEnum):
    """What kind of line it is.  Source: dispatcher specification 18.2."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    EXCEPTION = "exception"
    TARGET = "target"
    INPUT = "input"
    FEEDBACK = "feedback"
    EVENT = "event"
    RESULTS = "results"


class LogLineError(ValueError):
    """A line is not a log line; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A decoded line.  ``message`` is text, or the result mapping when ``level`` is ``RESULTS``."""

    when: datetime
    level: Level
    message: str | Mapping[str, Any]
    #: console that a feedback line comes from
    namespace: str | None = None


def encode(line: LogLine) -> bytes:
    """Return the line as it is stored and sent: UTF-8, ending in a newline."""
    record: dict[str, Any] = {"dt": line.when.isoformat(), "lvl": line.level.value, "msg": line.message}
    if line.namespace is not None:
        record["ns"] = line.namespace
    text = json.dumps(record, ensure_ascii=False, default=str)
    if len(text) > LONGEST_MESSAGE:
        note = _too_long(len(text))
        record["msg"] = note if isinstance(line.message, str) else {"skip": note}
        text = json.dumps(record, ensure_ascii=False, default=str)
    if not isinstance(line.message, str):
        text = _NUMBER.sub(_number, text)
    return f"- {_NOT_YAML.sub(_escape, text)}\n".encode()


def encode_lines(when: datetime, level: Level, texts: Sequence[str], namespace: str | None = None) -> bytes:
    """Return many text lines of one moment: what :func:`encode` gives for each, made for floods."""
    head = f'- {{"dt": "{when.isoformat()}", "lvl": "{level.value}", "msg": "'
    tail = f'", "ns": {_quote(namespace)}}}\n' if namespace is not None else '"}\n'
    joined = "".join(texts)
    if len(joined) > LONGEST_MESSAGE and any(len(text) > LONGEST_MESSAGE for text in texts):
        texts = [text if len(text) <= LONGEST_MESSAGE else _too_long(len(text)) for text in texts]
        joined = "".join(texts)
    if "\n" in joined or _has_controls(joined):
        texts = [_quote(text)[1:-1] for text in texts]
    else:
        # All of them in one go: the ends of lines are ours, and little else needs a backslash.
        for character in '\\"\t':
            if character in joined:
                texts = "\n".join(texts).replace(character, _quote(character)[1:-1]).split("\n")
    encoded = f"{head}{f'{tail}{head}'.join(texts)}{tail}" if texts else ""
    return (encoded if encoded.isascii() and "\x7f" not in encoded else _NOT_YAML.sub(_escape, encoded)).encode()


def _number(match: re.Match[str]) -> str:
    mantissa, exponent, special = match.groups()
    if mantissa:
        return f"{mantissa}.0{exponent}"
    return f'"{special}"' if special else match.group()


def _has_controls(text: str) -> bool:
    """Return whether there are control characters beside tabs and ends of lines."""
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw.translate(None, _CONTROLS)) != len(raw)


def _too_long(characters: int) -> str:
    return f"<line way too long: {characters} characters>"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return "\\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def decode(raw: bytes) -> LogLine:
    """Parse one stored line, ours or an older writer's.

    Raises:
        LogLineError: it is not UTF-8, not a mapping, or lacks ``lvl`` or ``msg``.
    """
    try:
        text = raw.decode().strip().removeprefix("- ")
    except UnicodeDecodeError as error:
        raise LogLineError(f"not UTF-8 at byte {error.start}") from error
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = _decode_tagged(text)
    if not isinstance(record, dict):
        raise LogLineError("not a mapping")
    try:
        level = Level(record["lvl"])
        message = record["msg"]
    except KeyError as error:
        raise LogLineError(f"no {error.args[0]!r}") from None
    except ValueError:
        raise LogLineError(f"unknown level {record['lvl']!r}") from None
    if not isinstance(message, str | dict):
        message = str(message)
    namespace = record.get("ns")
    return LogLine(_when(record.get("dt")), level, message, None if namespace is None else str(namespace))


def _decode_tagged(text: str) -> object:
    import yaml  # rare: only for logs written by other programs

    from .yaml_source import load_yaml

    try:
        return load_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise LogLineError(f"neither JSON nor YAML: {error}") from error


def _when(value: object) -> datetime:
    if not isinstance(value, str):
        raise LogLineError("no 'dt'")
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise LogLineError(f"{value!r} is no time") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
