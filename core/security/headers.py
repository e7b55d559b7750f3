"""The headers that every answer carries, so that no page depends on being careful."""

import re
import secrets

from flask import Flask, Response, g, request

from core.ids import new_id

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


def secured(response: Response, *, is_https: bool) -> Response:
    """Add what every answer carries; what a view has set itself stays."""
    headers = response.headers
    given = {name.lower() for name, _value in headers}
    for name in given & _LOWERED:
        del headers[name]
    added = [*_COMMON.items(), ("X-Request-Id", request_id())]
    if is_https:
        added.append(_HTTPS_ONLY)
    if "content-security-policy" not in given:
        is_page = response.mimetype == "text/html"
        policy = _PAGE_POLICY.format(nonce=csp_nonce()) if is_page else DATA_POLICY
        added.append(("Content-Security-Policy", policy))
    if "cache-control" not in given:  # files bring their own
        added.append(("Cache-Control", "no-store"))
    # Setting one by one looks for each name among all the others.
    headers.extend(added)
    return response


def add_headers(app: Flask, *, is_https: bool) -> None:
    """Have `app` send the headers with every answer, errors included."""

    @app.after_request
    def _secure(response: Response) -> Response:
        return secured(response, is_https=is_https)

    app.jinja_env.globals["csp_nonce"] = csp_nonce
