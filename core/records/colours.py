"""Which colour rule of a view holds for which record, under the reader's rights."""

from collections.abc import Sequence
from contextlib import suppress

import sqlalchemy as sa

from core.context import Context
from core.errors import Forbidden
from core.expression.sql import sql_clause
from core.policies.access import access
from core.policies.guarded import guarded_columns
from core.records.binding import bound
from core.records.selection import read_filter
from core.schema.model import ColorRule


def record_colours(
    ctx: Context, type_name: str, ids: Sequence[str], rules: Sequence[ColorRule]
) -> dict[str, str]:
    """Return record id -> colour of the first rule that holds; ids without one are left out.

    Rules that ask by a field that the reader may not ask by colour nothing for them.

    Raises:
        Invalid: a rule is no condition over the type.
    """
    if not rules or not ids:
        return {}
    rights = access(ctx, type_name)
    rights.require("view")
    table, columns = ctx.registry.tables[type_name].main, guarded_columns(ctx, rights)
    held = []
    for rule in rules:
        with suppress(Forbidden):
            clause = sql_clause(read_filter(ctx, type_name, rule.when), columns)
            held.append((clause, sa.literal(rule.color)))
    if not held:
        return {}
    colour = sa.case(*held, else_=sa.null())
    statement = sa.select(table.c.id, colour).where(table.c.id.in_(list(ids)))
    shown = rights.row_clause("view")
    if shown is not None:
        statement = statement.where(shown)
    with ctx.reading() as connection:
        rows = connection.execute(statement, bound(ctx)).all()
    return {record_id: found for record_id, found in rows if found}
