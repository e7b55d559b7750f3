"""What a PostgreSQL database held when a test got it, to put rows back instead of copying it.

Copying a database writes all its files, some ten megabytes, where a test has
changed a handful of rows.
"""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

#: Milliseconds that connections somebody left open have to go away in.
_PATIENCE = 10_000

# A change of a row makes a version with a new transaction number, and a removal a row less.
_MARK = "SELECT count(*), coalesce(max(xmin::text::bigint), 0) FROM {}"

#: The catalogues that say which tables, columns, indexes, rules and functions there are.
_CATALOGUES = (
    "pg_namespace WHERE nspname !~ '^pg_'",
    "pg_class WHERE relnamespace = 'public'::regnamespace",
    "pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'v')"
    " AND relnamespace = 'public'::regnamespace)",
    "pg_constraint WHERE connamespace = 'public'::regnamespace",
    "pg_proc WHERE pronamespace = 'public'::regnamespace",
    "pg_trigger WHERE NOT tgisinternal",
    "pg_attrdef",
    "pg_index WHERE indexrelid >= 16384",
    "pg_extension",
)

Mark = tuple[int, int]


def leave_alone(connection: sa.Connection) -> None:
    """Close every other connection to the database of `connection`."""
    connection.exec_driver_sql(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname ="
        " current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        (_PATIENCE,),
    )


def clear(connection: sa.Connection) -> None:
    """Remove everything from the database of `connection`, which commits by itself."""
    leave_alone(connection)
    if _rows(connection, "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace"):
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@dataclass(slots=True)
class _Table:
    """The rows of one table as they were, and how they are recognised."""

    mark: Mark
    rows: bytes


@dataclass(slots=True)
class FirstState:
    """The rows of every table and the numbers of every sequence at one moment."""

    structure: list[Mark] = field(default_factory=list)
    tables: dict[str, _Table] = field(default_factory=dict)
    sequences: dict[str, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: sa.Connection) -> "FirstState | None":
        """Read the state; None for a user who may not switch references off to put it back."""
        if _rows(connection, "SHOW is_superuser") != [("on",)]:
            return None
        names = _rows(connection, "SELECT quote_ident(tablename) FROM pg_tables"
                                  " WHERE schemaname = 'public'")  # fmt: skip
        marks = _marks(connection, [name for (name,) in names])
        return cls(
            _structure(connection),
            {name: _Table(mark, _copied(connection, name)) for name, mark in marks.items()},
            _sequences(connection),
        )

    def put_back(self, connection: sa.Connection) -> bool:
        """Make the rows what they were; False when tables changed, so that only a copy helps."""
        leave_alone(connection)
        if _structure(connection) != self.structure:
            return False
        marks = _marks(connection, list(self.tables))
        changed = [name for name, table in self.tables.items() if table.mark != marks[name]]
        if changed:
            connection.exec_driver_sql("BEGIN; SET LOCAL session_replication_role = replica")
            for name in changed:
                connection.exec_driver_sql(f"DELETE FROM {name}")  # noqa: S608  its own name
                _copy_in(connection, name, self.tables[name].rows)
            connection.exec_driver_sql("COMMIT")
            for name, mark in _marks(connection, changed).items():
                self.tables[name].mark = mark
        self._put_sequences_back(connection)
        return True

    def _put_sequences_back(self, connection: sa.Connection) -> None:
        for name, value in _sequences(connection).items():
            first = self.sequences[name]
            if value != first:
                connection.exec_driver_sql(
                    "SELECT setval(%s::regclass, %s, %s)", (name, first or 1, first is not None)
                )


def _rows(connection: sa.Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(query)]


def _structure(connection: sa.Connection) -> list[Mark]:
    return _rows(connection, " UNION ALL ".join(map(_MARK.format, _CATALOGUES)))


def _marks(connection: sa.Connection, names: list[str]) -> dict[str, Mark]:
    query = " UNION ALL ".join(map(_MARK.format, names))
    return dict(zip(names, _rows(connection, query), strict=True)) if names else {}


def _sequences(connection: sa.Connection) -> dict[str, int | None]:
    query = "SELECT quote_ident(sequencename), last_value FROM pg_sequences"
    return dict(_rows(connection, query))


def _copied(connection: sa.Connection, name: str) -> bytes:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} TO STDOUT") as copy:
        return b"".join(map(bytes, copy))


def _copy_in(connection: sa.Connection, name: str, rows: bytes) -> None:
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        copy.write(rows)
