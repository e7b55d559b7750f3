"""What the proof of a discount document costs: 10,000 receipts under two rule sets."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.cli.console import system_context
from core.context import Context
from core.extension.hookspecs import Document
from core.records.counters import AUDIT_SEQ, next_number
from core.records.effects import put_effect
from core.records.inforce import keep_effect
from core.records.operations import create_many, create_record
from core.records.queries import get_record
from core.security.services import EXTENSION
from core.till import certificates
from plugins.discount_rules.operations.review import review_document
from tests.bench.measure import Result
from tests.bench.requests import application

RECEIPTS, LINES, RULES, PRODUCTS, MEMBERS = 10_000, 5, 100, 500, 1_000
_BATCH = 500
_LIMIT_S = 20.0


def replays(database: str, environ: Mapping[str, str]) -> Iterator[Result]:
    """Measure a review with all receipts: half made at the till, half imported."""
    services = application(environ).extensions[EXTENSION]
    ctx = system_context(services)
    shop = _fill(ctx)
    made = _document(ctx, shop, "BENCH-1", 0)
    _put_in_force(ctx, "discount_rule", made["id"])
    for name, condition in (("", ""), (" with conditions", "sale.total > 100")):
        made = _document(ctx, shop, f"BENCH{name}", 1, condition)
        document = Document("discount_rule", made["id"], None, made)
        begin = time.process_time()
        with ctx.reading():
            found = review_document(ctx, document)
        spent = time.process_time() - begin
        yield Result(
            database,
            f"proof and replay of {RECEIPTS:,} receipts{name}, {RULES} rules",
            cpu_ms=spent * 1000,
            note=next(each.title for each in found if str(RECEIPTS) in each.title),
            limit=f"≤ {_LIMIT_S:.0f} s",
            is_met=spent <= _LIMIT_S,
        )
    services.db.dispose()


def _fill(ctx: Context) -> dict[str, Any]:
    """Write a shop with its receipts, and return what documents need of it."""
    store = create_record(ctx, "store", {"code": "BENCH", "name": "Bench"})["id"]
    brands = _many(ctx, "brand", [{"code": f"b{n}", "name": f"b{n}"} for n in range(RULES // 2)])
    products = _many(
        ctx,
        "product",
        [
            {
                "code": f"p{n}",
                "name": f"p{n}",
                "list_price": "10.00",
                "brand": brands[n % len(brands)],
            }
            for n in range(PRODUCTS)
        ],
    )
    members = _many(ctx, "member", [{"no": f"bench-{n}", "name": f"m{n}"} for n in range(MEMBERS)])
    rates = {"default_rate": "0.95", "stack_start": "0.8", "stack_rate": "0.95"}
    card_type = create_record(ctx, "card_type", {"code": "BENCH", "name": "Bench", **rates})["id"]
    _put_in_force(ctx, "card_type", card_type)
    cards = _many(
        ctx,
        "card",
        [{"card_type": card_type, "store": store, "member": each} for each in members],
    )
    start = ctx.now - timedelta(days=20)
    orders = []
    for number in range(RECEIPTS):
        lines = [
            {
                "product": products[(number * 7 + line * 13) % PRODUCTS],
                "quantity": str(1 + line),
                "unit_price": "10.00",
            }
            for line in range(LINES)
        ]
        orders.append({
            "no": f"BENCH-{number}", "store": store, "member": members[number % MEMBERS],
            "card": cards[number % MEMBERS],
            "ordered_at": (start + timedelta(minutes=number)).isoformat(), "lines": lines,
        })  # fmt: skip
    ids = _many(ctx, "order", orders)
    with ctx.writing():
        for order_id, order in list(zip(ids, orders, strict=True))[::2]:
            priced = certificates.canonical(_priced(order, card_type))
            certificates.keep(ctx, order_id, priced, {})
    return {"card_type": card_type}


def _priced(order: Mapping[str, Any], card_type: str) -> dict[str, Any]:
    """Return the part of a certificate that a replay reads."""
    lines = [
        {
            "line": number,
            "product": line["product"],
            "quantity": line["quantity"],
            "list_amount": f"{10 * int(line['quantity'])}.00",
            "other_rate": "9/10" if number == 1 else "1",
            "terms": {},
        }
        for number, line in enumerate(order["lines"], start=1)
    ]
    points = [{"due": line["list_amount"], "rate": "1"} for line in lines]
    return {
        "digits": 2, "member": order["member"], "card": order["card"], "card_type": card_type,
        "faults": [], "points_paid": "0.00", "lines": lines,
        "terms": {"points_rules": {"lines": points, "identity": "1"}},
    }  # fmt: skip


def _document(
    ctx: Context, shop: Mapping[str, Any], no: str, cheaper: int, condition: str = ""
) -> dict[str, Any]:
    lines = [
        {
            "scope": "brand" if number < RULES // 2 else "product",
            "targets": [f"b{number}" if number < RULES // 2 else f"p{number}"],
            "rate": str(Decimal(95 - number % 10 - cheaper) / 100),
            "condition": condition,
        }
        for number in range(RULES)
    ]
    values = {"no": no, "card_types": [shop["card_type"]], "lines": lines}
    made = create_record(ctx, "discount_rule", values)
    return get_record(ctx, "discount_rule", made["id"])


def _put_in_force(ctx: Context, record_type: str, record_id: str) -> None:
    """Put a document in force as the end of an approval does."""
    with ctx.writing() as connection:
        seq = next_number(connection, AUDIT_SEQ)
        values = {"status": "effective", "audited_at": ctx.now, "audit_seq": seq}
        record = put_effect(ctx, record_type, record_id, values)
        known = ctx.registry.record_type(record_type)
        keep_effect(connection, ctx.registry, known, record, "effective")


def _many(ctx: Context, record_type: str, items: list[dict[str, Any]]) -> list[str]:
    ids = []
    for start in range(0, len(items), _BATCH):
        for one in create_many(ctx, record_type, items[start : start + _BATCH]):
            if not isinstance(one, dict):
                raise one
            ids.append(one["id"])
    return ids
