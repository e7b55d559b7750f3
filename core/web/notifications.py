"""The notification centre: the bell, and everything one was told."""

from flask import flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from core.context import Context
from core.errors import NotFound
from core.i18n import N_, translate
from core.web.page import page, pages
from core.workflow.queue.notices import count_unread, list_notices, mark_read

#: Notices of the page.
_SHOWN = 100


def unread_notices() -> int:
    """Return how many notices the signed-in person has not read, for the bell of every page."""
    ctx = g.get("gx_context")
    if ctx is None or ctx.actor.id == "public":
        return 0
    try:
        return count_unread(ctx)
    except SQLAlchemyError:
        # An error page is drawn with the bell too, and the database may be what is missing.
        return 0


@pages.get("/notices/")
@page
def show_notices(ctx: Context) -> ResponseReturnValue:
    """Show what the signed-in person was told, unread first or all."""
    only_unread = request.args.get("show") != "all"
    notices = list_notices(ctx, unread=only_unread, limit=_SHOWN)
    return render_template("gx/notices.html", notices=notices, only_unread=only_unread)


@pages.post("/notices/read")
@page
def read_all(ctx: Context) -> ResponseReturnValue:
    """Mark every notice as read."""
    mark_read(ctx)
    flash(translate(N_("All notices are read."), ctx.locale), "good")
    return redirect("/notices/", 303)


@pages.post("/notices/<notice_id>/open")
@page
def open_notice(ctx: Context, notice_id: str) -> ResponseReturnValue:
    """Mark a notice as read and go where it leads."""
    known = {each["id"]: each for each in list_notices(ctx, unread=False, limit=200)}
    found = known.get(notice_id)
    if found is None:
        raise NotFound
    mark_read(ctx, [notice_id])
    return redirect(found["link"] or "/notices/", 303)
