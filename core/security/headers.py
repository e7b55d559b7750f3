"""The headers that every answer carries, so that no page depends on being careful."""

import re
import secrets
from typing import Any

from flask import Flask, g, request

from core.ids import new_id

#: An answer's headers as WSGI has them.
Headers = list[tuple[str, str]]

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")

_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}
_HTTPS_ONLY = ("Strict-Transport-Security", "max-age=31536000")
#: What is always ours to say.
_LOWERED = frozenset(name.lower() for name in (*_COMMON, "X-Request-Id", _HTTPS_ONLY[0]))
#: For everything that is no page: nothing in it may run or load anything.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'"
)


def csp_nonce() -> str:
    """Return this request's nonce, which lets a page's own inline scripts run."""
    nonce: str | None = getattr(g, "gx_nonce", None)
    if nonce is None:
        nonce = g.gx_nonce = secrets.token_urlsafe(16)
    return nonce


def request_id() -> str:
    """Return this request's id: the client's `X-Request-Id` if it is one, else a new one."""
    known: str | None = g.get("request_id")
    if known is None:
        given = request.headers.get("X-Request-Id", "")
        known = g.request_id = given if _ID.match(given) else new_id()
    return known


def completed(headers: Headers, *, is_https: bool) -> Headers:
    """Return an answer's headers and what every answer carries; what a view has set stays."""
    given = {name.lower(): value for name, value in headers}
    if not _LOWERED.isdisjoint(given):
        headers = [pair for pair in headers if pair[0].lower() not in _LOWERED]
    added = [*headers, *_COMMON.items(), ("X-Request-Id", request_id())]
    if is_https:
        added.append(_HTTPS_ONLY)
    if "content-security-policy" not in given:
        is_page = given.get("content-type", "").startswith("text/html")
        policy = _PAGE_POLICY.format(nonce=csp_nonce()) if is_page else DATA_POLICY
        added.append(("Content-Security-Policy", policy))
    if "cache-control" not in given:  # files bring their own
        added.append(("Cache-Control", "no-store"))
    return added


def add_headers(app: Flask, *, is_https: bool) -> None:
    """Have `app` send the headers with every answer, errors included.

    They are added where the answer leaves, as plain pairs: Flask's own place for it
    checks and copies each one twice.
    """
    inner = app.wsgi_app

    def sealed(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Headers, error: Any = None) -> Any:
            return start_response(status, completed(headers, is_https=is_https), error)

        return inner(environ, start)

    app.wsgi_app = sealed  # type: ignore[method-assign]
    app.jinja_env.globals["csp_nonce"] = csp_nonce
