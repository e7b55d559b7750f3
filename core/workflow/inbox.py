"""The boxes of the audit queue: what waits for me, what I started, what I decided.

Each identity of the actor (themself, every role) is one index range of open candidate
rows; the ranges are united, so a page costs the same with a hundred tasks as with a
million. Rows come from the task and instance tables alone, never from a payload.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NoReturn, get_args

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Malformed, Problem
from core.i18n import N_
from core.policies.access import access
from core.prebuilt import Prebuilt
from core.workflow.models import OPEN_STATES, candidate, instance, task, vote
from core.workflow.operations import may_administer
from core.workflow.people import identities, is_maker, is_no_maker

Box = Literal["todo", "started", "done", "cc", "claimable", "team"]
BOXES: tuple[str, ...] = get_args(Box)

#: Rows of a page, and how far a box is counted.
PAGE, MAX_PAGE, COUNT_CAP = 50, 200, 1000

Row = dict[str, Any]
#: One index range of a box: (place in time, id); a box is the union of its parts.
Keys = sa.Select[tuple[str, str]]
Parts = list[Keys]


def list_tasks(
    ctx: Context,
    *,
    box: str = "todo",
    type_name: str = "",
    sort: str = "",
    after: str = "",
    limit: int = PAGE,
    with_counts: bool = True,
) -> dict[str, Any]:
    """Return a page of a box: `items`, `next` and `counts`.

    Args:
        ctx: whose boxes they are.
        box: todo, started, done, cc, claimable or team.
        type_name: only documents of this record type.
        sort: `opened_at` (the default of todo and team) or `-opened_at`.
        after: the cursor that the page before gave as `next`.
        limit: rows of a page.
        with_counts: whether the boxes are counted, which costs as much as the page.

    Raises:
        Malformed: there is no such box, type or sort, or the cursor is none of ours.
    """
    if box not in BOXES:
        _refuse("box", N_("There is no box {value}."), box)
    if type_name and type_name not in ctx.registry.release.types:
        _refuse("type", N_("There is no record type {value}."), type_name)
    descending = _direction(box, sort)
    limit = max(1, min(limit, MAX_PAGE))
    with ctx.reading() as connection:
        parts = _PARTS[box](_who(ctx), type_name)
        found = _page(connection, parts, descending=descending, after=after, limit=limit)
        rows = [(row.at, row.id) for row in found[:limit]]
        more = len(found) > limit
        items = _rows(ctx, connection, box, [row_id for _, row_id in rows])
        return {
            "items": items,
            "next": _cursor(*rows[-1]) if more else None,
            "counts": _counts(ctx, connection) if with_counts else {},
        }


def counts(ctx: Context) -> dict[str, int]:
    """Return how many tasks are in each box, counted up to `COUNT_CAP`."""
    with ctx.reading() as connection:
        return _counts(ctx, connection)


def count_todo(ctx: Context) -> int:
    """Return how many tasks wait for the actor, counted up to `COUNT_CAP`; every page asks."""
    with ctx.reading() as connection:
        return _counts(ctx, connection, ("todo",))["todo"]


def _direction(box: str, sort: str) -> bool:
    """Return whether the newest come first: what waits is worked off from the oldest."""
    if sort not in {"", "opened_at", "-opened_at"}:
        _refuse("sort", N_("Tasks cannot be sorted by {value}."), sort)
    return sort.startswith("-") if sort else box not in {"todo", "team", "claimable"}


def _refuse(path: str, text: str, value: str) -> NoReturn:
    raise Malformed(problems=[Problem(path, "malformed", text, {"value": value[:100]})])


@dataclass(frozen=True, slots=True)
class _Who:
    """Whose boxes a statement is about: an actor, or the places for one."""

    id: Any
    identities: Sequence[tuple[Any, Any]]
    is_no_maker: sa.ColumnElement[bool]
    administers: bool


def _who(ctx: Context) -> _Who:
    actor = ctx.actor
    return _Who(actor.id, identities(actor), is_no_maker(actor.id), may_administer(ctx))


def _todo(who: _Who, type_name: str) -> Parts:
    return [part.where(who.is_no_maker) for part in _pool(who, type_name)]


def _pool(who: _Who, type_name: str) -> Parts:
    """Return (at, id) of the open tasks that the actor's identities are candidates of."""
    columns = candidate.c
    return [
        _of_type(
            sa.select(columns.opened_at.label("at"), columns.task_id.label("id")).where(
                columns.is_open, columns.kind == kind, columns.actor == actor
            ),
            columns.record_type,
            type_name,
        )
        for kind, actor in who.identities
    ]


