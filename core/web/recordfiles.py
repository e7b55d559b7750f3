"""Buttons that make a plugin's file of a record."""

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.i18n import pick
from core.records.handingout import MEDIA_TYPES, Form, files_for, hand_out
from core.web.page import page, pages


def file_buttons(type_name: str) -> list[dict[str, str]]:
    """Return the buttons of a record's page that make files; for templates."""
    ctx = g.get("gx_context")
    if ctx is None:
        return []
    return [
        {
            "name": one.full_name,
            "label": pick(one.label, ctx.locale, one.name),
            "again": pick(one.again_label, ctx.locale, "") if one.again_label else "",
        }
        for one in files_for(ctx, type_name)
    ]


@pages.post("/records/<type_name>/<record_id>/files/<name>")
@page
def take_file(ctx: Context, type_name: str, record_id: str, name: str) -> ResponseReturnValue:
    """Make a file of a record and send it."""
    form: Form = "xlsx" if request.form.get("format") == "xlsx" else "csv"
    again = request.form.get("again") == "1"
    content = hand_out(ctx, type_name, record_id, name, form=form, again=again)
    response = Response(content, content_type=MEDIA_TYPES[form])
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.{form}")
    response.headers["Cache-Control"] = "no-store"
    return response
