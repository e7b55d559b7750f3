"""Which receipt earns a card (消费小票办卡额度, domain §2.5)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Receipt:
    """A sale that somebody shows to get a card.

    Attributes:
        total: paid for it, less what was given back since.
        is_used: a card was issued for it before.
        is_others: it was bought by another member.
    """

    kind: str
    on: date
    total: Decimal
    is_used: bool
    is_others: bool


def receipt_fault(receipt: Receipt, *, today: date, days: int, least: Decimal) -> str:
    """Return why a receipt does not earn the card, or "".

    Args:
        receipt: what is shown.
        today: the store day.
        days: how many days later than its own it still counts.
        least: the total that earns the card.
    """
    if receipt.kind != "sale":
        return "receipt_not_a_sale"
    if receipt.is_used:
        return "receipt_used"
    if receipt.is_others:
        return "receipt_other_member"
    if not 0 <= (today - receipt.on).days <= days:
        return "receipt_too_old"
    return "receipt_too_small" if receipt.total < least else ""
