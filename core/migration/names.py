"""Names in what people stored, followed through a rename: views, dashboards and conditions."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import metadata
from core.schema.following import WRITTEN, followed_text, renames_between
from core.schema.model import Field, Release
from core.schema.renaming import Renames
from core.schema.scopes import tables_of
from core.tables.build import build_tables


def follow_names(connection: Connection, old: Release, new: Release) -> None:
    """Rewrite what people stored for what `new` calls otherwise than `old`.

    It runs before the columns get their new names, in the same transaction.
    """
    renames = renames_between(old, new)
    if not renames:
        return
    _in_views(connection, renames)
    _in_dashboards(connection, renames)
    for record_type in old.types.values():
        written = [one for one in record_type.fields if one.type in WRITTEN]
        tables = build_tables(record_type)
        _in_column(connection, renames, tables.main, written)
        for path, table in tables_of(record_type):
            columns = [one for one in table.fields if one.type in WRITTEN]
            if columns:
                _in_column(connection, renames, tables.rows_of(path), columns)


def _in_views(connection: Connection, renames: Renames) -> None:
    table = metadata.tables.get("gx_view")
    if table is None or not sa.inspect(connection).has_table(table.name):
        return
    query = sa.select(table.c.id, table.c.record_type, table.c.content)
    for identity, type_name, content in connection.execute(query).all():
        tree = {"customize": type_name, "views": [dict(content)]}
        renames.apply(tree)
        (view,) = tree["views"]
        if view != content:
            changed = {"content": view, "version": table.c.version + 1}
            connection.execute(table.update().where(table.c.id == identity).values(changed))


def _in_dashboards(connection: Connection, renames: Renames) -> None:
    table = metadata.tables.get("gx_dashboard")
    if table is None or not sa.inspect(connection).has_table(table.name):
        return
    for identity, content in connection.execute(sa.select(table.c.id, table.c.content)).all():
        tree = {**content, "cards": [dict(card) for card in content.get("cards", ())]}
        renames.apply(tree)
        if tree != {"cards": [], **content}:
            changed = {"content": tree, "version": table.c.version + 1}
            connection.execute(table.update().where(table.c.id == identity).values(changed))


def _in_column(
    connection: Connection, renames: Renames, table: sa.Table, fields: list[Field]
) -> None:
    for one in fields:
        if not one.scope:
            continue
        column = table.c[one.name]
        for identity, text in connection.execute(
            sa.select(table.c.id, column).where(column.is_not(None))
        ).all():
            renamed = followed_text(text, one.scope, renames)
            if renamed != text:
                where = table.c.id == identity
                connection.execute(table.update().where(where).values({one.name: renamed}))
