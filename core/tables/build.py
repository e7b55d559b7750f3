"""Tables of a record type: the main one, one per table field, one per links field.

    member                    r_member
    order, table field lines  r_order__lines
    its table field parts     r_order__lines__parts
    rule, links card_types    r_rule__card_types

Every name that reaches the database passes `identifier`, which keeps it within
PostgreSQL's 63 bytes without two names ever becoming one.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.schema.model import Field, RecordType
from core.tables.columns import ID, Instant, column_type
from core.tables.storage import Storage, has_column, storage_of

#: PostgreSQL cuts longer names silently.
MAX_IDENTIFIER = 63


@dataclass(frozen=True, slots=True)
class TypeTables:
    """The tables of one record type.

    Attributes:
        main: one row per record.
        children: table field name -> the table of its rows.
        links: links field name -> the table of its targets.
        inner: table field name -> the tables of the table fields among its columns.
    """

    main: sa.Table
    children: Mapping[str, sa.Table] = field(default_factory=dict)
    links: Mapping[str, sa.Table] = field(default_factory=dict)
    inner: Mapping[str, Mapping[str, sa.Table]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[sa.Table]:
        """Yield every table, the main one first."""
        yield self.main
        yield from self.children.values()
        yield from self.links.values()
        for tables in self.inner.values():
            yield from tables.values()

    def rows_of(self, path: str) -> sa.Table:
        """Return the table of the rows at `lines`, or of the rows inside them at `lines.parts`.

        Raises:
            KeyError: there is no such table field.
        """
        name, _, below = path.partition(".")
        return self.inner[name][below] if below else self.children[name]


def identifier(*parts: str) -> str:
    """Return the parts joined by `__`, cut to 63 bytes with a hash where they are longer."""
    name = "__".join(parts)
    data = name.encode()
    if len(data) <= MAX_IDENTIFIER:
        return name
    digest = hashlib.sha256(data).hexdigest()[:10]
    return data[: MAX_IDENTIFIER - 11].decode(errors="ignore") + "_" + digest


def main_name(type_name: str) -> str:
    """Return the name of a record type's main table."""
    return identifier(f"r_{type_name}")


def sub_name(type_name: str, *field_names: str) -> str:
    """Return the name of the table of a table field or links field, or of one inside another."""
    return identifier(f"r_{type_name}", *field_names)


def stored_names(live: Iterable[Field], archived: Iterable[Field]) -> dict[str, str]:
    """Return field id -> stored name, for live and archived fields of one table.

    A live field is stored under its own name. So is an archived one while the
    name is free; once the name belongs to another field it is set aside under
    a name of its own, so that the newcomer starts empty and nothing is lost.
    """
    names = {one.id: one.name for one in live}
    taken = set(names.values())
    for one in reversed(tuple(archived)):
        aside = f"{one.name}__x{hashlib.sha256(one.id.encode()).hexdigest()[:8]}"
        names[one.id] = identifier(aside) if one.name in taken else one.name
        taken.add(one.name)
    return names


def columns_of(fields: Iterable[Field], names: Mapping[str, str]) -> list[sa.Column[Any]]:
    """Return new columns for those fields that have one, in the order given."""
    found: list[sa.Column[Any]] = []
    for one in fields:
        if has_column(one):
            storage = storage_of(one)
            kind = column_type(storage.kind, storage.scale)
            found.append(sa.Column(names[one.id], kind, nullable=True))
    return found


def _system_columns(record_type: RecordType) -> list[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = [
        sa.Column("id", ID, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("release", sa.Integer, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", ID, nullable=False),
        sa.Column("deleted_at", Instant()),
        sa.Column("chain", sa.String(64), nullable=False, server_default=""),
        sa.Column("events", sa.Integer, nullable=False, server_default="0"),
    ]
    if record_type.document:
        columns += [sa.Column("audited_at", Instant()), sa.Column("audit_seq", sa.BigInteger)]
    return columns


def _child_table(name: str, columns: list[sa.Column[Any]], *, is_inner: bool = False) -> sa.Table:
    """Return the table of rows; those inside of other rows name these too."""
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", ID, primary_key=True),
        sa.Column("record_id", ID, nullable=False),
        *([sa.Column("row_id", ID, nullable=False)] if is_inner else ()),
        sa.Column("position", sa.Integer, nullable=False),
        *columns,
    )


def _links_table(name: str) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("record_id", ID, primary_key=True),
        sa.Column("target_id", ID, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )


def shape(record_type: RecordType) -> tuple[object, ...]:
    """Return what decides the tables' columns, to tell whether two versions share them."""
    return (record_type.name, record_type.document, _shape(record_type.fields))


def _shape(fields: Iterable[Field]) -> tuple[tuple[str, Storage, object], ...]:
    return tuple((one.name, storage_of(one), _shape(one.fields)) for one in fields)


def build_tables(record_type: RecordType, *, with_archived: bool = False) -> TypeTables:
    """Return the record type's tables, each with a MetaData of its own.

    `with_archived` adds what is kept but no longer shown; migrations and checks
    need it, everything else must not see it.
    """
    archived = record_type.archived_fields if with_archived else ()
    names = stored_names(record_type.fields, record_type.archived_fields)
    every = (*record_type.fields, *archived)
    main = sa.Table(
        main_name(record_type.name),
        sa.MetaData(),
        *_system_columns(record_type),
        *columns_of(every, names),
    )
    children: dict[str, sa.Table] = {}
    links: dict[str, sa.Table] = {}
    inside: dict[str, dict[str, sa.Table]] = {}
    for one in every:
        stored = names[one.id]
        if one.type == "table":
            inner = (*one.fields, *one.archived_fields) if with_archived else one.fields
            below = stored_names(one.fields, one.archived_fields)
            columns = columns_of(inner, below)
            children[stored] = _child_table(sub_name(record_type.name, stored), columns)
            tables = {
                below[it.id]: _inner_table(
                    it, (record_type.name, stored, below[it.id]), with_archived=with_archived
                )
                for it in inner
                if it.type == "table"
            }
            if tables:
                inside[stored] = tables
        elif one.type == "links":
            links[stored] = _links_table(sub_name(record_type.name, stored))
    return TypeTables(main, children, links, inside)


def _inner_table(table: Field, names: tuple[str, str, str], *, with_archived: bool) -> sa.Table:
    """Return the table of a table field inside another; `names` lead to it from the type."""
    inner = (*table.fields, *table.archived_fields) if with_archived else table.fields
    columns = columns_of(inner, stored_names(table.fields, table.archived_fields))
    return _child_table(sub_name(*names), columns, is_inner=True)
