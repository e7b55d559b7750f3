"""Rebate runs (返利): points become stored value, member by member, in slices.

A slice is one transaction of the worker: postings, the record that says how far it came, and
the event that asks for the next. Whatever is killed leaves nothing of its slice, and a slice
that is asked for twice pays nobody twice, since each member is posted once under the run's key.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Document,
    Event,
    Insufficient,
    Move,
    Review,
    StoreFacts,
    balance,
    create_record,
    emit_event,
    get_record,
    on_behalf,
    post,
    query,
    store_of,
    table,
    translate,
)
from plugins.points_rules.operations.spending import KIND
from plugins.points_rules.rules.rebates import Terms

#: Members of one transaction.
SLICE = 100

#: What asks the worker for the next slice.
NEXT = "points_rules.rebate_slice"

#: The ledger's refusal of more than may lie on an account.
_OVER_CAP = "ledger.over_cap"

#: A review reckons at most so many members.
PREVIEWED = 5_000

#: States of cards whose members take part.
_LIVE = ("issued", "active")

_PREVIEW = N_(
    "{paid} of {looked_at} members would get {amount} {currency} for {points} points now"
)
_MORE = N_("More members take part; these are the first ones.")

Record = Mapping[str, Any]


class RebatePaid(Conflict):
    """A run that paid somebody is not voided."""

    code = "points_rules.rebate_paid"
    text = N_("This run has paid members already; it can no longer be voided.")


class SliceWritten(Conflict):
    """Slices say what was paid; the run writes them."""

    code = "points_rules.slice_written"
    text = N_("Slices are written by the rebate run alone.")


def keep_slices(ctx: Context, change: Change) -> None:
    """Refuse to write or delete a slice by hand.

    Raises:
        SliceWritten: somebody does.
    """
    if change.action != "create" or ctx.door != "plugin":
        raise SliceWritten


def check_run(ctx: Context, document: Document) -> None:
    """Refuse to void a run that paid somebody.

    Raises:
        RebatePaid: it did.
    """
    if document.values["status"] == "void" and any(one.paid for one in _slices(ctx, document)):
        raise RebatePaid


def go_on(ctx: Context, event: Event) -> None:
    """Pay the next slice of an approved run, and ask for the one after it."""
    if event.topic in {"document.effective", NEXT}:
        pay_slice(ctx, event.payload["id"])


def pay_slice(ctx: Context, run_id: str) -> bool:
    """Pay the next members of a run that is in force; return whether there was anything to do."""
    columns = table(ctx, "rebate_run").c
    with ctx.writing(durable=True) as connection:
        locked = (
            sa.select(columns.status).where(columns.id == run_id).with_for_update(key_share=True)
        )
        found = query(ctx, locked)
        if not found or found[0].status != "effective":
            return False
        run = get_record(on_behalf(ctx), "rebate_run", run_id)
        before = _slices(ctx, Document("rebate_run", run_id, None, run))
        if any(one.last for one in before):
            return False
        store = store_of(ctx, run["store"])
        after = before[-1].last_member if before else ""
        members = _members(ctx, run, after, SLICE)
        paid = [_pay(ctx, run, store, *one) for one in _rebates(ctx, run, store, members)]
        paid = [one for one in paid if one[0]]
        is_last = len(members) < SLICE
        create_record(
            on_behalf(ctx),
            "rebate_slice",
            {
                "run": run_id,
                "place": len(before) + 1,
                "last_member": members[-1] if members else after,
                "looked_at": len(members),
                "paid": len(paid),
                "points": sum(points for points, _ in paid),
                "amount": _money(sum(amount for _, amount in paid), store),
                "last": is_last,
            },
        )
        if not is_last:
            emit_event(connection, NEXT, {"type": "rebate_run", "id": run_id})
    return True


def review_run(ctx: Context, document: Document) -> Sequence[Review]:
    """Say what the run would pay if it were paid now."""
    values = document.values
    if values["status"] == "void":
        return ()
    store = store_of(ctx, values["store"])
    members = _members(ctx, values, "", PREVIEWED)
    found = [one for one in _rebates(ctx, values, store, members) if one[1]]
    title = translate(
        _PREVIEW, ctx.locale, paid=len(found), looked_at=len(members), currency=store.currency,
        points=sum(points for _, points, _ in found),
        amount=_money(sum(amount for _, _, amount in found), store),
    )  # fmt: skip
    is_part = len(members) == PREVIEWED
    return [
        Review("ok" if found else "note", title, translate(_MORE, ctx.locale) if is_part else "")
    ]


def _pay(
    ctx: Context, run: Record, store: StoreFacts, member: str, points: int, amount: int
) -> tuple[int, int]:
    """Post one member's rebate; return (0, 0) where there is none to be had.

    That is too few points, spent meanwhile, or more than may lie on the member's account: the
    points stay then, and nobody else waits for it.
    """
    if not points:
        return 0, 0
    moves = [
        Move(KIND, member, "R", -points, against="spent"),
        Move("stored_value", member, "bonus", amount, unit=store.currency),
    ]
    try:
        post(
            ctx, moves, what="rebate", key=f"rebate:{run['id']}:{member}",
            ref=("rebate_run", run["id"]), valid_at=ctx.now, memo=run["no"],
            zone=ZoneInfo(store.time_zone),
        )  # fmt: skip
    except Insufficient:
        return 0, 0
    except Conflict as refusal:
        if refusal.code != _OVER_CAP:
            raise
        return 0, 0
    return points, amount


def _rebates(
    ctx: Context, run: Record, store: StoreFacts, members: Sequence[str]
) -> list[tuple[str, int, int]]:
    """Return (member, points, smallest units of money) for each member."""
    least = run["min_spend"] or Decimal(0)
    most = run["most_amount"]
    terms = Terms(
        run["min_points"], _minor(least, store), run["step_points"],
        _minor(run["step_amount"], store), None if most is None else _minor(most, store),
    )  # fmt: skip
    spent = _spent(ctx, run, store, members) if least else {}
    return [
        (one, *terms.rebate(balance(ctx, KIND, one).available, spent.get(one, 0)))
        for one in members
    ]


def _members(ctx: Context, run: Record, after: str, most: int) -> list[str]:
    """Return active members with a live card of the run's types, in order, from behind one."""
    card, member = table(ctx, "card").c, table(ctx, "member").c
    wanted = (
        sa.select(member.id)
        .where(member.id > after, member.status == "active", member.deleted_at.is_(None))
        .where(
            sa.exists()
            .where(card.member == member.id, card.card_type.in_(run["card_types"]))
            .where(card.status.in_(_LIVE), card.deleted_at.is_(None))
        )
    )
    return [row.id for row in query(ctx, wanted.order_by(member.id).limit(most))]


