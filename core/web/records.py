"""The record page: one form to read and to write, what happened to it, what belongs to it."""

from collections.abc import Callable
from typing import Any

from flask import flash, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Conflict, GuanxiError, Invalid, NotFound, StaleVersion, UserError
from core.i18n import N_, translate
from core.policies.access import access
from core.records.duplicating import copied_values
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import get_record
from core.schema.filetypes import FILE_TYPES
from core.schema.model import RecordType
from core.web.collision import merge
from core.web.formvalues import changed_values
from core.web.merging import merged_page
from core.web.page import back_or, page, pages, problem_answer, problem_body, wants_json, went
from core.web.posted import Posted, parse_form
from core.web.recordview import RecordPage, load_page, new_page
from core.web.unsaved import drop_saved, typed_before, unsaved_lines
from core.workflow.operations import submit, withdraw
from core.workflow.reviewing import review_record
from core.workflow.timing.reminding import remind
from core.workflow.voiding import void

#: Field types whose values no address fills in.
NOT_PREFILLED = FILE_TYPES | {"table", "multi_select"}


@pages.get("/records/<type_name>/new")
@page
def new_record(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show an empty form."""
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).require("create")
    before = typed_before(ctx, record_type)
    if before is None:
        copied = request.args.get("copy", "")
        values = copied_values(ctx, type_name, copied) if copied else {}
        shown = new_page(ctx, record_type, values | _prefilled(record_type))
        shown.unsaved = unsaved_lines(ctx, type_name, "")
        return _render(shown)
    shown = new_page(ctx, record_type, before[1].values)
    return _render(shown)


def _prefilled(record_type: RecordType) -> dict[str, Any]:
    """Return what the address fills in: `?member=ID`, several times where there are many."""
    return {
        field.name: (
            request.args.getlist(field.name) if field.type == "links" else request.args[field.name]
        )
        for field in record_type.fields
        if field.name in request.args and field.type not in NOT_PREFILLED
    }


@pages.post("/records/<type_name>/new")
@page
def add_record(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Create a record from the form; go to it, or to its submission."""
    record_type = ctx.registry.record_type(type_name)
    posted = parse_form(request.form, record_type.fields, ctx.time_zone)
    # An empty control says nothing, so that defaults worked out by the product apply.
    values = {name: value for name, value in posted.values.items() if value not in (None, [])}
    try:
        created = create_record(ctx, type_name, values)
    except UserError as error:
        shown = new_page(ctx, record_type, posted.values, told(ctx, error, posted))
        return _refused(error, shown, posted)
    drop_saved(ctx, type_name)
    return _done(ctx, type_name, created["id"], N_("Created."))


@pages.get("/records/<type_name>/<record_id>")
@page
def show_record(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Show a record, in a form where the actor may change it."""
    record_type = ctx.registry.record_type(type_name)
    before = typed_before(ctx, record_type, record_id)
    if before is None:
        try:
            shown = load_page(ctx, record_type, record_id)
        except NotFound:
            merged = merged_page(ctx, type_name, record_id)
            if merged is None:
                raise
            return merged
        shown.unsaved = unsaved_lines(ctx, type_name, record_id)
        return _render(shown)
    kept, posted = before
    shown = load_page(ctx, record_type, record_id, typed=posted.values)
    shown.form_version = kept.version or shown.version
    return _render(shown)


@pages.post("/records/<type_name>/<record_id>")
@page
def save_record(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Save what the form changed; what somebody else changed meanwhile is kept or shown."""
    record_type = ctx.registry.record_type(type_name)
    posted = parse_form(request.form, record_type.fields, ctx.time_zone)
    version = posted_version()
    stored = load_page(ctx, record_type, record_id).form_values
    changes = changed_values(posted.values, stored, record_type.fields)
    try:
        if changes:
            changes = _save(ctx, record_type, record_id, form=(posted, changes), version=version)
    except StaleVersion as error:
        return _collided(ctx, record_type, record_id, posted=posted, stale=(error, version))
    except UserError as error:
        shown = load_page(
            ctx, record_type, record_id, typed=posted.values, problems=told(ctx, error, posted)
        )
        return _refused(error, shown, posted)
    drop_saved(ctx, type_name, record_id)
    text = N_("Saved.") if changes else N_("Nothing was changed.")
    return _done(ctx, type_name, record_id, text)


def _save(
    ctx: Context,
    record_type: RecordType,
    record_id: str,
    *,
    form: tuple[Posted, dict[str, Any]],
    version: int,
) -> dict[str, Any]:
    """Save, and once more on the newer version when nobody touched the same fields.

    Raises:
        StaleVersion: somebody changed a field that this form changes too.
    """
    posted, changes = form
    try:
        update_record(ctx, record_type.name, record_id, changes, version=version)
    except StaleVersion:
        merged = merge(ctx, record_type, record_id, posted.values, version=version)
        if merged.collisions:
            raise
        if merged.changes:
            update_record(ctx, record_type.name, record_id, merged.changes, version=merged.version)
        return merged.changes
    return changes


def _collided(
    ctx: Context,
    record_type: RecordType,
    record_id: str,
    *,
    posted: Posted,
    stale: tuple[StaleVersion, int],
) -> ResponseReturnValue:
    """Show what collides beside what was typed; the form goes on from the newer version."""
    error, version = stale
    merged = merge(ctx, record_type, record_id, posted.values, version=version)
    if wants_json():
        return problem_answer(
            error,
            version=merged.version,
            collisions=merged.wire(),
            values=merged.others_wire(ctx, record_type),
        )
    shown = load_page(ctx, record_type, record_id, typed=posted.values | merged.others)
    shown.collisions = merged.collisions
    shown.error = {**problem_body(error), "problems": []}
    return _render(shown), error.status


def posted_version() -> int:
    """Return the version of the record that the form was made from.

    Raises:
        Invalid: the form holds none.
    """
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):  # noqa: PLR2004  digits
        raise Invalid(N_("The form is incomplete. Please load the page again."))
    return int(text)


def told(ctx: Context, error: GuanxiError, posted: Posted) -> dict[str, list[str]]:
    """Return an error's problems by the form's own paths, in the reader's language."""
    found: dict[str, list[str]] = {}
    for problem in error.problems:
        text = translate(problem.text, ctx.locale, **problem.params)
        found.setdefault(posted.path_in_form(problem.path), []).append(text)
    return found


def _refused(error: UserError, shown: RecordPage, posted: Posted) -> ResponseReturnValue:
    body = problem_body(error)
    for problem in body["problems"]:
        problem["path"] = posted.path_in_form(problem["path"])
        problem["label"] = shown.label_at(problem["path"])
        problem["anchor"] = shown.anchor_at(problem["path"])
    if wants_json():
        return jsonify(body), error.status
    shown.error = body
    return _render(shown), error.status


def _done(ctx: Context, type_name: str, record_id: str, text: str) -> ResponseReturnValue:
    """Answer a saved form: submit it too when its submit button was pressed."""
    if request.form.get("then") == "submit":
        try:
            submit(ctx, type_name, record_id)
            text = N_("Submitted for approval.")
        except UserError as error:
            flash(translate(text, ctx.locale), "good")
            tell_warnings(ctx)
            flash(problem_body(error)["message"], "bad")
            return went(f"/records/{type_name}/{record_id}")
    flash(translate(text, ctx.locale), "good")
    tell_warnings(ctx)
    if request.form.get("then") == "another":
        return went(f"/records/{type_name}/new")
    return went(f"/records/{type_name}/{record_id}")


def tell_warnings(ctx: Context) -> None:
    """Have the next page say what rules had to say about the change, each once."""
    told = (translate(each.text, ctx.locale, **each.params) for each in ctx.warnings)
    for text in dict.fromkeys(told):
        flash(text, "warn")


def _render(shown: RecordPage) -> str:
    shown.unsaved_id = shown.unsaved_id or request.args.get("unsaved", "")
    return render_template("gx/record.html", page=shown, type=shown.record_type)


@pages.post("/records/<type_name>/<record_id>/delete")
@page
def remove_record(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Delete a record after it was confirmed."""
    return done_to(
        (ctx, type_name, record_id),
        lambda: delete_record(ctx, type_name, record_id, version=posted_version()),
        N_("Deleted."),
        back_or(f"/records/{type_name}/"),
    )


@pages.post("/records/<type_name>/<record_id>/submit")
@page
def submit_record(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Send a document, or its proposed change, into approval."""
    record = ctx, type_name, record_id
    return done_to(record, lambda: submit(*record), N_("Submitted for approval."))


@pages.get("/records/<type_name>/<record_id>/review")
@page
def show_review(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Answer what plugins find in a draft or in a proposed change."""
    return render_template("gx/reviews.html", reviews=review_record(ctx, type_name, record_id))


@pages.post("/records/<type_name>/<record_id>/void")
@page
def void_record(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Propose that a document in force be void, and send that into approval."""
    reason = request.form.get("reason", "").replace("\r\n", "\n")
    record = ctx, type_name, record_id
    return done_to(record, lambda: void(*record, reason=reason), N_("Submitted for approval."))


@pages.post("/records/<type_name>/<record_id>/withdraw")
@page
def withdraw_record(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Take a submitted document back."""
    record = ctx, type_name, record_id
    return done_to(record, lambda: withdraw(*record), N_("Withdrawn."))


@pages.post("/records/<type_name>/<record_id>/remind")
@page
def remind_approvers(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Tell the approvers again that the document waits."""
    record = ctx, type_name, record_id
    return done_to(record, lambda: remind(*record), N_("The approvers were reminded."))


def done_to(
    record: tuple[Context, str, str],
    act: Callable[[], object],
    text: str = "",
    path: str = "",
    **params: Any,
) -> ResponseReturnValue:
    """Do something to a record and go back to it, or say on its page why it could not be done.

    Args:
        record: the context, the record's type and its id.
        act: does it.
        text: English template of what is said then; empty says nothing.
        path: where to go instead of the record's page.
        params: what fills the template.
    """
    ctx, type_name, record_id = record
    try:
        act()
    except UserError as error:
        return failed(ctx, error, type_name, record_id)
    if text:
        flash(translate(text, ctx.locale, **params), "good")
    tell_warnings(ctx)
    return went(path or f"/records/{type_name}/{record_id}")


def failed(ctx: Context, error: UserError, type_name: str, record_id: str) -> ResponseReturnValue:
    """Say on the record's page why something could not be done to it."""
    if wants_json():
        return problem_answer(error)
    shown = load_page(ctx, ctx.registry.record_type(type_name), record_id)
    shown.error = problem_body(error)
    if isinstance(error, Conflict) and not shown.error["hint"]:
        shown.error["hint"] = ""
    return _render(shown), error.status


@pages.get("/records/<type_name>/<record_id>/history")
@page
def show_history(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Show everything that happened to a record."""
    get_record(ctx, type_name, record_id, fields=("id",))
    shown = load_page(ctx, ctx.registry.record_type(type_name), record_id)
    return render_template("gx/history.html", page=shown, type=shown.record_type)
