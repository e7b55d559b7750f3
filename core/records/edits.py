"""Bulk edits: the same changes to many records, first as a trial, then for good.

An edit remembers which records it is about, in the versions that were seen, and what
became of each. Every record goes through the operation that any other change takes, with
its rights, rules, hooks and history; one that is refused does not stop the others. The
work is done in batches of one transaction each, so that a process that dies leaves an
edit that is taken up where it stood.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor
from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Invalid, Malformed, NotFound, Problem, TooLarge, UserError
from core.i18n import N_, translate
from core.ids import is_id, new_id
from core.jobs import outbox
from core.jobs.handlers import HANDLERS, Event, Handler, Handlers
from core.policies.access import Access, access
from core.prebuilt import Prebuilt
from core.records.queries import Query, asked_query
from core.records.together import try_each, written_together
from core.records.updating import Update
from core.tables.columns import ID, JSON

#: Records of one edit, and of one transaction.
MOST = 50_000
BATCH = 100
#: With at most so many records an edit is done at once, else by the worker.
AT_ONCE = 200

TOPIC = "records.edit"

#: How long the worker may take, and how long an edit can be looked at.
_LEASE = timedelta(minutes=30)
_KEPT = timedelta(days=30)

#: States: on trial, tried, being written, written; `failed` when its actor is gone.
CHECKING, CHECKED, APPLYING, DONE, FAILED = "checking", "checked", "applying", "done", "failed"
_RUNNING = (CHECKING, APPLYING)

edit_table = sa.Table(
    "gx_edit",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("actor", sa.String(36), nullable=False, index=True),
    sa.Column("locale", sa.String(8), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("changes", JSON, nullable=False, doc="in wire form"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
)
item_table = sa.Table(
    "gx_edit_item",
    metadata,
    sa.Column("edit", ID, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("record_id", ID, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, doc="as it was seen"),
    sa.Column("outcome", sa.String(10), nullable=False, doc="open, changed, same or refused"),
    sa.Column("error", JSON, doc="code, message and problems of a refusal"),
    sqlite_with_rowid=False,
)
sa.Index("ix_gx_edit_item__outcome", item_table.c.edit, item_table.c.outcome)

OPEN, CHANGED, SAME, REFUSED = "open", "changed", "same", "refused"

#: Finds a user by id as of now; the part that knows users sets it.
FindActor = Callable[[Context, str], Actor | None]
_find_actor: list[FindActor] = []


@dataclass(frozen=True, slots=True)
class Edit:
    """How far a bulk edit is.

    Attributes:
        state: `checking`, `checked`, `applying`, `done` or `failed`.
        counts: outcome -> number of records: open, changed, same, refused.
    """

    id: str
    record_type: str
    actor: str
    locale: str
    state: str
    changes: Mapping[str, Any]
    reason: str
    total: int
    counts: Mapping[str, int]

    def wire(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "id": self.id,
            "record_type": self.record_type,
            "state": self.state,
            "changes": self.changes,
            "total": self.total,
            "counts": {name: self.counts.get(name, 0) for name in (OPEN, CHANGED, SAME, REFUSED)},
        }


def start_edit(
    ctx: Context,
    type_name: str,
    changes: Mapping[str, Any],
    *,
    items: Sequence[tuple[str, int]] | None = None,
    query: Query | None = None,
    reason: str = "",
) -> Edit:
    """Try `changes` on the named records, or on all that `query` finds; nothing is written.

    A small edit is tried at once, a large one by the worker; look at it with `find_edit`.

    Args:
        ctx: who edits.
        type_name: the records' type.
        changes: field to value, in wire form.
        items: ids with the versions that were seen.
        query: filter and search of the records.
        reason: told in their histories.

    Raises:
        Forbidden: the actor may not edit records of the type.
        Invalid: no changes, or the question is wrong.
        TooLarge: there are more than `MOST` records.
    """
    rights = access(ctx, type_name)
    rights.require("edit")
    if not changes:
        text = N_("Say what should change.")
        raise Invalid(problems=[Problem("changes", "field.required", text)])
    targets = list(items) if items is not None else _targets(ctx, rights, query or Query())
    if len(targets) > MOST:
        raise TooLarge(N_("At most {most} records at once."), most=MOST)
    if len({record_id for record_id, _ in targets}) < len(targets):
        raise Malformed(N_("Name each record once."))
    edit_id = new_id()
    with ctx.writing() as connection:
        _forget_old(ctx, connection)
        connection.execute(
            edit_table.insert().values(
                id=edit_id,
                record_type=type_name,
                actor=ctx.actor.id,
                locale=ctx.locale,
                state=CHECKING,
                changes=dict(changes),
                reason=reason,
                total=len(targets),
                created_at=to_wire(ctx.now),
            )
        )
        rows = [
            {"edit": edit_id, "position": at, "record_id": record_id, "version": version,
             "outcome": OPEN, "error": None}
            for at, (record_id, version) in enumerate(targets)
        ]  # fmt: skip
        if rows:
            connection.execute(item_table.insert(), rows)
        _hand_over(connection, edit_id, CHECKING, len(targets))
    return _go_on(ctx, edit_id, len(targets))


def apply_edit(ctx: Context, edit_id: str) -> Edit:
    """Write what was tried; records that changed since are refused.

    Raises:
        NotFound: there is no such edit of the actor.
        Conflict: it is not tried yet, or was written already.
    """
    with ctx.writing() as connection:
        found = _find(ctx, connection, edit_id)
        if found.state != CHECKED:
            raise Conflict(N_("This edit is not waiting to be applied."))
        _set_state(connection, edit_id, APPLYING)
        again = sa.and_(item_table.c.edit == edit_id, item_table.c.outcome != SAME)
        connection.execute(item_table.update().where(again).values(outcome=OPEN, error=None))
        _hand_over(connection, edit_id, APPLYING, found.total)
    return _go_on(ctx, edit_id, found.total)


def find_edit(ctx: Context, edit_id: str) -> Edit:
    """Return one of the actor's own edits; raises NotFound."""
    with ctx.reading() as connection:
        return _find(ctx, connection, edit_id)


