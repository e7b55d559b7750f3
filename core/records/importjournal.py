"""What imports wrote, so that each can be undone as long as nobody changed it since."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.db import metadata
from core.errors import Conflict, NotFound, UserError
from core.i18n import N_
from core.ids import is_id, new_id
from core.policies.access import access
from core.records.deleting import remove_record
from core.records.gathering import Gathered
from core.records.importreport import Report
from core.records.operations import restore_record
from core.tables.columns import ID, TEXT, Instant

#: Records undone in one transaction.
_BATCH = 200
#: A running import that wrote nothing for so long is not running any more.
_SILENCE = timedelta(minutes=2)

import_table = sa.Table(
    "gx_import",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("file", TEXT, nullable=False, doc="what people call the file"),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("beat", Instant(), nullable=False, doc="when it wrote the last time"),
    sa.Column("actor", ID, nullable=False),
    sa.Column("actor_name", TEXT, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, doc="running, done or undone"),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("updated", sa.Integer, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Index("gx_import_latest", "record_type", "at"),
)

written_table = sa.Table(
    "gx_import_record",
    metadata,
    sa.Column("import", ID, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, doc="1, 2, 3 … in the order of writing"),
    sa.Column("record_id", ID, nullable=False),
    sa.Column("before", sa.Integer, nullable=False, doc="its version before; 0 when created"),
    sa.Column("after", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)


class UndoneAlready(Conflict):
    """The import was undone before, or is still under way."""

    code = "import.not_done"
    text = N_("This import was undone already or is still running.")


@dataclass(frozen=True, slots=True)
class Import:
    """One import as the list of imports shows it."""

    id: str
    record_type: str
    file: str
    at: datetime
    actor_name: str
    state: str
    created: int
    updated: int
    refused: int


@dataclass(slots=True)
class Undone:
    """What undoing did: records taken back, and those that could not be, with the reason."""

    taken_back: int
    kept: list[tuple[str, UserError]]


class Journal:
    """The notes of one import under way."""

    def __init__(self, ctx: Context, type_name: str, file: str) -> None:
        """Note for an import of the file that people call `file`; nothing is written yet."""
        self.id = new_id()
        self._ctx, self._type, self._file = ctx, type_name, file
        self._place = 0

    def note(
        self,
        connection: Connection,
        records: Sequence[Gathered],
        outcomes: Sequence[Any],
    ) -> None:
        """Note what became of records, in the transaction that wrote them."""
        is_first = self._place == 0
        rows = []
        for one, outcome in zip(records, outcomes, strict=True):
            before = one.stored[1] if one.stored else 0
            if isinstance(outcome, UserError) or outcome["version"] == before:
                continue
            self._place += 1
            rows.append(
                {
                    "import": self.id,
                    "place": self._place,
                    "record_id": outcome["id"],
                    "before": before,
                    "after": outcome["version"],
                }
            )
        if rows and is_first:
            self._begin(connection)
        if rows:
            connection.execute(written_table.insert(), rows)
            _set(connection, self.id, beat=self._ctx.now)

    def _begin(self, connection: Connection) -> None:
        ctx = self._ctx
        connection.execute(
            import_table.insert().values(
                id=self.id,
                record_type=self._type,
                file=self._file[:200],
                at=ctx.now,
                beat=ctx.now,
                actor=ctx.actor.id,
                actor_name=ctx.actor.name,
                state="running",
                created=0,
                updated=0,
                refused=0,
            )
        )

    def end(self, report: Report) -> None:
        """Write down how it ended, if it wrote anything."""
        if self._place == 0:
            return
        figures = {name: getattr(report, name) for name in ("created", "updated", "refused")}
        with self._ctx.writing() as connection:
            _set(connection, self.id, state="done", **figures)


def _set(connection: Connection, import_id: str, **values: Any) -> None:
    connection.execute(import_table.update().where(import_table.c.id == import_id).values(values))


def list_imports(ctx: Context, type_name: str, *, limit: int = 20) -> list[Import]:
    """Return the latest imports of a type that wrote something, newest first.

    Raises:
        Forbidden: the actor may not import records of the type.
    """
    access(ctx, type_name).require("import")
    table = import_table.c
    statement = (
        sa.select(*(table[name] for name in Import.__slots__))
        .where(table.record_type == type_name)
        .order_by(table.at.desc())
        .limit(limit)
    )
    with ctx.reading() as connection:
        return [Import(*row) for row in connection.execute(statement)]


def undo_import(ctx: Context, type_name: str, import_id: str, *, reason: str = "") -> Undone:
    """Delete what an import created and take back what it changed, last first.

    Each record goes through the same rights and rules as a person's own change; one that
    was changed since, or that others point to by now, stays and is told.

    Raises:
        NotFound: there is no such import of the type.
        UndoneAlready: it was undone before, or is still running.
        Forbidden: the actor may not import records of the type.
    """
    access(ctx, type_name).require("import")
    if not is_id(import_id):
        raise NotFound
    _claim(ctx, type_name, import_id)
    undone = Undone(0, [])
    for part in _written(ctx, import_id):
        with ctx.writing() as connection:
            for record_id, before, after in part:
                try:
                    with connection.begin_nested():
                        _take_back(ctx, type_name, record_id, (before, after), reason)
                except UserError as error:
                    undone.kept.append((record_id, error))
                else:
                    undone.taken_back += 1
    return undone


def _claim(ctx: Context, type_name: str, import_id: str) -> None:
    """Mark the import as undone, so that nobody else undoes it at the same time."""
    with ctx.writing() as connection:
        where = (import_table.c.id == import_id) & (import_table.c.record_type == type_name)
        table = import_table.c
        is_over = (table.state == "done") | (
            # Its process was killed: it wrote nothing for long.
            (table.state == "running") & (table.beat < ctx.now - _SILENCE)
        )
        done = connection.execute(
            import_table.update().where(where, is_over).values(state="undone")
        )
        if done.rowcount:
            return
        if connection.execute(sa.select(import_table.c.id).where(where)).first() is None:
            raise NotFound
        raise UndoneAlready


def _written(ctx: Context, import_id: str) -> Iterator[list[tuple[str, int, int]]]:
    """Yield lists of (record, version before, version after), last first."""
    table, last = written_table.c, None
    while True:
        statement = (
            sa.select(table.place, table.record_id, table.before, table.after)
            .where(table["import"] == import_id)
            .order_by(table.place.desc())
            .limit(_BATCH)
        )
        if last is not None:
            statement = statement.where(table.place < last)
        with ctx.reading() as connection:
            rows = connection.execute(statement).all()
        if not rows:
            return
        last = rows[-1].place
        yield [(record_id, before, after) for _place, record_id, before, after in rows]


def _take_back(
    ctx: Context, type_name: str, record_id: str, versions: tuple[int, int], reason: str
) -> None:
    before, after = versions
    if before:
        restore_record(ctx, type_name, record_id, to_version=before, version=after, reason=reason)
    else:
        remove_record(ctx, type_name, record_id, version=after, reason=reason)
