"""Being away (代理): people name a deputy for a time, and see what moves when they do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.ids import new_id
from core.jobs.outbox import emit
from core.policies.access import access
from core.records.people import PEOPLE
from core.records.userevents import note_user
from core.schema.fieldtypes import FieldError
from core.schema.model import Release
from core.schema.numbertypes import read_number
from core.schema.timetypes import DatetimeType
from core.tables.releases import bump_rights
from core.workflow.documents import shows_title
from core.workflow.engine.state import Identity
from core.workflow.models import candidate, instance, task
from core.workflow.opinion import read_opinion
from core.workflow.staff.delegations import delegation, list_standing, upstream, value_of
from core.workflow.staff.deputies import MOST_LINKS, Delegation
from core.workflow.staff.people import STAFF

#: Who arranges deputies for others.
ADMINISTRATORS = frozenset({"Admin"})
#: Longest window.
LONGEST = timedelta(days=366)
#: Delegations of one person that are not over, at most.
MOST = 50
#: Tasks that a preview lists and reads the amounts of, at most.
MOST_SHOWN, MOST_READ = 20, 500
_LONGEST_AMOUNT = 40
#: Topic that has everything looked at again which waits for somebody.
RECHECK = "flow.recheck"
#: Kinds of fields that a ceiling can be for.
AMOUNTS = frozenset({"money", "decimal", "integer", "rate", "percent"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to arrange.

    Attributes:
        deputy: id of who stands in.
        start: from then on; None is at once.
        end: until then.
        giver: id of who is away; empty is the one who asks.
        types: names of document types; none is all.
        amount_field: a field of the one type named.
        amount_max: documents above it stay with the giver.
        include_roles: also what waits for the giver's roles and positions.
        reason: why.
    """

    deputy: str
    end: datetime
    start: datetime | None = None
    giver: str = ""
    types: tuple[str, ...] = ()
    amount_field: str = ""
    amount_max: Decimal | None = None
    include_roles: bool = False
    reason: str = ""


def read_wanted(ctx: Context, values: Mapping[str, Any]) -> Wanted:
    """Return what somebody sent as what they want; instants without a zone are the store's.

    Raises:
        Invalid: an instant or number cannot be read, or types are no texts.
    """
    problems: list[Problem] = []

    def read(key: str, kind: str) -> Any:
        text = values.get(key) or None
        if text is None:
            return None
        try:
            if kind == "datetime":
                return DatetimeType().read(text, ctx.time_zone)
            return read_number(text)
        except FieldError as error:
            problems.extend(Problem(key, one.code, one.text, one.params) for one in error.problems)
        return None

    types = values.get("types", [])
    if not all(isinstance(one, str) for one in types):
        text = N_("This is of the wrong kind.")
        problems.append(Problem("types", "field.wrong_type", text))
    wanted = Wanted(
        deputy=values.get("to", ""),
        giver=values.get("from", ""),
        start=read("start", "datetime"),
        end=read("end", "datetime") or ctx.now,
        types=tuple(types),
        amount_field=values.get("amount_field", ""),
        amount_max=read("amount_max", "decimal"),
        include_roles=values.get("include_roles", False),
        reason=values.get("reason", ""),
    )
    if problems:
        raise Invalid(problems=problems)
    return wanted


def delegate(ctx: Context, wanted: Wanted) -> dict[str, Any]:
    """Arrange a deputy; what already waits moves as soon as the window is open.

    Raises:
        Forbidden: for somebody else, without being an administrator, or up to an amount in a
            field that the actor does not see everywhere.
        Invalid: it is not possible; every problem at its place.
    """
    with ctx.writing() as connection:
        made = _made(ctx, wanted)
        _require_mine(ctx, made.giver)
        _require_shown(ctx, made)
        problems = _problems(ctx, connection, made)
        if problems:
            raise Invalid(problems=problems)
        connection.execute(delegation.insert().values(_row(ctx, made)))
        _note(ctx, connection, made, "delegate")
        return shown(connection, [_found(connection, made.id)])[0]


def revoke(ctx: Context, delegation_id: str) -> None:
    """End a delegation now; one that is over stays as it is.

    Raises:
        NotFound: there is none with this id that concerns the actor.
        Forbidden: it is somebody else's.
    """
    with ctx.writing() as connection:
        row = _found(connection, delegation_id)
        if not _may_see(ctx, row):
            raise NotFound
        _require_mine(ctx, row["giver"])
        now = to_wire(ctx.now)
        if row["revoked_at"] is not None or row["end"] <= now:
            return
        concerned = upstream(connection, [row["giver"]], now)
        connection.execute(
            delegation.update()
            .where(delegation.c.id == delegation_id)
            .values(revoked_at=now, revoked_by=ctx.actor.id)
        )
        _note(ctx, connection, value_of(row), "revoke_delegation", concerned)


