"""Being away (代理): who stands in for the reader, arranged and ended on one page."""

from typing import Any

from flask import flash, make_response, render_template, request
from flask.typing import ResponseReturnValue

from core.clock import to_wire
from core.context import Context
from core.errors import UserError
from core.i18n import N_, translate
from core.records.people import PEOPLE
from core.web.display import field_label
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body, went
from core.web.rights import user_names
from core.workflow.queue.maillinks import set_mail, wants_mail
from core.workflow.staff import away


@pages.get("/away")
@page
def show_away(ctx: Context) -> ResponseReturnValue:
    """Show the delegations that concern the reader, with a form for a new one."""
    return _away_page(ctx)


@pages.post("/away")
@page
def change_away(ctx: Context) -> ResponseReturnValue:
    """Name a deputy, or show what would move to them."""
    form = request.form
    try:
        wanted = away.read_wanted(ctx, _values(ctx))
        if form.get("what") == "preview":
            return _away_page(ctx, preview=away.preview(ctx, wanted))
        away.delegate(ctx, wanted)
    except UserError as error:
        return make_response(_away_page(ctx, error=problem_body(error)), error.status)
    flash(translate(N_("The deputy is named."), ctx.locale), "good")
    return went("/away")


@pages.post("/away/<delegation_id>/end")
@page
def end_away(ctx: Context, delegation_id: str) -> ResponseReturnValue:
    """End a delegation now."""
    away.revoke(ctx, delegation_id)
    flash(translate(N_("The delegation has ended."), ctx.locale), "good")
    return went("/away")


@pages.post("/away/mail")
@page
def change_mail(ctx: Context) -> ResponseReturnValue:
    """Have mails about tasks sent to the reader, or no longer."""
    wanted = request.form.get("wanted") == "true"
    set_mail(ctx, wanted=wanted)
    said = (
        N_("You get mails about your tasks from now on.")
        if wanted
        else N_("You get no mails about your tasks any more.")
    )
    flash(translate(said, ctx.locale), "good")
    return went("/away#mail")


def _values(ctx: Context) -> dict[str, Any]:
    """Return the form as REST would send it; people are typed by their sign-in names."""
    form = request.form
    typed = {key: form.get(key, "").strip() for key in ("to", "from")}
    with ctx.reading() as connection:
        ids = PEOPLE.ids(connection, [login for login in typed.values() if login])
    field = form.get("amount_field", "").partition(".")
    capped = bool(form.get("amount_max", "").strip() and field[2])
    return {
        # What is no sign-in name is nobody's id either, and refused as such.
        "to": ids.get(typed["to"], "?"),
        "from": ids.get(typed["from"], "?") if typed["from"] else "",
        "start": form.get("start", "").strip(),
        "end": form.get("end", "").strip(),
        "types": [field[0]] if capped else form.getlist("types"),
        "amount_field": field[2] if capped else "",
        "amount_max": form.get("amount_max", "").strip() if capped else "",
        "include_roles": form.get("include_roles") == "true",
        "reason": form.get("reason", ""),
    }


def _away_page(
    ctx: Context,
    *,
    preview: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> str:
    locale, is_admin = ctx.locale, away.is_administrator(ctx)
    documents = [one for one in ctx.registry.release.types.values() if one.document]
    labels = {one.name: type_label(one, locale, plural=False) for one in documents}
    amounts = [
        (f"{one.name}.{field.name}", f"{labels[one.name]} · {field_label(field, locale)}")
        for one in documents
        for field in one.fields
        if field.type in away.AMOUNTS
    ]
    return render_template(
        "gx/away.html",
        items=away.list_delegations(ctx),
        me=ctx.actor.id,
        is_admin=is_admin,
        wants_mail=wants_mail(ctx),
        now=to_wire(ctx.now),
        labels=labels,
        amount_labels=dict(amounts),
        amounts=amounts,
        users=user_names(ctx),
        typed=request.form,
        chosen=request.form.getlist("types"),
        preview=preview,
        error=error,
    )
