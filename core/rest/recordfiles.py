"""`/records/{type}/{id}/files/{name}`: files that plugins make of a record."""

from typing import Any

from flask import Response

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.records.handingout import MEDIA_TYPES, hand_out
from core.rest.exchange import body_keys, needing, query_keys, route


@route("/records/<type_name>/<record_id>/files/<name>", "POST", guard=needing("view"))
def take(ctx: Context, type_name: str, record_id: str, name: str) -> Any:
    """Make a file of a record and answer with it; that it was taken stands in its history."""
    query_keys()
    body = body_keys({"format": str, "again": bool})
    form = body.get("format", "csv")
    if form not in MEDIA_TYPES:
        text = N_("Use csv or xlsx.")
        raise Invalid(problems=[Problem("format", "query.choice", text)])
    content = hand_out(ctx, type_name, record_id, name, form=form, again=bool(body.get("again")))
    return file_response(content, form, name)


def file_response(content: bytes, form: str, name: str) -> Response:
    """Return a file that no cache keeps."""
    response = Response(content, content_type=MEDIA_TYPES[form])
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.{form}")
    response.headers["Cache-Control"] = "no-store"
    return response
