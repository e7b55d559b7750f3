"""Links to fill in a form: making and revoking them, and the page that they open."""

from typing import Any

from flask import flash, g, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue

from core.actor import PUBLIC
from core.context import Context
from core.errors import GuanxiError, NotFound, StaleVersion, TooLarge, UserError
from core.i18n import N_, translate
from core.policies.access import access
from core.records.formlinks import (
    OFFERED,
    Opened,
    list_links,
    make_link,
    open_link,
    revoke_link,
    use_link,
)
from core.schema.model import RecordType
from core.security.actors import context_of
from core.security.services import services
from core.web.display import field_label
from core.web.formvalues import changed_values
from core.web.navigation import type_label
from core.web.page import page, pages, problem_answer, problem_body, wants_json, went
from core.web.posted import parse_form
from core.web.records import posted_version, told
from core.web.recordview import RecordPage, load_page, new_page

#: Most of a form that comes in by a link.
_MAX_BODY = 64 * 1024
#: Uses of one link, and tries from one address, within the throttle's window.
_MOST = 30, 60


@pages.get("/records/<type_name>/links")
@page
def show_links(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show the links by which records of a type are made, and a form for a new one."""
    access(ctx, type_name).require("create")
    return _links_page(ctx, type_name, "")


@pages.get("/records/<type_name>/<record_id>/links")
@page
def show_record_links(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Show the links by which one record is changed, and a form for a new one."""
    access(ctx, type_name).require("edit")
    return _links_page(ctx, type_name, record_id)


@pages.post("/records/<type_name>/links")
@page
def add_link(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Make a link and show its address, this once."""
    return _made(ctx, type_name, "")


@pages.post("/records/<type_name>/<record_id>/links")
@page
def add_record_link(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Make a link to one record and show its address, this once."""
    return _made(ctx, type_name, record_id)


@pages.post("/links/<link_id>/revoke")
@page
def end_link(ctx: Context, link_id: str) -> ResponseReturnValue:
    """End a link at once."""
    mine = {one["id"]: one for one in list_links(ctx)}
    revoke_link(ctx, link_id)
    flash(translate(N_("The link is revoked."), ctx.locale), "good")
    found = mine.get(link_id)
    if found is None:
        return went("/")
    record = f"/{found['record']}" if found["record"] else ""
    return went(f"/records/{found['type']}{record}/links")


def _made(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    days = request.form.get("days", "")
    try:
        made = make_link(
            ctx,
            type_name,
            record_id=record_id,
            fields=request.form.getlist("fields"),
            label=request.form.get("label", "").strip(),
            days=int(days) if days.isascii() and days.isdecimal() and len(days) < 4 else 0,  # noqa: PLR2004
            single_use=request.form.get("single_use") == "true",
        )
    except UserError as error:
        return _links_page(ctx, type_name, record_id, error=error)
    base = services().settings.base_url or request.host_url.rstrip("/")
    return _links_page(ctx, type_name, record_id, address=f"{base}/fill/{made['token']}")


def _links_page(
    ctx: Context,
    type_name: str,
    record_id: str,
    *,
    address: str = "",
    error: UserError | None = None,
) -> ResponseReturnValue:
    record_type = ctx.registry.record_type(type_name)
    with ctx.reading():
        title = load_page(ctx, record_type, record_id).title if record_id else ""
        rights = access(ctx, type_name)
        writable = rights.editable("edit" if record_id else "create") or frozenset()
        links = list_links(ctx, type_name, record_id)
    fields = [
        {"name": one.name, "label": field_label(one, ctx.locale), "required": one.required}
        for one in record_type.fields
        if one.type in OFFERED and one.name in writable and one.sensitive != "secret"
    ]
    body = render_template(
        "gx/links.html",
        type=record_type,
        label_of_type=type_label(record_type, ctx.locale, plural=False),
        record_id=record_id,
        title_of_record=title,
        fields=fields,
        links=links,
        labels={one["name"]: one["label"] for one in fields},
        address=address,
        error=problem_body(error) if error else None,
    )
    return make_response(body, error.status if error else 200)


@pages.get("/fill/<token>")
def show_form(token: str) -> ResponseReturnValue:
    """Show the form that a link opens, to whoever has it."""
    try:
        opened, record_type = _opened(token)
        return _form(opened, _shown(opened, record_type, None, {}))
    except GuanxiError as error:
        return _closed(error)


@pages.post("/fill/<token>")
def fill_in(token: str) -> ResponseReturnValue:
    """Make or change the record that a link is for."""
    try:
        if (request.content_length or 0) > _MAX_BODY:
            raise TooLarge
        opened, record_type = _opened(token)
        services().throttle.enter(f"link {opened.id}", _address(), most=_MOST)
        return _filled(opened, record_type, token)
    except GuanxiError as error:
        return problem_answer(error) if wants_json() else _closed(error)


@pages.get("/fill/done")
def show_thanks() -> ResponseReturnValue:
    """Say that what was filled in arrived."""
    return render_template("gx/filled.html", is_done=True, message="")


def _address() -> str:
    return f"link {request.remote_addr or ''}"


def _opened(token: str) -> tuple[Opened, RecordType]:
    """Return what a token opens; one that opens nothing counts as a try of its address."""
    own = services()
    ctx = context_of(own, own.registries.current(), PUBLIC, door="form")
    try:
        opened = open_link(ctx, token)
    except NotFound:
        own.throttle.enter(f"link {token[:100]}", _address(), most=_MOST)
        raise
    g.gx_context = opened.ctx
    return opened, opened.ctx.registry.record_type(opened.type_name)


def _filled(opened: Opened, record_type: RecordType, token: str) -> ResponseReturnValue:
    own = services()
    fields = [one for one in record_type.fields if one.name in opened.fields]
    posted = parse_form(request.form, fields, opened.ctx.time_zone)
    ctx = context_of(own, opened.ctx.registry, PUBLIC, door="form")
    version = posted_version() if opened.record_id else None
    try:
        if opened.record_id:
            stored = _shown(opened, record_type, None, {}).form_values
            values = changed_values(posted.values, stored, fields)
        else:
            values = {
                name: value for name, value in posted.values.items() if value not in (None, [])
            }
        use_link(ctx, token, values, version=version)
    except UserError as error:
        shown = _shown(opened, record_type, posted.values, told(opened.ctx, error, posted))
        body = problem_body(error)
        for problem in body["problems"]:
            problem["path"] = posted.path_in_form(problem["path"])
            problem["label"] = shown.label_at(problem["path"])
            problem["anchor"] = shown.anchor_at(problem["path"])
        if wants_json() and not isinstance(error, StaleVersion):
            return jsonify(body), error.status
        if wants_json():
            return jsonify(body | {"version": shown.version, "collisions": [], "values": {}}), 412
        shown.error = body
        return make_response(_form(opened, shown), error.status)
    return went("/fill/done")


def _shown(
    opened: Opened,
    record_type: RecordType,
    typed: dict[str, Any] | None,
    problems: dict[str, list[str]],
) -> RecordPage:
    if opened.record_id:
        return load_page(opened.ctx, record_type, opened.record_id, typed=typed, problems=problems)
    return new_page(opened.ctx, record_type, typed or {}, problems)


def _form(opened: Opened, shown: RecordPage) -> str:
    return render_template(
        "gx/fillin.html", page=shown, type=shown.record_type, title_of_link=opened.label
    )


def _closed(error: GuanxiError) -> ResponseReturnValue:
    """Say that a link opens nothing, in the same words whatever the reason."""
    message = problem_body(error)["message"]
    if isinstance(error, NotFound):
        message = translate(N_("This link is not good, or not good any more."), _locale())
    body = render_template("gx/filled.html", is_done=False, message=message)
    return make_response(body, error.status)


def _locale() -> str:
    ctx = g.get("gx_context")
    return (
        ctx.locale
        if ctx is not None
        else context_of(services(), services().registries.current(), PUBLIC, door="form").locale
    )