def _spent(ctx: Context, run: Record, store: StoreFacts, members: Sequence[str]) -> dict[str, int]:
    """Return member -> what they paid in the period in the run's currency, less returns."""
    order, line = table(ctx, "order").c, ctx.registry.tables["order"].children["lines"].c
    shop = table(ctx, "store").c
    zone = ZoneInfo(store.time_zone)
    begins = _midnight(run["period_from"], zone)
    ends = _midnight(run["period_to"] + timedelta(days=1), zone)
    due = sa.func.coalesce(line.amount_due, line.quantity * line.unit_price)
    sums: dict[str, Decimal] = {}
    for at in range(0, len(members), SLICE):
        wanted = (
            sa.select(order.member, due.label("due"))
            .join_from(order.id.table, line.record_id.table, line.record_id == order.id)
            .join(shop.id.table, shop.id == order.store)
            .where(order.member.in_(members[at : at + SLICE]), shop.currency == store.currency)
            .where(order.ordered_at >= begins, order.ordered_at < ends)
            .where(order.deleted_at.is_(None))
        )
        for row in query(ctx, wanted):
            sums[row.member] = sums.get(row.member, Decimal(0)) + Decimal(row.due)
    return {member: _minor(total, store) for member, total in sums.items()}


def _slices(ctx: Context, document: Document) -> list[sa.Row[Any]]:
    columns = table(ctx, "rebate_slice").c
    wanted = sa.select(columns.last_member, columns.paid, columns.last)
    mine = wanted.where(columns.run == document.record_id).order_by(columns.place)
    return query(ctx, mine)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _minor(amount: Decimal, store: StoreFacts) -> int:
    return int(amount.scaleb(store.digits))


def _money(units: int, store: StoreFacts) -> str:
    return f"{Decimal(units).scaleb(-store.digits):f}"