def list_delegations(
    ctx: Context, *, person: str = "", over: bool = False
) -> list[dict[str, Any]]:
    """Return delegations by and to the actor, the latest first; administrators see everybody's.

    Args:
        ctx: who asks.
        person: only those by or to them; their id.
        over: also those that have ended or were revoked.
    """
    query = sa.select(delegation).order_by(delegation.c.start.desc(), delegation.c.id).limit(500)
    concerned = person if is_administrator(ctx) else ctx.actor.id
    if concerned:
        query = query.where(
            sa.or_(delegation.c.giver == concerned, delegation.c.deputy == concerned)
        )
    if person and person != concerned:
        query = query.where(sa.or_(delegation.c.giver == person, delegation.c.deputy == person))
    if not over:
        query = query.where(delegation.c.revoked_at.is_(None), delegation.c.end > to_wire(ctx.now))
    with ctx.reading() as connection:
        return shown(connection, connection.execute(query).mappings().all())


def preview(ctx: Context, wanted: Wanted) -> dict[str, Any]:
    """Return what waits for the giver and would be the deputy's too: how many, and the first.

    `own` of them the deputy submitted and cannot decide.

    Raises:
        Forbidden: it is about somebody else, without being an administrator, or asks by what
            the actor does not see everywhere.
    """
    made = _made(ctx, wanted)
    _require_mine(ctx, made.giver)
    _require_shown(ctx, made)
    with ctx.reading() as connection:
        sits = [Identity("user", made.giver)]
        if made.include_roles:
            sits += STAFF.staff(ctx, connection).identities(made.giver)
        rows = [
            row
            for row in connection.execute(_waiting(sits)).mappings()
            if made.covers(row["record_type"], _amounts(made, row["values"]))
        ]
    return {
        "count": len(rows),
        "items": [
            {
                "id": row["id"],
                "title": row["title"] if shows_title(ctx, row["record_type"]) else "",
                "type": row["record_type"],
            }
            for row in rows[:MOST_SHOWN]
            if row["initiator"] != made.deputy
        ],
        "own": sum(row["initiator"] == made.deputy for row in rows),
    }


def is_administrator(ctx: Context) -> bool:
    """Return whether the actor arranges deputies for others."""
    return ctx.actor.is_system or bool(ctx.actor.roles & ADMINISTRATORS)


def shown(connection: Connection, rows: Collection[Any]) -> list[dict[str, Any]]:
    """Return rows of delegations as answers tell them, with people's names."""
    people = {row[name] for row in rows for name in ("giver", "deputy")}
    names = PEOPLE.names(connection, people)

    def person(user: str) -> dict[str, str]:
        return {"id": user, "name": names.get(user, user)}

    return [
        {
            "id": row["id"],
            "from": person(row["giver"]),
            "to": person(row["deputy"]),
            "start": row["start"],
            "end": row["end"],
            "types": row["types"].split(),
            "amount_field": row["amount_field"],
            "amount_max": row["amount_max"] or None,
            "include_roles": row["include_roles"],
            "reason": row["reason"],
            "revoked_at": row["revoked_at"],
        }
        for row in rows
    ]


def _made(ctx: Context, wanted: Wanted) -> Delegation:
    return Delegation(
        id=new_id(),
        giver=wanted.giver or ctx.actor.id,
        deputy=wanted.deputy,
        start=max(wanted.start or ctx.now, ctx.now),
        end=wanted.end,
        types=tuple(dict.fromkeys(wanted.types)),
        amount_field=wanted.amount_field if wanted.amount_max is not None else "",
        amount_max=wanted.amount_max,
        include_roles=wanted.include_roles,
        reason=read_opinion(wanted.reason),
    )


def _row(ctx: Context, made: Delegation) -> dict[str, Any]:
    return {
        "id": made.id,
        "giver": made.giver,
        "deputy": made.deputy,
        "start": to_wire(made.start),
        "end": to_wire(made.end),
        "types": " ".join(made.types),
        "amount_field": made.amount_field,
        "amount_max": "" if made.amount_max is None else str(made.amount_max),
        "include_roles": made.include_roles,
        "reason": made.reason,
        "created_at": to_wire(ctx.now),
        "created_by": ctx.actor.id,
    }


def _note(
    ctx: Context, connection: Connection, made: Delegation, action: str,
    concerned: Collection[str] = (),
) -> None:  # fmt: skip
    """Write the event, and have what waits for the people concerned looked at again."""
    note_user(
        ctx, connection, made.giver, action=action, reason=made.reason,
        changes={
            "deputy": [None, made.deputy],
            "window": [None, f"{to_wire(made.start)} {to_wire(made.end)}"],
            "types": [None, list(made.types)],
            "include_roles": [None, made.include_roles],
        },
    )  # fmt: skip
    bump_rights(connection)
    if made.start <= ctx.now:
        for person in sorted(concerned or upstream(connection, [made.giver], to_wire(ctx.now))):
            emit(connection, RECHECK, {"person": person})


