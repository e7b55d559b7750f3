"""Bulk edits in the browser: what would happen, how far it is, what became of each record."""

from typing import Any

import msgspec
from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Malformed
from core.i18n import N_, translate
from core.policies.access import access
from core.records.edits import Edit, apply_edit, edit_results, find_edit, start_edit
from core.records.queries import Query
from core.schema.model import RecordType
from core.web.display import value_text
from core.web.listing import may_edit_cells
from core.web.navigation import type_label
from core.web.page import page, pages
from core.web.posted import parse_form
from core.web.reading import label_of, make_reading
from core.web.titles import find_titles

#: Results on one page.
_SHOWN = 200

_OUTCOMES = {
    "checked": {"changed": N_("would change"), "same": N_("stays as it is")},
    "done": {"changed": N_("changed"), "same": N_("stayed as it was")},
}
_TONES = {"changed": "good", "refused": "bad"}


@pages.post("/records/<type_name>/edits")
@page
def begin_edit(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Try the changes of the form on the records picked, or on all that the list finds."""
    record_type = ctx.registry.record_type(type_name)
    rights = access(ctx, type_name)
    fields = [one for one in record_type.fields if may_edit_cells(rights, one)]
    changes = parse_form(request.form, fields, ctx.time_zone).values
    picked = request.form.get("_items", "")
    edit = start_edit(
        ctx,
        type_name,
        changes,
        items=_items(picked) if picked else None,
        query=Query(
            filter=request.form.get("_filter", ""), search=request.form.get("_search", "")
        ),
    )
    return redirect(f"/edits/{edit.id}", 303)


def _items(text: str) -> list[tuple[str, int]]:
    try:
        return msgspec.json.decode(text, type=list[tuple[str, int]])
    except msgspec.DecodeError as error:
        raise Malformed from error


@pages.get("/edits/<edit_id>")
@page
def show_edit(ctx: Context, edit_id: str) -> ResponseReturnValue:
    """Show how far an edit is and what became of each record."""
    edit = find_edit(ctx, edit_id)
    record_type = ctx.registry.record_type(edit.record_type)
    outcome = request.args.get("outcome", "")
    after = request.args.get("after", "")
    results = edit_results(
        ctx,
        edit_id,
        outcome=outcome if outcome in {"changed", "same", "refused"} else "",
        after=int(after) if after.isascii() and after.isdecimal() and len(after) < 10 else -1,  # noqa: PLR2004  a position
        limit=_SHOWN + 1,
    )
    return render_template(
        "gx/edit.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        edit=edit,
        outcome=outcome,
        changes=_changes(ctx, record_type, edit),
        results=[_result(ctx, record_type, edit, one) for one in _named(ctx, edit, results)],
        next=results[_SHOWN - 1]["position"] if len(results) > _SHOWN else None,
    )


@pages.post("/edits/<edit_id>/apply")
@page
def apply(ctx: Context, edit_id: str) -> ResponseReturnValue:
    """Write what was tried."""
    apply_edit(ctx, edit_id)
    return redirect(f"/edits/{edit_id}", 303)


def _changes(ctx: Context, record_type: RecordType, edit: Edit) -> list[tuple[str, str]]:
    fields = [one for name in edit.changes if (one := record_type.field(name))]
    reading = make_reading(ctx, fields, [edit.changes])
    return [
        (
            label_of(record_type, one.name, ctx.locale),
            ""
            if edit.changes[one.name] in (None, "", [])
            else value_text(one, edit.changes[one.name], reading),
        )
        for one in fields
    ]


def _named(ctx: Context, edit: Edit, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results of one page with their records' titles."""
    shown = results[:_SHOWN]
    titles = find_titles(ctx, {(edit.record_type, one["id"]) for one in shown})
    return [{**one, "title": titles.get((edit.record_type, one["id"]), "")} for one in shown]


def _result(
    ctx: Context, record_type: RecordType, edit: Edit, one: dict[str, Any]
) -> dict[str, Any]:
    error = one.get("error") or {}
    problems = [_problem(ctx, record_type, problem) for problem in error.get("problems", ())]
    words = _OUTCOMES["done" if edit.state in {"applying", "done"} else "checked"]
    said = {**words, "refused": N_("refused"), "open": N_("waiting")}[one["outcome"]]
    return {
        **one,
        "said": translate(said, ctx.locale),
        "tone": _TONES.get(one["outcome"], ""),
        "problems": problems or ([error["message"]] if error else []),
    }


def _problem(ctx: Context, record_type: RecordType, problem: dict[str, Any]) -> str:
    """Return what is wrong, with the label of the field it is about."""
    name = problem["path"].partition(".")[0]
    label = label_of(record_type, name, ctx.locale) if name else ""
    return ": ".join(filter(None, (label, problem["message"])))
