"""The boxes of the audit queue: what waits for me, what I started, what I decided.

Each identity of the actor (themself, every role, every post) is one index range of open
candidate rows; the ranges are united, so a page costs the same with a hundred tasks as
with a million. Rows come from the task and instance tables alone, never from a payload.
A deputy is a candidate like any other and needs no range of their own.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NoReturn, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Malformed, Problem
from core.i18n import N_
from core.prebuilt import Prebuilt
from core.workflow.documents import shows_title
from core.workflow.models import (
    DUE,
    OPEN_STATES,
    TASK_DUE,
    candidate,
    copy,
    instance,
    task,
    vote,
)
from core.workflow.queue.holding import HELD, held
from core.workflow.queue.snoozing import snooze
from core.workflow.staff.people import identities, may_administer
from core.workflow.taskrows import JOINED, Row, task_rows

Box = Literal["todo", "started", "done", "cc", "claimable", "team"]
BOXES: tuple[str, ...] = get_args(Box)

#: Rows of a page, and how far a box is counted.
PAGE, MAX_PAGE, COUNT_CAP = 50, 200, 500

#: Characters of a text that is looked for.
LONGEST_TEXT = 100

#: One index range of a box: (place in its order, id); a box is the union of its parts.
Keys = sa.Select[tuple[str, str]]
Parts = list[Keys]

#: How a box of open tasks can be ordered -> the column, and whether it runs against the name.
_ORDERS: dict[str, tuple[str, bool]] = {
    "opened_at": ("opened_at", False),
    "due_at": ("due_at", False),
    "priority": ("rank", True),
}


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which tasks of a box are asked for; empty is all of them.

    Attributes:
        type_name: only documents of this record type.
        step: only tasks of the step with this id.
        initiator: only what the user with this id submitted.
        overdue: only tasks whose people are late.
        attention: only what administrators must look at.
        snoozed: what the actor has put off, in the place of what they have not.
        text: only what has this in its title or in its initiator's name.
    """

    type_name: str = ""
    step: str = ""
    initiator: str = ""
    overdue: bool = False
    attention: bool = False
    snoozed: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Shape:
    """All that decides the text of a page's statement; everything else is a parameter."""

    box: str
    identities: int
    administers: bool
    order: str
    descending: bool
    is_next: bool
    narrowed: Narrowing


