"""Gifts for points: done in the transaction that creates the record, and cancelled once.

Gifts are locked in the order of their ids, then the member's account, so that no two
redemptions wait for each other and neither stock nor points are spent twice.
"""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Insufficient,
    Move,
    Problem,
    get_record,
    on_behalf,
    post,
    postings_of,
    query,
    reverse,
    store_of,
    table,
    update_record,
)
from plugins.points_rules.operations.spending import INACTIVE, KIND, MayNotSpend, NotEnough
from plugins.points_rules.rules.redeeming import cost, fault, is_cancelling, wanted

Record = Mapping[str, Any]


class GiftRefused(Conflict):
    """A gift is not on offer, or there are too few of it."""

    code = "points_rules.gift_refused"
    text = N_("A gift cannot be handed out.")


class RedemptionDone(Conflict):
    """A redemption is a fact; it can be cancelled."""

    code = "points_rules.redemption_done"
    text = N_("A redemption is not changed; it can only be cancelled, and only once.")


#: Why a gift cannot be had, by the code's end.
FAULTS = {
    "not_offered": N_("{name} is not on offer."),
    "out_of_stock": N_("{stock} of {name} are in stock, {asked} are asked for."),
}


def redeem(ctx: Context, change: Change) -> None:
    """Do what a new redemption says, or cancel it; nothing else changes one.

    Raises:
        GiftRefused: a gift is not on offer or out of stock; the problem names the line.
        NotEnough: the member has fewer points.
        MayNotSpend: the member is frozen or closed.
        RedemptionDone: it is changed otherwise than cancelled, or was cancelled already.
    """
    if change.action == "create":
        _hand_out(ctx, change)
        return
    changing = {
        name: value
        for name, value in change.values.items()
        if value != (change.before or {}).get(name)
    }
    if change.action != "update" or not is_cancelling(change.before or {}, changing):
        raise RedemptionDone
    if ctx.is_writing:  # a form that is only checked takes nothing back
        _take_back(ctx, change.record_id)


def _hand_out(ctx: Context, change: Change) -> None:
    values = change.values
    with ctx.writing(durable=True) as connection, connection.begin_nested():
        store, member = store_of(ctx, values["store"]), _member(ctx, values["member"])
        if member["status"] in INACTIVE:
            raise MayNotSpend(reason=member["status"])
        asked = wanted(values["lines"])
        gifts = _locked(ctx, asked)
        zone = ZoneInfo(store.time_zone)
        on = ctx.now.astimezone(zone).date()
        problems = [
            _problem(at, gifts[line["gift"]], asked[line["gift"]], why)
            for at, line in enumerate(values["lines"])
            if (why := fault(gifts[line["gift"]], asked[line["gift"]], on)) is not None
        ]
        if problems:
            raise GiftRefused(problems=problems)
        points, money = cost(values["lines"], gifts)
        priced = ("points", "money_part")
        values["lines"] = [
            {**line, **{name: gifts[line["gift"]][name] for name in priced}}
            for line in values["lines"]
        ]
        values.update(status="done", cancel_reason=None, points=points, money_due=money)
        _restock(ctx, gifts, {gift: -many for gift, many in asked.items()})
        move = Move(KIND, member["id"], "R", -points, against="spent")
        ref = ("redemption", change.record_id)
        try:
            post(
                ctx, [move], what="redemption", key=":".join(ref), ref=ref, valid_at=ctx.now,
                zone=zone,
            )  # fmt: skip
        except Insufficient as refusal:
            available = refusal.params["available"]
            raise NotEnough(available=available, asked=points) from refusal


def _take_back(ctx: Context, record_id: str) -> None:
    """Give points back to their lots, with the last days they had, and gifts to the stock."""
    with ctx.writing(durable=True) as connection, connection.begin_nested():
        asked = wanted(get_record(on_behalf(ctx), "redemption", record_id)["lines"])
        _restock(ctx, _locked(ctx, asked), asked)
        ref = ("redemption", record_id)
        for one in postings_of(ctx, ref):
            if one.reverses is None:
                reverse(ctx, one.id, ref=ref, valid_at=ctx.now)


def _problem(at: int, gift: Record, asked: int, why: str) -> Problem:
    params = {"name": gift["name"], "stock": gift["stock"], "asked": asked}
    field = "quantity" if why == "out_of_stock" else "gift"
    return Problem(f"lines.{at}.{field}", f"points_rules.{why}", FAULTS[why], params)


def _locked(ctx: Context, asked: Mapping[str, int]) -> dict[str, Record]:
    """Return gifts as they are now; nobody else takes any until the transaction ends.

    The lock lets others go on that link to a gift, as every redemption does before it comes here;
    a stronger one would have them wait for each other.
    """
    columns = table(ctx, "gift").c
    wanted_rows = sa.select(*columns).where(columns.id.in_(asked)).order_by(columns.id)
    return {
        row.id: row._asdict() for row in query(ctx, wanted_rows.with_for_update(key_share=True))
    }


def _restock(ctx: Context, gifts: Mapping[str, Record], by: Mapping[str, int]) -> None:
    for gift, many in by.items():
        stock = {"stock": gifts[gift]["stock"] + many}
        update_record(on_behalf(ctx), "gift", gift, stock, version=None)


def _member(ctx: Context, member_id: str) -> Record:
    columns = table(ctx, "member").c
    wanted_row = sa.select(columns.id, columns.status).where(columns.id == member_id)
    return query(ctx, wanted_row)[0]._asdict()
