"""A sale and a return as plugins see them at the till: plain values that hooks complete.

Core reads what the till sends, asks the plugins and writes the order. What a card is worth,
what a line costs and what points it earns is the plugins' business alone: whoever ships a
coupon or a gift card takes part in the same three hooks as the plugins shipped here.

Rates are fractions paid (0.9 is ten per cent off); money is in the store's currency with
its digits; instants are aware UTC, `on` is the store day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store that sells.

    Attributes:
        digits: places of its currency.
        record: its stored values, for conditions.
    """

    id: str
    code: str
    currency: str
    digits: int
    time_zone: str
    record: Record


@dataclass(frozen=True, slots=True)
class Goods:
    """A product on a line.

    Attributes:
        scopes: scope level -> code, of `big_class`, `mid_class`, `small_class`, `counter`,
            `brand` and `product`; a level that the product lacks is absent.
        record: its stored values, for conditions.
    """

    id: str
    code: str
    name: str
    list_price: Decimal | None
    scopes: Mapping[str, str]
    record: Record


@dataclass(slots=True)
class SaleLine:
    """One line of a sale; the first block is what was asked, the rest is what plugins say.

    Attributes:
        position: 1 for the first line.
        list_amount: quantity times unit price, in the currency's digits.
        other_rate: the exact fraction that other promotions left, 1 without any.
        after_others: what they left of the list amount, rounded half up.
        amount_due: to be paid; begins as what other promotions left.
        member_rate: the member's fraction; None while nobody gave one.
        rule: what decided, such as `{"no": "ZK2026-0001", "line": 1, "audit_seq": 7}`.
        trace: steps that lead to the price, for people: each has a `code`, a `text` and params.
        terms: plugin -> JSON values that reproduce its part of the price or points.
    """

    position: int
    goods: Goods
    quantity: Decimal
    unit_price: Decimal
    list_amount: Decimal
    other_rate: Fraction = Fraction(1)
    amount_due: Decimal = Decimal(0)
    member_rate: Decimal | None = None
    rule: Mapping[str, Any] | None = None
    trace: list[dict[str, Any]] = field(default_factory=list)
    terms: dict[str, Any] = field(default_factory=dict)
    after_others: Decimal = Decimal(0)


@dataclass(slots=True)
class Shown:
    """The card shown at the till, as the cards' plugin found it.

    Attributes:
        record: its stored values.
        card_type: the values of its type that were in force and known at the moment, with `id`.
        faults: why it gives no benefit, such as `expired`, `lost`, `not_verified`; none is good.
    """

    record: Record
    card_type: Record
    faults: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Return whether the card gives its benefits."""
        return not self.faults


@dataclass(slots=True)
class Sale:
    """A sale on its way through the hooks, as a quote or to be committed.

    Attributes:
        is_order: it will be committed; a quote otherwise.
        at: the business instant; `on` its store day.
        audit_seq: the highest audit number that the sale knows.
        card_text: the printed number or track string that was given; "" without.
        code_text: the verification code that was given; "" without.
        member: the member's stored values; a card may bring them.
        card: what the cards' plugin found.
        spend_points: points to pay with, in whole points.
        points_paid: the money that they are worth.
        points: category -> points earned, such as `{"A": 100}`.
        keep_change: change due that goes onto the card.
        terms: plugin -> JSON values of the whole sale that reproduce price and points.
        extra: plugin -> values from one hook to the next, forgotten afterwards.
    """

    store: StoreFacts
    at: datetime
    on: date
    audit_seq: int
    lines: list[SaleLine]
    is_order: bool = False
    card_text: str = ""
    code_text: str = ""
    member: Record | None = None
    card: Shown | None = None
    spend_points: int = 0
    points_paid: Decimal = Decimal(0)
    points: dict[str, int] = field(default_factory=dict)
    payments: list[dict[str, Any]] = field(default_factory=list)
    keep_change: Decimal = Decimal(0)
    terms: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def total_due(self) -> Decimal:
        """Return what all lines cost together, before points pay for a part."""
        return sum((line.amount_due for line in self.lines), Decimal(0))


@dataclass(slots=True)
class ReturnLine:
    """One line of a return.

    Attributes:
        position: the line's position in the sale.
        sold: the sale's line as it was stored, with its `terms` of the certificate.
        before: quantity returned earlier; `quantity` now; both positive.
        refund: what it gives back: the cumulative share, half up, less what went back earlier.
        refunded_before: what went back earlier.
    """

    position: int
    sold: Record
    before: Decimal
    quantity: Decimal
    refund: Decimal
    refunded_before: Decimal


@dataclass(slots=True)
class Return:
    """A return on its way through the hooks; as a preview all of it is taken back at the end.

    Attributes:
        sale_id: the order that was sold; `certificate` its stored body.
        lines: what comes back; `is_whole` when nothing of the sale is left with the customer.
        refunded: position -> money that went back earlier, of every line of the sale.
        refund: money that goes back; plugins lower it by what they keep, such as points bought.
        method: how it goes back, such as `cash`.
        clawed: category -> points taken back; `bought` points that the member must buy (F)
            for `bought_price` in money; `restored` what each lot gets back.
        notes: plugin -> JSON values that the answer shows.
    """

    sale_id: str
    certificate: Mapping[str, Any]
    store: StoreFacts
    at: datetime
    on: date
    member_id: str | None
    card_id: str | None
    lines: list[ReturnLine]
    is_whole: bool
    is_preview: bool
    refund: Decimal
    method: str = "cash"
    refunded: Mapping[int, Decimal] = field(default_factory=dict)
    clawed: dict[str, int] = field(default_factory=dict)
    bought: int = 0
    bought_price: Decimal = Decimal(0)
    restored: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
