"""Small change at the till: kept on the card, paid with it, refunded to it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Conflict,
    Context,
    Move,
    Return,
    Sale,
    Shown,
    StoreFacts,
    balance,
    find_record,
    on_behalf,
    post,
    query,
    table,
    update_record,
)
from plugins.card_types.operations.refusals import REFUSALS, NotVerified, UnknownCard
from plugins.card_types.rules.showing import FAULTS, HARMLESS
from plugins.card_types.rules.smallchange import minor, money, most_possible

#: The account kind and the payment method.
SMALL_CHANGE = "small_change"

Record = Mapping[str, Any]


class OverCap(Conflict):
    """More small change would lie on the card than may."""

    code = "card_types.over_cap"
    text = N_("At most {most} more may be kept on this card.")


class KeepsNone(Conflict):
    """The card's type keeps no small change."""

    code = "card_types.no_small_change"
    text = N_("This card keeps no small change.")


class NoCard(Conflict):
    """Small change needs the card that it lies on."""

    code = "card_types.no_card"
    text = N_("Show the card that the small change lies on.")


class NothingBack(Conflict):
    """The return costs the customer more than it gives back, so nothing goes onto the card."""

    code = "card_types.nothing_back"
    text = N_("Nothing goes back: the customer pays {amount}, and not with small change.")


def book_change(ctx: Context, sale: Sale, order_id: str) -> None:
    """Take what is paid with small change, keep what the customer leaves, in one posting.

    Whatever a card pays for, its state is looked at under lock: once a loss or a freeze is
    committed, nothing is spent from it anywhere.

    Raises:
        NoCard: no card was shown.
        KeepsNone: its type keeps no small change.
        OverCap: too much is to be kept.
        Insufficient: less lies on the card than is to be paid.
        Conflict: the card was lost, frozen or ended in the meantime, or is not verified.
    """
    digits, unit = sale.store.digits, sale.store.currency
    paid = sum(
        (one["amount"] for one in sale.payments if one["method"] == SMALL_CHANGE), Decimal()
    )
    spent, kept = minor(paid, digits), minor(sale.keep_change, digits)
    if sale.card is not None:
        _still_good(ctx, sale.card)
    if not spent and not kept:
        return
    if sale.card is None or (spent and not sale.card_text):
        raise NoCard
    if not sale.card.card_type.get("small_change"):
        raise KeepsNone
    if spent and "not_verified" in sale.card.faults:
        raise NotVerified
    card = sale.card.record["id"]
    moves = [Move(SMALL_CHANGE, card, "used", -spent, against="spent", unit=unit)] if spent else []
    if kept:
        cap = minor(sale.card.card_type["small_change_cap"], digits)
        held = balance(ctx, SMALL_CHANGE, card, unit).balance
        most = most_possible(held, spent, cap)
        if kept > most:
            raise OverCap(most=money(most, digits))
        moves.append(Move(SMALL_CHANGE, card, "kept", kept, unit=unit, cap=cap))
    ref, key = ("order", order_id), f"small_change:{order_id}"
    post(ctx, moves, what="small_change", key=key, ref=ref, valid_at=sale.at)


def refunded_card(ctx: Context, giving_back: Return) -> Record | None:
    """Return the card that a refund goes onto, locked; None when it goes elsewhere.

    It is locked before anybody books points, as in a sale.

    Raises:
        NoCard: the sale was without a card.
        KeepsNone: its type keeps no small change.
    """
    if giving_back.method != SMALL_CHANGE or not giving_back.refund:
        return None
    if giving_back.card_id is None:
        raise NoCard
    card = _holder(ctx, giving_back.card_id)
    if not card["small_change"]:
        raise KeepsNone
    return card


def refund_change(ctx: Context, giving_back: Return) -> None:
    """Put a refund onto the card it was sold with; it is the customer's, whatever the cap.

    What points had paid and what they cost is off the refund by now. The card is marked for
    review when more lies on it then.

    Raises:
        NoCard, KeepsNone: as `refunded_card` says.
        NothingBack: points that the customer has to buy cost more than what comes back.
    """
    card, store = refunded_card(ctx, giving_back), giving_back.store
    if card is None:
        return
    if giving_back.refund < 0:
        raise NothingBack(amount=f"{-giving_back.refund:f}")
    amount = minor(giving_back.refund, store.digits)
    earlier = _returns(ctx, giving_back.sale_id)
    move = Move(SMALL_CHANGE, card["id"], "kept", amount, unit=store.currency)
    ref, key = ("order", giving_back.sale_id), f"small_change:{giving_back.sale_id}:{earlier}"
    post(ctx, [move], what="small_change", key=key, ref=ref, valid_at=giving_back.at)
    _flag(ctx, card, store)


def _flag(ctx: Context, card: Record, store: StoreFacts) -> None:
    held = balance(ctx, SMALL_CHANGE, card["id"], store.currency).balance
    if held > minor(card["small_change_cap"], store.digits) and not card["review_reason"]:
        review = {"review_reason": "over_cap"}
        update_record(on_behalf(ctx), "card", card["id"], review, version=None)


def _still_good(ctx: Context, shown: Shown) -> None:
    """Refuse a card whose state is not what it was when it was shown; it is locked then."""
    mine, wanted = shown.record["id"], ("status",)
    card = find_record(ctx, "card", "id", mine, names=wanted, live=False, lock=True)
    fault = FAULTS.get(card["status"]) if card else None
    if fault is not None and fault not in HARMLESS:
        raise REFUSALS[fault]


def _holder(ctx: Context, card_id: str) -> Record:
    """Return the card, or the one that took its place, with what its type says; it is locked."""
    card, card_type = table(ctx, "card"), table(ctx, "card_type")
    columns = (card.c.id, card.c.status, card.c.review_reason)
    of_type = (card_type.c.small_change, card_type.c.small_change_cap)
    joined = card.join(card_type, card_type.c.id == card.c.card_type)
    wanted = sa.select(*columns, *of_type).select_from(joined)
    found = query(ctx, wanted.where(card.c.id == card_id).with_for_update(key_share=True, of=card))
    if not found:
        raise UnknownCard
    if FAULTS.get(found[0].status) == "replaced":
        later = query(ctx, sa.select(card.c.id).where(card.c.replaces == card_id))
        if later:
            return _holder(ctx, later[0].id)
    return found[0]._asdict()


def _returns(ctx: Context, sale_id: str) -> int:
    """Return how many returns the sale, which is locked, had so far."""
    order = table(ctx, "order").c
    counted = sa.select(sa.func.count().label("many")).where(order.of == sale_id)
    return int(query(ctx, counted)[0].many)
