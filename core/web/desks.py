"""Handing over a leaver's desk: what it holds, to whom it goes, and how it went."""

from typing import Any

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Invalid, Problem, UserError
from core.i18n import N_
from core.records.people import PEOPLE
from core.security import desks
from core.security.positions import require_administrator
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body
from core.web.rights import user_names


@pages.get("/rights/desk")
@page
def show_desk(ctx: Context) -> ResponseReturnValue:
    """Show what a person's desk holds, and a form to hand it over."""
    require_administrator(ctx)
    leaver = request.args.get("user", "").strip()
    try:
        held = desks.desk(ctx, _person(ctx, "user", leaver)) if leaver else None
    except UserError as error:
        return make_response(_desk_page(ctx, leaver, error=problem_body(error)), error.status)
    return _desk_page(ctx, leaver, held=held)


@pages.post("/rights/desk")
@page
def hand_over_desk(ctx: Context) -> ResponseReturnValue:
    """Hand a desk over and show how each part went."""
    require_administrator(ctx)
    form = request.form
    login = form.get("user", "").strip()
    leaver = ""
    try:
        leaver = _person(ctx, "user", login)
        to = _person(ctx, "to", form.get("to", "").strip())
        made = desks.hand_over(ctx, leaver, to, reason=form.get("reason", ""))
    except UserError as error:
        held = desks.desk(ctx, leaver) if leaver else None
        shown = _desk_page(ctx, login, held=held, error=problem_body(error))
        return make_response(shown, error.status)
    return _desk_page(ctx, login, held=desks.desk(ctx, leaver), made=made)


def _person(ctx: Context, path: str, login: str) -> str:
    """Return the id of a user, active or not, by sign-in name."""
    with ctx.reading() as connection:
        found = PEOPLE.ids(connection, [login])
    if login not in found:
        text = N_("There is no user {name}.")
        raise Invalid(problems=[Problem(path, "user.unknown", text, {"name": login[:80]})])
    return found[login]


def _desk_page(
    ctx: Context,
    login: str,
    *,
    held: dict[str, Any] | None = None,
    made: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> str:
    types = ctx.registry.release.types
    refused = [one for one in made["items"] if one["outcome"] == "refused"] if made else []
    return render_template(
        "gx/desk.html",
        login=login,
        held=held,
        made=made,
        refused=refused,
        done=len(made["items"]) - len(refused) if made else 0,
        labels={one.name: type_label(one, ctx.locale, plural=False) for one in types.values()},
        users=user_names(ctx),
        typed=request.form,
        error=error,
    )
