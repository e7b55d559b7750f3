"""What a PostgreSQL database held when a test got it, to put that back instead of copying it.

Copying a database, or making its tables anew, creates hundreds of files and waits for the disk
at each, where a test has changed a handful of rows and perhaps added a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

#: Seconds that connections somebody left open have to go away in.
_PATIENCE = 10

# A change of a row makes a version with a new transaction number, and a removal a row less.
# The number says whose row it is: with many tables they are read side by side, in any order.
_MARK = "SELECT {}, count(*), coalesce(max(xmin::text::bigint), 0) FROM {}"

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

# Everything that those say: (kind, name, part) of what is dropped to be rid of it, and what it
# is. Without a kind it goes with something else, or a drop does not put it back.
_SIGNATURE = """
WITH own AS (SELECT oid, quote_ident(relname) AS name, relkind, concat_ws(' ', relpersistence,
  reloptions::text) AS options FROM pg_class WHERE relnamespace = 'public'::regnamespace)
SELECT CASE relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE '' END, name, '',
  concat_ws(' ', relkind, name, options, CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
  FROM own WHERE relkind <> 'i'
UNION ALL SELECT 'INDEX', name, '', concat_ws(' ', pg_get_indexdef(oid), indisvalid)
  FROM own JOIN pg_index ON indexrelid = oid
UNION ALL SELECT 'COLUMN', name, quote_ident(attname), concat_ws(' ', name, attname,
  row_number() OVER (PARTITION BY attrelid ORDER BY attnum), format_type(atttypid, atttypmod),
  attnotnull, attidentity, attgenerated, attcollation, pg_get_expr(adbin, adrelid))
  FROM own JOIN pg_attribute ON attrelid = own.oid AND attnum > 0 AND NOT attisdropped
  AND relkind = 'r' LEFT JOIN pg_attrdef ON adrelid = own.oid AND adnum = attnum
UNION ALL SELECT 'CONSTRAINT', name, quote_ident(conname),
  concat_ws(' ', name, conname, convalidated, pg_get_constraintdef(pg_constraint.oid))
  FROM own JOIN pg_constraint ON conrelid = own.oid
UNION ALL SELECT '', '', '', pg_get_functiondef(oid) FROM pg_proc
  WHERE pronamespace = 'public'::regnamespace AND prokind <> 'a'
UNION ALL SELECT '', '', '', pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT '', '', '', concat_ws(' ', 'extension', extname, extversion) FROM pg_extension
UNION ALL SELECT '', '', '', concat_ws(' ', 'schema', nspname) FROM pg_namespace
  WHERE nspname !~ '^pg_'
"""

#: What is dropped first, so that nothing is dropped twice.
_ORDER = ("VIEW", "TABLE", "COLUMN", "CONSTRAINT", "INDEX")

Mark = tuple[int, int]
#: Kind, name and part of what can be dropped.
Droppable = tuple[str, str, str]


def leave_alone(connection: sa.Connection) -> None:
    """Close every other connection to the database of `connection`."""
    connection.exec_driver_sql(
        f"""DO $$ BEGIN FOR attempt IN 1..{_PATIENCE * 1000} LOOP
          PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =
            current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
          EXIT WHEN NOT FOUND;
          PERFORM pg_sleep(0.001), pg_stat_clear_snapshot();
        END LOOP; END $$"""
    )


def clear(connection: sa.Connection) -> None:
    """Remove everything from the database of `connection`, which commits by itself."""
    leave_alone(connection)
    if _rows(connection, "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace"):
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of one table as they were, and how they are recognised."""

    mark: Mark
    rows: bytes


@dataclass(slots=True)
class FirstState:
    """The tables, the rows of each and the numbers of every sequence at one moment."""

    structure: list[Mark] = field(default_factory=list)
    signature: dict[str, Droppable] = field(default_factory=dict)
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
            _signature(connection),
            {name: _Table(mark, _copied(connection, name)) for name, mark in marks.items()},
            _sequences(connection),
        )

    def put_back(self, connection: sa.Connection) -> bool:
        """Make everything what it was; False when only a copy of the database can.

        What was added since is dropped again. A column that was altered or dropped is not
        made anew.
        """
        leave_alone(connection)
        if _structure(connection) != self.structure and not self._drop_added(connection):
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
                self.tables[name] = replace(self.tables[name], mark=mark)
        self._put_sequences_back(connection)
        return True

    def _drop_added(self, connection: sa.Connection) -> bool:
        now = _signature(connection)
        added = [drop for what, drop in now.items() if what not in self.signature]
        if self.signature.keys() - now.keys() or any(not kind for kind, _, _ in added):
            return False
        if added:
            connection.exec_driver_sql("; ".join(_drops(added)))
            if _signature(connection).keys() != self.signature.keys():
                return False
        self.structure = _structure(connection)
        return True

    def _put_sequences_back(self, connection: sa.Connection) -> None:
        for name, value in _sequences(connection).items():
            first = self.sequences[name]
            if value != first:
                connection.exec_driver_sql(
                    "SELECT setval(%s::regclass, %s, %s)", (name, first or 1, first is not None)
                )


def _drops(added: list[Droppable]) -> Iterator[str]:
    """Yield the commands that remove what was added."""
    gone = {name for kind, name, _ in added if kind in {"VIEW", "TABLE"}}
    for kind, name, part in sorted(added, key=lambda one: _ORDER.index(one[0])):
        if not part:
            yield f"DROP {kind} IF EXISTS {name} CASCADE"
        elif name not in gone:
            yield f"ALTER TABLE {name} DROP {kind} IF EXISTS {part} CASCADE"


def _rows(connection: sa.Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(query)]


def _structure(connection: sa.Connection) -> list[Mark]:
    return _marked(connection, _CATALOGUES)


def _signature(connection: sa.Connection) -> dict[str, Droppable]:
    """Return what everything in the database is, and what to drop to be rid of it."""
    rows = _rows(connection, _SIGNATURE)
    return {what: (kind, name, part) for kind, name, part, what in rows}


def _marks(connection: sa.Connection, names: list[str]) -> dict[str, Mark]:
    return dict(zip(names, _marked(connection, names), strict=True)) if names else {}


def _marked(connection: sa.Connection, places: Sequence[str]) -> list[Mark]:
    """Return the mark of each table or catalogue, in the order in which they are named."""
    query = " UNION ALL ".join(_MARK.format(at, place) for at, place in enumerate(places))
    return [(count, last) for _, count, last in sorted(_rows(connection, query))]


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
