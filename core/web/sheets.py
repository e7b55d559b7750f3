"""A form made from a spreadsheet: upload, fields to decide about, the plan, rows imported.

Between the steps the file and what was decided lie in the instance folder, under the name
of whoever uploaded it, so that an error or a reload loses nothing.
"""

import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, SchemaError, UserError
from core.i18n import N_, pick, translate
from core.ids import is_id, new_id
from core.records.importing import run_import
from core.records.mapping import ImportMapping
from core.records.plugin_settings import ADMINISTRATORS
from core.records.sheets import SheetCheck, check_sheet, guess_form, link_targets
from core.schema.inference import LINK, OFFERED, Guess
from core.schema.sheetforms import (
    SheetForm,
    form_mapping,
    form_problems,
    form_yaml,
    same_options,
)
from core.security.actors import context_for_request
from core.security.services import services
from core.web.importing import forget_old_reports, report_path, shown_report, uploaded_rows
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body, went

#: Uploads kept, the newest, and the longest text of one input.
_KEPT = 50
_LONGEST = 200
_LONGEST_NOTE = 500


@pages.get("/sheets/")
@page
def show_sheet_upload(ctx: Context) -> ResponseReturnValue:
    """Ask for a workbook or a CSV file."""
    _require_designer(ctx)
    return render_template("gx/sheet.html", error=None)


@pages.post("/sheets/")
@page
def upload_sheet(ctx: Context) -> ResponseReturnValue:
    """Guess a form from the uploaded file and go on to its fields."""
    _require_designer(ctx)
    key = new_id()
    try:
        upload, suffix = uploaded_rows()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"upload{suffix}"
            with path.open("wb") as file:
                shutil.copyfileobj(upload.stream, file)
            form = guess_form(ctx, path, upload.filename or "")
            shutil.move(path, _path(ctx, key, "rows"))
    except UserError as error:
        return render_template("gx/sheet.html", error=problem_body(error)), error.status
    finally:
        _forget_old()
    _keep(ctx, key, form)
    return went(f"/sheets/{key}")


@pages.get("/sheets/<key>")
@page
def show_sheet(ctx: Context, key: str) -> ResponseReturnValue:
    """Show the fields that the file's columns become, and what would not fit them."""
    _require_designer(ctx)
    return _fields_page(ctx, key, _kept(ctx, key))


@pages.post("/sheets/<key>")
@page
def decide_sheet(ctx: Context, key: str) -> ResponseReturnValue:
    """Keep what was decided; look again how the rows fit, or go on to the plan."""
    _require_designer(ctx)
    form = _posted(_kept(ctx, key))
    _keep(ctx, key, form)
    problems = list(form_problems(form, ctx.registry.release))
    if problems or request.form.get("go") != "plan":
        error = Invalid(problems=problems) if problems else None
        return _fields_page(ctx, key, form, error), error.status if error else 200
    draft = _drafts().create_draft(ctx, yaml=form_yaml(form))
    return _plan_page(ctx, key, form, draft)


@pages.post("/sheets/<key>/publish")
@page
def publish_sheet(ctx: Context, key: str) -> ResponseReturnValue:
    """Put the form in force and import the file's rows into it."""
    _require_designer(ctx)
    form, draft = _kept(ctx, key), request.form.get("draft", "")
    note, seal = request.form.get("note", "").strip()[:_LONGEST_NOTE], request.form.get("seal", "")
    if not is_id(draft):
        raise NotFound
    try:
        _drafts().publish_draft(ctx, draft, note, seal=seal)
    except (UserError, SchemaError) as error:
        return _plan_page(ctx, key, form, draft, error)
    return _import(context_for_request("import"), key, form)


@pages.post("/sheets/<key>/import")
@page
def import_sheet(ctx: Context, key: str) -> ResponseReturnValue:
    """Import the file's rows into the form that was made of it."""
    _require_designer(ctx)
    return _import(ctx, key, _kept(ctx, key))


def _import(ctx: Context, key: str, form: SheetForm) -> tuple[str, int]:
    ctx.door = "import"
    record_type = ctx.registry.record_type(form.name)
    mapping = msgspec.convert(form_mapping(form), ImportMapping)
    report_key = new_id()
    error: UserError | None = None
    report: dict[str, Any] | None = None
    try:
        done = run_import(
            ctx,
            form.name,
            _path(ctx, key, "rows"),
            mapping=mapping,
            report_path=report_path(ctx, report_key),
            name=form.file,
        )
        report = shown_report(ctx, record_type, done, report_key)
    except UserError as found:
        error = found
    finally:
        forget_old_reports()
    body = render_template(
        "gx/sheetdone.html",
        form=form,
        key=key,
        report=report,
        error=problem_body(error) if error else None,
        label=type_label(record_type, ctx.locale),
    )
    return body, error.status if error else 200


def _require_designer(ctx: Context) -> None:
    """Let only those pass who may publish forms.

    Raises:
        Forbidden: the actor is none of them.
    """
    if not ctx.actor.roles & ADMINISTRATORS:
        raise Forbidden


# -- what lies between the steps ------------------------------------------------------------


def _folder() -> Path:
    folder = services().settings.home / "sheets"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _path(ctx: Context, key: str, what: str) -> Path:
    return _folder() / f"{ctx.actor.id}-{key}.{what}"


