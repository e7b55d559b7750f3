"""Columns for questions that come from outside: only what the actor may ask about.

A field that is hidden in any row cannot be named, and a link to a record that the
actor does not see leads nowhere, exactly as an empty one.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.expression.sql import Columns, Joined, looked_up
from core.policies.access import Access, access
from core.schema.model import Field


class GuardedColumns:
    """The fields of a record as its reader may ask about them."""

    __slots__ = ("_columns", "_ctx", "_fields", "_rights", "dialect")

    def __init__(
        self, ctx: Context, columns: Columns, rights: Access | None, fields: Mapping[str, Field]
    ) -> None:
        """Guard `columns` by `rights`; rows of a table field have the rights of their record."""
        self._ctx, self._columns, self._rights, self._fields = ctx, columns, rights, fields
        self.dialect = columns.dialect

    def element(self, name: str) -> sa.ColumnElement[Any]:
        """Return a field's column."""
        self._check(name)
        field = self._fields.get(name)
        if field is not None and field.type == "lookup":
            joined = self._columns.follow(field.through)
            return looked_up(self._linked(joined, link_target(self._fields, field)), field.field)
        return self._columns.element(name)

    def scale(self, name: str) -> int | None:
        """Return the digits after the point of a stored number."""
        return self._columns.scale(name)

    def follow(self, name: str) -> Joined:
        """Return the record that a link leads to, if the actor sees it."""
        self._check(name)
        return self._linked(self._columns.follow(name), self._fields[name].target)

    def rows(self, name: str) -> Joined:
        """Return the rows of a table field, or the linked records that the actor sees."""
        self._check(name)
        field, joined = self._fields[name], self._columns.rows(name)
        if field.type == "table":
            inner = GuardedColumns(self._ctx, joined.columns, None, _by_name(field.fields))
            return Joined(joined.source, joined.condition, inner)
        target = field.of.partition(".")[0] if field.type == "backlink" else field.target
        return self._linked(joined, target)

    def _check(self, name: str) -> None:
        if self._rights is not None:
            self._rights.require_certain(frozenset((name,)))

    def _linked(self, joined: Joined, target: str) -> Joined:
        rights = access(self._ctx, target)
        rights.require("view")
        clause = rights.clause_over("view", joined.columns)
        condition = joined.condition if clause is None else sa.and_(joined.condition, clause)
        fields = _by_name(rights.record_type.fields)
        inner = GuardedColumns(self._ctx, joined.columns, rights, fields)
        return Joined(joined.source, condition, inner)


def link_target(fields: Mapping[str, Field], lookup: Field) -> str:
    """Return the record type that a lookup among `fields` reads from."""
    return fields[lookup.through].target


def hides(ctx: Context, fields: Mapping[str, Field], lookup: Field) -> bool:
    """Return whether the actor may not read in the linked records what a lookup shows."""
    rights = access(ctx, link_target(fields, lookup))
    if not rights.may("view") or lookup.field not in rights.certain:
        return True
    found = rights.record_type.field(lookup.field)
    if found is None or found.type != "lookup":
        return False
    return hides(ctx, _by_name(rights.record_type.fields), found)


def guarded_columns(ctx: Context, rights: Access) -> GuardedColumns:
    """Return the columns of a record type as the actor may ask about them."""
    name = rights.record_type.name
    fields = _by_name(rights.record_type.fields)
    return GuardedColumns(ctx, ctx.registry.columns(name), rights, fields)


def _by_name(fields: tuple[Field, ...]) -> dict[str, Field]:
    return {field.name: field for field in fields}
