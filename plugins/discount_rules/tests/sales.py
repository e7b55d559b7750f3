"""Sales in memory over records of an installation, as the till makes them."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from core.api import Goods, Sale, SaleLine, Shown, StoreFacts, audit_seq
from plugins.discount_rules import hooks

ZONE = "Asia/Shanghai"


class Shop:
    """A store with a class, a counter, two brands, products and two card types in force."""

    def __init__(self, shipped):
        self.shipped = shipped
        create = lambda *args, **values: shipped.create("Admin", *args, **values)  # noqa: E731
        self.store = create("store", code="01", name="One")
        self.brands = {code: create("brand", code=code, name=code) for code in ("olay", "loreal")}
        self.counter = create(
            "counter", code="cosmetics", name="Cosmetics", store=self.store["id"]
        )
        above, self.chain = None, []
        for code in ("beauty", "skin", "cream"):
            above = create("category", code=code, name=code, parent=above)["id"]
            self.chain.append(code)
        self.products = {}
        for code, brand in (("OLAY-1", "olay"), ("OLAY-2", "olay"), ("LOR-1", "loreal")):
            self.products[code] = create(
                "product", code=code, name=code, category=above, brand=self.brands[brand]["id"],
                counter=self.counter["id"], list_price="100.00",
            )  # fmt: skip
        self.member = create("member", no="M1", name="An")
        self.types = {
            code: shipped.approve("card_type", shipped.create("clerk", "card_type", **values)["id"])
            for code, values in {
                "GOLD": {"code": "GOLD", "name": "Gold", "default_rate": "0.9",
                         "stack_start": "0.8", "stack_rate": "0.95"},
                "PLAIN": {"code": "PLAIN", "name": "Plain", "default_rate": "0.98"},
            }.items()
        }  # fmt: skip

    def document(self, *lines, role="clerk", **changes):
        """Make a draft of lines (scope, target, rate, more)."""
        made = [
            {"scope": scope, "targets": [target], "rate": rate, **(more[0] if more else {})}
            for scope, target, rate, *more in lines
        ]
        values = {"card_types": [self.types["GOLD"]["id"]], "effective_from": "2026-03-01"}
        return self.shipped.create(role, "discount_rule", lines=made, **values | changes)

    def audit(self, *lines, **changes):
        """Make a document, approve it and return it; the next one is audited a minute later."""
        made = self.shipped.approve("discount_rule", self.document(*lines, **changes)["id"])
        self.shipped.clock.move(timedelta(minutes=1))
        return made

    def sale(self, *lines, card="GOLD", faults=(), member=True, at=None, seq=None):
        """Return a sale of lines (product, list amount, other rate), not priced yet."""
        ctx = self.shipped.context("cashier")
        at = at or ctx.now
        shown = None
        if card:
            card_type = self.types[card]
            record = {"id": "c1", "number": "01", "card_type": card_type["id"], "status": "active"}
            shown = Shown(record, card_type, faults)
        return Sale(
            store=StoreFacts(self.store["id"], "01", "CNY", 2, ZONE, self.store),
            at=at,
            on=at.astimezone(ZoneInfo(ZONE)).date(),
            audit_seq=audit_seq(ctx) if seq is None else seq,
            lines=[self._line(number, *line) for number, line in enumerate(lines, 1)],
            member=self.member if member else None,
            card=shown,
        )

    def _line(self, number, code, amount="100.00", other="1"):
        product = self.products[code]
        scopes = dict(zip(("big_class", "mid_class", "small_class"), self.chain, strict=True))
        brand = next(it for it, one in self.brands.items() if one["id"] == product["brand"])
        scopes |= {"counter": "cosmetics", "brand": brand, "product": code}
        goods = Goods(product["id"], code, code, product["list_price"], scopes, product)
        amount = Decimal(amount)
        return SaleLine(number, goods, Decimal(1), amount, amount, Fraction(other))

    def quote(self, *lines, **changes):
        """Return a sale as it is quoted, once the cards' plugin found the card."""
        sale = self.sale(*lines, **changes)
        hooks.guanxi_before_quote(self.shipped.context("cashier"), sale)
        return sale

    def rates(self, *codes, **changes):
        """Return (rate, rule's number) of each product."""
        sale = self.quote(*((code,) for code in codes), **changes)
        return [(str(it.member_rate), it.rule and it.rule["no"]) for it in sale.lines]
