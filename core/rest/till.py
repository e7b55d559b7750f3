"""`/till`: quotes, orders and returns, as cash registers and the cashier's page use them."""

from typing import Any

from flask import request

from core.context import Context
from core.errors import Malformed
from core.i18n import N_
from core.policies.access import access
from core.records.idempotency import Answer, body_hash
from core.rest.errors import problems_body
from core.rest.exchange import body_object, etag, query_keys, respond, route
from core.till.certificates import examine
from core.till.offline import hand_in, read_batch
from core.till.quoting import answer, quote
from core.till.reading import read_return, read_sale
from core.till.returning import give_back, preview_return
from core.till.selling import sell


class KeyRequired(Malformed):
    """Orders and returns come with an idempotency key, so that nothing is sold twice."""

    code = "idempotency.key_required"
    text = N_("Send an Idempotency-Key, so that a repeated request does nothing twice.")


def _sellers(ctx: Context, _parts: dict[str, Any]) -> None:
    access(ctx, "order").require("create")


@route("/till/quote", "POST", guard=_sellers)
def quoted(ctx: Context) -> Any:
    """Answer with what a sale would cost and earn, and why; nothing is written."""
    query_keys()
    body = answer(quote(ctx, read_sale(body_object(), is_order=False)), ctx.locale)
    return {**body, "warnings": problems_body(ctx.warnings)} if ctx.warnings else body


@route("/till/orders", "POST", guard=_sellers, in_one_write=True)
def order(ctx: Context) -> Any:
    """Commit a sale, once per `Idempotency-Key`."""
    query_keys()
    key, fingerprint = _once()
    asked = read_sale(body_object(), is_order=True)
    return _told(sell(ctx, asked, key=key, fingerprint=fingerprint))


@route("/till/orders/<order_id>/returns", "POST", guard=_sellers)
def returned(ctx: Context, order_id: str) -> Any:
    """Take back what was sold, once per `Idempotency-Key`; or show what that would do."""
    query_keys()
    asked = read_return(body_object())
    if asked.preview:
        return preview_return(ctx, order_id, asked)
    key, fingerprint = _once()
    return _told(give_back(ctx, order_id, asked, key=key, fingerprint=fingerprint))


def _hands_in(ctx: Context, _parts: dict[str, Any]) -> None:
    access(ctx, "order").require("till.offline")


@route("/till/offline", "POST", guard=_hands_in)
def offline(ctx: Context) -> Any:
    """Book what a till sold and took back without a line: each entry once, in its own order."""
    query_keys()
    return hand_in(ctx, *read_batch(body_object()))


def _viewers(ctx: Context, _parts: dict[str, Any]) -> None:
    access(ctx, "order").require("view")


@route("/till/orders/<order_id>/certificate", "GET", guard=_viewers)
def certified(ctx: Context, order_id: str) -> Any:
    """Answer with what reproduces an order's prices and points, recomputed now."""
    query_keys()
    return examine(ctx, order_id)


def _once() -> tuple[str, str]:
    """Return the request's key and what tells it from another with the same key."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise KeyRequired
    return key, body_hash(f"{request.method} {request.path} ", request.get_data(cache=True))


def _told(found: Answer) -> Any:
    headers = etag(found.body["version"])
    if found.replayed:
        headers["Idempotent-Replayed"] = "true"
    return respond((found.body, found.status, headers))
