"""Do the records that values point to exist, live, and show to the actor; asked in batches.

Also choices taken from other records' rows, and values that must be unique.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Problem
from core.expression import Expression, ExpressionError
from core.expression.sql import sql_clause
from core.i18n import N_
from core.policies.access import Access, access
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt, texts_at_once
from core.records.binding import bound
from core.records.cascading import depends_on, filter_for
from core.records.environment import RecordEnv
from core.records.people import PEOPLE
from core.records.subject import Subject, is_empty
from core.schema.cascades import cascades
from core.schema.fieldtypes import field_type
from core.schema.model import Field, OptionSource, RecordType
from core.schema.namedtypes import calendar_names, role_names
from core.schema.peopletypes import SINGLE_LINKS, USERS
from core.schema.writtentypes import result_kind

#: Values asked for in one statement; both databases bound the number of parameters.
BATCH = 500

#: Lists of links are filled up to the next of these lengths, so that few statements serve all.
SIZES = (1, 4, 16, 64, BATCH)


#: Where values are looked for: a record type, a column of it, and the condition of a filter.
Place = tuple[str, str, str]


@dataclass(slots=True)
class Wanted:
    """One value that must be found elsewhere, and where its problem goes."""

    value: str
    path: str
    problems: list[Problem]


@dataclass(slots=True)
class WantedColumn:
    """The values of one link column in all rows of a record, looked at one by one if need be."""

    rows: Sequence[Mapping[str, Any]]
    name: str
    path: str
    problems: list[Problem]

    def missing(self, found: Collection[str]) -> Iterator[Wanted]:
        """Yield the values that were not found."""
        for position, row in enumerate(self.rows):
            value = row.get(self.name)
            if value is not None and value not in found:
                yield Wanted(value, f"{self.path}.{position}.{self.name}", self.problems)


@dataclass(slots=True)
class References:
    """Collects what a batch of records points to and asks for it at once.

    Attributes:
        conditions: (field id, text) -> when a source of choices is the one.
        links: (target, filter) -> wanted ids.
        columns: the same for the rows of new records.
        options: (type, field, filter) -> wanted values.
        users: wanted ids of users.
    """

    ctx: Context
    connection: Connection
    owner: str
    conditions: Mapping[tuple[str, str], Expression]
    links: dict[tuple[str, str], list[Wanted]] = attribute(
        default_factory=lambda: defaultdict(list)
    )
    columns: dict[tuple[str, str], list[WantedColumn]] = attribute(
        default_factory=lambda: defaultdict(list)
    )
    options: dict[tuple[str, str, str], list[Wanted]] = attribute(
        default_factory=lambda: defaultdict(list)
    )
    users: list[Wanted] = attribute(default_factory=list)

    def collect(
        self,
        fields: Iterable[Field],
        subject: Subject,
        env: RecordEnv,
        problems: list[Problem],
        table: str = "",
    ) -> None:
        """Note what `subject`, a record or a row of `table`, points to and did not before."""
        before, owner = subject.before or {}, f"{self.owner}.{table}" if table else self.owner
        for one in fields:
            value: Any = subject.values.get(one.name)
            if is_empty(value):
                continue
            place = (subject.path + one.name, problems)
            if one.options_from:
                self._collect_options(one, subject, env, (*place, owner))
            elif field_type(one.type).points and one.target != USERS:
                self._collect_linked(one, subject, owner, place)
            elif value == before.get(one.name):
                continue
            elif one.type == "table":
                self._collect_rows(one, subject, env, problems, table)
            elif one.target == USERS:
                self._collect_users(value, before.get(one.name), place)
            elif one.type in _NAMED:
                problems += _NAMED[one.type](self.ctx, one, value, place[0])

    def _collect_linked(
        self, one: Field, subject: Subject, owner: str, place: tuple[str, list[Problem]]
    ) -> None:
        """Note the records that a link points to, or that its filter may no longer let it."""
        value, before = subject.values[one.name], (subject.before or {}).get(one.name)
        is_moved = self._is_moved(one.target, one.filter, owner, subject)
        if value == before and not is_moved:
            return
        condition = filter_for(self.ctx, one.target, one.filter, owner, subject.row)
        if one.type in SINGLE_LINKS:
            self.links[one.target, condition].append(Wanted(value, *place))
        else:
            known = () if is_moved else before or ()
            self._collect_links((one.target, condition), value, known, place)

    def _collect_links(
        self,
        target: tuple[str, str],
        ids: Sequence[str],
        known: Iterable[str],
        place: tuple[str, list[Problem]],
    ) -> None:
        old = set(known)
        for position, target_id in enumerate(ids):
            if target_id not in old:
                wanted = Wanted(target_id, f"{place[0]}.{position}", place[1])
                self.links[target].append(wanted)

    def _is_moved(self, target: str, text: str, owner: str, subject: Subject) -> bool:
        """Return whether what a filter depends on changed, so that the choice may be gone."""
        before = subject.before
        if before is None or not cascades(text):
            return False
        names = depends_on(self.ctx, target, text, owner)
        return any(before.get(name) != subject.values.get(name) for name in names)

    def _collect_users(
        self, value: str | list[str], known: Any, place: tuple[str, list[Problem]]
    ) -> None:
        if isinstance(value, str):
            self.users.append(Wanted(value, *place))
            return
        old = set(known or ())
        for position, user_id in enumerate(value):
            if user_id not in old:
                self.users.append(Wanted(user_id, f"{place[0]}.{position}", place[1]))

    def _collect_rows(
        self,
        table: Field,
        subject: Subject,
        env: RecordEnv,
        problems: list[Problem],
        outer: str = "",
    ) -> None:
        """Note what the rows of `table`, which may stand in rows of `outer`, point to."""
        stored = {row["id"]: row for row in (subject.before or {}).get(table.name) or ()}
        pointing = [
            one
            for one in table.fields
            if one.target or one.options_from or one.type in _NAMED or one.type == "table"
        ]
        rows = subject.values[table.name]
        if not stored:
            for one in pointing:
                if one.type in SINGLE_LINKS and not cascades(one.filter):
                    column = WantedColumn(rows, one.name, subject.path + table.name, problems)
                    self.columns[one.target, one.filter].append(column)
            pointing = [
                one for one in pointing if one.type not in SINGLE_LINKS or cascades(one.filter)
            ]
        if not pointing:
            return
        for position, row in enumerate(rows):
            inner = Subject(
                row,
                stored.get(row.get("id", "")),
                frozenset(),
                f"{subject.path}{table.name}.{position}.",
            )
            self.collect(pointing, inner, env, problems, f"{outer}.{table.name}".lstrip("."))

    def _collect_options(
        self, one: Field, subject: Subject, env: RecordEnv, place: tuple[str, list[Problem], str]
    ) -> None:
        source = self._source(one, subject, env)
        path, problems, owner = place
        is_kept = (
            subject.before is not None
            and subject.before.get(one.name) == (subject.values[one.name])
        )
        if is_kept and not (source and self._is_moved(source.type, source.filter, owner, subject)):
            return
        values = subject.values[one.name]
        for value in values if isinstance(values, list) else (values,):
            if source is None:
                problems.append(_no_option(path, value))
            else:
                condition = filter_for(self.ctx, source.type, source.filter, owner, subject.row)
                key = source.type, source.value, condition
                self.options[key].append(Wanted(value, path, problems))

    def _source(self, one: Field, subject: Subject, env: RecordEnv) -> OptionSource | None:
        """Return the first source of choices whose condition holds."""
        for source in one.options_from:
            condition = self.conditions.get((one.id, source.when))
            if condition is None or condition.evaluate(subject.values, env) is True:
                return source
        return None

    def check(self) -> None:
        """Ask for everything noted; what is missing goes to each one's problems."""
        wanted: dict[Place, set[str]] = defaultdict(set)
        for (target, condition), links in self.links.items():
            wanted[target, "id", condition].update(one.value for one in links)
        for (target, condition), columns in self.columns.items():
            for column in columns:
                values = [value for row in column.rows if (value := row.get(column.name))]
                wanted[target, "id", condition].update(values)
        for place, options in self.options.items():
            wanted[place].update(one.value for one in options)
        found = self._found({place: values for place, values in wanted.items() if values})
        if any(found.get(place, ()) != values for place, values in wanted.items() if values):
            self._note_missing(found)
        if self.users:
            active = PEOPLE.active(self.connection, {one.value for one in self.users})
            for one in self.users:
                if one.value not in active:
                    text = N_("There is no such user who could be chosen.")
                    one.problems.append(Problem(one.path, "user.not_found", text))
        self.users.clear()
        self.links.clear()
        self.columns.clear()
        self.options.clear()

    def _note_missing(self, found: Mapping[Place, set[str]]) -> None:
        """Tell what was not found, the links of each target before those of its rows."""
        absent: list[Wanted] = []
        for target, condition in dict.fromkeys((*self.links, *self.columns)):
            there = found.get((target, "id", condition), set())
            absent += [one for one in self.links[target, condition] if one.value not in there]
            for column in self.columns[target, condition]:
                absent += column.missing(there)
        for one in absent:
            text = N_("There is no such record to link to.")
            one.problems.append(Problem(one.path, "link.not_found", text))
        for place, options in self.options.items():
            for one in options:
                if one.value not in found.get(place, ()):
                    one.problems.append(_no_option(one.path, one.value))

    def _found(self, wanted: Mapping[Place, set[str]]) -> dict[Place, set[str]]:
        """Return those of the wanted values that live records have that the actor may view."""
        asked: list[tuple[Place, Prebuilt, Mapping[str, Any]]] = []
        for place, values in wanted.items():
            rights = access(self.ctx, place[0])
            if rights.may("view"):
                asked += self._asking(place, rights, sorted(values))
        found: dict[Place, set[str]] = {place: set() for place in wanted}
        answers = texts_at_once(self.connection, [(one, values) for _, one, values in asked])
        for (place, _, _), texts in zip(asked, answers, strict=True):
            found[place].update(texts)
        return found

    def _asking(
        self, place: Place, rights: Access, listed: Sequence[str]
    ) -> Iterator[tuple[Place, Prebuilt, Mapping[str, Any]]]:
        """Yield the statements that ask for values at one place, `BATCH` at a time."""
        clause = rights.row_clause("view")
        while listed:
            size = next((one for one in SIZES if one >= len(listed)), SIZES[-1])
            part, listed = listed[:size], listed[size:]
            key = ("records.references", *place, rights.key, size)
            make = partial(self._statement, *place, clause, size)
            # Lists are filled up to the length that the statement was built for.
            filled = [*part, *([part[0]] * (size - len(part)))]
            values = {f"wanted{at}": value for at, value in enumerate(filled)}
            prebuilt = compiled(self.ctx.registry, key, make)
            yield place, prebuilt, bound(self.ctx, **values)

    def _statement(
        self,
        target: str,
        name: str,
        condition: str,
        rows: sa.ColumnElement[bool] | None,
        size: int,
    ) -> Prebuilt:
        registry = self.ctx.registry
        table = registry.tables[target].main
        column = table.c[name]
        statement = sa.select(column).where(
            column.in_([sa.bindparam(f"wanted{at}", type_=column.type) for at in range(size)]),
            table.c.deleted_at.is_(None),
        )
        if condition:
            expression = registry.expression(target, condition, "boolean")
            statement = statement.where(sql_clause(expression, registry.columns(target)))
        if rows is not None:
            statement = statement.where(rows)
        if name == "id":
            # A target that is being deleted at this moment waits for us, or we for it.
            statement = statement.with_for_update(read=True, key_share=True, of=table)
        return Prebuilt(statement, self.connection.dialect)


