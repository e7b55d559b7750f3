"""One stored record by the value of one column, for rules that see everything."""

from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt


def find_record(
    ctx: Context,
    type_name: str,
    column: str,
    value: Any,
    *,
    names: tuple[str, ...] = (),
    live: bool = True,
    lock: bool = False,
) -> dict[str, Any] | None:
    """Return the stored values of the record whose column has a value, or None.

    It sees every record, whoever acts; what people see is decided elsewhere. The column is
    unique, or any of several records is as good.

    Args:
        ctx: the context; its transaction is used if one is under way.
        type_name: the record type.
        column: one of its stored fields, or `id`.
        value: in Python values.
        names: the stored fields that are wanted; all of them when there are none.
        live: whether deleted ones are left out.
        lock: whether it stays as it is until the transaction ends.

    Raises:
        NotFound: there is no such record type.
    """
    ctx.registry.record_type(type_name)
    dialect = ctx.db.engine.dialect
    key = ("records.find", type_name, column, names, live, lock, dialect.name)
    table = ctx.registry.tables[type_name].main
    wanted = names or table.c.keys()

    def make() -> Prebuilt:
        query = sa.select(*(table.c[one] for one in wanted)).where(
            table.c[column] == sa.bindparam("value")
        )
        query = query.where(table.c.deleted_at.is_(None)) if live else query
        return Prebuilt(query.with_for_update(key_share=True) if lock else query, dialect)

    prebuilt = compiled(ctx.registry, key, make)
    with ctx.reading() as connection:
        rows = prebuilt.rows(connection, {"value": value})
    return dict(zip(wanted, rows[0], strict=True)) if rows else None
