"""Session cookies: signed as Flask does it, without the work that API requests do not need."""

from typing import Any

from flask import Flask, Request
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
        if "HTTP_AUTHORIZATION" in request.environ:
            return SecureCookieSession()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Send the cookie when something in it changed."""
        if session.accessed or session.modified:
            super().save_session(app, session, response)
