"""`/records/{type}/duplicates` and `/similar`: records that are probably one."""

from typing import Any

from core.context import Context
from core.records.duplicates import MOST_GROUPS, find_duplicates, find_similar
from core.rest.exchange import body_object, integer_of, needing, query_keys, route


@route("/records/<type_name>/duplicates", "GET", guard=needing("view"))
def list_(ctx: Context, type_name: str) -> Any:
    """Answer with groups of records that are probably one, the largest first."""
    query = query_keys("limit")
    limit = integer_of(query, "limit", default=MOST_GROUPS, least=1, most=MOST_GROUPS)
    found = find_duplicates(ctx, type_name, limit=limit)
    return {
        "items": [
            {"ids": list(one.ids), "fields": list(map(list, one.fields)), "count": one.count}
            for one in found.groups
        ],
        "count": found.count,
        "scanned": found.scanned,
        "is_whole": found.is_whole,
    }


@route("/records/<type_name>/similar", "POST", guard=needing("view"))
def similar(ctx: Context, type_name: str) -> Any:
    """Answer with the records that look like the one with these values; nothing is written."""
    query_keys()
    return {"items": find_similar(ctx, type_name, body_object())}