def list_tasks(
    ctx: Context,
    *,
    box: str = "todo",
    narrowing: Narrowing = Narrowing(),
    sort: str = "",
    after: str = "",
    limit: int = PAGE,
    with_counts: bool = True,
) -> dict[str, Any]:
    """Return a page of a box: `items`, `next` and `counts`.

    Args:
        ctx: whose boxes they are.
        box: todo, started, done, cc, claimable or team.
        narrowing: which of its tasks.
        sort: `opened_at` (the default where work waits), `due_at`, `priority`, or one of
            them with `-` for the other end first; `started`, `done` and `cc` know only
            `opened_at`.
        after: the cursor that the page before gave as `next`.
        limit: rows of a page.
        with_counts: whether the boxes are counted, which costs as much as the page.

    Raises:
        Malformed: there is no such box, type or sort, or the cursor is none of ours.
    """
    if box not in BOXES:
        _refuse("box", N_("There is no box {value}."), box)
    if narrowing.type_name and narrowing.type_name not in ctx.registry.release.types:
        _refuse("type", N_("There is no record type {value}."), narrowing.type_name)
    administers = may_administer(ctx)
    order, descending = _direction(box, sort, administers=administers)
    limit = max(1, min(limit, MAX_PAGE))
    with ctx.reading() as connection:
        mine = identities(ctx.actor)
        shape = _Shape(
            box, len(mine), administers, order, descending, bool(after), _flags(narrowing)
        )
        values = _values(ctx, mine) | _asked(ctx, narrowing) | {"limit": limit + 1}
        if after:
            values["last_at"], values["last_id"] = _read_cursor(after)
        found = _paging(shape, connection.dialect).rows(connection, values)
        ids = [row_id for _, row_id in found[:limit]]
        return {
            "items": _rows(ctx, connection, box, ids),
            "next": _cursor(*found[limit - 1]) if len(found) > limit else None,
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


def _direction(box: str, sort: str, *, administers: bool) -> tuple[str, bool]:
    """Return the order's column and whether it is read backwards.

    What waits is worked off from the oldest; what is over is looked at from the newest.
    """
    waits = box in {"todo", "team", "claimable"}
    name = sort.removeprefix("-") or "opened_at"
    known = _ORDERS if waits else {"opened_at": _ORDERS["opened_at"]}
    if name not in known or (name == "priority" and box == "team" and administers):
        _refuse("sort", N_("Tasks cannot be sorted by {value}."), sort)
    order, is_against = known[name]
    return order, (sort.startswith("-") if sort else not waits) != is_against


def _refuse(path: str, text: str, value: str) -> NoReturn:
    raise Malformed(problems=[Problem(path, "malformed", text, {"value": value[:100]})])


def _flags(narrowing: Narrowing) -> Narrowing:
    """Return which parts are narrowed, without their values: all that a statement depends on."""
    return replace(
        narrowing,
        type_name=narrowing.type_name and "?",
        step=narrowing.step and "?",
        initiator=narrowing.initiator and "?",
        text=narrowing.text and "?",
    )


def _values(ctx: Context, mine: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the parameters that say whose boxes they are."""
    values = {"id": ctx.actor.id, "maker": f"%|{ctx.actor.id}|%", "now": to_wire(ctx.now)}
    for place, (kind, actor) in enumerate(mine):
        values |= {f"kind{place}": kind, f"actor{place}": actor}
    return values


def _asked(ctx: Context, narrowing: Narrowing) -> dict[str, Any]:
    """Return the parameters that narrow a box."""
    if len(narrowing.text) > LONGEST_TEXT:
        _refuse("text", N_("This is too long: {value}."), narrowing.text)
    if not narrowing.text:
        return {
            "type": narrowing.type_name, "step": narrowing.step, "by": narrowing.initiator,
        }  # fmt: skip
    shown = [
        record_type.name
        for record_type in ctx.registry.release.types.values()
        if record_type.document and shows_title(ctx, record_type.name)
    ]
    escaped = narrowing.text.lower()
    for sign in "\\%_":
        escaped = escaped.replace(sign, f"\\{sign}")
    return {
        "type": narrowing.type_name,
        "step": narrowing.step,
        "by": narrowing.initiator,
        "text": f"%{escaped}%",
        # Nobody learns from a hit what a title they may not see has in it.
        "titled": f"|{'|'.join(shown)}|",
    }


def _place(name: str) -> sa.BindParameter[str]:
    return sa.bindparam(name, type_=sa.String)


@dataclass(frozen=True, slots=True)
class _Who:
    """The places for whose boxes a statement is about."""

    identities: int
    administers: bool
    order: str = "opened_at"
    narrowing: Narrowing = Narrowing()
    only: sa.ColumnElement[bool] = candidate.c.is_open

    @property
    def id(self) -> sa.BindParameter[str]:
        return _place("id")


def _todo(who: _Who) -> Parts:
    put_off: sa.Select[Any] | sa.CompoundSelect[Any] = sa.select(snooze.c.task_id).where(
        snooze.c.person == who.id, snooze.c.until > _place("now")
    )
    if not who.narrowing.snoozed:
        # Nor is shown what they have decided already and could still call back.
        own = sa.select(held.c.task_id).where(
            held.c.actor == who.id, held.c.state == sa.literal_column(f"'{HELD}'")
        )
        put_off = sa.union_all(put_off, own)
    is_put_off = candidate.c.task_id.in_(put_off)
    waits = is_put_off if who.narrowing.snoozed else ~is_put_off
    return [part.where(_no_maker(), waits) for part in _pool(who)]


def _claimable(who: _Who) -> Parts:
    return [part.where(_no_maker()) for part in _pool(replace(who, only=candidate.c.is_free))]


def _no_maker() -> sa.ColumnElement[bool]:
    return candidate.c.makers.not_like(_place("maker"))


def _pool(who: _Who) -> Parts:
    """Return (order, id) of the open tasks that the actor's identities are candidates of."""
    columns = candidate.c
    order = DUE if who.order == "due_at" else columns[who.order]
    return [
        _narrow(
            sa.select(order.label("at"), columns.task_id.label("id")).where(
                who.only,
                columns.kind == _place(f"kind{number}"),
                columns.actor == _place(f"actor{number}"),
            ),
            who,
            columns.record_type,
            candidate.join(task, task.c.id == columns.task_id),
        )
        for number in range(who.identities)
    ]


#: As literals, so that the index of each is read in its own order.
_WAITING = tuple(sa.literal_column(f"'{state}'", sa.String) for state in ("open", "suspended"))


def _team(who: _Who) -> Parts:
    if not who.administers:
        return _pool(who)
    order = TASK_DUE if who.order == "due_at" else task.c.opened_at
    return [
        _narrow(
            sa.select(order.label("at"), task.c.id.label("id")).where(task.c.state == state),
            who,
            task.c.record_type,
            task,
        )
        for state in _WAITING
    ]


def _started(who: _Who) -> Parts:
    query = sa.select(instance.c.opened_at.label("at"), instance.c.id.label("id")).where(
        instance.c.initiator == who.id
    )
    latest = instance.join(task, task.c.id == instance.c.task_id)
    return [_narrow(query, who, instance.c.record_type, latest)]


def _done(who: _Who) -> Parts:
    query = sa.select(vote.c.at.label("at"), vote.c.task_id.label("id")).where(
        vote.c.actor == who.id
    )
    joined = vote.join(task, task.c.id == vote.c.task_id)
    return [_narrow(query, who, vote.c.record_type, joined)]


def _cc(who: _Who) -> Parts:
    query = sa.select(copy.c.at.label("at"), copy.c.instance_id.label("id")).where(
        copy.c.person == who.id
    )
    latest = copy.join(instance, instance.c.id == copy.c.instance_id).join(
        task, task.c.id == instance.c.task_id
    )
    return [_narrow(query, who, copy.c.record_type, latest)]


def _narrow(
    query: Keys, who: _Who, type_column: sa.ColumnElement[str], joined: sa.FromClause
) -> Keys:
    """Return the part of a range that is asked for; `joined` is the range with its tasks."""
    narrowing = who.narrowing
    if narrowing.type_name:
        query = query.where(type_column == _place("type"))
    conditions: list[sa.ColumnElement[bool]] = []
    if narrowing.overdue:
        conditions.append(task.c.due_at < _place("now"))
    if narrowing.step:
        conditions.append(task.c.step == _place("step"))
    if narrowing.initiator:
        conditions.append(task.c.initiator == _place("by"))
    if narrowing.attention:
        conditions.append(task.c.attention != "")
    if narrowing.text:
        conditions.append(_has_text())
    if conditions:
        query = query.select_from(joined).where(*conditions)
    return query


def _has_text() -> sa.ColumnElement[bool]:
    title, wanted = sa.func.lower(task.c.title), _place("text")
    is_shown = _place("titled").contains(sa.literal("|").concat(task.c.record_type).concat("|"))
    return sa.or_(
        sa.and_(title.like(wanted, escape="\\"), is_shown),
        sa.func.lower(task.c.initiator_name).like(wanted, escape="\\"),
    )


_PARTS: dict[str, Callable[[_Who], Parts]] = {
    "todo": _todo,
    "team": _team,
    "started": _started,
    "done": _done,
    "cc": _cc,
    "claimable": _claimable,
}


@lru_cache(maxsize=512)
def _paging(shape: _Shape, dialect: sa.Dialect) -> Prebuilt:
    """Return the statement that reads one page's keys of anybody's box of this shape."""
    who = _Who(shape.identities, shape.administers, shape.order, shape.narrowed)
    limit = sa.bindparam("limit", type_=sa.Integer)
    last = sa.tuple_(_place("last_at"), _place("last_id"))
    limited = []
    for part in _PARTS[shape.box](who):
        at, row_id = part.selected_columns
        page = part
        if shape.is_next:
            place = sa.tuple_(at, row_id)
            page = part.where(place < last if shape.descending else place > last)
        # Each range stops by itself, so none is read further than one page.
        limited.append(
            page.order_by(*_order(at, row_id, shape.descending)).limit(limit).subquery()
        )
    united = sa.union(*(sa.select(each.c.at, each.c.id) for each in limited)).subquery()
    query = (
        sa.select(united.c.at, united.c.id)
        .order_by(*_order(united.c.at, united.c.id, shape.descending))
        .limit(limit)
    )
    return Prebuilt(query, dialect)


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
    (row,) = statement.rows(connection, _values(ctx, mine))
    return dict(zip(boxes, map(int, row), strict=True))


@lru_cache(maxsize=64)
def _counting(
    boxes: tuple[str, ...], identities_: int, administers: bool, dialect: sa.Dialect
) -> Prebuilt:
    """Return the one statement that counts boxes of anybody with so many identities."""
    who = _Who(identities_, administers)
    counted = []
    for box in boxes:
        parts = _PARTS[box](who)
        if box == "started":
            parts = [part.where(instance.c.state.in_(OPEN_STATES)) for part in parts]
        if box == "cc":
            parts = [part.where(copy.c.read_at.is_(None)) for part in parts]
        counted.append(_count(parts).label(box))
    return Prebuilt(sa.select(*counted), dialect)


def _count(parts: Parts) -> sa.ColumnElement[int]:
    limited = [part.limit(COUNT_CAP).subquery() for part in parts]
    distinct = sa.union(*(sa.select(each.c.id) for each in limited)).subquery()
    capped = sa.select(distinct.c.id).limit(COUNT_CAP).subquery()
    return sa.select(sa.func.count()).select_from(capped).scalar_subquery()


def _rows(ctx: Context, connection: Connection, box: str, ids: list[str]) -> list[Row]:
    """Return the rows of a page in the order of `ids`: of instances, or of tasks."""
    if not ids:
        return []
    of_instances = box in {"started", "cc"}
    query = JOINED.where((instance.c.id if of_instances else task.c.id).in_(ids))
    if of_instances:
        query = query.where(instance.c.task_id == task.c.id)
    found = {
        row["instance_id"] if of_instances else row["id"]: row
        for row in connection.execute(query).mappings()
    }
    return task_rows(ctx, connection, [found[row_id] for row_id in ids if row_id in found])


def _cursor(at: str, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at} {row_id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, str]:
    try:
        at, row_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(" ")
    except (ValueError, binascii.Error, UnicodeDecodeError):
        _refuse("after", N_("This is no cursor: {value}."), text)
    return at, row_id