def edit_results(
    ctx: Context, edit_id: str, *, outcome: str = "", after: int = -1, limit: int = 200
) -> list[dict[str, Any]]:
    """Return what became of each record, in order, ready for JSON.

    Args:
        ctx: who asks.
        edit_id: the edit, which must be the actor's own.
        outcome: only these: `open`, `changed`, `same` or `refused`.
        after: the `position` to go on behind.
        limit: most results.

    Raises:
        NotFound: there is no such edit of the actor.
    """
    columns = item_table.c
    query = sa.select(
        columns.position, columns.record_id, columns.version, columns.outcome, columns.error
    ).where(columns.edit == edit_id, columns.position > after)
    if outcome:
        query = query.where(columns.outcome == outcome)
    with ctx.reading() as connection:
        _find(ctx, connection, edit_id)
        rows = connection.execute(query.order_by(columns.position).limit(limit)).mappings()
        return [
            {
                "position": row["position"],
                "id": row["record_id"],
                "version": row["version"],
                "outcome": row["outcome"],
                **({"error": row["error"]} if row["error"] else {}),
            }
            for row in rows
        ]


def register(find_actor: FindActor, handlers: Handlers = HANDLERS) -> None:
    """Have the worker do large edits as the users who asked for them."""
    _find_actor[:] = [find_actor]
    handlers.add(
        Handler(
            name="records.edits", prefix=TOPIC, handle=_work, in_transaction=False, lease=_LEASE
        )
    )


def _forget_old(ctx: Context, connection: Connection) -> None:
    old = sa.select(edit_table.c.id).where(edit_table.c.created_at < to_wire(ctx.now - _KEPT))
    connection.execute(item_table.delete().where(item_table.c.edit.in_(old)))
    connection.execute(
        edit_table.delete().where(edit_table.c.created_at < to_wire(ctx.now - _KEPT))
    )


def _targets(ctx: Context, rights: Access, query: Query) -> list[tuple[str, int]]:
    """Return id and version of every record that a query finds, newest first."""
    asked = asked_query(ctx, rights, replace(query, sort=(), fields=("id",)), limit=MOST + 1)
    table = ctx.registry.tables[rights.record_type.name].main
    statement = sa.select(table.c.id, table.c.version).where(*asked.selection.conditions)
    statement = statement.order_by(table.c.id.desc()).limit(
        sa.bindparam("limit", type_=sa.Integer)
    )
    with ctx.reading() as connection:
        rows = Prebuilt(statement, ctx.db.engine.dialect).rows(connection, asked.values)
    return [(str(record_id), int(version)) for record_id, version in rows]


def _hand_over(connection: Connection, edit_id: str, state: str, total: int) -> None:
    if total > AT_ONCE:
        outbox.emit(connection, TOPIC, {"edit": edit_id}, key=f"{TOPIC}:{edit_id}:{state}")


def _go_on(ctx: Context, edit_id: str, total: int) -> Edit:
    if total <= AT_ONCE:
        run_edit(ctx, edit_id)
    return find_edit(ctx, edit_id)


