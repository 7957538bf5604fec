"""What actions hand to later actions: one frozen value per type and namespace.

Source: dispatcher specification 19.1.
"""

from __future__ import annotations

from typing import TypeVar

from lava.model.errors import LavaBug

FactT = TypeVar("FactT")


class Facts:
    """The facts of one job, by namespace and type."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, type], object] = {}

    def put(self, namespace: str, value: object) -> None:
        """Publish ``value``; it replaces an earlier one of the same type in the namespace."""
        self._values[namespace, type(value)] = value

    def find(self, namespace: str, kind: type[FactT]) -> FactT | None:
        """Return the namespace's fact of that type, or None."""
        value = self._values.get((namespace, kind))
        return value if isinstance(value, kind) else None

    def get(self, namespace: str, kind: type[FactT]) -> FactT:
        """Return the fact; the plan has promised that it exists.

        Raises:
            LavaBug: nobody put it: ``provides`` of some action is not true.
        """
        value = self.find(namespace, kind)
        if value is None:
            raise LavaBug(f"no {kind.__name__} in namespace {namespace!r}: the plan should have refused this")
        return value

    def drop(self, namespace: str, kind: type) -> None:
        """Forget the fact, if there is one."""
        self._values.pop((namespace, kind), None)

    def of_kind(self, kind: type[FactT]) -> dict[str, FactT]:
        """Return every fact of that type by namespace, oldest first."""
        return {space: value for (space, _), value in self._values.items() if isinstance(value, kind)}
