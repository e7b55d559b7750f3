"""The steps of a migration as plain values, and how each is taken.

Every step may be taken again after a crash: it looks first at what is there.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.i18n import N_
from core.migration.references import rename_references
from core.schema.model import Conversion, Model, Release
from core.tables.build import build_tables, identifier
from core.tables.columns import column_type
from core.tables.indexes import IndexSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.operations import Operations

#: When a step is taken: before the release is in force, with it, or afterwards.
Phase = Literal["prepare", "switch", "after"]

Operation = Literal[
    "create_table", "rename_table", "add_column", "rename_column", "create_index",
    "rename_index", "drop_index", "backfill", "build_search", "convert",
    "rename_records", "drop_search",
]  # fmt: skip


class Step(Model, frozen=True, kw_only=True):
    """One step of a plan.

    Attributes:
        name: the column or index it is about; for `backfill` and `build_search` the record
            type; for
            `create_table` the name under which an earlier one of the same id was kept.
        scratch: of `add_column`: what stands there was left by a crash and is made anew.
        conversion: of `convert`: how values move; `reads` and `writes` are field id -> column,
            `parent` is the main table where `table` holds rows of a table field.
        to: the new name, for renames.
        kind: storage kind of a new column; `scale` its digits after the point.
        columns: of an index: stored name and whether it is descending; of a backfill: fields.
        why: English template of the reason, filled by `params`.
    """

    op: Operation
    phase: Phase
    table: str
    name: str = ""
    to: str = ""
    kind: str = ""
    scale: int = 0
    columns: tuple[tuple[str, bool], ...] = ()
    unique: bool = False
    live_only: bool = False
    scratch: bool = False
    conversion: Conversion | None = None
    reads: dict[str, str] = msgspec.field(default_factory=dict)
    writes: dict[str, str] = msgspec.field(default_factory=dict)
    parent: str = ""
    why: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)

    def index(self) -> IndexSpec:
        """Return the index that a `create_index` step makes."""
        return IndexSpec(self.name, self.table, self.columns, self.unique, self.live_only)


def create_index(spec: IndexSpec, phase: Phase) -> Step:
    """Return the step that makes an index."""
    return Step(
        op="create_index", phase=phase, table=spec.table, name=spec.name, columns=spec.columns,
        unique=spec.unique, live_only=spec.live_only, why=spec.reason, params=dict(spec.params),
    )  # fmt: skip


#: What people read of a step; the placeholders are its attributes.
SENTENCES: dict[Operation, str] = {
    "create_table": N_("create table {table}"),
    "rename_table": N_("rename table {table} to {to}"),
    "add_column": N_("add column {table}.{name} (existing records have no value in it)"),
    "rename_column": N_("rename column {table}.{name} to {to}"),
    "create_index": N_("create index {name} on {table} ({list})"),
    "rename_index": N_("rename index {name} to {to}"),
    "drop_index": N_("drop index {name}"),
    "backfill": N_("compute {list} for existing records of {name}"),
    "rename_records": N_("what refers to records of {name} refers to {to} from now on"),
    "drop_search": N_("take the records of {name} out of the search index"),
    "build_search": N_("index {list} of existing records of {name} for search"),
    "convert": N_("convert the values of {list} in {table}; the old ones are kept"),
}


def sentence_params(step: Step) -> dict[str, str]:
    """Return the values of the placeholders of a step's sentence."""
    listed = ", ".join(f"{name}{' desc' if down else ''}" for name, down in step.columns)
    if step.conversion is not None:
        listed = ", ".join(one.name for one in step.conversion.targets)
    return {"table": step.table, "name": step.name, "to": step.to, "list": listed}


