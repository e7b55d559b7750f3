"""A flow's document as it is stored, whole, and as an approved proposal would make it."""

from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.errors import NotFound
from core.prebuilt import Prebuilt
from core.records.children import attach
from core.records.proposals import Proposal
from core.records.updating import lay_over
from core.records.validation import compile_validator

Record = dict[str, Any]


def load_document(ctx: Context, type_name: str, record_id: str, *, lock: bool = False) -> Record:
    """Return every stored value of a live record, whoever asks; locked if wanted.

    What of it is shown to people passes their own rights elsewhere.

    Raises:
        NotFound: there is no such record.
    """
    tables = ctx.registry.tables[ctx.registry.record_type(type_name).name]

    def make() -> Prebuilt:
        query = sa.select(tables.main).where(
            tables.main.c.id == sa.bindparam("id"), tables.main.c.deleted_at.is_(None)
        )
        return Prebuilt(query.with_for_update(key_share=True) if lock else query, dialect)

    with ctx.reading() as connection:
        dialect = connection.dialect
        key = ("workflow.document", type_name, lock, dialect.name)
        rows = ctx.registry.memo(key, make).rows(connection, {"id": record_id})
        if not rows:
            raise NotFound
        names = [column.key for column in tables.main.c]
        record = dict(zip(names, rows[0], strict=True))
        attach(connection, ctx.registry, type_name, [record], [*tables.children, *tables.links])
    return record


def with_proposal(ctx: Context, type_name: str, record: Record, found: Proposal | None) -> Record:
    """Return the values that a proposal changes, as Python values; none without one."""
    if found is None:
        return {}
    whole = lay_over(compile_validator(ctx.registry, type_name), record, found.values)
    return {
        name: whole[name]
        for name in found.values
        if name in whole and whole[name] != record.get(name)
    }