def _no_option(path: str, value: str) -> Problem:
    text = N_("{option} cannot be chosen here.")
    return Problem(path, "field.option", text, {"option": value})


def _check_role(ctx: Context, _field: Field, name: str, path: str) -> list[Problem]:
    """Return that a role does not exist, where the schema declares roles at all."""
    known = role_names(ctx.registry.release)
    if not known or name in known:
        return []
    text = N_("There is no role {name}.")
    return [Problem(path, "role.not_found", text, {"name": name})]


def _check_calendar(ctx: Context, _field: Field, name: str, path: str) -> list[Problem]:
    """Return that a business calendar does not exist."""
    if name in calendar_names(ctx.registry.release):
        return []
    text = N_("There is no calendar {name}.")
    return [Problem(path, "calendar.not_found", text, {"name": name})]


def _check_expression(ctx: Context, field: Field, text: str, path: str) -> list[Problem]:
    """Return what is wrong with an expression that somebody wrote, each with its column."""
    try:
        ctx.registry.expression(field.scope, text, result_kind(field))
    except ExpressionError as error:
        return [
            Problem(path, one.code, one.text, {**one.params, "column": one.column})
            for one in error.problems
        ]
    return []


#: Field types whose values name something of the release -> what is wrong with a value.
_NAMED: Mapping[str, Callable[[Context, Field, str, str], list[Problem]]] = {
    "role": _check_role,
    "calendar": _check_calendar,
    "condition": _check_expression,
    "expression": _check_expression,
}


