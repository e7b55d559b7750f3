"""`/views` and `/records/{type}/groups`: saved views, and what a list adds up to."""

from typing import Any

from flask import Response

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.records.grouping import Group, group_records
from core.records.queries import Query
from core.records.views import (
    KEYS,
    SavedView,
    change_view,
    find_view,
    remove_view,
    save_view,
    saved_views,
    schema_views,
)
from core.rest.exchange import (
    body_keys,
    etag,
    expected_version,
    needing,
    query_keys,
    route,
    words_of,
)

_MOST_TOTALS = 20


@route("/views/<type_name>", "GET", guard=needing("view"))
def list_views(ctx: Context, type_name: str) -> Any:
    """Answer with the views of a record type that are meant for the caller."""
    query_keys()
    saved = [one.wire() for one in saved_views(ctx, type_name)]
    return {"schema": schema_views(ctx, ctx.registry.record_type(type_name)), "items": saved}


@route("/views/<type_name>", "POST", guard=needing("view"))
def save(ctx: Context, type_name: str) -> Any:
    """Save a view; private unless `shared_with` names roles, or `*` for everybody."""
    query_keys()
    values = body_keys(dict(KEYS), required=["label", "columns"])
    return _answer(save_view(ctx, type_name, values), 201)


@route("/views/<type_name>/<view_id>", "GET", guard=needing("view"))
def get(ctx: Context, type_name: str, view_id: str) -> Any:
    """Answer with one saved view and its version as ETag."""
    query_keys()
    return _answer(find_view(ctx, type_name, view_id), 200)


@route("/views/<type_name>/<view_id>", "PATCH", guard=needing("view"))
def change(ctx: Context, type_name: str, view_id: str) -> Any:
    """Change the named parts of a saved view."""
    query_keys()
    version = expected_version()
    values = body_keys(dict(KEYS))
    return _answer(change_view(ctx, type_name, view_id, values, version=version), 200)


@route("/views/<type_name>/<view_id>", "DELETE", guard=needing("view"))
def remove(ctx: Context, type_name: str, view_id: str) -> Any:
    """Delete a saved view."""
    query_keys()
    remove_view(ctx, type_name, view_id, version=expected_version())
    return Response(status=204)


def _answer(view: SavedView, status: int) -> Any:
    return view.wire(), status, etag(view.version)


@route("/records/<type_name>/groups", "GET", guard=needing("view"), in_one_read=True)
def groups(ctx: Context, type_name: str) -> Any:
    """Answer with counts and totals of a list, by the values of `by`.

    `totals` lists what is told, as `sum:amount,avg:amount`; each field once.
    """
    query = query_keys("by", "totals", "filter", "search")
    found = group_records(
        ctx,
        type_name,
        Query(filter=query.get("filter", ""), search=query.get("search", "")),
        query.get("by", ""),
        _totals(words_of(query, "totals")),
    )
    return {
        "items": [_group(one) for one in found.items],
        "more": found.is_cut,
        "whole": {"count": found.whole.count, "totals": found.whole.totals},
    }


def _group(one: Group) -> dict[str, Any]:
    return {"value": one.value, "count": one.count, "totals": one.totals}


def _totals(words: tuple[str, ...]) -> dict[str, str]:
    pairs = [word.partition(":") for word in words]
    found = {name: how for how, _, name in pairs}
    if len(found) < len(pairs) or len(pairs) > _MOST_TOTALS:
        text = N_("At most {limit} fields, each once.")
        params = {"limit": _MOST_TOTALS}
        raise Invalid(problems=[Problem("totals", "query.too_many", text, params)])
    if any(how not in {"sum", "avg", "min", "max"} for how, _, _ in pairs):
        text = N_("Write totals as sum:FIELD, avg:FIELD, min:FIELD or max:FIELD.")
        raise Invalid(problems=[Problem("totals", "query.totals", text)])
    return found
