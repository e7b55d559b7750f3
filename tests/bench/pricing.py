"""What pricing a cart costs in the engine, under a hundred rules and under a hundred thousand."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from core.api import Goods, Sale, SaleLine, Shown, StoreFacts
from core.extension.manifest import load_manifest
from plugins import discount_rules
from plugins.discount_rules.operations.pricing import price_lines, resolve_lines
from plugins.discount_rules.rules.resolution import LEVELS, RuleIndex
from tests.bench.measure import Result, own_memory

LINES, FEW, MANY, PER_DOCUMENT = 10, 100, 100_000, 100
_LIMIT_MS, _MOST = 1.0, 1.2
_NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)
_SETTINGS = {one.name: one.load(one.default) for one in load_manifest(
    Path(discount_rules.__file__).parent
).settings}  # fmt: skip
_TYPES = [f"type{number}" for number in range(5)]
#: How many targets each level has, and how many lines of documents are about it.
_TARGETS = {
    "big_class": (20, 1), "mid_class": (100, 2), "small_class": (400, 4), "counter": (50, 2),
    "brand": (800, 6), "product": (20_000, 20),
}  # fmt: skip
_PASSES, _QUOTES = 7, 200


def pricing() -> Iterator[Result]:
    """Price the same cart, and a cart of goods that nobody asked for today, by both rule sets."""
    few, _ = _index(FEW, 10)
    memory = own_memory()
    many, spent = _index(MANY, PER_DOCUMENT)
    yield Result(
        "-", f"index {MANY:,} discount rules", cpu_ms=spent * 1000,
        note=f"{own_memory() - memory:.0f} MiB",
    )  # fmt: skip
    base, again = _cost(few), _cost(many)
    yield Result(
        "-", f"quote {LINES} lines in the engine, {FEW} rules", cpu_ms=base * 1000,
        per_second=1 / base, limit=f"≤ {_LIMIT_MS} ms CPU", is_met=base * 1000 <= _LIMIT_MS,
    )  # fmt: skip
    yield Result(
        "-", f"the same, {MANY:,} rules", cpu_ms=again * 1000, per_second=1 / again,
        limit=f"≤ {_MOST} x", is_met=again <= base * _MOST, note=f"{again / base:.2f} x",
    )  # fmt: skip
    fresh = _cost(many, is_fresh=True)
    yield Result(
        "-", f"the same, goods not sold yet today, {MANY:,} rules", cpu_ms=fresh * 1000,
        per_second=1 / fresh, note="each is found once a day",
    )  # fmt: skip


def _index(rules: int, per_document: int) -> tuple[RuleIndex, float]:
    """Return an index of effective rules, and the CPU seconds that it took."""
    random = Random(1)
    documents = [
        _document(random, number, per_document) for number in range(rules // per_document)
    ]
    index = RuleIndex()
    begin = time.process_time()
    for seq, values in enumerate(documents, 1):
        index.take_effect(f"d{seq}", seq, _NOW - timedelta(days=30), values)
    return index, time.process_time() - begin


def _document(random: Random, number: int, lines: int) -> dict[str, Any]:
    weights = [each[1] for each in _TARGETS.values()]
    scopes = random.choices(LEVELS, weights, k=lines)
    return {
        "no": f"ZK2026-{number:04d}",
        "card_types": random.sample(_TYPES, 2),
        "effective_from": date(2026, 1, 1),
        "effective_to": random.choice([None, date(2026, 12, 31)]),
        "lines": [
            {
                "scope": scope,
                "targets": [f"{scope}{random.randrange(_TARGETS[scope][0])}"],
                "rate": Decimal(random.randrange(50, 100)) / 100,
                "joins_stacking": random.random() < 0.8,
            }
            for scope in scopes
        ],
    }


def _sale(first: int) -> Sale:
    lines = []
    for number in range(first, first + LINES):
        scopes = {level: f"{level}{number % count}" for level, (count, _) in _TARGETS.items()}
        amount, other = Decimal("199.90"), Fraction(17, 20) if number % 2 else Fraction(1)
        goods = Goods(scopes["product"], scopes["product"], "", amount, scopes, {})
        lines.append(SaleLine(number, goods, Decimal(1), amount, amount, other))
    rates = {"default_rate": "0.9", "stack_start": "0.8", "stack_rate": "0.95"}
    card_type = {name: Decimal(rate) for name, rate in rates.items()} | {"id": _TYPES[0]}
    store = StoreFacts("s", "01", "CNY", 2, "Asia/Shanghai", {})
    return Sale(store, _NOW, _NOW.date(), MANY, lines, card=Shown({"id": "c"}, card_type))


def _cost(index: RuleIndex, *, is_fresh: bool = False) -> float:
    """Return the CPU seconds of one quote, the least of several passes: others run here too."""
    best = float("inf")
    for number in range(_PASSES):
        start = (1 + number * _QUOTES) * LINES
        sales = [_sale(start + at * LINES if is_fresh else 0) for at in range(_QUOTES)]
        begin = time.process_time()
        for sale in sales:
            assert sale.card is not None
            price_lines(sale, _SETTINGS, resolve_lines(index, sale, sale.card, _never))
        best = min(best, (time.process_time() - begin) / _QUOTES)
    return best


def _never(_line: SaleLine, _condition: str) -> str | None:
    return None
