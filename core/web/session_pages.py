"""The language switch and signing out; signing in is Flask-AppBuilder's with our template."""

from flask import redirect, request, session
from flask.typing import ResponseReturnValue
from flask_login import logout_user

from core.i18n import LOCALES
from core.web.page import back_or, pages


@pages.post("/locale")
def set_locale() -> ResponseReturnValue:
    """Keep the language chosen and go back to where it was chosen."""
    chosen = request.form.get("locale", "")
    if chosen in LOCALES:
        session["locale"] = chosen
    return redirect(back_or("/"))


def keep_session() -> ResponseReturnValue:
    """Go to the start page, where the button to sign out is; a link never ends a session."""
    return redirect("/")


@pages.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session, keeping the language."""
    chosen = session.get("locale")
    logout_user()
    session.clear()
    if chosen:
        session["locale"] = chosen
    return redirect("/login/")
