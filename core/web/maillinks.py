"""The page that a link in a mail opens: the difference, and a button that decides."""

from typing import Any

from flask import g, make_response, render_template, request
from flask.typing import ResponseReturnValue

from core.errors import GuanxiError, NotFound, UserError
from core.i18n import translate
from core.security.actors import context_of, current_actor
from core.security.services import services
from core.web.page import pages, problem_body
from core.web.taskdetail import load_detail
from core.web.tasktexts import VERBS
from core.workflow.queue.maillinks import Opened, check_link, open_link, use_link

#: Uses of one link, and tries from one address, within the throttle's window.
_MOST = 30, 60


@pages.get("/mail/<token>")
def show_link(token: str) -> ResponseReturnValue:
    """Show what a link would decide; opening it, as mail scanners do, decides nothing."""
    try:
        opened = _opened(token)
        check_link(opened)
        return _page(opened)
    except GuanxiError as error:
        return _closed(error)


@pages.post("/mail/<token>")
def follow_link(token: str) -> ResponseReturnValue:
    """Decide what a link is for, once."""
    try:
        opened = _opened(token)
    except GuanxiError as error:
        return _closed(error)
    services().throttle.enter(f"mail {opened.id}", _address(), most=_MOST)
    opinion = request.form.get("opinion", "").replace("\r\n", "\n").strip()
    try:
        use_link(opened, opinion=opinion)
    except UserError as error:
        if error.code == "flow.opinion_required":
            return make_response(_page(opened, error=error, opinion=opinion), error.status)
        return _closed(error)
    ctx = opened.ctx
    message = translate(VERBS[opened.verb].done, ctx.locale)
    return render_template("gx/maildecided.html", is_done=True, message=message)


def _opened(token: str) -> Opened:
    """Return the link of a token; one that opens nothing counts as a try of its address."""
    own = services()
    registry = own.registries.current()
    ctx = context_of(own, registry, current_actor(own, registry.revision.rights), door="form")
    g.gx_context = ctx
    try:
        opened = open_link(ctx, token)
    except NotFound:
        own.throttle.enter(f"mail {token[:100]}", _address(), most=_MOST)
        raise
    g.gx_context = opened.ctx
    return opened


def _address() -> str:
    return f"mail {request.remote_addr or ''}"


def _page(opened: Opened, *, error: UserError | None = None, opinion: str = "") -> str:
    ctx = opened.ctx
    told: dict[str, Any] | None = problem_body(error) if error else None
    return render_template(
        "gx/maildecide.html",
        detail=load_detail(ctx, opened.task_id),
        verb=opened.verb,
        label=translate(VERBS[opened.verb].label, ctx.locale),
        error=told,
        opinion=opinion,
    )


def _closed(error: GuanxiError) -> ResponseReturnValue:
    """Say why a link does nothing, and where to go."""
    body = problem_body(error)
    told = " ".join([body["message"], *(each["message"] for each in body["problems"])])
    page = render_template("gx/maildecided.html", is_done=False, message=told)
    return make_response(page, error.status)
