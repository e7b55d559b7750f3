"""One field of one record, changed in its place in a list or by moving a card."""

from typing import Any

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import NotFound, StaleVersion
from core.policies.access import access
from core.records.operations import update_record
from core.records.queries import get_record
from core.schema.model import Field, RecordType
from core.web.collision import merge
from core.web.forms import Control, Drawing, FormRights
from core.web.listing import Column, draw_cell, field_for, may_edit_cells
from core.web.page import page, pages, problem_answer
from core.web.posted import parse_form
from core.web.reading import make_reading
from core.web.records import posted_version


@pages.get("/records/<type_name>/controls/<name>")
@page
def show_control(ctx: Context, type_name: str, name: str) -> ResponseReturnValue:
    """Answer an empty control for one field, for what changes many records."""
    field = _editable(ctx, type_name, name)
    return jsonify({"html": render_template("gx/cell.html", c=_control(ctx, field, {}))})


@pages.get("/records/<type_name>/<record_id>/cells/<name>")
@page
def show_cell(ctx: Context, type_name: str, record_id: str, name: str) -> ResponseReturnValue:
    """Answer the control of one field of a record, filled in, with the record's version."""
    field = _editable(ctx, type_name, name)
    record = get_record(ctx, type_name, record_id, fields=(name,), as_wire=True)
    if name in record["no_access"]:
        raise NotFound
    html = render_template("gx/cell.html", c=_control(ctx, field, record))
    return jsonify({"html": html, "version": record["version"]})


@pages.post("/records/<type_name>/<record_id>/cells/<name>")
@page
def save_cell(ctx: Context, type_name: str, record_id: str, name: str) -> ResponseReturnValue:
    """Save one field; what somebody else made of it meanwhile is shown, not overwritten.

    The answer has the record's version and the cells named in `shown` as they are now.
    """
    record_type = ctx.registry.record_type(type_name)
    field = _editable(ctx, type_name, name)
    posted = parse_form(request.form, [field], ctx.time_zone).values
    version = posted_version()
    try:
        update_record(ctx, type_name, record_id, posted, version=version)
    except StaleVersion as error:
        merged = merge(ctx, record_type, record_id, posted, version=version)
        if merged.collisions:
            return problem_answer(error, collisions=merged.wire(), version=merged.version)
        if merged.changes:
            update_record(ctx, type_name, record_id, merged.changes, version=merged.version)
    return jsonify(_cells(ctx, record_type, record_id))


def _editable(ctx: Context, type_name: str, name: str) -> Field:
    """Return a field whose cells the actor may change somewhere.

    Raises:
        NotFound: there is none of the name.
    """
    rights = access(ctx, type_name)
    field = rights.record_type.field(name)
    if field is None or not may_edit_cells(rights, field):
        raise NotFound
    return field


def _control(ctx: Context, field: Field, record: dict[str, Any]) -> Control:
    names = frozenset((field.name,))
    masked = names.intersection(record.get("masked") or ())
    drawing = Drawing(FormRights(names, names, masked), make_reading(ctx, (field,), [record]), {})
    return drawing.control(field, field.name, record.get(field.name))


def _cells(ctx: Context, record_type: RecordType, record_id: str) -> dict[str, Any]:
    """Return the version and the cells asked for in `shown`, as the list draws them."""
    names = [
        name for name in request.form.get("shown", "").split(",") if field_for(record_type, name)
    ]
    try:
        record = get_record(ctx, record_type.name, record_id, fields=("id",))
        record = get_record(ctx, record_type.name, record_id, fields=(*names, "id"), as_wire=True)
    except NotFound:
        return {"gone": True}  # the change took it out of the writer's sight
    fields = [one for name in names if (one := field_for(record_type, name))]
    reading = make_reading(ctx, fields, [record])
    cells = {}
    for one in fields:
        column = Column(one.name, "", False, False, one, "", bool(one.options))  # type: ignore[arg-type]
        drawn = draw_cell(column, record.get(one.name), reading)
        cells[one.name] = {"text": drawn.text, "tone": drawn.tone, "href": drawn.href}
    return {"version": record["version"], "cells": cells}
