"""A small shop at the till: stores, products of three classes, members; through REST alone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from core.testing.site import Site

#: Code -> list price, small class, brand.
PRODUCTS = {
    "TEA-1": ("100.00", "green", "longjing"),
    "TEA-2": ("9.99", "green", "longjing"),
    "CUP-1": ("25.00", "cups", "jingdezhen"),
    "CUP-2": ("0.05", "cups", "jingdezhen"),
}
#: Code -> the category above it.
CATEGORIES = {
    "tea": None,
    "leaf": "tea",
    "green": "leaf",
    "ware": None,
    "table": "ware",
    "cups": "table",
}


@dataclass(slots=True)
class Till:
    """One site as the till uses it.

    Attributes:
        ids: record type -> code -> id of what was made.
    """

    site: Site
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    _keys: Any = field(default_factory=lambda: count(1))

    def make(self, record_type: str, called: str, /, **values: Any) -> str:
        """Create a record as the administrator; remember and return its id."""
        answer = self.site.client("admin").post(f"/api/v1/records/{record_type}", json=values)
        assert answer.status_code == 201, answer.text
        self.ids.setdefault(record_type, {})[called] = answer.json["id"]
        return str(answer.json["id"])

    def approve(self, record_type: str, values: dict[str, Any]) -> dict[str, Any]:
        """Create a document as the clerk, submit it, have it approved and return it."""
        clerk, approver = self.site.client("clerk"), self.site.client("approver")
        made = clerk.post(f"/api/v1/records/{record_type}", json=values)
        assert made.status_code == 201, made.text
        self.decide(record_type, made.json["id"])
        return dict(approver.get(f"/api/v1/records/{record_type}/{made.json['id']}").json)

    def decide(self, record_type: str, record_id: str, verb: str = "approve") -> None:
        """Submit a document as the clerk and decide it as the approver."""
        clerk, approver = self.site.client("clerk"), self.site.client("approver")
        sent = clerk.post(f"/api/v1/records/{record_type}/{record_id}/submit")
        assert sent.status_code == 200, sent.text
        tasks = approver.get("/api/v1/tasks?box=todo").json["items"]
        task = next(one for one in tasks if one["record"]["id"] == record_id)
        done = approver.post(
            f"/api/v1/tasks/{task['id']}/{verb}",
            json={"subject_hash": task["subject_hash"], "opinion": "ok"},
        )
        assert done.status_code == 200, done.text

    def quote(self, *lines: dict[str, Any], user: str = "cashier", **rest: Any) -> Any:
        """Return the answer to a quote."""
        body = {"store": "S1", "lines": list(lines), **rest}
        return self.site.client(user).post("/api/v1/till/quote", json=body)

    def order(
        self, *lines: dict[str, Any], user: str = "cashier", key: str = "", **rest: Any
    ) -> Any:
        """Return the answer to an order."""
        body = {"store": "S1", "lines": list(lines), **rest}
        return self.post("/api/v1/till/orders", body, user=user, key=key)

    def give_back(
        self,
        order: str,
        *lines: tuple[int, str],
        user: str = "cashier",
        key: str = "",
        **rest: Any,
    ) -> Any:
        """Return the answer to a return of (line, quantity) pairs."""
        body = {"lines": [{"line": line, "quantity": each} for line, each in lines], **rest}
        return self.post(f"/api/v1/till/orders/{order}/returns", body, user=user, key=key)

    def post(self, path: str, body: Any, *, user: str = "cashier", key: str = "") -> Any:
        """Return the answer to a request with a key, a fresh one unless it is given."""
        headers = {"Idempotency-Key": key or f"key-{next(self._keys)}"}
        return self.site.client(user).post(path, json=body, headers=headers)

    def count(self, record_type: str) -> int:
        """Return how many records there are."""
        answer = self.site.client("admin").get(
            f"/api/v1/records/{record_type}?count=exact&limit=1"
        )
        return int(answer.json["count"])


def line(product: str = "TEA-1", quantity: str = "1", **rest: Any) -> dict[str, Any]:
    """Return one line of a sale."""
    return {"product": product, "quantity": quantity, **rest}


def fill(site: Site) -> Till:
    """Return the till of a site, with something to sell and somebody to sell it to."""
    till = Till(site)
    till.make("store", "S1", code="S1", name="一店", time_zone="Asia/Shanghai", currency="CNY")
    for code, above in CATEGORIES.items():
        parent = till.ids["category"][above] if above else None
        till.make("category", code, code=code, name=code, parent=parent)
    for code in ("longjing", "jingdezhen"):
        till.make("brand", code, code=code, name=code)
    for code, (price, category, brand) in PRODUCTS.items():
        till.make(
            "product", code, code=code, name=code, list_price=price,
            category=till.ids["category"][category], brand=till.ids["brand"][brand],
        )  # fmt: skip
    till.make("member", "M1", no="M1", name="王小明", birthday="1990-03-09")
    till.make("member", "M2", no="M2", name="李雷")
    return till


def utc(*parts: int) -> datetime:
    """Return an instant in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
