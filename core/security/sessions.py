"""Session cookies: signed as Flask does it, without the work that API requests do not need."""

from typing import Any

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer


class QuietSessions(SecureCookieSessionInterface):
    """Flask's sessions; a request with a token has none, and the signer is made once."""

    _signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the one signer of this process."""
        if self._signer is None:
            self._signer = super().get_signing_serializer(app)
        return self._signer

    def open_session(self, app: Flask, request: Request) -> Any:
        """Return the request's session; empty where a token speaks for the caller."""
        if _has_token(request):
            return SecureCookieSession()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Send the cookie when something in it changed; never to who brought a token."""
        if (session.accessed or session.modified) and not _has_token(request):
            super().save_session(app, session, response)


def _has_token(incoming: Request) -> bool:
    return "HTTP_AUTHORIZATION" in incoming.environ
