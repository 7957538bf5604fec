"""YAML text as plain values that still know where they stood.

The values come from one fast, safe load.  Positions are worked out only when a fault has to be placed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from .faults import Fault, Path, SubmissionError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: Lists and mappings inside each other; the loader would overflow its stack, and end the process, at some ten thousand.
DEEPEST = 100
#: Values of a document whose aliases are written out: a few lines of aliases to aliases can stand for billions.
MOST_VALUES = 1_000_000


def load_yaml(text: str) -> object:
    """Return the value of a YAML text (YAML 1.1, safe subset; of duplicate keys the last wins), whoever wrote it.

    Raises:
        yaml.YAMLError: it is not YAML, or no document that a program could walk through.
        ValueError: a value is none of its kind, such as the 32nd of a month.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                problem = f"there are more than {DEEPEST} lists and mappings inside each other"
                mark: Any = event.start_mark
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    value = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    if "*" in text:
        values, depth = _extent(value, {})
        if values > MOST_VALUES or depth > DEEPEST:
            raise yaml.YAMLError("its aliases stand for too much")
    return value


def _extent(value: object, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values there are and how deep they go when every alias is written out."""
    if not isinstance(value, dict | list | tuple | set):
        return 1, 0
    if id(value) in known:
        return known[id(value)]
    known[id(value)] = (MOST_VALUES + 1, 0)  # seen again before it is known: it stands inside itself
    inside = [_extent(item, known) for item in (value.values() if isinstance(value, dict) else value)]
    extent = 1 + sum(values for values, _ in inside), 1 + max((depth for _, depth in inside), default=0)
    known[id(value)] = extent
    return extent


class Source:
    """A loaded document."""

    def __init__(self, text: str, file: str = "") -> None:
        """Load the text.

        Raises:
            SubmissionError: it is not YAML; the fault has the line and column.
        """
        self.text = text
        self.file = file
        self._root: yaml.Node | None = None
        try:
            self.value: object = load_yaml(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            problem = " ".join(part for part in (error.context, error.problem) if part)
            raise SubmissionError(
                [Fault((), f"not YAML: {problem}", _remedy(text), line=line, column=column)]
            ) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise SubmissionError([Fault((), f"not YAML: {error}", _remedy(text))]) from error

    def position(self, path: Path) -> tuple[int, int]:
        """Return line and column (from 1) of the value at ``path``, or of what is nearest above it."""
        if self._root is None:
            self._root = yaml.compose(self.text, Loader=_Loader)
        node = self._root
        place = node.start_mark if node else None
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            place = (key or node).start_mark
        return (place.line + 1, place.column + 1) if place else (0, 0)

    def placed(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return the faults with line and column of their paths, in the order of the text."""
        return sorted((self._placed(fault) for fault in faults), key=lambda fault: (fault.line, fault.column))

    def _placed(self, fault: Fault) -> Fault:
        if fault.line:
            return fault
        line, column = self.position(fault.path)
        return Fault(fault.path, fault.message, fault.hint, fault.severity, line, column)


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """Return (key, value) of a mapping's entry, or (None, item) of a sequence; merged keys are looked into."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return (None, node.value[part]) if part < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in reversed(node.value):
        if key.value == str(part):
            return key, value
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if found := _child(merged, part):
                    return found
    return None


def _remedy(text: str) -> str:
    if "\t" in text:
        return "YAML is indented with blanks, never with tabs"
    return "check the quotes, the indentation and the colons around this place"
