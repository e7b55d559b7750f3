"""Wiring: the one place where the parts become a server."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Request, Response, g, redirect, request
from flask.json.provider import JSONProvider
from flask_appbuilder import AppBuilder
from flask_appbuilder.const import AUTH_DB
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from core.automation import registering, taskmail
from core.clock import Clock
from core.errors import Internal, TooLarge, Unauthenticated
from core.extension.discovery import Plugin, load_hooks
from core.extension.hooks import Hooks
from core.files.store import FileStore
from core.i18n import LOCALES
from core.jobs import plugin_events
from core.jobs.handlers import HANDLERS
from core.keys import KeyRing
from core.ledger import expiry
from core.ledger import guard as ledger_guard
from core.records import edits, uploads
from core.records.people import PEOPLE
from core.rest import errors, exchange, routes
from core.rest.errors import ShapedResponse, error_of_status, error_response
from core.rest.openapi import OpenApiView
from core.rest.system import system
from core.schema.flowtesting import run_tests_with
from core.security.headers import add_headers
from core.security.locales import request_locale
from core.security.manager import GuanxiSecurityManager, check_form_password
from core.security.orm import SharedSQLA
from core.security.people import UserDirectory
from core.security.reauthentication import PasswordDesk
from core.security.services import EXTENSION, Services
from core.security.sessions import QuietSessions
from core.security.staffing import load_staff
from core.security.tokens import ACCESS_LIFETIME, ALGORITHM, REFRESH_LIFETIME, signing_key
from core.security.users import active_user
from core.settings import MAX_BODY, Settings
from core.till import guard as till_guard
from core.web.page import error_page
from core.web.pages import install
from core.workflow import guard
from core.workflow.desks import vacancies
from core.workflow.evidence import rootfiles
from core.workflow.evidence.signing import DESK
from core.workflow.queue import bulk, holding, notices
from core.workflow.rehearsal.tests import run_tests
from core.workflow.staff.people import STAFF
from core.workflow.timing import sweeping

log = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web"

#: Paths whose every answer is data; the rest are pages.
DATA_PATHS = ("/api/", "/healthz", "/readyz", "/metrics")

_SESSION = timedelta(hours=12)


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    hooks: Hooks | None = None,
    prepare: bool = False,
) -> Flask:
    """Return the application for one installation.

    Args:
        settings: what the environment says.
        clock: the time; tests set it.
        hooks: the plugins' hooks, if they were loaded already.
        prepare: write Flask-AppBuilder's tables, roles and permissions; for `init` only,
            since processes that do so at once collide.
    """
    app = _Application(
        "guanxi",
        root_path=str(WEB.parent),
        static_folder=str(WEB / "static"),
        template_folder=str(WEB / "templates"),
        instance_path=str(settings.home),
    )
    services = Services.build(settings, hooks or load_product(settings)[0], clock)
    app.extensions[EXTENSION] = services
    app.config.update(_config(settings, services, prepare=prepare))
    app.session_interface = QuietSessions()
    app.json = _Json(app)
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    add_headers(app, is_https=settings.is_production)
    csrf = CSRFProtect(app)
    orm = SharedSQLA(services.db)
    orm.init_app(app)
    with app.app_context():
        builder = _Builder(
            app, orm.session, security_manager_class=GuanxiSecurityManager, update_perms=prepare
        )
        _add_edges(app, builder, csrf)
    app.extensions["babel"].locale_selector = request_locale
    _add_errors(app)
    return app


def load_product(settings: Settings) -> tuple[Hooks, list[Plugin]]:
    """Return the hooks of core's own parts and of every plugin, and the plugins found."""
    hooks, plugins = load_hooks(settings.plugins)
    hooks.keys = KeyRing(settings.secret_key, settings.former_keys)
    guard.register(hooks)
    till_guard.register(hooks)
    ledger_guard.register(hooks)
    uploads.register(FileStore(settings.files))
    if not _registered:
        # Handlers and the directory are of the process, not of one application.
        notices.register()
        vacancies.register()
        rootfiles.register(HANDLERS, settings.home / "roots")
        plugin_events.register()
        registering.register()
        taskmail.register(settings)
        bulk.register()
        holding.register()
        sweeping.register()
        expiry.register()
        STAFF.register(load_staff)
        run_tests_with(run_tests)
        edits.register(active_user)
        PEOPLE.register(UserDirectory())
        DESK.register(PasswordDesk())
        _registered.append(True)
    return hooks, plugins


_registered: list[bool] = []


