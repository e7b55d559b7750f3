"""What follows from a return for points: given back, bought, taken back, in one posting."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from core.api import (
    N_,
    Conflict,
    Context,
    Lot,
    Move,
    PostingRow,
    Return,
    balance,
    lapsed,
    lock_account,
    lots_from,
    lots_of,
    named_lots,
    plugin_settings,
    post,
    postings_of,
    write_off,
)
from plugins.points_rules.operations.grants import note_returned
from plugins.points_rules.operations.remaining import lost_points
from plugins.points_rules.operations.selling import RETURNED, SOLD
from plugins.points_rules.operations.spending import KIND
from plugins.points_rules.rules import returning, spending
from plugins.points_rules.rules.returning import Own, Plan
from plugins.points_rules.rules.terms import read_terms

#: Why entries are made, which is the category of their counter-entry.
SPENT, EXPIRED, BOUGHT, ISSUED = "spent", "expired", "sold", "issued"


class ReturnBlocked(Conflict):
    """The member no longer has the points that the return takes back."""

    code = "points_rules.return_blocked"
    text = N_("{short} points that this sale earned were used; it cannot be returned.")


@dataclass(slots=True)
class _Booked:
    """What was posted for a sale and its returns so far.

    Attributes:
        sale: id of the sale's posting; "" where it had none.
        spent: (lot, points) that the sale took, in that order.
        reversed: category -> points taken back; `set_off` those of them that had expired.
        restored: points given back; `bought` points that the member bought.
        returns: how many postings of returns there are.
    """

    sale: str = ""
    spent: list[tuple[str, int]] = field(default_factory=list)
    reversed: dict[str, int] = field(default_factory=dict)
    set_off: dict[str, int] = field(default_factory=dict)
    restored: int = 0
    bought: int = 0
    returns: int = 0


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the member's account stands before the return is posted.

    Attributes:
        own: the lots that the sale earned.
        given: (lot, points) that go back to lots that the sale spent.
        available: points that can be taken, once those went back and with pending ones of `own`.
        totals: category -> total; `owed` a debt.
    """

    own: list[Own]
    given: list[tuple[Lot, int]]
    available: int
    totals: Mapping[str, int]
    owed: int


def book_return(ctx: Context, giving_back: Return) -> None:
    """Post what the return gives back, what the member buys and what it takes back.

    The refund is lowered by what points had paid and by the price of points bought.

    Raises:
        ReturnBlocked: points are missing, and the policy is `block`.
    """
    stamped = giving_back.certificate.get("terms", {}).get("points_rules")
    member = giving_back.member_id
    if stamped is None or member is None:
        return
    terms, settings = read_terms(stamped), plugin_settings(ctx, "points_rules")
    policy = settings["clawback_policy"]
    lock_account(ctx, KIND, member)
    write_off(ctx, KIND, member, until=giving_back.at)
    booked = _booked(postings_of(ctx, ("order", giving_back.sale_id)))
    back = _returned(giving_back)
    earlier = [giving_back.refunded.get(at, Decimal(0)) for at in range(1, len(terms.lines) + 1)]
    lost = lost_points(ctx, giving_back, terms.scenes, dict(enumerate(back, start=1)))
    due = returning.shares(terms, back, lost)
    restored = returning.given_back(booked.spent, booked.restored, due.restored - booked.restored)
    standing = _standing(ctx, giving_back, booked, restored)
    claim = returning.claim(due.reversed, booked.reversed)
    plan = returning.plan(claim, standing.own, available=standing.available, policy=policy)
    if policy == "block" and plan.short:
        raise ReturnBlocked(short=plan.short)
    may_owe = policy == "negative" or standing.owed > 0
    moves = list(_moves(giving_back, plan, standing, may_owe=may_owe))
    if moves:
        post(
            ctx,
            moves,
            what=RETURNED,
            key=f"return:{giving_back.sale_id}:{booked.returns + 1}",
            ref=("order", giving_back.sale_id),
            valid_at=giving_back.at,
            zone=ZoneInfo(giving_back.store.time_zone),
            allow_negative=may_owe,
        )
    if giving_back.is_whole:
        note_returned(ctx, terms.scenes, member=member, order=giving_back.sale_id)
    giving_back.refund -= due.repaid - returning.shares(terms, earlier).repaid
    _tell(giving_back, plan, standing, booked, settings)


def _returned(giving_back: Return) -> list[Decimal]:
    """Return the money that came back of each line of the sale in all."""
    back = dict(giving_back.refunded)
    for line in giving_back.lines:
        back[line.position] = line.refunded_before + line.refund
    positions = range(1, len(giving_back.certificate["lines"]) + 1)
    return [back.get(position, Decimal(0)) for position in positions]


def _booked(postings: Sequence[PostingRow]) -> _Booked:
    """Return what was posted for the sale so far, read from the entries themselves."""
    found = _Booked()
    for posting in postings:
        entries = [each for each in posting.entries if each.owner and each.kind == KIND]
        if posting.what == SOLD:
            found.sale = posting.id
            found.spent += [(each.lot, -each.amount) for each in entries if each.why == SPENT]  # type: ignore[misc]
        if posting.what != RETURNED:
            continue
        found.returns += 1
        undone = {each.lot for each in entries if each.why == EXPIRED and each.amount > 0}
        for each in entries:
            if each.why == SPENT:
                found.restored += each.amount
            elif each.why == BOUGHT:
                found.bought += each.amount
            elif each.why == ISSUED:
                _add(found.reversed, each.category, -each.amount)
                if each.lot in undone:
                    _add(found.set_off, each.category, -each.amount)
    return found


