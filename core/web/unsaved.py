"""Forms that are kept while somebody types, across reloads and devices."""

from typing import Any

from flask import flash, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from core.context import Context
from core.errors import NotFound
from core.i18n import N_, translate
from core.records.unsaved import UnsavedForm, drop_form, find_form, keep_form, list_forms
from core.schema.model import RecordType
from core.web.display import value_text
from core.web.navigation import type_icon, type_label
from core.web.page import back_or, page, pages, went
from core.web.posted import Posted, parse_form
from core.web.reading import make_reading
from core.web.titles import find_titles, title_name


@pages.post("/records/<type_name>/unsaved")
@page
def keep_typed(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Keep what is typed so far; `record` names the record that the form changes."""
    version = request.form.get("version", "")
    is_number = version.isascii() and version.isdecimal() and len(version) < 10  # noqa: PLR2004
    kept = keep_form(
        ctx,
        type_name,
        list(request.form.items(multi=True)),
        record_id=request.args.get("record", ""),
        version=int(version) if is_number else 0,
        form_id=request.args.get("unsaved", ""),
    )
    return jsonify({"id": kept.id, "at": kept.updated_at})


def drop_saved(ctx: Context, type_name: str, record_id: str = "") -> None:
    """Throw away what was kept of a form that is saved now."""
    drop_form(ctx, request.args.get("unsaved", ""), record=(type_name, record_id))


@pages.post("/unsaved/<form_id>/discard")
@page
def discard_typed(ctx: Context, form_id: str) -> ResponseReturnValue:
    """Throw away what was typed."""
    drop_form(ctx, form_id)
    flash(translate(N_("Thrown away."), ctx.locale), "good")
    return went(back_or("/"))


def typed_before(
    ctx: Context, record_type: RecordType, record_id: str = ""
) -> tuple[UnsavedForm, Posted] | None:
    """Return the unsaved form that the address asks for, with its values; None without one.

    Raises:
        NotFound: it is not the actor's, or of another record.
    """
    form_id = request.args.get("unsaved", "")
    if not form_id:
        return None
    found = find_form(ctx, form_id)
    if (found.type_name, found.record_id) != (record_type.name, record_id):
        raise NotFound
    form: MultiDict[str, str] = MultiDict(found.typed)
    return found, parse_form(form, record_type.fields, ctx.time_zone)


def unsaved_lines(
    ctx: Context, type_name: str = "", record_id: str | None = None
) -> list[dict[str, Any]]:
    """Return the actor's unsaved forms as lists show them, newest first."""
    forms = list_forms(ctx, type_name, record_id)
    titles = find_titles(ctx, {(one.type_name, one.record_id) for one in forms if one.record_id})
    return [_line(ctx, one, titles) for one in forms]


def _line(ctx: Context, form: UnsavedForm, titles: dict[tuple[str, str], str]) -> dict[str, Any]:
    record_type = ctx.registry.record_type(form.type_name)
    title = titles.get((form.type_name, form.record_id), "") or _typed_title(
        ctx, record_type, form
    )
    place = form.record_id or "new"
    return {
        "id": form.id,
        "title": title,
        "type_label": type_label(record_type, ctx.locale, plural=False),
        "icon": type_icon(record_type),
        "is_new": not form.record_id,
        "href": f"/records/{form.type_name}/{place}?unsaved={form.id}",
        "at": form.updated_at,
    }


def _typed_title(ctx: Context, record_type: RecordType, form: UnsavedForm) -> str:
    """Return the title that was typed for a record to be made."""
    field = record_type.field(title_name(record_type))
    text = dict(form.typed).get(field.name, "") if field else ""
    if field is None or not text:
        return ""
    return value_text(field, text, make_reading(ctx, (field,), [{field.name: text}]))[:100]
