"""Tables whose rows stay as they were written: the database itself refuses a change.

A trigger keeps out mistakes and every program that uses the product's account. Whoever
owns the tables can remove it, which is what the chain of hashes is there to show.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

#: The table has no rows yet when its trigger is made, so nothing is left unguarded.
_MOMENT = "after_create"

_REFUSAL = "{table} keeps what was written"

_SQLITE = (
    "CREATE TRIGGER {table}_unchanged BEFORE UPDATE ON {table} WHEN NOT ({same}) "
    "BEGIN SELECT RAISE(ABORT, '{refusal}'); END",
    "CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{refusal}'); END",
)

_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION gx_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION '%% keeps what was written', TG_TABLE_NAME; END $$",
    "CREATE TRIGGER {table}_unchanged BEFORE UPDATE ON {table} FOR EACH ROW "
    "WHEN (NOT ({same})) EXECUTE FUNCTION gx_refuse()",
    "CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} FOR EACH ROW "
    "EXECUTE FUNCTION gx_refuse()",
    "CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
    "EXECUTE FUNCTION gx_refuse()",
)

#: Names of the triggers that are on their tables and refuse.
_SQLITE_TRIGGERS = (
    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND instr(name, tbl_name || '_') = 1"
    " AND instr(sql, 'SELECT RAISE(ABORT,') > 0"
)
_POSTGRESQL_TRIGGERS = (
    "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " JOIN pg_proc ON pg_proc.oid = tgfoid"
    " WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
    " AND relnamespace = current_schema()::regnamespace"
    " AND starts_with(tgname, relname || '_')"
    " AND proname = 'gx_refuse' AND prosrc LIKE ' BEGIN RAISE EXCEPTION%'"
)

#: Every table made append-only, which `unguarded` looks at.
_GUARDED: list[sa.Table] = []


def append_only(
    table: sa.Table, *, erasable: Sequence[str] = (), changing: Sequence[str] = ()
) -> sa.Table:
    """Have the database refuse to change or delete rows of `table`, and return it.

    Args:
        table: not created yet.
        erasable: columns of text that may become empty, for people who are to be forgotten.
        changing: columns that may change, since rows that nobody can change give them.
    """
    _GUARDED.append(table)
    kept = [column for column in table.columns if column.name not in changing]
    for dialect, statements in (("sqlite", _SQLITE), ("postgresql", _POSTGRESQL)):
        same = " AND ".join(_same(column, erasable, dialect) for column in kept)
        for statement in statements:
            text = statement.format(
                table=table.name, same=same, refusal=_REFUSAL.format(table=table.name)
            )
            made = sa.DDL(text)  # type: ignore[no-untyped-call]
            sa.event.listen(table, _MOMENT, made.execute_if(dialect=dialect))
    return table


def is_append_only(table: sa.Table) -> bool:
    """Return whether the database refuses to change the rows of a table."""
    return any(one is table for one in _GUARDED)


def unguarded(connection: Connection) -> list[str]:
    """Return the append-only tables that lack a trigger which is switched on and refuses."""
    is_sqlite = connection.dialect.name == "sqlite"
    query = _SQLITE_TRIGGERS if is_sqlite else _POSTGRESQL_TRIGGERS
    made = _SQLITE if is_sqlite else _POSTGRESQL
    names = [one.split()[2] for one in made if one.startswith("CREATE TRIGGER")]
    found = set(connection.execute(sa.text(query)).scalars())
    return [
        table.name
        for table in _GUARDED
        if not found.issuperset(name.format(table=table.name) for name in names)
    ]


def _same(column: sa.Column[object], erasable: Sequence[str], dialect: str) -> str:
    is_same = "IS" if dialect == "sqlite" else "IS NOT DISTINCT FROM"
    same = f'NEW."{column.name}" {is_same} OLD."{column.name}"'
    return f"({same} OR NEW.\"{column.name}\" = '')" if column.name in erasable else same
