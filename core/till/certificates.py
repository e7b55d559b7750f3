"""The certificate of a price: everything that gave it, and the hash by which it is known.

What was priced is written as canonical JSON: inputs, the terms that each plugin noted, and the
results. The hash of it is the certificate. Asked again with the same inputs under the same
rules a quote has the same one, so that an order can hold the till to its quote; years later
the plugins recompute every result from the terms alone.
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden, NotFound
from core.extension.sales import Sale
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt, inserting
from core.records.queries import get_record
from core.till.amounts import plain
from core.till.models import certificate

Json = dict[str, Any]

#: Certificates read in one statement.
_BATCH = 500

#: Fields of an order that its certificate tells.
_SHOWN = frozenset({"store", "member", "lines", "certificate"})

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=str).encode


def priced_body(sale: Sale) -> Json:
    """Return what was priced, as plain values: inputs, terms and results."""
    card = sale.card
    return {
        "store": sale.store.code,
        "currency": sale.store.currency,
        "digits": sale.store.digits,
        "on": sale.on.isoformat(),
        "member": sale.member["id"] if sale.member else None,
        "card": card.record["id"] if card else None,
        "card_type": card.card_type.get("id") if card else None,
        "faults": list(card.faults) if card else [],
        "spend_points": sale.spend_points,
        "points_paid": plain(sale.points_paid),
        "points": dict(sale.points),
        "terms": sale.terms,
        "lines": [
            {
                "line": line.position,
                "product": line.goods.id,
                "code": line.goods.code,
                "quantity": plain(line.quantity),
                "unit_price": plain(line.unit_price),
                "list_amount": plain(line.list_amount),
                "other_rate": str(line.other_rate),
                "member_rate": plain(Decimal(1) if line.member_rate is None else line.member_rate),
                "rule": dict(line.rule) if line.rule else None,
                "amount_due": plain(line.amount_due),
                "terms": line.terms,
            }
            for line in sale.lines
        ],
    }


def hash_of(priced: str | bytes) -> str:
    """Return the certificate of canonical JSON."""
    return hashlib.sha256(priced.encode() if isinstance(priced, str) else priced).hexdigest()


def canonical(body: Any) -> str:
    """Return plain values as canonical JSON: keys in order, nothing between."""
    return _encode(body).decode()


def certificate_of(sale: Sale) -> str:
    """Return the certificate of a sale as it is priced now."""
    return hash_of(_encode(priced_body(sale)))


def keep(ctx: Context, order_id: str, priced: str, made: Json) -> None:
    """Store what reproduces an order, in the transaction that writes it.

    Args:
        ctx: who sells.
        order_id: the order.
        priced: canonical JSON of what was priced.
        made: what is known of it besides, such as its instant and number.
    """
    names = tuple(column.key for column in certificate.c)
    row = {
        "order_id": order_id,
        "hash": hash_of(priced),
        "priced": priced,
        "made": canonical({"known_at": to_wire(ctx.now), **made}),
    }
    with ctx.writing() as connection:
        inserting(certificate, connection.dialect, names).run(connection, row)


def find(ctx: Context, order_id: str) -> Json | None:
    """Return what was priced for an order, with `hash` and `made` beside it; None without."""
    dialect = ctx.db.engine.dialect
    mine = sa.select(certificate.c.hash, certificate.c.priced, certificate.c.made).where(
        certificate.c.order_id == sa.bindparam("order")
    )
    prebuilt = compiled(
        ctx.registry, ("till.certificate", dialect.name), lambda: Prebuilt(mine, dialect)
    )
    with ctx.reading() as connection:
        rows = prebuilt.rows(connection, {"order": order_id})
    if not rows:
        return None
    known, priced, made = rows[0]
    return {"hash": known, "priced": priced, "made": msgspec.json.decode(made)}


def examine(ctx: Context, order_id: str) -> Json:
    """Return an order's certificate and everything that no longer follows from it.

    The hash is recomputed, and every plugin recomputes its part of a sale from the terms alone.
    A return has none of its own: it follows from those of its sale.

    Raises:
        NotFound: the order is not there for this actor, or was not made at the till.
        Forbidden: what it shows is hidden from the actor on the order.
    """
    seen = get_record(ctx, "order", order_id, fields=sorted(_SHOWN))
    if not _SHOWN.isdisjoint((*seen["no_access"], *seen.get("masked", ()))):
        raise Forbidden
    found = find(ctx, order_id)
    if found is None:
        raise NotFound
    body = msgspec.json.decode(found["priced"])
    problems = [] if hash_of(found["priced"]) == found["hash"] else ["hash"]
    problems += _return_problems(body) if "sale" in body else _sale_problems(ctx, body)
    return {
        "certificate": found["hash"],
        "priced": body,
        "made": found["made"],
        "holds": not problems,
        "problems": problems,
    }


def _sale_problems(ctx: Context, body: Json) -> list[str]:
    reviews = ctx.hooks.at_till(ctx, "guanxi_review_certificate", priced=body)
    return [f"{plugin}: {one}" for plugin, found in reviews for one in found or ()]


def _return_problems(body: Json) -> list[str]:
    refunds = sum((Decimal(line["refund"]) for line in body["lines"]), Decimal(0))
    return [] if refunds == Decimal(body["amount"]) else ["amount"]


def priced_sales(ctx: Context, order_ids: Sequence[str]) -> dict[str, Json]:
    """Return what was priced for each of these orders; those not made at the till are missing."""
    found: dict[str, Json] = {}
    wanted = sa.select(certificate.c.order_id, certificate.c.priced)
    with ctx.reading() as connection:
        for start in range(0, len(order_ids), _BATCH):
            part = certificate.c.order_id.in_(order_ids[start : start + _BATCH])
            for order_id, text in connection.execute(wanted.where(part)):
                found[order_id] = msgspec.json.decode(text)
    return found