def _found(connection: Connection, delegation_id: str) -> Any:
    query = sa.select(delegation).where(delegation.c.id == delegation_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound
    return row


def _may_see(ctx: Context, row: Mapping[str, Any]) -> bool:
    return is_administrator(ctx) or ctx.actor.id in {row["giver"], row["deputy"]}


def _require_mine(ctx: Context, giver: str) -> None:
    if not is_administrator(ctx) and (giver != ctx.actor.id or not ctx.actor.id.isdecimal()):
        raise Forbidden


def _problems(ctx: Context, connection: Connection, made: Delegation) -> list[Problem]:
    active = PEOPLE.active(connection, {made.giver, made.deputy})
    found = []
    for path, person in (("from", made.giver), ("to", made.deputy)):
        if person not in active or not person.isdecimal():
            text = N_("This person cannot sign in; choose somebody else.")
            found.append(Problem(path, "delegation.person", text))
    if made.giver == made.deputy:
        text = N_("Nobody stands in for themself.")
        found.append(Problem("to", "delegation.self", text))
    if not timedelta(0) < made.end - made.start <= LONGEST:
        text = N_("The end comes after the beginning, is not past, and within {days} days.")
        found.append(Problem("end", "delegation.window", text, {"days": LONGEST.days}))
    found += _scope_problems(ctx.registry.release, made)
    return found or _collisions(list(list_standing(connection, ctx.now)), made)


def _require_shown(ctx: Context, made: Delegation) -> None:
    """Refuse a ceiling on what the actor may not see: what it covers would tell the amount.

    Raises:
        Forbidden: the field is not shown to them in every row.
    """
    if made.amount_max is not None:
        for name in made.types:
            if name in ctx.registry.release.types:
                access(ctx, name).require_certain(frozenset({made.amount_field}))


def _scope_problems(release: Release, made: Delegation) -> list[Problem]:
    found = []
    for name in made.types:
        record_type = release.type(name)
        if record_type is None or not record_type.document:
            text = N_("There is no document {name}.")
            found.append(Problem("types", "delegation.type", text, {"name": name[:80]}))
    if made.amount_max is None or found:
        return found
    types = [release.types[name] for name in made.types]
    field = types[0].field(made.amount_field) if len(types) == 1 else None
    is_held = len(str(made.amount_max)) <= _LONGEST_AMOUNT
    if field is None or field.type not in AMOUNTS or not is_held:
        text = N_("A ceiling is for one document and one of its fields that holds a number.")
        found.append(Problem("amount_field", "delegation.amount", text))
    return found


def _collisions(standing: list[Delegation], made: Delegation) -> list[Problem]:
    """Return whether it contradicts others: two words for the same, too many, or a circle."""
    own = [one for one in standing if one.giver == made.giver]
    if len(own) >= MOST:
        text = N_("At most {limit} delegations of one person stand at once.")
        return [Problem("", "delegation.many", text, {"limit": MOST})]
    if any(one.width == made.width and _meet(one, made) for one in own):
        text = N_("Another delegation is for the same at the same time; end that one first.")
        return [Problem("", "delegation.overlap", text)]
    reached = {made.deputy}
    for _ in range(MOST_LINKS):
        reached |= {one.deputy for one in standing if one.giver in reached and _meet(one, made)}
    if made.giver in reached:
        text = N_("They are away too then and have named you, directly or through others.")
        return [Problem("to", "delegation.circle", text)]
    return []


def _meet(one: Delegation, other: Delegation) -> bool:
    """Return whether two delegations can be for the same document at the same time."""
    share_types = not one.types or not other.types or bool({*one.types} & {*other.types})
    return share_types and one.start < other.end and other.start < one.end


def _waiting(sits: Collection[Identity]) -> sa.Select[Any]:
    """Return the query of the open tasks that wait for somebody as what they sit, oldest first."""
    mine = sa.select(candidate.c.task_id).where(
        candidate.c.is_open,
        sa.tuple_(candidate.c.kind, candidate.c.actor).in_(
            [(one.kind, one.actor) for one in sits]
        ),
        candidate.c.via != "away",
    )
    return (
        sa.select(
            task.c.id, task.c.title, task.c.record_type, task.c.initiator, instance.c["values"]
        )
        .join(instance, instance.c.id == task.c.instance_id)
        .where(task.c.id.in_(mine))
        .order_by(task.c.opened_at, task.c.id)
        .limit(MOST_READ)
    )


def _amounts(made: Delegation, values: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = msgspec.json.decode(values) if made.amount_max is not None else {}
    return found
