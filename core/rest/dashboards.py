"""`/dashboards`: what there is to look at, and its cards worked out under the caller's rights."""

from typing import Any

from flask import Response

from core.context import Context
from core.records.cards import CardResult, asked_span, compute_card
from core.records.dashboards import (
    KEYS,
    Shown,
    change_dashboard,
    find_dashboard,
    list_dashboards,
    remove_dashboard,
    save_dashboard,
)
from core.rest.exchange import body_keys, etag, expected_version, query_keys, route
from core.schema.dashboards import Card


def _meant(ctx: Context, parts: dict[str, Any]) -> None:
    """Let those pass for whom the dashboard of the URL is meant."""
    find_dashboard(ctx, parts["name"])


@route("/dashboards", "GET")
def list_(ctx: Context) -> Any:
    """Answer with the dashboards that are meant for the caller."""
    query_keys()
    return {"items": [one.wire() for one in list_dashboards(ctx)]}


@route("/dashboards", "POST")
def save(ctx: Context) -> Any:
    """Save a dashboard; private unless `shared_with` names roles, or `*` for everybody."""
    query_keys()
    return _answer(save_dashboard(ctx, body_keys(dict(KEYS), required=["label"])), 201)


@route("/dashboards/<name>", "GET", guard=_meant)
def get(ctx: Context, name: str) -> Any:
    """Answer with one dashboard: its cards as the schema language writes them."""
    query_keys()
    return _answer(find_dashboard(ctx, name), 200)


@route("/dashboards/<name>", "PATCH", guard=_meant)
def change(ctx: Context, name: str) -> Any:
    """Change the named parts of a dashboard that somebody built."""
    query_keys()
    version = expected_version()
    return _answer(change_dashboard(ctx, name, body_keys(dict(KEYS)), version=version), 200)


@route("/dashboards/<name>", "DELETE", guard=_meant)
def remove(ctx: Context, name: str) -> Any:
    """Delete a dashboard that somebody built."""
    query_keys()
    remove_dashboard(ctx, name, version=expected_version())
    return Response(status=204)


@route("/dashboards/<name>/cards/<card>", "GET", guard=_meant, in_one_read=True)
def get_card(ctx: Context, name: str, card: str) -> Any:
    """Answer with what a card shows; `time` names a range, `from` and `to` are days.

    A card of which the caller may not see everything is refused as a whole.
    """
    query = query_keys("time", "from", "to")
    shown = find_dashboard(ctx, name)
    found = shown.card(card)
    return card_wire(found, compute_card(ctx, found, asked_span(ctx, query, shown.content.time)))


def _answer(shown: Shown, status: int) -> Any:
    return shown.wire(), status, etag(shown.version)


def card_wire(card: Card, result: CardResult) -> dict[str, Any]:
    """Return what a card shows, ready for JSON."""
    return {
        "name": card.name,
        "chart": card.chart,
        "type": card.type,
        "how": card.how,
        "filter": result.filter,
        "series": [
            {"value": one.value, "currency": one.currency, "filter": one.filter}
            for one in result.series
        ],
        "items": [
            {"value": one.value, "values": list(one.values), "filter": one.filter}
            for one in result.groups
        ],
        "whole": result.whole,
        "rest": result.rest,
        "more": result.is_cut,
    }