def _keep(ctx: Context, key: str, form: SheetForm) -> None:
    path = _path(ctx, key, "json")
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(form))
    fresh.replace(path)


def _kept(ctx: Context, key: str) -> SheetForm:
    """Return what was decided so far about one's own upload.

    Raises:
        NotFound: there is none under this key, or it is somebody else's.
    """
    if not is_id(key):
        raise NotFound
    try:
        data = _path(ctx, key, "json").read_bytes()
    except FileNotFoundError as error:
        raise NotFound from error
    return msgspec.json.decode(data, type=SheetForm)


def _forget_old() -> None:
    # Names begin with the user and go on with a time-ordered id, so the id sorts by age.
    files = sorted(_folder().iterdir(), key=lambda file: file.name.partition("-")[2])
    for file in files[: -2 * _KEPT]:
        file.unlink(missing_ok=True)


# -- the pages ------------------------------------------------------------------------------


def _posted(form: SheetForm) -> SheetForm:
    """Return the form with what the page's inputs say; they are checked elsewhere."""

    def text(name: str, default: str = "") -> str:
        return request.form.get(name, default).strip()[:_LONGEST]

    def guess(place: int, one: Guess) -> Guess:
        def has(what: str) -> bool:
            return f"{place}.{what}" in request.form

        options = request.form.get(f"{place}.options", "").splitlines()
        kind = text(f"{place}.type", one.type)
        is_choice = kind in {"select", "multi_select"}
        given = same_options(options) or (one.options if one.type == kind else one.values)
        return msgspec.structs.replace(
            one,
            include=has("include"),
            name=text(f"{place}.name", one.name),
            label=text(f"{place}.label", one.label),
            type=kind,
            options=given if is_choice else (),
            required=has("required"),
            unique=has("unique"),
        )

    fields = tuple(guess(place, one) for place, one in enumerate(form.fields))
    title = text("title", form.title)
    chosen = {one.name for one in fields if one.include}
    if title not in chosen:  # its field was renamed in the same breath, or left out
        renamed = {
            old.name: new.name for old, new in zip(form.fields, fields, strict=True) if new.include
        }
        title = renamed.get(title, "")
    return msgspec.structs.replace(
        form,
        name=text("name", form.name),
        label=text("label", form.label),
        roles=tuple(request.form.getlist("roles"))[:_KEPT],
        title=title,
        fields=fields,
    )


def _fields_page(ctx: Context, key: str, form: SheetForm, error: UserError | None = None) -> str:
    problems: dict[str, list[str]] = {}
    for one in error.problems if error else ():
        message = translate(one.text, ctx.locale, **one.params)
        problems.setdefault(one.path, []).append(message)
    unreadable = {
        path.partition(".")[0] for path in problems if path.endswith((".type", ".options"))
    }
    check = check_sheet(ctx, _path(ctx, key, "rows"), _readable(form, unreadable))
    release = ctx.registry.release
    labels = {role.name: pick(role.label, ctx.locale, role.name) for role in release.roles}
    return render_template(
        "gx/sheetfields.html",
        form=form,
        key=key,
        error=problem_body(error) if error else None,
        problems=problems,
        check=check,
        misfits=_misfits(ctx, check),
        types=_offered(ctx),
        roles=sorted({"Admin": "Admin", **labels}.items()),
        titles=[one for one in form.chosen if one.type in {"text", "phone", "email"}],
    )


def _readable(form: SheetForm, unreadable: set[str]) -> SheetForm:
    """Return the form without the columns whose type cannot read anything as it is."""
    fields = tuple(
        msgspec.structs.replace(one, include=one.include and str(place) not in unreadable)
        for place, one in enumerate(form.fields)
    )
    return msgspec.structs.replace(form, fields=fields)


def _offered(ctx: Context) -> list[tuple[str, str]]:
    """Return the types that a column can be given, as (value, text)."""
    types = [(name, translate(text, ctx.locale)) for name, text in OFFERED.items()]
    for name in link_targets(ctx):
        label = type_label(ctx.registry.record_type(name), ctx.locale, plural=False)
        types.append((f"{LINK}{name}", translate(N_("Link to {type}"), ctx.locale, type=label)))
    return types


def _misfits(ctx: Context, check: SheetCheck) -> dict[int, dict[str, Any]]:
    return {
        place: {
            "count": one.count,
            "examples": [
                (line, text, translate(problem.text, ctx.locale, **problem.params))
                for line, text, problem in one.examples
            ],
        }
        for place, one in check.columns.items()
        if one.count
    }


def _plan_page(
    ctx: Context,
    key: str,
    form: SheetForm,
    draft: str,
    error: UserError | SchemaError | None = None,
) -> tuple[str, int]:
    plan = _drafts().get_draft(ctx, draft, locale=ctx.locale)
    if plan["state"] != "open":
        # It was published and the answer got lost: the rows can still come.
        return _import(context_for_request("import"), key, form)
    body = render_template(
        "gx/sheetplan.html",
        form=form,
        key=key,
        draft=draft,
        plan=plan,
        yaml=plan.get("yaml", ""),
        error=problem_body(error) if error else None,
        check=check_sheet(ctx, _path(ctx, key, "rows"), form),
    )
    return body, error.status if error else 200


def _drafts() -> ModuleType:
    """Return the draft operations; they bring Alembic along, which few processes ever need."""
    from core.migration import drafts  # noqa: PLC0415  slow

    return drafts