class _Request(Request):
    """A request whose body is read whole or refused, also when it comes without its length."""

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return the body.

        Raises:
            TooLarge: it is over the bound; the library would give what is within it.
        """
        data = super().get_data(*args, **kwargs)
        if self.content_length is None and len(data) >= MAX_BODY:
            raise TooLarge
        return data


class _Application(Flask):
    """Flask whose views are plain functions, all of them."""

    request_class = _Request

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`; there is no coroutine to look for before every call."""
        return func


class _Builder(AppBuilder):
    """Flask-AppBuilder without its start page, which is ours, and with our OpenAPI."""

    def _add_admin_views(self) -> None:
        super()._add_admin_views()
        self.add_api(OpenApiView)


class _Json(JSONProvider):
    """Flask's own JSON answers through the encoder that everything else uses."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text."""
        del kwargs
        return msgspec.json.encode(obj, enc_hook=str).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return strict JSON as Python values."""
        del kwargs
        return exchange.read_json(s.encode() if isinstance(s, str) else s)


def _config(settings: Settings, services: Services, *, prepare: bool) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        "SECRET_KEY": settings.secret_key,
        "MAX_CONTENT_LENGTH": MAX_BODY,
        "MAX_FORM_MEMORY_SIZE": MAX_BODY,
        "PERMANENT_SESSION_LIFETIME": _SESSION,
        "SESSION_COOKIE_NAME": "gx_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.is_production,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SECURE": settings.is_production,
        "WTF_CSRF_TIME_LIMIT": None,
        "SQLALCHEMY_DATABASE_URI": services.db.url,
        "JWT_SECRET_KEY": signing_key(settings.secret_key),
        "JWT_ALGORITHM": ALGORITHM,
        "JWT_ACCESS_TOKEN_EXPIRES": ACCESS_LIFETIME,
        "JWT_REFRESH_TOKEN_EXPIRES": REFRESH_LIFETIME,
        "RATELIMIT_ENABLED": False,  # sign-in is throttled in the database instead
        "AUTH_TYPE": AUTH_DB,
        "AUTH_USER_REGISTRATION": False,
        "APP_NAME": "Guanxi",
        "BABEL_DEFAULT_LOCALE": settings.locale or "en",
        "BABEL_DEFAULT_TIMEZONE": str(settings.time_zone),
        "LANGUAGES": {
            name: {"flag": flag, "name": title}
            for name, flag, title in (("zh", "cn", "中文"), ("en", "gb", "English"))
            if name in LOCALES
        },
        "FAB_CREATE_DB": prepare,
        "FAB_UPDATE_PERMS": prepare,
        "FAB_ADD_SECURITY_API": False,
        "FAB_ADD_MENU_API": False,
        "FAB_API_SHOW_STACKTRACE": False,
        "FAB_PASSWORD_COMPLEXITY_ENABLED": True,
        "FAB_PASSWORD_COMPLEXITY_VALIDATOR": check_form_password,
    }
    if (WEB / "templates" / "gx" / "base.html").is_file():
        config["FAB_BASE_TEMPLATE"] = "gx/base.html"
    if settings.base_url:
        config["FAB_SAFE_REDIRECT_HOSTS"] = [urlsplit(settings.base_url).netloc]
    return config


def _add_edges(app: Flask, builder: AppBuilder, csrf: CSRFProtect) -> None:
    app.register_blueprint(routes.rest)
    app.register_blueprint(system)
    # Not unguarded: `core.security.actors` asks for the token wherever a cookie speaks.
    csrf.exempt(routes.rest)
    for view in builder.baseviews:
        if getattr(view, "csrf_exempt", False):
            csrf.exempt(view.blueprint)
    install(app)


def is_data_path(path: str) -> bool:
    """Return whether answers at `path` are JSON, errors included."""
    return path.startswith(DATA_PATHS)


def _add_errors(app: Flask) -> None:
    @app.errorhandler(Exception)
    def _failed(error: Exception) -> Any:
        if is_data_path(request.path) or _wants_json():
            return error_response(error)
        return _page_for(error)

    @app.after_request
    def _shape(response: Response) -> Response:
        # Answers that Flask-AppBuilder or its JWT library made on their own.
        if (
            response.status_code >= 400  # noqa: PLR2004  HTTP
            and not isinstance(response, ShapedResponse)
            and is_data_path(request.path)
            and not g.get("gx_shaped")
        ):
            return error_response(error_of_status(response.status_code))
        return response


def _wants_json() -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def _page_for(error: Exception) -> Any:
    known = errors.known_error(error)
    if isinstance(known, Unauthenticated):
        return redirect("/login/")
    if isinstance(known, Internal):
        log.error("request failed", exc_info=error)
    page: Any = error_page(known)
    return page