def _team(who: _Who, type_name: str) -> Parts:
    if not who.administers:
        return _pool(who, type_name)
    query = sa.select(task.c.opened_at.label("at"), task.c.id.label("id")).where(
        task.c.state.in_(("open", "suspended"))
    )
    return [_of_type(query, task.c.record_type, type_name)]


def _started(who: _Who, type_name: str) -> Parts:
    query = sa.select(instance.c.opened_at.label("at"), instance.c.id.label("id")).where(
        instance.c.initiator == who.id
    )
    return [_of_type(query, instance.c.record_type, type_name)]


def _done(who: _Who, type_name: str) -> Parts:
    query = sa.select(vote.c.at.label("at"), vote.c.task_id.label("id")).where(
        vote.c.actor == who.id
    )
    return [_of_type(query, vote.c.record_type, type_name)]


def _nothing(_who: _Who, _type_name: str) -> Parts:
    """Return nothing: no step sends copies or offers to be claimed yet."""
    return []


def _of_type(query: Keys, column: sa.ColumnElement[str], type_name: str) -> Keys:
    return query.where(column == type_name) if type_name else query


_PARTS: dict[str, Callable[[_Who, str], Parts]] = {
    "todo": _todo,
    "team": _team,
    "started": _started,
    "done": _done,
    "cc": _nothing,
    "claimable": _nothing,
}


def _page(
    connection: Connection, parts: Parts, *, descending: bool, after: str, limit: int
) -> list[sa.Row[tuple[str, str]]]:
    """Return up to `limit` + 1 keys of the page behind the cursor."""
    last = sa.tuple_(*map(sa.literal, _read_cursor(after))) if after else None
    if not parts:
        return []
    limited = []
    for part in parts:
        at, row_id = part.selected_columns
        page = part
        if last is not None:
            place = sa.tuple_(at, row_id)
            page = part.where(place < last if descending else place > last)
        # Each range stops by itself, so none is read further than one page.
        limited.append(page.order_by(*_order(at, row_id, descending)).limit(limit + 1).subquery())
    united = sa.union(*(sa.select(each.c.at, each.c.id) for each in limited)).subquery()
    query = (
        sa.select(united.c.at, united.c.id)
        .order_by(*_order(united.c.at, united.c.id, descending))
        .limit(limit + 1)
    )
    return list(connection.execute(query))


def _order(
    at: sa.ColumnElement[str], row_id: sa.ColumnElement[str], descending: bool
) -> tuple[sa.ColumnElement[str], sa.ColumnElement[str]]:
    return (at.desc(), row_id.desc()) if descending else (at, row_id)


def _counts(
    ctx: Context, connection: Connection, boxes: tuple[str, ...] = BOXES
) -> dict[str, int]:
    """Return the sizes of the boxes; of what was started, only what is still open."""
    mine = identities(ctx.actor)
    statement = _counting(boxes, len(mine), may_administer(ctx), connection.dialect)
    values = {"id": ctx.actor.id, "maker": f"|{ctx.actor.id}|"}
    for place, (kind, actor) in enumerate(mine):
        values |= {f"kind{place}": kind, f"actor{place}": actor}
    (row,) = statement.rows(connection, values)
    return dict(zip(boxes, map(int, row), strict=True))