def unique_sets(record_type: RecordType) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Return each combination of fields that must be unique, and whether for ever."""
    single = tuple(((one.name,), one.no_reuse) for one in record_type.fields if one.unique)
    return (*single, *((one.fields, one.no_reuse) for one in record_type.unique_together))


def taken_fields(
    ctx: Context,
    connection: Connection,
    record_type: RecordType,
    records: Sequence[tuple[str, Mapping[str, Any]]],
) -> list[tuple[str, ...] | None]:
    """Return for each (id, values) the unique fields that another record has, or None.

    Records of one batch also collide with those before them in it. Null is never taken.
    """
    found: list[tuple[str, ...] | None] = [None] * len(records)
    for fields, for_ever in unique_sets(record_type):
        keys = [tuple(values.get(name) for name in fields) for _id, values in records]
        wanted = {key for key in keys if None not in key}
        owners = _owners(ctx, connection, (record_type.name, fields, for_ever), wanted)
        for index, key in enumerate(keys):
            if None in key:
                continue
            owner = owners.setdefault(key, records[index][0])
            if owner != records[index][0] and found[index] is None:
                found[index] = fields
    return found


def _owners(
    ctx: Context,
    connection: Connection,
    unique: tuple[str, tuple[str, ...], bool],
    keys: set[tuple[Any, ...]],
) -> dict[tuple[Any, ...], str]:
    """Return which record has each of `keys` already."""
    type_name, fields, for_ever = unique
    table = ctx.registry.tables[type_name].main
    columns = [table.c[name] for name in fields]
    first: sa.BindParameter[Any] = sa.bindparam("wanted", expanding=True)
    statement = sa.select(table.c.id, *columns).where(columns[0].in_(first))
    if not for_ever:
        statement = statement.where(table.c.deleted_at.is_(None))
    if len(fields) > 1:
        # The other columns narrow it down; the pairs themselves are compared below.
        for position, column in enumerate(columns[1:], start=1):
            statement = statement.where(
                column.in_(sa.bindparam(f"wanted{position}", expanding=True))
            )
    owners: dict[tuple[Any, ...], str] = {}
    listed = list(keys)
    for start in range(0, len(listed), BATCH):
        part = listed[start : start + BATCH]
        names = ["wanted", *(f"wanted{position}" for position in range(1, len(fields)))]
        parameters = {
            name: list({key[position] for key in part}) for position, name in enumerate(names)
        }
        for row in connection.execute(statement, parameters):
            owners.setdefault(tuple(row[1:]), row[0])
    return owners