@dataclass
class Taker:
    """Takes steps on one connection; what is there is looked at anew for each step.

    Attributes:
        release: the release the steps lead to.
        concurrently: build indexes without holding up writers; needs an autocommit connection.
    """

    connection: Connection
    release: Release
    concurrently: bool = False

    def make_ready(self) -> None:
        """Load what taking steps needs; call it before anything is locked, for it takes long."""
        _ = self._operations

    @cached_property
    def _operations(self) -> "Operations":
        from alembic.migration import MigrationContext  # noqa: PLC0415  slow
        from alembic.operations import Operations  # noqa: PLC0415  slow

        return Operations(MigrationContext.configure(self.connection))

    @cached_property
    def _tables(self) -> dict[str, sa.Table]:
        types = self.release.types.values()
        return {
            table.name: table for one in types for table in build_tables(one, with_archived=True)
        }

    @property
    def _dialect(self) -> str:
        return self.connection.dialect.name

    def take(self, step: Step) -> None:
        """Take one step; a step that was taken before changes nothing."""
        handlers: dict[str, Callable[[Step], None]] = {
            "create_table": self._create_table,
            "rename_table": self._rename_table,
            "add_column": self._add_column,
            "rename_column": self._rename_column,
            "rename_records": self._rename_records,
            "create_index": self._create_index,
            "rename_index": self._rename_index,
            "drop_index": self._drop_index,
        }
        handlers[step.op](step)

    def columns(self, table: str) -> dict[str, Any]:
        """Return the columns a table has now, by name; none where there is no table."""
        inspector = sa.inspect(self.connection)
        if not inspector.has_table(table):
            return {}
        return {column["name"]: column["type"] for column in inspector.get_columns(table)}

    def _create_table(self, step: Step) -> None:
        table = self._tables[step.table]
        if not (step.name and self.columns(step.name)):
            table.create(self.connection, checkfirst=True)
            return
        # A type of the same id had this table before another took its name.
        self._operations.rename_table(step.name, step.table)
        there = self.columns(step.table)
        for column in table.columns:
            if column.name not in there:
                self._operations.add_column(
                    step.table, sa.Column(column.name, column.type, nullable=True)
                )

    def _rename_table(self, step: Step) -> None:
        self._operations.rename_table(step.table, step.to)

    def _add_column(self, step: Step) -> None:
        there = self.columns(step.table)
        if step.name in there:
            if step.scratch:
                self._operations.drop_column(step.table, step.name)
            elif self._is_unused(step):
                return
            else:
                self._set_aside(step)
        kind = column_type(step.kind, step.scale)
        self._operations.add_column(step.table, sa.Column(step.name, kind, nullable=True))

    def _is_unused(self, step: Step) -> bool:
        """Return whether a column that no release knows of is empty: a crash left it."""
        table = sa.table(step.table, sa.column(step.name))
        filled = sa.select(sa.literal(1)).where(table.c[step.name].is_not(None)).limit(1)
        return self.connection.execute(filled).first() is None

    def _set_aside(self, step: Step) -> None:
        digest = hashlib.sha256(f"{self.release.number}.{step.name}".encode()).hexdigest()[:8]
        self._rename(step.table, step.name, identifier(f"{step.name}__x{digest}"))

    def _rename_records(self, step: Step) -> None:
        rename_references(self.connection, step.name, step.to)

    def _rename_column(self, step: Step) -> None:
        self._rename(step.table, step.name, step.to)

    def _rename(self, table: str, name: str, to: str) -> None:
        quote = self.connection.dialect.identifier_preparer.quote
        self._operations.execute(
            f"ALTER TABLE {quote(table)} RENAME COLUMN {quote(name)} TO {quote(to)}"
        )

    def _create_index(self, step: Step) -> None:
        if self._dialect == "postgresql":
            self._drop_invalid(step.name)
        table = sa.Table(
            step.table,
            sa.MetaData(),
            *(sa.Column(name) for name, _ in step.columns),
        )
        index = step.index().to_sql(table, self._dialect, concurrently=self.concurrently)
        self.connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))

    def _drop_invalid(self, name: str) -> None:
        """Drop what a concurrent build that failed left: an index that serves nobody."""
        found = self.connection.execute(
            sa.text(
                "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                " WHERE c.relname = :name AND NOT i.indisvalid"
                " AND pg_table_is_visible(c.oid)"
            ),
            {"name": name},
        ).first()
        if found:
            self.connection.execute(_drop_index(name, concurrently=self.concurrently))

    def _rename_index(self, step: Step) -> None:
        if self._dialect == "sqlite":
            # SQLite cannot rename an index; making it again is the only way.
            self.connection.execute(_drop_index(step.name))
            self._create_index(
                msgspec.structs.replace(step, op="create_index", name=step.to, to="")
            )
            return
        quote = self.connection.dialect.identifier_preparer.quote
        self.connection.exec_driver_sql(
            f"ALTER INDEX IF EXISTS {quote(step.name)} RENAME TO {quote(step.to)}"
        )

    def _drop_index(self, step: Step) -> None:
        self.connection.execute(_drop_index(step.name, concurrently=self.concurrently))


def _drop_index(name: str, *, concurrently: bool = False) -> sa.schema.DropIndex:
    table = sa.Table("any", sa.MetaData())
    index = sa.Index(name, postgresql_concurrently=concurrently, _table=table)
    return sa.schema.DropIndex(index, if_exists=True)
