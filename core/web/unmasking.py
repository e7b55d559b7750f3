"""The button beside a mask."""

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.records.unmasking import unmask_value
from core.web.display import local_input, value_text
from core.web.page import page, pages
from core.web.reading import field_of, make_reading


@pages.post("/records/<type_name>/<record_id>/unmask")
@page
def show_masked(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Answer the value behind a mask, as text and as a control holds it."""
    name = request.form.get("field", "")
    value = unmask_value(ctx, type_name, record_id, name)
    field = field_of(ctx.registry.record_type(type_name), name)
    assert field is not None  # noqa: S101  its value was found
    text = value_text(field, value, make_reading(ctx, (field,), [{name: value}]))
    held = "" if value is None else str(value)
    if field.type == "datetime" and held:
        held = local_input(held, ctx.time_zone)
    return jsonify({"text": text, "input": held})
