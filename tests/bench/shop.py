"""A shop to measure the till on: products, members with cards, documents in force."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.bench.measure import Caller
from tests.bench.site import PASSWORD, guanxi

PRODUCTS, MEMBERS, RULES = 60, 200, 100

#: Lines of the cart that quotes are measured with.
LINES = 10


@dataclass(slots=True)
class Shop:
    """What was made: codes of products and numbers of cards."""

    products: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)

    def cart(self, number: int, lines: int = LINES) -> dict[str, Any]:
        """Return what a till asks for sale `number`: so many lines, a member's card."""
        codes = [self.products[(number * 7 + at) % len(self.products)] for at in range(lines)]
        return {
            "store": "TILL",
            "card": self.cards[number % len(self.cards)],
            "lines": [{"product": code, "quantity": "2", "other_rate": "0.85"} for code in codes],
        }


def people(environ: Mapping[str, str]) -> None:
    """Add who makes, approves and sells."""
    for name, role in (("maker", "Admin"), ("judge", "approver"), ("seller", "cashier")):
        guanxi(environ, "user", "add", name, "--role", role)


def caller_of(app: Any, name: str) -> Caller:
    """Return a caller with somebody's rights."""
    caller = Caller(app, "")
    body = {"username": name, "password": PASSWORD, "provider": "db"}
    status, answer, _ = caller("POST", "/api/v1/security/login", body=body)
    assert status == 200, answer
    return Caller(app, msgspec.json.decode(answer)["access_token"])


def open_shop(app: Any) -> Shop:
    """Fill a new installation through its own doors."""
    maker, judge = caller_of(app, "maker"), caller_of(app, "judge")
    shop = Shop()
    store = _made(maker, "store", code="TILL", name="Till")["id"]
    big = _made(maker, "category", code="BIG", name="Big")["id"]
    mid = _made(maker, "category", code="MID", name="Mid", parent=big)["id"]
    small = _made(maker, "category", code="SMALL", name="Small", parent=mid)["id"]
    brands = [_made(maker, "brand", code=f"B{at}", name=f"B{at}")["id"] for at in range(10)]
    for at in range(PRODUCTS):
        _made(maker, "product", code=f"P{at:03d}", name=f"Product {at}", list_price=f"{at + 5}.90",
              category=small, brand=brands[at % 10])  # fmt: skip
        shop.products.append(f"P{at:03d}")
    gold = _approved(maker, judge, "card_type", code="GOLD", name="Gold", type_prefix="01",
                     default_rate="0.95", points_rate="0.1", identity_multiple="1",
                     stack_start="0.80", stack_rate="0.95")  # fmt: skip
    for at in range(MEMBERS):
        member = _made(maker, "member", no=f"M{at:04d}", name=f"Member {at}")["id"]
        card = _made(maker, "card", card_type=gold, store=store, member=member, status="active")
        shop.cards.append(card["number"])
    for at in range(RULES):
        line = {"scope": "product", "targets": [shop.products[at % PRODUCTS]], "rate": "0.9"}
        _approved(maker, judge, "discount_rule", card_types=[gold], effective_from="2026-01-01",
                  lines=[line])  # fmt: skip
    return shop


def _made(caller: Caller, record_type: str, **values: Any) -> dict[str, Any]:
    status, answer, _ = caller("POST", f"/api/v1/records/{record_type}", body=values)
    assert status == 201, answer
    return dict(msgspec.json.decode(answer))


def _approved(maker: Caller, judge: Caller, record_type: str, **values: Any) -> str:
    made = _made(maker, record_type, **values)
    status, answer, _ = maker(
        "POST", f"/api/v1/records/{record_type}/{made['id']}/submit", body={}
    )
    assert status == 200, answer
    tasks = msgspec.json.decode(judge("GET", "/api/v1/tasks", query="box=todo")[1])["items"]
    task = next(one for one in tasks if one["record"]["id"] == made["id"])
    body = {"subject_hash": task["subject_hash"], "opinion": "ok"}
    status, answer, _ = judge("POST", f"/api/v1/tasks/{task['id']}/approve", body=body)
    assert status == 200, answer
    return str(made["id"])
