"""What expressions are about: types, scopes, environments, bounds and problems."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from core.errors import Problem, UserError
from core.i18n import N_

Kind = Literal[
    "text",
    "number",
    "boolean",
    "date",
    "time",
    "datetime",
    "duration",
    "choice",
    "choices",
    "record",
    "records",
    "rows",
    "structure",
    "list",
    "any",
    "null",
]

MAX_CHARACTERS = 2_000
MAX_NODES = 300
MAX_DEPTH = 30
MAX_DOTS = 8
MAX_DIGITS = 30
MAX_LITERAL = 500
#: Rows that the list functions of one evaluation may visit.
MAX_STEPS = 100_000

#: A problem of an expression: `column` is 1-based in its text, `path` is empty.
ExpressionProblem = Problem


class ExpressionError(UserError):
    """An expression's text is not right; `problems` names every place."""

    code = "expression.invalid"
    status = 400
    text = N_("The expression has problems.")


class BudgetExceeded(UserError):
    """An evaluation would visit more rows than one evaluation may."""

    code = "expression.too_much_work"
    status = 422
    text = N_("The expression visits more than {limit} rows.")


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a value.

    Attributes:
        options: values of a choice or of choices; None when they are not known.
        target: record type of a record, of records, or of rows that are records.
        element: type of a list's values.
        fields: columns of a table field's rows; parts of a structure, such as a city.
    """

    kind: Kind
    options: frozenset[str] | None = None
    target: str = ""
    element: "Type | None" = None
    fields: Mapping[str, "Type"] | None = None

    def __str__(self) -> str:
        """Return the name people read in messages."""
        return f"{self.kind} ({self.target})" if self.target else self.kind


TEXT, NUMBER, BOOLEAN = Type("text"), Type("number"), Type("boolean")
DATE, TIME, DATETIME, DURATION = Type("date"), Type("time"), Type("datetime"), Type("duration")
ANY, NULL = Type("any"), Type("null")


def _no_types(_name: str) -> Mapping[str, Type]:
    return {}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use.

    Attributes:
        fields: the record's own fields.
        record_types: gives the fields of the record type a link leads to.
        variables: names that come from the environment, such as `current_user`.
        name: the record type of `fields`; `""` where they belong to none.
        outer: of a row of a table field, the record that holds it; its names are seen where
            the row has none of that name, as inside a list function.
    """

    fields: Mapping[str, Type]
    record_types: Callable[[str], Mapping[str, Type]] = _no_types
    variables: Mapping[str, Type] = field(default_factory=dict)
    name: str = ""
    outer: "Scope | None" = None

    def around(self) -> "list[Scope]":
        """Return what is around a row, the record first, and then the scope itself."""
        return [*(self.outer.around() if self.outer else ()), self]


class Env(Protocol):
    """What an evaluation may ask the world."""

    @property
    def today(self) -> date:
        """Return the store's day."""

    @property
    def now(self) -> datetime:
        """Return the present instant, aware."""

    @property
    def user(self) -> str:
        """Return the id of the person acting; the variable `current_user`."""

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the store's day."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """Return the values of the scope's other variables."""

    @property
    def places(self) -> Mapping[str, Collection[str]]:
        """Return where the person acting works (`core.expression.places`)."""

    def follow(self, type_name: str, record_id: str) -> Mapping[str, Any] | None:
        """Return the record that a link leads to, or None."""

    def rows(
        self, type_name: str, row: Mapping[str, Any], name: str
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a backlink, or of a table field that `row` does not hold."""


@dataclass(slots=True)
class PlainEnv:
    """An environment without links; enough for values that are all in the row."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    user: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """Return the day that it is now in the zone."""
        return self.now.astimezone(self.zone).date()

    def follow(self, type_name: str, record_id: str) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return None: there is nothing to follow to."""
        return None

    def rows(
        self,
        type_name: str,  # noqa: ARG002
        row: Mapping[str, Any],
        name: str,
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows that `row` itself holds."""
        return row.get(name) or ()


def problem(column: int, code: str, text: str, **params: Any) -> Problem:
    """Return a problem at 0-based position `column` of an expression."""
    return Problem("", f"expression.{code}", text, params, line=1, column=column + 1)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the name in `names` that `name` was probably meant to be, or `""`."""
    return _nearest(name[:80], tuple(names))


@lru_cache(maxsize=1_024)
def _nearest(name: str, names: tuple[str, ...]) -> str:
    """Return the nearest name; remembered, since a mistake is seldom made once."""
    known = {known.casefold(): known for known in names}
    found = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.6)
    return known[found[0]] if found else ""
