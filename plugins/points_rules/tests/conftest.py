"""Sales as the till makes them, for tests that call hooks themselves."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from core.api import Goods, Sale, SaleLine, Shown, StoreFacts
from core.testing.shipped import Shipped
from plugins.points_rules import hooks


@dataclass
class Counter:
    """A till at one store, with a card type and a member whose card is shown."""

    shipped: Shipped
    store: StoreFacts
    member: dict[str, Any]
    card_type: dict[str, Any]

    def sale(self, *due: str, **changes: Any) -> Sale:
        """Return a sale with a line of each amount due, whose product's brand is `b1`, `b2` …"""
        ctx = self.shipped.context("cashier")
        lines = [self._line(at, Decimal(amount)) for at, amount in enumerate(due, start=1)]
        plain = {
            "store": self.store, "at": ctx.now, "on": ctx.today, "audit_seq": 10**6,
            "lines": lines, "member": self.member, "card": Shown({"status": "active"},
            self.card_type),
        }  # fmt: skip
        return Sale(**(plain | changes))

    def quote(self, *due: str, **changes: Any) -> Sale:
        """Return such a sale after the points' hook."""
        sale = self.sale(*due, **changes)
        self.hook("guanxi_before_quote", sale=sale)
        return sale

    def hook(self, name: str, **values: Any) -> None:
        """Call one hook of the plugin as the till does."""
        getattr(hooks, name)(self.shipped.context("cashier"), **values)

    def _line(self, at: int, due: Decimal) -> SaleLine:
        code = f"P{at}"
        goods = Goods(code, code, code, due, {"brand": f"b{at}", "product": code}, {"code": code})
        return SaleLine(at, goods, Decimal(1), due, due, amount_due=due)


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
