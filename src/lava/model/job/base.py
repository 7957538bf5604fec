"""What every part of a job definition has in common: strict, frozen models and the value of a timeout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from lava.model.faults import did_you_mean

#: what a timeout of zero or nothing means.  Source: job definition 3
DEFAULT_TIMEOUT = timedelta(seconds=30)
_UNITS = ("days", "hours", "minutes", "seconds")


class Model(BaseModel):
    """A part of a document.  Text stays text: nothing is converted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", populate_by_name=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class Timeout:
    """A time limit; ``skip`` lets a job go on after a test block that ran into it."""

    duration: timedelta
    skip: bool = False


def fault(message: str, hint: str = "") -> PydanticCustomError:
    """Return an error for a validator to raise; :mod:`.parse` turns it into a fault with a place."""
    return PydanticCustomError("lava", "{message}", {"message": message, "hint": hint})


def is_strict(info: ValidationInfo) -> bool:
    """Return whether the document is read strictly."""
    return bool(info.context and info.context.get("strict"))


def parse_timeout(value: Any, *, strict: bool = False) -> Timeout:
    """Return the timeout that a mapping such as ``{minutes: 5}`` stands for.

    The lenient reading adds several units up, as the field's dispatchers do.  Source: job definition 3.
    """
    if isinstance(value, Timeout):
        return value
    if not isinstance(value, dict):
        raise fault(f"a timeout is a mapping, not {describe(value)}", "write for example {minutes: 5}")
    units = [unit for unit in _UNITS if unit in value]
    if unknown := [str(key) for key in value if key not in (*_UNITS, "skip")]:
        if strict or not units:
            raise fault(f"unknown unit '{unknown[0]}'", did_you_mean(unknown[0], _UNITS))
    for unit in units:
        amount = value[unit]
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < (1 if strict else 0):
            raise fault(
                f"{unit} must be a whole number of at least 1, not {describe(amount)}", "no quotes, no fraction"
            )
    if strict and len(units) != 1:
        raise fault("exactly one unit is needed", f"one of: {', '.join(_UNITS)}")
    skip = value.get("skip", False)
    if not isinstance(skip, bool):
        raise fault(f"skip must be true or false, not {describe(skip)}")
    try:
        duration = timedelta(**{unit: value[unit] for unit in units})
    except OverflowError:
        raise fault("the time is too long", "no job runs for millions of years") from None
    return Timeout(duration or DEFAULT_TIMEOUT, skip)


def _timeout(value: Any, info: ValidationInfo) -> Timeout:
    return parse_timeout(value, strict=is_strict(info))


def _list_of_one(value: Any) -> Any:
    """A single value is a list of one.  Source: job definition, "Table words"."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def describe(value: Any) -> str:
    """Name a value of the wrong kind as its author would."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text '{value if len(value) < 40 else value[:37] + '...'}'"
        case int() | float():
            return f"the number {value}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"the {type(value).__name__} {value}"


TimeoutValue = Annotated[Timeout, BeforeValidator(_timeout)]
Text = Annotated[str, Field(min_length=1)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_list_of_one)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_list_of_one)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


#: for ``Annotated[tuple[X, ...], AsTuple]``: YAML has lists, frozen models have tuples
AsTuple = BeforeValidator(_tuple)
