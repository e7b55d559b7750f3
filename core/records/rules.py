"""The rules a record must meet, compiled from its type; they look at values only.

Order: defaults, formulas, visibility (hidden values are cleared or refused), formulas
again, then every rule at once. Children are checked by the same rules, row by row.
Conditions are read through the expression language with an environment that can
follow links.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from core.errors import Problem
from core.expression import Env, Expression
from core.expression.types import Kind
from core.i18n import N_, pick
from core.records.loading import read_only
from core.schema.fieldtypes import field_type
from core.schema.model import Check, Field
from core.tables.columns import DIGITS
from core.tables.computed import COMPUTED, computed_text

Values = dict[str, Any]

#: Compiles the text of an expression in the scope of the record or of its rows.
Compile = Callable[[str, Kind | None], Expression]

_HALF_UP = Context(prec=60, rounding=ROUND_HALF_UP)
_MAX_INTEGER = 999_999_999_999_999


@dataclass(slots=True)
class Subject:
    """One record or row under the rules.

    Attributes:
        values: as it will be; defaults and formulas are filled in.
        before: as it is stored; None for a new one.
        given: names that the caller wrote.
        path: prefix of its problems' paths, such as `lines.0.`.
        row: `values` as expressions see them; `stored` is that of `before`.
    """

    values: Values
    before: Mapping[str, Any] | None
    given: frozenset[str]
    path: str = ""
    row: Mapping[str, Any] = attribute(init=False)
    stored: Mapping[str, Any] = attribute(init=False)

    def __post_init__(self) -> None:
        """Let expressions see the values themselves until there is a better view."""
        self.row = self.values
        self.stored = self.before or {}

    def changed(self, name: str) -> bool:
        """Return whether the caller gives the field another value than it has."""
        if name not in self.given:
            return False
        return self.before is None or self.before.get(name) != self.values.get(name)


def is_empty(value: Any) -> bool:
    """Return whether a value counts as not given."""
    return value is None or value in ("", [])


class Rules:
    """The compiled rules of a set of fields: a record type's, or a table field's columns.

    Attributes:
        paths: dotted names that the expressions read.
        is_plain: a new row has nothing but defaults, formulas and required columns to meet,
            for which there are quicker ways.
    """

    __slots__ = (
        "_blank",
        "_checks",
        "_conditional",
        "_defaults",
        "_formulas",
        "_hiding",
        "_locking",
        "_once",
        "_options",
        "_required",
        "_tables",
        "is_plain",
        "paths",
    )

    def __init__(
        self,
        fields: Iterable[Field],
        checks: Iterable[Check],
        compile_text: Compile,
        rows: "Mapping[str, Rules] | None" = None,
    ) -> None:
        """Compile the rules of `fields`; `rows` has those of each table field."""
        every = list(fields)
        self.paths: set[str] = set()

        def condition(text: str) -> Expression:
            expression = compile_text(text, "boolean")
            self.paths.update(expression.paths)
            return expression

        self._blank = {one.name: _default(one) for one in every if one.type != "backlink"}
        self._defaults = [
            (one, compile_text(one.default_expr, field_type(one.type).expression_type(one).kind))
            for one in every
            if one.default_expr
        ]
        formulas = _in_order(
            [
                (one, compile_text(computed_text(one), None))
                for one in every
                if one.type in COMPUTED and one.stored
            ]
        )
        self._formulas = [(one.name, found.run, fitting(one)) for one, found in formulas]
        for _field, expression in (*self._defaults, *formulas):
            self.paths.update(expression.paths)
        self._hiding = [(one, condition(one.visible_when)) for one in every if one.visible_when]
        self._required = [one.name for one in every if one.required]
        self._conditional = [
            (one.name, condition(one.required_when)) for one in every if one.required_when
        ]
        self._locking = [
            (one.name, condition(one.read_only_when)) for one in every if one.read_only_when
        ]
        self._once = [one.name for one in every if one.set_once]
        self._options = [
            (one.name, {value: condition(text) for value, text in one.options_when.items()})
            for one in every
            if one.options_when
        ]
        self._tables = [(one, (rows or {})[one.name]) for one in every if one.type == "table"]
        self._checks = [(one, condition(one.check)) for one in checks]
        for field, inner in self._tables:
            self.paths.update(f"{field.name}.{path}" for path in inner.paths)
        self.is_plain = not (
            self._hiding
            or self._conditional
            or self._locking
            or self._options
            or self._checks
            or self._defaults
            or self._tables
        )

    def complete(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        """Fill in defaults and formulas of the record and its rows."""
        values = subject.values
        if subject.before is None:
            self._fill(values)
        self._complete_rows(subject, env, problems)
        self.compute(subject, env, problems)
        if subject.before is None:
            for one, expression in self._defaults:
                if one.name not in subject.given:
                    found = expression.evaluate(subject.row, env)
                    values[one.name] = _loaded(one, found, subject.path, problems)
            if self._defaults:
                self.compute(subject, env, problems)

    def _complete_rows(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        for table, inner in self._tables:
            if inner.is_plain and subject.before is None:
                inner.complete_new(*_new_rows(subject, table), env, problems)
                continue
            for row in self._rows(subject, table):
                inner.complete(row, env, problems)

    def compute(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        """Compute the stored formulas and rollups from the values."""
        values = subject.values
        for name, run, fit in self._formulas:
            found = run(subject.row, env)
            try:
                values[name] = found if fit is None or found is None else fit(found)
            except OverflowError:
                values[name] = None
                problems.append(_too_large(subject.path + name))

    def complete_new(
        self, rows: Sequence[Values], path: str, env: Env, problems: list[Problem]
    ) -> None:
        """Fill in defaults and formulas of new rows; `path` is their table field's."""
        for position, row in enumerate(rows):
            self._fill(row)
            for name, run, fit in self._formulas:
                found = run(row, env)
                try:
                    row[name] = found if fit is None or found is None else fit(found)
                except OverflowError:
                    row[name] = None
                    problems.append(_too_large(f"{path}.{position}.{name}"))

    def _fill(self, values: Values) -> None:
        """Fill in plain defaults."""
        for name, value in self._blank.items():
            if name not in values:
                values[name] = list(value) if isinstance(value, list) else value

    def check_new(self, rows: Sequence[Values], path: str, problems: list[Problem]) -> None:
        """Check new rows for what must be filled in."""
        required = self._required
        for position, row in enumerate(rows):
            problems += [
                _missing(f"{path}.{position}.{name}")
                for name in required
                if not row.get(name, True) and is_empty(row[name])
            ]

    def check(self, subject: Subject, env: Env, problems: list[Problem], locale: str) -> None:
        """Apply every rule to the record and its rows; what is broken goes to `problems`."""
        hidden = self._hide(subject, env, problems)
        self._check_required(subject, env, problems, hidden)
        self._check_locked(subject, env, problems)
        for name, conditions in self._options:
            self._check_options(subject, env, problems, (name, conditions))
        for table, inner in self._tables:
            if table.name not in hidden:
                self._check_rows(subject, table, problems)
                if inner.is_plain and subject.before is None:
                    inner.check_new(*_new_rows(subject, table), problems)
                    continue
                for row in self._rows(subject, table):
                    inner.check(row, env, problems, locale)
        for one, expression in self._checks:
            if expression.evaluate(subject.row, env) is not True:
                problems.append(_broken(one, subject.path, locale))

    def _rows(self, subject: Subject, table: Field) -> Iterable[Subject]:
        before = (subject.before or {}).get(table.name) or ()
        known = {row["id"]: row for row in before}
        for position, row in enumerate(subject.values.get(table.name) or ()):
            path = f"{subject.path}{table.name}.{position}."
            stored = known.get(str(row.get("id", "")))
            yield Subject(row, stored, frozenset(row), path)

    def _hide(self, subject: Subject, env: Env, problems: list[Problem]) -> set[str]:
        """Return the hidden fields, having cleared or refused what they hold."""
        if not self._hiding:
            return set()
        hidden: set[str] = set()
        for _round in range(3):  # clearing one field may hide the next
            hidden, cleared = self._clear_hidden(subject, env)
            if not cleared:
                break
            self.compute(subject, env, problems)
        for one, _condition in self._hiding:
            name = one.name
            if (
                name in hidden
                and one.when_hidden == "reject"
                and not is_empty(subject.values.get(name))
                and subject.changed(name)
            ):
                text = N_("This does not apply here and must stay empty.")
                problems.append(Problem(subject.path + name, "field.hidden", text))
        return hidden

    def _clear_hidden(self, subject: Subject, env: Env) -> tuple[set[str], bool]:
        values, hidden, cleared = subject.values, set(), False
        for one, condition in self._hiding:
            if condition.evaluate(subject.row, env) is True:
                continue
            hidden.add(one.name)
            if one.when_hidden == "clear" and not is_empty(values.get(one.name)):
                values[one.name] = [] if one.type in {"table", "links"} else None
                cleared = True
        return hidden, cleared

    def _check_required(
        self, subject: Subject, env: Env, problems: list[Problem], hidden: set[str]
    ) -> None:
        values = subject.values
        missing = [name for name in self._required if name in values and is_empty(values[name])]
        missing += [
            name
            for name, condition in self._conditional
            if name in values
            and is_empty(values[name])
            and name not in missing
            and condition.evaluate(subject.row, env) is True
        ]
        problems += [_missing(subject.path + name) for name in missing if name not in hidden]

    def _check_locked(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        before = subject.before
        for name, condition in self._locking:
            # What is stored decides: the same change could otherwise lift its own lock.
            state = subject.row if before is None else subject.stored
            if (
                subject.changed(name)
                and not (before is None and is_empty(subject.values.get(name)))
                and condition.evaluate(state, env) is True
            ):
                problems.append(read_only(subject.path + name))
        if before is None:
            return
        for name in self._once:
            if not is_empty(before.get(name)) and before.get(name) != subject.values.get(name):
                text = N_("This can be set only once.")
                problems.append(Problem(subject.path + name, "field.set_once", text))

    def _check_options(
        self,
        subject: Subject,
        env: Env,
        problems: list[Problem],
        rule: tuple[str, Mapping[str, Expression]],
    ) -> None:
        name, conditions = rule
        value = subject.values.get(name)
        if is_empty(value) or (subject.before is not None and not subject.changed(name)):
            return
        for chosen in value if isinstance(value, list) else (value,):
            condition = conditions.get(str(chosen))
            if condition is not None and condition.evaluate(subject.row, env) is not True:
                text = N_("{option} cannot be chosen here.")
                problems.append(
                    Problem(subject.path + name, "field.option", text, {"option": chosen})
                )

    def _check_rows(self, subject: Subject, table: Field, problems: list[Problem]) -> None:
        if table.name not in subject.values:
            return
        count = len(subject.values[table.name] or ())
        path = subject.path + table.name
        if count < table.min_rows:
            text = N_("At least {limit} rows.")
            problems.append(Problem(path, "rows.too_few", text, {"limit": table.min_rows}))
        if count > table.max_rows:
            text = N_("At most {limit} rows.")
            problems.append(Problem(path, "rows.too_many", text, {"limit": table.max_rows}))


def _new_rows(subject: Subject, table: Field) -> tuple[Sequence[Values], str]:
    """Return the rows of a table field of a new record and their path."""
    return subject.values.get(table.name) or (), subject.path + table.name


def _missing(path: str) -> Problem:
    return Problem(path, "field.required", N_("This is required."))


def _too_large(path: str) -> Problem:
    return Problem(path, "field.too_large", N_("The computed value is too large."))


def _broken(check: Check, path: str, locale: str) -> Problem:
    """Return the problem of a check that does not hold, in the person's language."""
    place = path + check.fields[0] if check.fields else path.rstrip(".")
    message = pick(check.message, locale, check.check)
    params = {"message": message, "fields": list(check.fields)}
    return Problem(place, "check.failed", "{message}", params)


def _default(field: Field) -> Any:
    """Return what a new record has in a field that nobody gives."""
    if field.default is not None:
        return field_type(field.type).load(field.default, field)
    return [] if field.type in {"table", "links"} else None


def _in_order(formulas: list[tuple[Field, Expression]]) -> list[tuple[Field, Expression]]:
    """Return the formulas so that each comes after those it reads; publish refuses cycles."""
    waiting = {field.name: (field, expression) for field, expression in formulas}
    ordered: list[tuple[Field, Expression]] = []

    def place(name: str) -> None:
        entry = waiting.pop(name, None)
        if entry is not None:
            for path in entry[1].paths:
                place(path.partition(".")[0])
            ordered.append(entry)

    for field, _expression in formulas:
        place(field.name)
    return ordered


def _loaded(field: Field, value: Any, path: str, problems: list[Problem]) -> Any:
    """Return what an expression gave as the field's own Python value."""
    if value is None:
        return None
    kind = field_type(field.type)
    try:
        return kind.load(_plain(value), field)
    except ValueError:
        text = N_("The default value does not fit.")
        problems.append(Problem(path + field.name, "field.default", text))
        return None


def _plain(value: Any) -> Any:
    """Return a value that an expression gave in a form that loaders read."""
    if value is None or isinstance(value, bool | int | str | Decimal | list):
        return value
    return value.isoformat()


def fitting(field: Field) -> Callable[[Any], Any] | None:
    """Return what brings a computed value into the precision of the field's column, half up.

    It raises OverflowError for a number without room there. None where nothing is to do.
    """
    storage = field_type(field.result or field.type).storage(field)
    if storage.kind == "integer":
        return _fit_integer
    if storage.kind != "decimal":
        return None
    unit, limit = Decimal(1).scaleb(-storage.scale), Decimal(10) ** (DIGITS - storage.scale)
    quantize = _HALF_UP.quantize

    def fit(value: Any) -> Any:
        if type(value) is not Decimal:
            if type(value) is not int:
                return value
            value = Decimal(value)
        try:
            number = quantize(value, unit)
            if -limit < number < limit:
                return number
        except InvalidOperation:
            pass  # far too large, or no number
        raise OverflowError

    return fit


def _fit_integer(value: Any) -> Any:
    if type(value) is int:
        whole = value
    elif type(value) is Decimal:
        whole = int(value.to_integral_value(ROUND_HALF_UP))
    else:
        return value
    if abs(whole) > _MAX_INTEGER:
        raise OverflowError
    return whole