def _add(sums: dict[str, int], name: str, amount: int) -> None:
    sums[name] = sums.get(name, 0) + amount


def _standing(
    ctx: Context, giving_back: Return, booked: _Booked, restored: Sequence[tuple[str, int]]
) -> _Standing:
    """Return how the account stands when `restored` is to go back to its lots."""
    at, account = giving_back.at, balance(ctx, KIND, str(giving_back.member_id))
    mine = lots_from(ctx, booked.sale) if booked.sale else []
    lots = named_lots(ctx, [lot for lot, _ in restored])
    given = [(lots[lot], points) for lot, points in restored]
    takeable = {
        lot.id: lot.remaining for lot in lots_of(ctx, account.account_id) if _is_usable(lot, at)
    }
    takeable |= {lot.id: lot.remaining for lot in mine if not _has_ended(lot, at)}
    return _Standing(
        own=_own(mine, lapsed(ctx, [lot.id for lot in mine]), booked.set_off, at),
        given=given,
        available=sum(takeable.values())
        + sum(points for lot, points in given if not _has_ended(lot, at))
        - account.held
        - account.owed,
        totals=account.totals,
        owed=account.owed,
    )


def _own(
    lots: Sequence[Lot], gone: Mapping[str, int], set_off: Mapping[str, int], at: datetime
) -> list[Own]:
    """Return the lots that the sale earned; what was set off already counts no more."""
    left, found = dict(set_off), []
    for lot in lots:
        has_ended = _has_ended(lot, at)
        expired = gone.get(lot.id, 0)
        part = min(expired, left.get(lot.category, 0))
        left[lot.category] = left.get(lot.category, 0) - part
        found.append(Own(lot.id, lot.category, 0 if has_ended else lot.remaining, expired - part))
    return found


def _has_ended(lot: Lot, at: datetime) -> bool:
    return lot.expires_at is not None and datetime.fromisoformat(lot.expires_at) <= at


def _is_usable(lot: Lot, at: datetime) -> bool:
    return datetime.fromisoformat(lot.available_at) <= at and not _has_ended(lot, at)


def _moves(
    giving_back: Return, plan: Plan, standing: _Standing, *, may_owe: bool
) -> Iterator[Move]:
    """Yield the moves of a return: what goes back, what is bought, what is taken."""
    member = str(giving_back.member_id)
    for lot, points in standing.given:
        yield Move(KIND, member, "R", points, against=SPENT, lot=lot.id)
    if plan.bought:
        yield Move(KIND, member, "F", plan.bought, against=BOUGHT, expires_on=None)
    left = dict(plan.taken)
    # What expired is not taken twice: the expiry is undone for points that never were, on a
    # lot that ends first of all, so that the reversal takes just these.
    moment = giving_back.at + timedelta(microseconds=1)
    for _, category, points in plan.expired:
        left[category] -= points
        yield Move(KIND, member, "R", points, against=EXPIRED, expires_on=moment)
        yield Move(KIND, member, category, -points, against=ISSUED)
    for category, points in left.items():
        live = [each for each in standing.own if each.live]
        live.sort(key=lambda each: each.category != category)
        first = tuple(each.lot for each in live)
        # A category that was transferred away has less than is to be taken: the rest is used.
        set_off = plan.taken[category] - points
        room = points if may_owe else max(0, standing.totals.get(category, 0) - set_off)
        for taken_as, part in ((category, min(points, room)), ("R", max(0, points - room))):
            if part:
                yield Move(KIND, member, taken_as, -part, first=first, against=ISSUED)


def _tell(
    giving_back: Return,
    plan: Plan,
    standing: _Standing,
    booked: _Booked,
    settings: Mapping[str, Any],
) -> None:
    """Fill in what the answer shows, and take the price of points bought off the refund."""
    unit_price = max(settings["f_unit_price"], settings["point_value"])
    digits = giving_back.store.digits

    def price(points: int) -> Decimal:
        return spending.price_of(points, unit_price, digits)

    giving_back.clawed = dict(plan.taken)
    giving_back.bought = plan.bought
    giving_back.bought_price = price(booked.bought + plan.bought) - price(booked.bought)
    giving_back.refund -= giving_back.bought_price
    giving_back.restored += [
        {
            "lot": lot.id,
            "category": lot.category,
            "points": points,
            "expires_at": lot.expires_at,
            "expires_on": lot.ends_on,
            "expired": _has_ended(lot, giving_back.at),
        }
        for lot, points in standing.given
    ]
    set_off = sum(points for _, _, points in plan.expired)
    forgiven = plan.short if settings["clawback_policy"] == "within_balance" else 0
    if set_off or forgiven:
        giving_back.notes["points_rules"] = {"expired": set_off, "forgiven": forgiven}
