"""The stores, products and members that a sale names, read in one statement each."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.extension.sales import Goods, StoreFacts
from core.ids import is_id
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt
from core.records.finding import find_record
from core.schema.numbertypes import minor_units
from core.tables.registry import Registry

Record = Mapping[str, Any]

#: Products asked for in one statement; lists are filled up to the next of these lengths.
_SIZES = (1, 4, 16, 64, 256)


def find_store(ctx: Context, code: str) -> StoreFacts | None:
    """Return the live store with a code, or None."""
    row = find_record(ctx, "store", "code", code)
    if row is None:
        return None
    return StoreFacts(
        row["id"], code, row["currency"], minor_units(row["currency"]), row["time_zone"], row
    )


def store_of(ctx: Context, store_id: str) -> StoreFacts:
    """Return the store that an order names, closed or deleted too."""
    row = find_record(ctx, "store", "id", store_id, live=False)
    assert row is not None  # noqa: S101  links restrict deletion
    currency = row["currency"]
    return StoreFacts(
        row["id"], row["code"], currency, minor_units(currency), row["time_zone"], row
    )


def find_member(ctx: Context, member_id: str) -> Record | None:
    """Return the stored values of a live member, or None."""
    return find_record(ctx, "member", "id", member_id) if is_id(member_id) else None


def find_goods(ctx: Context, codes: Sequence[str]) -> dict[str, Goods]:
    """Return the live products by code; those that are not there are missing."""
    wanted = list(dict.fromkeys(codes))
    found: dict[str, Goods] = {}
    while wanted:
        size = next((one for one in _SIZES if one >= len(wanted)), _SIZES[-1])
        part, wanted = wanted[:size], wanted[size:]
        found |= _read_goods(ctx, part, size)
    return found


def _read_goods(ctx: Context, codes: Sequence[str], size: int) -> dict[str, Goods]:
    dialect = ctx.db.engine.dialect
    prebuilt, names = compiled(
        ctx.registry,
        ("till.goods", size, dialect.name),
        lambda: _goods(ctx.registry, size, dialect),
    )
    filled = [*codes, *([codes[0]] * (size - len(codes)))]
    values = {f"code{at}": code for at, code in enumerate(filled)}
    found = {}
    with ctx.reading() as connection:
        for row in prebuilt.rows(connection, values):
            *scopes, brand, counter = row[len(names) :]
            record = dict(zip(names, row, strict=False))
            found[record["code"]] = Goods(
                record["id"],
                record["code"],
                record["name"],
                record["list_price"],
                _scopes(record["code"], scopes, brand, counter),
                record,
            )
    return found


def _scopes(
    code: str, categories: Sequence[str | None], brand: str | None, counter: str | None
) -> dict[str, str]:
    """Return scope level -> code; categories are the product's own and those above it."""
    chain = [one for one in categories if one is not None]
    levels = dict(zip(("big_class", "mid_class", "small_class"), reversed(chain), strict=False))
    more = {"counter": counter, "brand": brand, "product": code}
    return levels | {level: one for level, one in more.items() if one is not None}


def _goods(registry: Registry, size: int, dialect: sa.Dialect) -> tuple[Prebuilt, list[str]]:
    product, category = registry.tables["product"].main, registry.tables["category"].main
    small, mid, big = (category.alias(name) for name in ("c1", "c2", "c3"))
    brand, counter = registry.tables["brand"].main, registry.tables["counter"].main
    joined = (
        product.outerjoin(small, small.c.id == product.c.category)
        .outerjoin(mid, mid.c.id == small.c.parent)
        .outerjoin(big, big.c.id == mid.c.parent)
        .outerjoin(brand, brand.c.id == product.c.brand)
        .outerjoin(counter, counter.c.id == product.c.counter)
    )
    codes = [sa.bindparam(f"code{at}", type_=sa.String) for at in range(size)]
    others = [small.c.code, mid.c.code, big.c.code, brand.c.code, counter.c.code]
    statement = (
        sa.select(product, *(one.label(f"gx_{at}") for at, one in enumerate(others)))
        .select_from(joined)
        .where(product.c.code.in_(codes), product.c.deleted_at.is_(None))
    )
    return Prebuilt(statement, dialect), [column.key for column in product.c]
