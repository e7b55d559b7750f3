"""Seeing the product as another user does: for administrators, to read alone, written down."""

from datetime import datetime, timedelta
from typing import Any

from flask import Flask, g, redirect, request, session
from flask.typing import ResponseReturnValue

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden, UserError
from core.i18n import N_
from core.records.userevents import note_user
from core.security.actors import VIEWED
from core.security.orm import SAFE_METHODS
from core.security.positions import ADMINISTRATORS, require_administrator
from core.security.services import services
from core.web.page import back_or, error_page, page, pages, problem_answer, wants_json
from core.web.rights import find_person

#: How long one look lasts.
LASTS = timedelta(minutes=30)

#: What may be sent while looking.
_ALLOWED = frozenset({"gx.stop_viewing", "gx.sign_out", "gx.set_locale"})


class ViewOnly(Forbidden):
    """Somebody who looks as another user wanted to change something."""

    code = "view_as.read_only"
    text = N_("You see this as somebody else and cannot change anything.")
    hint = N_("Stop viewing as them first.")


@pages.post("/rights/view-as")
@page
def start_viewing(ctx: Context) -> ResponseReturnValue:
    """Go on seeing everything as another user; the event stands in that user's history."""
    require_administrator(ctx)
    person = find_person(ctx, request.form.get("user", "").strip())
    with ctx.writing() as connection:
        note_user(ctx, connection, person.id, action="viewed_as", changes={})
    session[VIEWED] = {"user": person.id, "until": to_wire(ctx.now + LASTS)}
    return redirect(back_or("/"), 303)


@pages.post("/rights/view-as/stop")
def stop_viewing() -> ResponseReturnValue:
    """See as oneself again."""
    session.pop(VIEWED, None)
    return redirect(back_or("/rights/why"), 303)


def may_view_as() -> bool:
    """Return whether whoever reads this page may look as others do."""
    ctx = g.get("gx_context")
    return ctx is not None and not ctx.actor.viewer and bool(ctx.actor.roles & ADMINISTRATORS)


def viewed_name() -> str:
    """Return the name of the person as whom this page is seen; empty for oneself."""
    ctx = g.get("gx_context")
    return str(ctx.actor.name) if ctx is not None and ctx.actor.viewer else ""


def guard_views(app: Flask) -> None:
    """Refuse everything that could change something while somebody looks as another user."""

    @app.before_request
    def _check() -> Any:
        looking = session.get(VIEWED)
        if looking is None:
            return None
        if datetime.fromisoformat(looking["until"]) <= services().clock.now():
            session.pop(VIEWED, None)
            return None
        endpoint = request.endpoint or ""
        is_ours = endpoint.startswith(f"{pages.name}.") or "static" in endpoint
        is_safe = request.method in SAFE_METHODS
        if endpoint in _ALLOWED or (is_safe and (is_ours or request.path.startswith("/api/"))):
            return None
        error: UserError = ViewOnly()
        return problem_answer(error) if wants_json() else error_page(error)
