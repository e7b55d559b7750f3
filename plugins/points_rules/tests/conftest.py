"""Sales and returns as the till makes them, for tests that call hooks themselves."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from core.api import (
    Balance,
    Goods,
    Return,
    ReturnLine,
    Sale,
    SaleLine,
    Shown,
    StoreFacts,
    balance,
    new_id,
)
from core.testing.shipped import Shipped
from plugins.points_rules import hooks


class _TakenBack(Exception):
    """Ends a preview's transaction."""


@dataclass
class Receipt:
    """A sale that was booked, with what came back of it so far.

    Attributes:
        certificate: as the till stores it: JSON and nothing else.
        returned: position -> quantity and `refunded` money that came back.
    """

    order: str
    sale: Sale
    certificate: dict[str, Any]
    returned: dict[int, Decimal] = field(default_factory=dict)
    refunded: dict[int, Decimal] = field(default_factory=dict)

    @property
    def is_back(self) -> bool:
        """Return whether nothing is left with the customer."""
        return all(self.returned.get(each.position) == each.quantity for each in self.sale.lines)


@dataclass
class Counter:
    """A till at one store, with a card type and a member whose card is shown."""

    shipped: Shipped
    store: StoreFacts
    member: dict[str, Any]
    card_type: dict[str, Any]

    def sale(self, *due: str, **changes: Any) -> Sale:
        """Return a sale with a line of each amount due, whose brand is `b1`, `b2` …"""
        ctx = self.shipped.context("cashier")
        lines = [self._line(at, Decimal(amount)) for at, amount in enumerate(due, start=1)]
        plain = {
            "store": self.store, "at": ctx.now, "on": ctx.today, "audit_seq": 10**6,
            "lines": lines, "member": self.member,
            "card": Shown({"id": new_id(), "status": "active"}, self.card_type),
        }  # fmt: skip
        return Sale(**(plain | changes))

    def quote(self, *due: str, **changes: Any) -> Sale:
        """Return such a sale after the points' hook."""
        sale = self.sale(*due, **changes)
        hooks.guanxi_before_quote(self.shipped.context("cashier"), sale)
        return sale

    def sell(self, *due: str, order: str = "", **changes: Any) -> Receipt:
        """Return such a sale as an order that was booked."""
        sale = self.quote(*due, is_order=True, **changes)
        return self.book(sale, order or new_id())

    def book(self, sale: Sale, order: str) -> Receipt:
        """Book a sale that was priced as an order."""
        ctx = self.shipped.context("cashier")
        with ctx.writing(durable=True):
            hooks.guanxi_before_sale(ctx, sale, order)
        return Receipt(order, sale, _certificate(sale))

    def give_back(
        self,
        receipt: Receipt,
        quantities: Mapping[int, int | Decimal] | None = None,
        *,
        is_preview: bool = False,
    ) -> Return:
        """Return what comes back of a receipt, booked unless it is a preview; all without one."""
        rest = {
            each.position: each.quantity - receipt.returned.get(each.position, Decimal(0))
            for each in receipt.sale.lines
        }
        wanted = {at: Decimal(each) for at, each in (quantities or rest).items() if each}
        ctx = self.shipped.context("cashier")
        made = self._return(receipt, wanted, is_preview=is_preview)
        with suppress(_TakenBack), ctx.writing(durable=True):
            hooks.guanxi_before_return(ctx, made)
            if is_preview:
                raise _TakenBack
        for line in () if is_preview else made.lines:
            receipt.returned[line.position] = line.before + line.quantity
            receipt.refunded[line.position] = line.refunded_before + line.refund
        return made

    def standing(self, member: str = "") -> Balance:
        """Return how the points of a member stand."""
        return balance(self.shipped.context(), "points", member or self.member["id"])

    def _return(
        self, receipt: Receipt, wanted: Mapping[int, Decimal], *, is_preview: bool
    ) -> Return:
        sold = {each.position: each for each in receipt.sale.lines}
        lines = []
        for at, quantity in wanted.items():
            before = receipt.returned.get(at, Decimal(0))
            refunded = receipt.refunded.get(at, Decimal(0))
            share = Fraction(before + quantity) / Fraction(sold[at].quantity)
            cents = (Fraction(sold[at].amount_due) * share * 100 + Fraction(1, 2)).__floor__()
            back = Decimal(cents).scaleb(-2)
            lines.append(ReturnLine(at, {}, before, quantity, back - refunded, refunded))
        left = {at: one.quantity - receipt.returned.get(at, 0) for at, one in sold.items()}
        member = receipt.sale.member
        ctx = self.shipped.context()
        return Return(
            sale_id=receipt.order,
            certificate=receipt.certificate,
            store=self.store,
            at=ctx.now,
            on=ctx.today,
            member_id=member["id"] if member else None,
            card_id=None,
            lines=lines,
            is_whole=all(wanted.get(at, 0) == each for at, each in left.items()),
            is_preview=is_preview,
            refund=sum((line.refund for line in lines), Decimal(0)),
            refunded=dict(receipt.refunded),
        )

    def _line(self, at: int, due: Decimal) -> SaleLine:
        code = f"P{at}"
        goods = Goods(code, code, code, due, {"brand": f"b{at}", "product": code}, {"code": code})
        return SaleLine(at, goods, Decimal(10), due, due, amount_due=due)


def _certificate(sale: Sale) -> dict[str, Any]:
    """Return what the till stores of a sale, as far as points need it."""
    body = {
        "on": sale.on.isoformat(),
        "made": {"at": sale.at.isoformat()},
        "points": sale.points,
        "points_paid": str(sale.points_paid),
        "terms": sale.terms,
        "lines": [
            {
                "line": line.position,
                "product": line.goods.id,
                "code": line.goods.code,
                "quantity": str(line.quantity),
                "unit_price": str(line.unit_price),
                "list_amount": str(line.list_amount),
                "amount_due": str(line.amount_due),
            }
            for line in sale.lines
        ],
    }
    return dict(json.loads(json.dumps(body)))


@pytest.fixture
def till(shipped: Shipped) -> Counter:
    """Return a till, a member and a card type of 0.1 points for each 1.00 and identity 1."""
    store = shipped.create("Admin", "store", code="S1", name="Main street")
    member = shipped.create("Admin", "member", no="M1", name="Li", birthday="1990-03-10")
    made = shipped.create(
        "clerk", "card_type", code="GOLD", name="Gold", points_rate="0.1", identity_multiple="1"
    )
    gold = shipped.approve("card_type", made["id"])
    facts = StoreFacts(store["id"], "S1", "CNY", 2, "Asia/Shanghai", store)
    return Counter(shipped, facts, member, gold)
