"""Receipts that earn a card, and what becomes of the card when they are returned."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.api import (
    N_,
    Conflict,
    Context,
    Return,
    get_record,
    on_behalf,
    plugin_settings,
    query,
    table,
    update_record,
)
from plugins.card_types.rules.receipts import Receipt, receipt_fault

Record = Mapping[str, Any]


class NotASale(Conflict):
    """The receipt is of a return."""

    code = "card_types.receipt_not_a_sale"
    text = N_("This is not the receipt of a sale.")


class ReceiptUsed(Conflict):
    """A card was issued for the receipt before."""

    code = "card_types.receipt_used"
    text = N_("A card was already issued for this receipt.")


class ReceiptOfOther(Conflict):
    """Another member bought what stands on the receipt."""

    code = "card_types.receipt_other_member"
    text = N_("This receipt belongs to another member.")


class ReceiptTooOld(Conflict):
    """The receipt is of an earlier day than counts, or of a day to come."""

    code = "card_types.receipt_too_old"
    text = N_("This receipt is of another day; it counts for {days} days after its own.")


class ReceiptTooSmall(Conflict):
    """Less was bought than earns the card."""

    code = "card_types.receipt_too_small"
    text = N_("The receipt comes to {total}; {least} are needed.")


REFUSALS: dict[str, type[Conflict]] = {
    "receipt_not_a_sale": NotASale,
    "receipt_used": ReceiptUsed,
    "receipt_other_member": ReceiptOfOther,
    "receipt_too_old": ReceiptTooOld,
    "receipt_too_small": ReceiptTooSmall,
}


def check_receipt(ctx: Context, values: Record, card_type: Record) -> None:
    """Refuse a receipt that does not earn a card of a type; it is locked, so it earns one.

    Raises:
        Conflict: one of `REFUSALS`.
    """
    order, store = table(ctx, "order").c, table(ctx, "store").c
    lock = sa.select(order.id).where(order.id == values["receipt"]).with_for_update(key_share=True)
    query(ctx, lock)
    sold = get_record(on_behalf(ctx), "order", values["receipt"])
    zone = query(ctx, sa.select(store.time_zone).where(store.id == sold["store"]))[0].time_zone
    day = sold["ordered_at"].astimezone(ZoneInfo(zone)).date()
    receipt = Receipt(
        kind=sold["kind"],
        on=day,
        total=_total(ctx, sold),
        is_used=_card_of(ctx, values["receipt"]) is not None,
        is_others=sold["member"] not in {None, values.get("member")},
    )
    days = plugin_settings(ctx, "card_types")["receipt_qualify_days"]
    least = card_type["qualifying_amount"] or Decimal(0)
    today = ctx.now.astimezone(ZoneInfo(zone)).date()
    fault = receipt_fault(receipt, today=today, days=days, least=least)
    if fault:
        raise REFUSALS[fault](days=days, total=str(receipt.total), least=str(least))


def flag_card(ctx: Context, giving_back: Return) -> None:
    """Mark the card that a receipt earned for review, once less is left of it than that took."""
    card = _card_of(ctx, giving_back.sale_id)
    if card is None or card.review_reason == "receipt_returned":
        return
    sold = get_record(on_behalf(ctx), "order", giving_back.sale_id)
    back = sum((line.refund for line in giving_back.lines), Decimal(0))
    if _total(ctx, sold) - back >= (card.qualifying_amount or 0):
        return
    review = {"review_reason": "receipt_returned"}
    update_record(on_behalf(ctx), "card", card.id, review, version=None)
    giving_back.notes["card_types"] = {"review": card.number}


def _total(ctx: Context, sold: Record) -> Decimal:
    """Return what was paid for a sale less what was given back since."""
    order = table(ctx, "order").c
    returns = sa.select(order.id).where(order.of == sold["id"], order.deleted_at.is_(None))
    amounts = [sold, *(get_record(on_behalf(ctx), "order", row.id) for row in query(ctx, returns))]
    return sum((each["total_due"] or Decimal(0) for each in amounts), Decimal(0))


def _card_of(ctx: Context, order_id: str) -> Any:
    """Return the card that was issued for a receipt, or None."""
    done, card = table(ctx, "card_operation"), table(ctx, "card")
    card_type = table(ctx, "card_type").c
    wanted = (
        sa.select(card.c.id, card.c.number, card.c.review_reason, card_type.qualifying_amount)
        .select_from(done)
        .join(card, card.c.id == done.c.card)
        .join(card_type.id.table, card_type.id == card.c.card_type)
        .where(done.c.receipt == order_id, done.c.kind == "qualify")
    )
    return next(iter(query(ctx, wanted)), None)
