"""`/records/{type}/edits` and `/edits`: the same changes to many records."""

from typing import Any

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.records.edits import apply_edit, edit_results, find_edit, start_edit
from core.records.queries import Query
from core.rest.exchange import body_keys, integer_of, needing, query_keys, route

_MOST_RESULTS = 1_000
_LAST_POSITION = 10**9


@route("/records/<type_name>/edits", "POST", guard=needing("edit"))
def start(ctx: Context, type_name: str) -> Any:
    """Try changes on the records named in `items`, or on all that `filter` and `search` find.

    Nothing is written until `POST /edits/{id}/apply`. A large edit goes on in the background.
    """
    query_keys()
    body = body_keys(
        {"changes": dict, "items": list, "filter": str, "search": str, "reason": str},
        required=["changes"],
    )
    by_query = {"filter", "search"} & body.keys()
    if ("items" in body) == bool(by_query):
        text = N_("Name the records in items, or say filter or search.")
        raise Invalid(problems=[Problem("items", "edit.targets", text)])
    edit = start_edit(
        ctx,
        type_name,
        body["changes"],
        items=_items(body["items"]) if "items" in body else None,
        query=Query(filter=body.get("filter", ""), search=body.get("search", "")),
        reason=body.get("reason", ""),
    )
    return edit.wire(), 202


def _items(listed: list[Any]) -> list[tuple[str, int]]:
    found = []
    for at, item in enumerate(listed):
        known = item if isinstance(item, dict) else {}
        if not isinstance(known.get("id"), str) or type(known.get("version")) is not int:
            text = N_("Each item needs its id and the version you have seen.")
            raise Invalid(problems=[Problem(f"items.{at}", "edit.item", text)])
        found.append((known["id"], known["version"]))
    return found


@route("/edits/<edit_id>", "GET")
def get(ctx: Context, edit_id: str) -> Any:
    """Answer with how far one of the caller's edits is."""
    query_keys()
    return find_edit(ctx, edit_id).wire()


@route("/edits/<edit_id>/results", "GET")
def results(ctx: Context, edit_id: str) -> Any:
    """Answer with what became of each record, in order."""
    query = query_keys("outcome", "after", "limit")
    if query.get("outcome", "") not in {"", "open", "changed", "same", "refused"}:
        text = N_("Use open, changed, same or refused.")
        raise Invalid(problems=[Problem("outcome", "query.choice", text)])
    after = integer_of(query, "after", default=0, least=0, most=_LAST_POSITION)
    items = edit_results(
        ctx,
        edit_id,
        outcome=query.get("outcome", ""),
        after=after if "after" in query else -1,
        limit=integer_of(query, "limit", default=200, least=1, most=_MOST_RESULTS),
    )
    return {"items": items}


@route("/edits/<edit_id>/apply", "POST")
def apply(ctx: Context, edit_id: str) -> Any:
    """Write what was tried; records that changed since are refused."""
    query_keys()
    return apply_edit(ctx, edit_id).wire(), 202
