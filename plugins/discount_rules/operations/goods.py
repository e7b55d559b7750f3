"""What is sold, by what it belongs to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.api import Context, query, table

#: From the lowest level of categories down from the top; a product hangs on any of them.
CATEGORY_LEVELS = ("big_class", "mid_class", "small_class")

#: Ids of one statement.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """A product as the rules see it: its scopes, list price, and cost where a field has it."""

    id: str
    scopes: Mapping[str, str]
    list_price: Decimal | None
    cost: Decimal | None


def live_products(
    ctx: Context, targets: Mapping[str, Sequence[str]], cost_field: str = ""
) -> list[Listed]:
    """Return the products on sale that belong to any of the targets, given as level -> codes.

    `cost_field` names the field of products that holds what they cost; "" where none does.
    """
    if not any(targets.values()):
        return []
    statement, parts = _joined(ctx, cost_field)
    categories = [code for level in CATEGORY_LEVELS for code in targets.get(level, ())]
    wanted = [part.in_(categories) for part in parts[:3] if categories]
    for level, part in zip(("counter", "brand", "product"), parts[3:], strict=True):
        if targets.get(level):
            wanted.append(part.in_(targets[level]))
    product = table(ctx, "product")
    on_sale = product.c.deleted_at.is_(None) & product.c.discontinued.is_not(sa.true())
    return list(_listed(query(ctx, statement.where(sa.or_(*wanted), on_sale))))


def products_by_id(ctx: Context, ids: Iterable[str]) -> dict[str, Listed]:
    """Return products, also those that are sold no more, by id."""
    statement, _ = _joined(ctx, "")
    product = table(ctx, "product")
    found: dict[str, Listed] = {}
    for part in batches(ids):
        rows = query(ctx, statement.where(product.c.id.in_(part)))
        found |= {each.id: each for each in _listed(rows)}
    return found


def records_by_id(ctx: Context, record_type: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the stored values of records by id."""
    found: dict[str, dict[str, Any]] = {}
    own = table(ctx, record_type)
    for part in batches(ids):
        rows = query(ctx, sa.select(own).where(own.c.id.in_(part)))
        found |= {row.id: row._asdict() for row in rows}
    return found


def batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield ids in parts that fit one statement."""
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), _BATCH):
        yield wanted[start : start + _BATCH]


def _joined(ctx: Context, cost_field: str) -> tuple[sa.Select[Any], list[sa.Column[Any]]]:
    """Return products with the codes of what they belong to, and those columns."""
    product, category = table(ctx, "product"), table(ctx, "category")
    own, above, top = (category.alias(name) for name in ("own", "above", "top"))
    brand, counter = table(ctx, "brand"), table(ctx, "counter")
    joined = (
        product.outerjoin(own, own.c.id == product.c.category)
        .outerjoin(above, above.c.id == own.c.parent)
        .outerjoin(top, top.c.id == above.c.parent)
        .outerjoin(counter, counter.c.id == product.c.counter)
        .outerjoin(brand, brand.c.id == product.c.brand)
    )
    parts = [own.c.code, above.c.code, top.c.code, counter.c.code, brand.c.code, product.c.code]
    cost = product.c[cost_field] if cost_field in product.c else sa.null()
    told = [part.label(f"part{at}") for at, part in enumerate(parts)]
    columns = (product.c.id, product.c.list_price, cost.label("cost"), *told)
    return sa.select(*columns).select_from(joined), parts


def _listed(rows: Iterable[sa.Row[Any]]) -> Iterator[Listed]:
    for row in rows:
        chain = [code for code in (row.part2, row.part1, row.part0) if code is not None]
        scopes = dict(zip(CATEGORY_LEVELS, chain, strict=False))
        more = {"counter": row.part3, "brand": row.part4, "product": row.part5}
        scopes |= {level: code for level, code in more.items() if code is not None}
        yield Listed(row.id, scopes, row.list_price, row.cost)
