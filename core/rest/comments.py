"""`/records/{type}/{id}/comments` and `/follow`: what people say about a record."""

from typing import Any

from flask import Response

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.ids import is_id
from core.records.comments import add_comment, delete_comment, edit_comment, list_comments
from core.records.following import follow, follows, unfollow
from core.rest.exchange import body_keys, integer_of, needing, query_keys, route
from core.rest.records import once

_MAX_PAGE = 200


@route("/records/<type_name>/<record_id>/comments", "GET", guard=needing("view"), in_one_read=True)
def list_(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with a record's comments, newest first."""
    query = query_keys("limit", "after")
    limit = integer_of(query, "limit", default=50, least=1, most=_MAX_PAGE)
    after = query.get("after", "")
    if after and not is_id(after):
        text = N_("This must be the `next` of the page before.")
        raise Invalid(problems=[Problem("after", "query.cursor", text)])
    items = list_comments(ctx, type_name, record_id, limit=limit, before=after)
    return {"items": items, "next": items[-1]["id"] if len(items) == limit else None}


@route("/records/<type_name>/<record_id>/comments", "POST", guard=needing("view"))
def add(ctx: Context, type_name: str, record_id: str) -> Any:
    """Write a comment; `mentions` are the ids of the people who are meant."""
    query_keys()
    body = body_keys({"text": str, "mentions": list}, required=["text"])
    return once(ctx, lambda: (201, add_comment(ctx, type_name, record_id, **body)))


@route("/records/<type_name>/<record_id>/comments/<comment_id>", "PATCH", guard=needing("view"))
def edit(ctx: Context, type_name: str, record_id: str, comment_id: str) -> Any:
    """Change one's own comment, for a while."""
    query_keys()
    body = body_keys({"text": str, "mentions": list}, required=["text"])
    return edit_comment(ctx, type_name, record_id, comment_id, **body)


@route("/records/<type_name>/<record_id>/comments/<comment_id>", "DELETE", guard=needing("view"))
def delete(ctx: Context, type_name: str, record_id: str, comment_id: str) -> Any:
    """Delete one's own comment, for a while; that there was one stays visible."""
    query_keys()
    delete_comment(ctx, type_name, record_id, comment_id)
    return Response(status=204)


@route("/records/<type_name>/<record_id>/follow", "GET", guard=needing("view"), in_one_read=True)
def is_following(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with whether the caller follows a record."""
    query_keys()
    return {"following": follows(ctx, type_name, record_id)}


@route("/records/<type_name>/<record_id>/follow", "PUT", guard=needing("view"))
def start_following(ctx: Context, type_name: str, record_id: str) -> Any:
    """Follow a record."""
    query_keys()
    follow(ctx, type_name, record_id)
    return {"following": True}


@route("/records/<type_name>/<record_id>/follow", "DELETE", guard=needing("view"))
def stop_following(ctx: Context, type_name: str, record_id: str) -> Any:
    """Follow a record no more."""
    query_keys()
    unfollow(ctx, type_name, record_id)
    return {"following": False}