def _work(ctx: Context, event: Event) -> None:
    """Do an edit that was handed over, as who asked for it with the rights of now."""
    edit_id = event.payload["edit"]
    with ctx.reading() as connection:
        query = sa.select(edit_table.c.actor, edit_table.c.locale).where(
            edit_table.c.id == edit_id
        )
        row = connection.execute(query).one()
    actor = _find_actor[0](ctx, row.actor)
    if actor is None:
        with ctx.writing() as connection:
            _set_state(connection, edit_id, FAILED)
        return
    own = replace(ctx, actor=actor, locale=row.locale, connection=None, warnings=[])
    run_edit(own, edit_id)


def run_edit(ctx: Context, edit_id: str) -> None:
    """Do what is left of an edit, batch by batch."""
    ctx.door = "bulk"
    with ctx.reading() as connection:
        edit = _find(ctx, connection, edit_id)
    if edit.state not in _RUNNING:
        return
    while _batch(ctx, edit):
        pass
    with ctx.writing() as connection:
        _set_state(connection, edit_id, CHECKED if edit.state == CHECKING else DONE)


def _batch(ctx: Context, edit: Edit) -> bool:
    """Do the next records of an edit in one transaction; return whether there were any."""
    columns = item_table.c
    query = (
        sa.select(columns.position, columns.record_id, columns.version)
        .where(columns.edit == edit.id, columns.outcome == OPEN)
        .order_by(columns.position)
        .limit(BATCH)
        .with_for_update()
    )
    with ctx.writing() as connection:
        rows = connection.execute(query).all()
        if not rows:
            return False
        with written_together(ctx, connection):
            rights = access(ctx, edit.record_type)
            acts = [
                partial(_changed, ctx, connection, rights, edit, record_id, version)
                for _, record_id, version in rows
            ]
            outcomes = try_each(ctx, connection, acts, is_trial=edit.state == CHECKING)
        done = [
            {"_at": at, **_outcome(ctx, edit, version, outcome)}
            for (at, _, version), outcome in zip(rows, outcomes, strict=True)
        ]
        mine = sa.and_(columns.edit == edit.id, columns.position == sa.bindparam("_at"))
        connection.execute(
            item_table.update()
            .where(mine)
            .values(
                outcome=sa.bindparam("_outcome"),
                error=sa.bindparam("_error"),
                version=sa.bindparam("_version"),
            ),
            done,
        )
    return True


def _changed(
    ctx: Context,
    connection: Connection,
    rights: Access,
    edit: Edit,
    record_id: str,
    version: int,
) -> int | None:
    """Change one record; return its version now, None when a proposal was written."""
    update = Update(ctx, connection, rights)
    update.lock(record_id, version)
    row = update.apply(edit.changes, "update", edit.reason)
    return None if row is None else int(row["version"])


def _outcome(
    ctx: Context, edit: Edit, version: int, outcome: int | UserError | None
) -> dict[str, Any]:
    """Return what to write down of a record that was seen in `version`."""
    if isinstance(outcome, UserError):
        return {"_outcome": REFUSED, "_error": _told(ctx, outcome), "_version": version}
    is_kept = edit.state == CHECKING or outcome is None
    return {
        "_outcome": SAME if outcome == version else CHANGED,
        "_error": None,
        "_version": version if is_kept else outcome,
    }


def _told(ctx: Context, error: UserError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": translate(error.text, ctx.locale, **error.params),
        "problems": [
            {
                "path": one.path,
                "code": one.code,
                "message": translate(one.text, ctx.locale, **dict(one.params)),
            }
            for one in error.problems
        ],
    }


def _set_state(connection: Connection, edit_id: str, state: str) -> None:
    connection.execute(edit_table.update().where(edit_table.c.id == edit_id).values(state=state))


def _find(ctx: Context, connection: Connection, edit_id: str) -> Edit:
    query = sa.select(edit_table).where(
        edit_table.c.id == edit_id, edit_table.c.actor == ctx.actor.id
    )
    row = connection.execute(query).mappings().first() if is_id(edit_id) else None
    if row is None:
        raise NotFound
    counting = (
        sa.select(item_table.c.outcome, sa.func.count())
        .where(item_table.c.edit == edit_id)
        .group_by(item_table.c.outcome)
    )
    names = ("id", "record_type", "actor", "locale", "state", "changes", "reason", "total")
    counts = dict(map(tuple, connection.execute(counting)))
    return Edit(**{name: row[name] for name in names}, counts=counts)
