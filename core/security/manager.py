"""Flask-AppBuilder's security manager, made safe as shipped.

Sign-in is throttled across processes, sessions and tokens die with the password,
and passwords follow the rules at every door.
"""

from typing import Any

import sqlalchemy as sa
from flask import Flask, g, request, session
from flask_appbuilder.exceptions import PasswordComplexityValidationError
from flask_appbuilder.security.sqla import models
from flask_appbuilder.security.sqla.manager import SecurityManager
from flask_login import user_logged_in

from core.i18n import translate
from core.security.api import TokenApi
from core.security.locales import request_locale
from core.security.passwords import (
    MAX_LENGTH,
    MIN_LENGTH,
    check_password,
    hash_password,
    is_password,
    password_problem,
)
from core.security.services import services
from core.security.tokens import STAMP

#: Session key of the stamp that was current at sign-in.
SESSION_STAMP = "gx_stamp"

_MAX_NAME = 320
_users: sa.Table = models.User.__table__


class GuanxiSecurityManager(SecurityManager):
    """Users, roles and sign-in of Flask-AppBuilder under this product's rules."""

    security_api = TokenApi
    #: Draws its chart with a script from somebody else's server.
    userstatschartview = None

    def security_cleanup(self, baseviews: Any, menus: Any) -> None:
        """Do nothing: the original deletes every permission that no view class carries."""
        del baseviews, menus

    def create_login_manager(self, app: Flask) -> Any:
        """Return Flask-Login's manager, with the stamp put into each new session."""
        user_logged_in.connect(_stamp_session)  # `app` may be a proxy, which no signal names
        return super().create_login_manager(app)

    def load_user(self, pk: Any) -> Any:
        """Return the session's user, unless the password has changed since."""
        user = super().load_user(pk)
        if user is None or session.get(SESSION_STAMP) != _stamp(user):
            return None
        return user

    def load_user_jwt(self, _jwt_header: Any, jwt_data: Any) -> Any:
        """Return the token's user, unless the password has changed since."""
        user = self.get_user_by_id(int(jwt_data["sub"]))
        if user is None or not user.is_active or jwt_data.get(STAMP) != _stamp(user):
            return None
        g.user = user
        return user

    def auth_user_db(self, username: str | None, password: str | None) -> Any:
        """Return the user with this name, or e-mail, and password; None when there is none.

        Raises:
            RateLimited: too many tries failed lately.
        """
        username, password = username or "", password or ""
        # A half-open ORM transaction would hold the write lock that the throttle needs.
        self.session.rollback()
        throttle = services().throttle
        try_id = throttle.enter(username, request.remote_addr or "")
        found = _find(username)
        stored = found["password"] if found and found["active"] else None
        if not is_password(stored, password):
            return None
        throttle.forgive(username, try_id)
        user = self.get_user_by_id(found["id"]) if found else None
        if user is not None:
            self.update_user_auth_stat(user, success=True)
        return user

    def reset_password(self, userid: Any, password: str) -> None:
        """Store a new password; every session and token of the user is dead from then on."""
        user = self.get_user_by_id(userid)
        check_password(password, username=user.username)
        user.password = hash_password(password)
        self.update_user(user)


def check_form_password(password: str) -> None:
    """Refuse a weak password in Flask-AppBuilder's own forms.

    Raises:
        PasswordComplexityValidationError: with the rule that is broken, in the reader's language.
    """
    text = password_problem(password)
    if text:
        message = translate(text, request_locale(), min=MIN_LENGTH, max=MAX_LENGTH)
        raise PasswordComplexityValidationError(message)


def _stamp_session(_app: Flask, user: Any) -> None:
    session[SESSION_STAMP] = _stamp(user)


def _stamp(user: Any) -> str:
    return services().actors.stamp(str(user.id), user.password)


def _find(username: str) -> Any:
    """Return the row of the user called so; asked outside the ORM, which would stay open."""
    if not username or len(username) > _MAX_NAME or not username.isprintable():
        return None
    lowered = username.lower()
    with services().db.read() as connection:
        for column in (_users.c.username, _users.c.email):
            query = sa.select(_users).where(sa.func.lower(column) == lowered)
            rows = connection.execute(query).mappings().all()
            if len(rows) == 1:
                return rows[0]
    return None
