"""`/notices`: what the caller was told, and that it was read."""

from typing import Any

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.rest.exchange import body_keys, integer_of, query_keys, route
from core.workflow.queue import notices

_MOST = 200


@route("/notices", "GET")
def list_(ctx: Context) -> Any:
    """Answer with the caller's newest notices, unread ones only unless `all` is asked for."""
    query = query_keys("all", "limit")
    limit = integer_of(query, "limit", default=50, least=1, most=_MOST)
    return {
        "items": notices.list_notices(ctx, unread="all" not in query, limit=limit),
        "unread": notices.count_unread(ctx),
    }


@route("/notices/read", "POST")
def read(ctx: Context) -> Any:
    """Mark notices as read: those with the given ids, or all of them."""
    query_keys()
    ids = body_keys({"ids": list}).get("ids")
    if ids is not None and not all(isinstance(one, str) for one in ids):
        text = N_("This is of the wrong kind.")
        raise Invalid(problems=[Problem("ids", "field.wrong_type", text)])
    return {"read": notices.mark_read(ctx, ids)}
