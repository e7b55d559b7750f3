"""One record, or one row of a table field, on its way through the rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

Values = dict[str, Any]


@dataclass(slots=True)
class Subject:
    """One record or row under the rules.

    Attributes:
        values: as it will be; defaults and formulas are filled in.
        before: as it is stored; None for a new one.
        given: names that the caller wrote.
        path: prefix of its problems' paths, such as `lines.0.`.
        row: `values` as expressions see them; `stored` is that of `before`.
        outer: of a row of a table field, the record, or the row, that holds it.
    """

    values: Values
    before: Mapping[str, Any] | None
    given: frozenset[str]
    path: str = ""
    outer: "Subject | None" = None
    row: Mapping[str, Any] = attribute(init=False)
    stored: Mapping[str, Any] = attribute(init=False)

    def __post_init__(self) -> None:
        """Let expressions see the values themselves until there is a better view."""
        self.row = self.values
        self.stored = self.before or {}

    @property
    def seen(self) -> Any:
        """Return what conditions are evaluated for: the record, or a row with its record."""
        return self.row if self.outer is None else (self.row, self.outer.seen)

    @property
    def was(self) -> Any:
        """Return the same as it is stored; what is new as it will be."""
        row = self.row if self.before is None else self.stored
        return row if self.outer is None else (row, self.outer.was)

    def changed(self, name: str) -> bool:
        """Return whether the caller gives the field another value than it has."""
        if name not in self.given:
            return False
        return self.before is None or self.before.get(name) != self.values.get(name)


def is_empty(value: Any) -> bool:
    """Return whether a value counts as not given."""
    return value is None or value in ("", [])
