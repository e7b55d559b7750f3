"""Who asks: a bearer token, else the session cookie, else nobody.

Costs one read of the revision row per request; users come from memory.
"""

from dataclasses import replace
from typing import Any

from flask import Request, current_app, g, request, session
from sqlalchemy.engine import Connection

from core.actor import PUBLIC, Actor
from core.context import Client, Context, Door
from core.errors import Unauthenticated
from core.i18n import N_
from core.security.headers import request_id
from core.security.locales import request_locale
from core.security.orm import SAFE_METHODS
from core.security.services import Services, services
from core.tables.registry import Registry

_SCHEME = "bearer "

#: So much of what a program calls itself is kept.
MAX_AGENT = 400

#: Where a session keeps as whom its administrator looks, and until when.
VIEWED = "gx_view_as"


def bearer_token(incoming: Request) -> str | None:
    """Return the request's bearer token; None when it carries no credentials at all.

    Raises:
        Unauthenticated: it carries credentials of another kind.
    """
    header = incoming.headers.get("Authorization")
    if header is None:
        return None
    if header[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated(N_("Send a bearer token."))
    return header[len(_SCHEME) :].strip()


def current_rights(own: Services) -> int:
    """Return the revision of rights in force."""
    return own.registries.current().revision.rights


def current_actor(own: Services, rights: int) -> Actor:
    """Return who sends this request.

    Raises:
        Unauthenticated: a token or session is not good, or not good any more.
    """
    token = bearer_token(request)
    if token is not None:
        claim = own.tokens.verify(token)
        return _confirmed(own, claim.user_id, claim.stamp, rights)
    user_id = session.get("_user_id")
    if user_id is None:
        return PUBLIC
    actor = _confirmed(own, str(user_id), session.get("gx_stamp"), rights)
    if VIEWED in session and request.method in SAFE_METHODS:
        return _viewed(own, actor, rights)
    if request.method not in SAFE_METHODS:
        require_page_token()
    return actor


def require_page_token() -> None:
    """Refuse a request with a session cookie that does not carry its page's CSRF token."""
    if g.get("csrf_valid"):
        return
    current_app.extensions["csrf"].protect()


def context_for_request(
    door: Door = "api",
    *,
    registry: Registry | None = None,
    connection: Connection | None = None,
    is_presumed: bool = False,
) -> Context:
    """Return the context of this request: its actor, the release in force, its language.

    With a `connection` everything is read through it, the release to begin with, unless
    that `is_presumed` to be the one that was read last (`Context.confirm`).

    Raises:
        Unauthenticated: a token or session is not good.
    """
    own = services()
    presumed = own.registries.presumed() if is_presumed else None
    registry = registry or presumed or own.registries.current(connection)
    actor = current_actor(own, registry.revision.rights)
    context = context_of(own, registry, actor, door=door)
    context.connection = connection
    context.is_presumed = presumed is not None
    return context


def context_of(own: Services, registry: Registry, actor: Actor, *, door: Door) -> Context:
    """Return a context for `actor` within this request."""
    return Context.of(
        own,
        actor,
        registry=registry,
        door=door,
        locale=actor.locale or request_locale(),
        request_id=request_id(),
        client=current_client(),
        time_zone=own.settings.time_zone,
    )


def current_client() -> Client:
    """Return from where and how surely this request is sent."""
    if bearer_token(request) is not None:
        auth = "token"
    else:
        auth = "session" if "_user_id" in session else ""
    agent = request.headers.get("User-Agent", "")
    return Client(request.remote_addr or "", agent[:MAX_AGENT], auth)


def _viewed(own: Services, actor: Actor, rights: int) -> Actor:
    """Return the person as whom an administrator looks, else the actor themself."""
    found = own.actors.find(str(session[VIEWED].get("user")), rights)
    if found is None or "Admin" not in actor.roles:
        session.pop(VIEWED)
        return actor
    return replace(found, viewer=actor.id, locale=actor.locale)


def _confirmed(own: Services, user_id: str, stamp: Any, rights: int) -> Actor:
    actor = own.actors.find(user_id, rights)
    if actor is None or actor.stamp != stamp:
        raise Unauthenticated
    return actor
