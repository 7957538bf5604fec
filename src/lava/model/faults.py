"""What is wrong with a document: every fault with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from .errors import JobError

Path = tuple[str | int, ...]


class Severity(StrEnum):
    """Whether the document is refused for it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.  ``line`` and ``column`` count from 1; 0 says that the place is not known."""

    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    line: int = 0
    column: int = 0

    @property
    def place(self) -> str:
        """The path as people write it: ``actions[2].boot.commands``."""
        return format_path(self.path)

    def as_warning(self) -> Fault:
        """Return the same fault as something that does not refuse the document."""
        return replace(self, severity=Severity.WARNING)

    def __str__(self) -> str:
        where = f" (line {self.line}, column {self.column})" if self.line else ""
        hint = f"; {self.hint}" if self.hint else ""
        prefix = f"{self.place}: " if self.path else ""
        return f"{prefix}{self.message}{where}{hint}"


class SubmissionError(JobError):
    """A document is refused; :attr:`faults` holds everything that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def format_path(path: Path) -> str:
    """Return ``actions[2].boot.commands`` for ``("actions", 2, "boot", "commands")``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def did_you_mean(word: object, known: Sequence[str]) -> str:
    """Return a hint with the nearest known word, or the list of all when it is short, or nothing."""
    from difflib import get_close_matches  # only wrong input needs it

    close = get_close_matches(str(word), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if known and len(known) <= 12:
        return f"one of: {', '.join(sorted(known))}"
    return ""
