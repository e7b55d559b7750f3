"""The timeline of a record as a page's part: what people write, and to whom they say it."""

import re
from collections.abc import Mapping
from typing import Any

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from core.context import Context
from core.i18n import N_
from core.records.comments import add_comment, delete_comment, edit_comment
from core.records.following import follow, unfollow
from core.records.queries import get_record
from core.records.readers import find_readers
from core.web.page import page, pages
from core.web.records import done_to
from core.web.recordview import load_timeline

#: People offered while somebody types a name.
_OFFERED = 8
_MAX_SEARCH = 60

#: Lines of the timeline on the record's own page.
SHOWN = 12


@pages.get("/records/<type_name>/<record_id>/timeline")
@page
def show_timeline(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Answer with the timeline alone, for a page that goes on."""
    record_type = ctx.registry.record_type(type_name)
    with ctx.reading():
        events = load_timeline(ctx, record_type, record_id)
    home = f"/records/{type_name}/{record_id}"
    return render_template("gx/timeline.html", events=events[:SHOWN], home=home)


@pages.get("/records/<type_name>/<record_id>/people")
@page
def offer_people(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Answer with people who may see the record and whose name holds what was typed."""
    get_record(ctx, type_name, record_id, fields=("id",))
    text = request.args.get("search", "").strip()[:_MAX_SEARCH]
    found = find_readers(ctx, (type_name, record_id), text, _OFFERED)
    items = [{"id": one.id, "title": one.name, "note": one.login} for one in found]
    return jsonify({"items": items})


@pages.post("/records/<type_name>/<record_id>/comments")
@page
def write_comment(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Write a comment."""
    record = ctx, type_name, record_id
    return done_to(
        record, lambda: add_comment(*record, **_written()), path=_timeline(type_name, record_id)
    )


@pages.post("/records/<type_name>/<record_id>/comments/<comment_id>")
@page
def change_comment(
    ctx: Context, type_name: str, record_id: str, comment_id: str
) -> ResponseReturnValue:
    """Change or delete one's own comment."""
    record = ctx, type_name, record_id

    def change() -> None:
        if request.form.get("then") == "delete":
            delete_comment(*record, comment_id)
        else:
            edit_comment(*record, comment_id, **_written())

    return done_to(record, change, path=_timeline(type_name, record_id))


def _written() -> dict[str, Any]:
    return {
        "text": request.form.get("text", ""),
        "mentions": request.form.getlist("mentions"),
    }


def _timeline(type_name: str, record_id: str) -> str:
    return f"/records/{type_name}/{record_id}#timeline"


@pages.post("/records/<type_name>/<record_id>/follow")
@page
def change_following(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Follow a record, or follow it no more."""
    is_wanted = request.form.get("follow") == "true"
    record = ctx, type_name, record_id
    text = N_("You follow this record.") if is_wanted else N_("You follow this record no more.")
    return done_to(record, lambda: (follow if is_wanted else unfollow)(*record), text)


def said(comment: Mapping[str, Any]) -> Markup:
    """Return a comment's text as HTML: plain text whose mentions are marked."""
    names = sorted({f"@{one['name']}" for one in comment["mentions"]}, key=len, reverse=True)
    text = str(comment["text"])
    if not names:
        return _lines(text)
    parts = re.split("(" + "|".join(map(re.escape, names)) + ")", text)
    return Markup().join(
        Markup('<strong class="gx-mention">{}</strong>').format(part)
        if part in names
        else _lines(part)
        for part in parts
    )


def _lines(text: str) -> Markup:
    return Markup("<br>").join(escape(line) for line in text.split("\n"))
