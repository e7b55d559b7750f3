"""What conditions and checks may ask the database: follow a link, list rows.

Every record is read at most once per environment, and a batch is asked for in
advance, so that checking a thousand order lines costs one query per linked type.
Rules are the product's own and see everything; what people see is decided elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.policies.bounded import compiled
from core.records.children import read_links, read_rows
from core.schema.model import Field, RecordType
from core.tables.computed import COMPUTED, computed_text

#: Records asked for in one statement.
BATCH = 500

#: Records of a backlink that one expression may look at.
MOST_BACKLINKS = 10_000


class Wrapped(Mapping[str, Any]):
    """A record whose reading a subclass decides about; it names what is stored with it."""

    __slots__ = ("_values",)
    _values: Mapping[str, Any]

    def __contains__(self, name: object) -> bool:
        """Return whether the value is stored with the record."""
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        """Iterate over the stored names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of stored names."""
        return len(self._values)


class RecordView(Wrapped):
    """A record for expressions, which computes formulas without a column when asked."""

    __slots__ = ("_env", "_type_name")

    def __init__(self, values: Mapping[str, Any], type_name: str, env: "RecordEnv") -> None:
        """Show `values` of a record of `type_name`."""
        self._values, self._type_name, self._env = values, type_name, env

    def __getitem__(self, name: str) -> Any:
        """Return a value; one that is neither stored nor computed is null."""
        try:
            return self._values[name]
        except KeyError:
            return self._env.computed(self._type_name, self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, `default` when it is null."""
        value = self[name]
        return default if value is None else value


class RecordEnv:
    """The environment of one operation; implements `core.expression.Env`."""

    __slots__ = (
        "_ctx",
        "_records",
        "connection",
        "now",
        "places",
        "today",
        "user",
        "variables",
        "zone",
    )

    def __init__(self, ctx: Context, connection: Connection) -> None:
        """Read through `connection`, as of the context's instant."""
        self._ctx = ctx
        self.connection = connection
        self.now = ctx.now
        self.zone = ctx.time_zone
        self.today = self.now.astimezone(self.zone).date()
        self.user: str = ctx.actor.id
        self.places = ctx.actor.places.lists
        self.variables: Mapping[str, Any] = {}
        self._records: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    def view(self, type_name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `values` as expressions see a record of that type."""
        return RecordView(values, type_name, self) if self._computes(type_name) else values

    def holds(self, type_name: str, text: str, values: Mapping[str, Any]) -> bool:
        """Return whether a condition in the scope of a record type is true."""
        expression = self._ctx.registry.expression(type_name, text, "boolean")
        return expression.evaluate(self.view(type_name, values), self) is True

    def follow(self, type_name: str, record_id: str) -> Mapping[str, Any] | None:
        """Return the record that a link leads to, deleted or not, as the row still shows it."""
        key = type_name, record_id
        if key not in self._records:
            self.prefetch(type_name, (record_id,))
        return self._records[key]

    def prefetch(self, type_name: str, ids: Iterable[str]) -> None:
        """Read the records of one type that are going to be followed, in few statements."""
        missing = sorted({one for one in ids if one and (type_name, one) not in self._records})
        table = self._ctx.registry.tables[type_name].main
        statement = compiled(
            self._ctx.registry,
            ("records.follow", type_name),
            lambda: sa.select(table).where(table.c.id.in_(sa.bindparam("ids", expanding=True))),
        )
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            self._records.update(dict.fromkeys(((type_name, one) for one in part), None))
            for row in self.connection.execute(statement, {"ids": part}).mappings():
                self._records[type_name, row["id"]] = self.view(type_name, dict(row))

    def rows(
        self, type_name: str, row: Mapping[str, Any], name: str
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a table field, or the records of a links field or backlink.

        A row of a table field (its owner is `TYPE.TABLE`) holds what is inside it already.
        """
        if "." in type_name:
            return row.get(name) or ()
        field = self._ctx.registry.record_type(type_name).field(name)
        record_id = row.get("id")
        if field is None or record_id is None:
            return ()
        if field.type == "table":
            rows = read_rows(self.connection, self._ctx.registry, (type_name, name), (record_id,))
            return rows.get(record_id, ())
        if field.type == "links":
            links = read_links(
                self.connection, self._ctx.registry, (type_name, name), (record_id,)
            )
            return self.follow_all(field.target, links.get(record_id, ()))
        return self._backlinks(field, record_id)

    def follow_all(self, type_name: str, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the live ones of the records with `ids`, in their order."""
        self.prefetch(type_name, ids)
        found = (self._records[type_name, one] for one in ids)
        return [one for one in found if one is not None and one.get("deleted_at") is None]

    def _backlinks(self, field: Field, record_id: str) -> Sequence[Mapping[str, Any]]:
        type_name, _, name = field.of.partition(".")
        record_type = self._ctx.registry.record_type(type_name)
        tables = self._ctx.registry.tables[type_name]
        link = record_type.field(name)
        if link is not None and link.type == "links":
            of = tables.links[name]
            condition: sa.ColumnElement[bool] = tables.main.c.id.in_(
                sa.select(of.c.record_id).where(of.c.target_id == record_id)
            )
        else:
            condition = tables.main.c[name] == record_id
        statement = (
            sa.select(tables.main)
            .where(condition, tables.main.c.deleted_at.is_(None))
            .order_by(tables.main.c.id)
            .limit(MOST_BACKLINKS + 1)
        )
        rows = self.connection.execute(statement).mappings()
        return [self.view(type_name, dict(row)) for row in rows]

    def computed(self, type_name: str, row: Mapping[str, Any], name: str) -> Any:
        """Return the value of a field that has no column, None for any other name."""
        field = self._ctx.registry.record_type(type_name).field(name)
        if field is None or field.type not in COMPUTED:
            return None
        expression = self._ctx.registry.expression(type_name, computed_text(field), None)
        return expression.evaluate(row, self)

    def _computes(self, type_name: str) -> bool:
        """Return whether the type has fields that are computed when they are read."""
        registry = self._ctx.registry
        return registry.memo(
            ("records.computes", type_name), lambda: has_computed(registry.record_type(type_name))
        )


def has_computed(record_type: RecordType) -> bool:
    """Return whether a type has formulas or rollups without a column."""
    return any(one.type in COMPUTED and not one.stored for one in record_type.fields)
