"""Linked records inlined into an answer, under the reader's own rights on them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.policies.access import Access, access
from core.policies.bounded import compiled
from core.records.binding import bound
from core.records.projection import Projection

Record = dict[str, Any]

#: Linked records read in one statement.
BATCH = 500


def expand_records(
    ctx: Context,
    connection: Connection,
    rights: Access,
    records: Sequence[Record],
    names: Sequence[str],
) -> None:
    """Put linked records, ready for JSON, in the place of their ids, for the fields `names`.

    A target that the reader does not see stays `{"id", "no_access": ["*"]}`.

    Raises:
        Invalid: a name is no link.
        Forbidden: the reader may see no record of the target's type.
    """
    for name in dict.fromkeys(names):
        field = rights.record_type.field(name)
        if field is None or field.type not in {"link", "links"}:
            text = N_("Only links can be expanded, not {name}.")
            raise Invalid(problems=[Problem("expand", "query.not_a_link", text, {"name": name})])
        target = access(ctx, field.target)
        target.require("view")
        wanted: set[str] = set()
        for record in records:
            value = record.get(name)
            wanted.update(value if isinstance(value, list) else [value] if value else ())
        found = _targets(ctx, connection, target, wanted)
        for record in records:
            value = record.get(name)
            if isinstance(value, list):
                record[name] = [found[one] for one in value]
            elif value is not None:
                record[name] = found[value]


def _targets(
    ctx: Context, connection: Connection, rights: Access, ids: set[str]
) -> dict[str, Record]:
    def make() -> tuple[Projection, sa.Select[Any]]:
        projection = Projection(ctx, rights, None, whole=False)
        table = ctx.registry.tables[rights.record_type.name].main
        statement = sa.select(*projection.columns).where(
            table.c.id.in_(sa.bindparam("ids", expanding=True)), table.c.deleted_at.is_(None)
        )
        clause = rights.row_clause("view")
        return projection, statement if clause is None else statement.where(clause)

    # What lookups show depends on the rights on what they read from.
    roles = ctx.actor.rights_key
    projection, statement = compiled(ctx.registry, ("records.expand", rights.key, roles), make)
    write = projection.writer()
    found: dict[str, Record] = {one: {"id": one, "no_access": ["*"]} for one in ids}
    listed = sorted(ids)
    for start in range(0, len(listed), BATCH):
        for row in connection.execute(statement, bound(ctx, ids=listed[start : start + BATCH])):
            record = write(row)
            projection.veil(row).lay([record], projection.wire, as_wire=True)
            found[record["id"]] = record
    return found
