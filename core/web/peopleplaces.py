"""Who works where and reports to whom: positions and managers, set by administrators."""

from typing import Any

import sqlalchemy as sa
from flask import flash, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import UserError
from core.i18n import N_, pick, translate
from core.records.people import PEOPLE
from core.schema.placerows import PLACE_TYPES
from core.security.managers import set_manager
from core.security.places import Holding, list_holdings
from core.security.positions import ADMINISTRATORS, set_position
from core.security.stores import user_store
from core.web.administration import require_builder
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body, went
from core.web.rights import user_names
from core.web.titles import find_titles
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff


@pages.get("/rights/people")
@page
def show_people(ctx: Context) -> ResponseReturnValue:
    """Show who works where, with a form for administrators."""
    require_builder(ctx)
    return _people_page(ctx)


@pages.post("/rights/people")
@page
def change_people(ctx: Context) -> ResponseReturnValue:
    """Give somebody a position at a place, or take it away."""
    form = request.form
    place = (form.get("place_type", ""), form.get("place", "").strip())
    take = form.get("what") == "take"
    try:
        login = form.get("user", "").strip()
        set_position(ctx, login, place, form.get("position", ""), take=take)
    except UserError as error:
        return _people_page(ctx, problem_body(error)), error.status
    done = N_("The position was taken away.") if take else N_("The position was given.")
    flash(translate(done, ctx.locale), "good")
    return went("/rights/people")


@pages.post("/rights/managers")
@page
def change_manager(ctx: Context) -> ResponseReturnValue:
    """Set whom somebody reports to, or leave it to the places where they work."""
    form = request.form
    try:
        set_manager(ctx, form.get("user", "").strip(), form.get("manager", "").strip())
    except UserError as error:
        return _people_page(ctx, problem_body(error)), error.status
    flash(translate(N_("The manager is set."), ctx.locale), "good")
    return went("/rights/people")


def _reports(staff: Staff) -> list[dict[str, Any]]:
    """Return whom everybody reports to who works somewhere or has a manager of their own."""
    known = [one for one in staff.people.values() if one.is_active]
    lines = []
    for person in known:
        own = staff.assigned.get(person.id, "")
        if not own and not staff.workplaces(person.id):
            continue
        manager = staff.manager(person.id)
        lines.append(
            {
                "name": person.name,
                "login": person.login,
                "manager": staff.name(manager) if manager else "",
                "is_set": bool(own) and own == manager,
                "gone": staff.name(own) if own and own != manager else "",
            }
        )
    return sorted(lines, key=lambda one: (one["manager"], one["name"]))


def _people_page(ctx: Context, error: dict[str, Any] | None = None) -> str:
    release, locale = ctx.registry.release, ctx.locale
    labels = {one.name: pick(one.label, locale, one.name) for one in release.positions}
    with ctx.reading() as connection:
        plain = connection.execute(sa.select(user_store)).all()
        held = [Holding(one.user_id, "store", one.store_id, "") for one in plain]
        held += list_holdings(connection)
        people = {one.user_id for one in held}
        names = PEOPLE.names(connection, people)
        logins = PEOPLE.logins(connection, people)
        staff = STAFF.staff(ctx, connection)
    titles = find_titles(ctx, {(one.place_type, one.place_id) for one in held})
    lines = [
        {
            "name": names.get(one.user_id, one.user_id),
            "login": logins.get(one.user_id, ""),
            "position": one.position,
            "label": labels.get(one.position, one.position),
            "type": one.place_type,
            "place": one.place_id,
            "title": titles.get((one.place_type, one.place_id), one.place_id),
        }
        for one in held
    ]
    types = [
        (name, type_label(release.types[name], locale, plural=False))
        for name in PLACE_TYPES
        if release.type(name)
    ]
    return render_template(
        "gx/rightspeople.html",
        lines=sorted(lines, key=lambda one: (one["name"], one["type"], one["title"])),
        reports=_reports(staff),
        users=user_names(ctx),
        positions=list(labels.items()),
        types=types,
        type_labels=dict(types),
        may=bool(ctx.actor.roles & ADMINISTRATORS),
        error=error,
        typed=request.form,
    )