@lru_cache(maxsize=64)
def _counting(
    boxes: tuple[str, ...], identities_: int, administers: bool, dialect: sa.Dialect
) -> Prebuilt:
    """Return the one statement that counts boxes of anybody with so many identities."""

    def place(name: str) -> sa.BindParameter[str]:
        return sa.bindparam(name, type_=sa.String)

    mine = [(place(f"kind{number}"), place(f"actor{number}")) for number in range(identities_)]
    nobody_made = ~candidate.c.makers.contains(place("maker"))
    who = _Who(place("id"), mine, nobody_made, administers)
    counted = []
    for box in boxes:
        parts = _PARTS[box](who, "")
        if box == "started":
            parts = [part.where(instance.c.state.in_(OPEN_STATES)) for part in parts]
        counted.append(_count(parts).label(box))
    return Prebuilt(sa.select(*counted), dialect)


def _count(parts: Parts) -> sa.ColumnElement[int]:
    if not parts:
        return sa.literal_column("0", sa.Integer)
    limited = [part.limit(COUNT_CAP).subquery() for part in parts]
    distinct = sa.union(*(sa.select(each.c.id) for each in limited)).subquery()
    capped = sa.select(distinct.c.id).limit(COUNT_CAP).subquery()
    return sa.select(sa.func.count()).select_from(capped).scalar_subquery()


def _rows(ctx: Context, connection: Connection, box: str, ids: list[str]) -> list[Row]:
    """Return the rows of a page in the order of `ids`: instances for `started`, else tasks."""
    if not ids:
        return []
    is_started = box == "started"
    query = JOINED.where((instance.c.id if is_started else task.c.id).in_(ids))
    if is_started:
        query = query.where(instance.c.task_id == task.c.id)
    by_id = {
        row["instance_id"] if is_started else row["id"]: row
        for row in connection.execute(query).mappings()
    }
    mine = candidates_of(ctx, connection, [row["id"] for row in by_id.values()])
    return [task_row(ctx, by_id[row_id], mine) for row_id in ids if row_id in by_id]


#: Tasks with what a row shows of their instance, so that no list reads a payload.
JOINED = sa.select(task, instance.c.state.label("instance_state"), instance.c.makers).select_from(
    task.join(instance, task.c.instance_id == instance.c.id)
)


def candidates_of(ctx: Context, connection: Connection, task_ids: list[str]) -> frozenset[str]:
    """Return which of the tasks have an open seat that the actor may sit in."""
    rows = connection.execute(
        sa.select(candidate.c.task_id).where(
            candidate.c.task_id.in_(task_ids),
            candidate.c.is_open,
            sa.tuple_(candidate.c.kind, candidate.c.actor).in_(identities(ctx.actor)),
        )
    )
    return frozenset(rows.scalars())


def task_row(ctx: Context, row: sa.RowMapping, mine: frozenset[str]) -> Row:
    """Return a task as lists show it; `mine` are the tasks the actor may decide."""
    may: list[str] = []
    if row["id"] in mine and not is_maker(ctx.actor.id, row["makers"]):
        may = row["may"].split()
    is_open = row["instance_state"] in OPEN_STATES
    if is_open and row["initiator"] == ctx.actor.id:
        may.append("withdraw")
    return {
        "id": row["id"],
        "instance": row["instance_id"],
        "record": {"type": row["record_type"], "id": row["record_id"]},
        "title": row["title"] if shows_title(ctx, row["record_type"]) else "",
        "step": {"id": row["step"], "title": msgspec.json.decode(row["step_title"])},
        "initiator": {"id": row["initiator"], "name": row["initiator_name"]},
        "opened_at": row["opened_at"],
        "due_at": row["due_at"],
        "sla": None,
        "progress": {"approved": row["approved"], "seats": row["seats"]},
        "round": row["round"],
        "state": row["state"],
        "result": row["result"],
        "instance_state": row["instance_state"],
        "closed_at": row["closed_at"],
        "subject_hash": row["subject_hash"],
        "may": may,
    }


def shows_title(ctx: Context, type_name: str) -> bool:
    """Return whether the actor may see the title field in every record they see."""
    record_type = ctx.registry.release.type(type_name)
    return record_type is not None and record_type.title_field in access(ctx, type_name).certain


def _cursor(at: str, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at} {row_id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, str]:
    try:
        at, row_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(" ")
    except (ValueError, binascii.Error, UnicodeDecodeError):
        _refuse("after", N_("This is no cursor: {value}."), text)
    return at, row_id
