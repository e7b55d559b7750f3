"""What every page is made with: the context of the request, template helpers, answers.

A view gets a `Context` and returns HTML or JSON. Whoever is not signed in is sent
to the sign-in page; a release published under a request's feet makes it run again.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from html import unescape
from pathlib import Path
from typing import Any, ParamSpec
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from flask import (
    Blueprint,
    Flask,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup, escape
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from core.clock import to_wire
from core.context import Context
from core.errors import GuanxiError, ReleaseChanged, Unauthenticated, told
from core.i18n import N_, pick, translate
from core.security.actors import context_for_request
from core.security.headers import request_id
from core.security.locales import request_locale
from core.web.display import STATUS_TONES, local_text
from core.web.navigation import Menu, menu
from core.web.permissions import permission_label

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"

log = logging.getLogger(__name__)

pages = Blueprint("gx", __name__)

P = ParamSpec("P")


def page(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Give `view` the request's context and answer what it raises as a page or as JSON."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        try:
            try:
                return view(_context(), *args, **kwargs)
            except ReleaseChanged:
                return view(_context(), *args, **kwargs)
        except Unauthenticated as error:
            if wants_json():
                return problem_answer(error)
            return redirect("/login/?next=" + quote(request.full_path.rstrip("?"), safe="/"))
        except GuanxiError as error:
            return problem_answer(error) if wants_json() else error_page(error)

    return answer


def _context() -> Context:
    """Return the request's context.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    ctx = context_for_request("form")
    g.gx_context = ctx
    if ctx.actor.id == "public":
        raise Unauthenticated
    return ctx


def locale() -> str:
    """Return the language of the page: the signed-in person's, else the request's."""
    ctx = g.get("gx_context")
    if ctx is not None:
        return str(ctx.locale)
    return request_locale()


def wants_json() -> bool:
    """Return whether a script of ours asked, which reads problems instead of pages."""
    return request.headers.get("Accept", "").startswith("application/json")


def problem_body(error: GuanxiError) -> dict[str, Any]:
    """Return an error in the shape that REST answers with, in the reader's language."""
    language = locale()
    return {
        "code": error.code,
        "message": told(error.text, language, readable(error.params)),
        "problems": [
            {
                "path": problem.path,
                "code": problem.code,
                "message": told(problem.text, language, readable(problem.params)),
                "params": dict(problem.params),
            }
            for problem in error.problems
        ],
        "hint": translate(error.hint, language) if error.hint else "",
        "request_id": request_id(),
    }


def readable(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a message with instants in the time of the page's zone."""
    zone = ZoneInfo(store_zone() or "UTC")
    return {
        name: local_text(value, zone)
        if isinstance(value, str) and _INSTANT.fullmatch(value)
        else value
        for name, value in params.items()
    }


#: An instant as states and answers hold it.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def problem_answer(error: GuanxiError, **more: Any) -> ResponseReturnValue:
    """Return an error as JSON with its own status."""
    return jsonify({**problem_body(error), **more}), error.status


def error_page(error: GuanxiError) -> ResponseReturnValue:
    """Return an error as a page in the product's look."""
    return status_page(error.status, problem_body(error))


_STATUS_TEXTS = {
    400: N_("The request could not be read."),
    401: N_("Please sign in."),
    403: N_("You have no right to do this."),
    404: N_("There is no such thing here."),
    405: N_("This cannot be done here."),
    413: N_("This is too large."),
    429: N_("Too many tries. Please wait a little."),
    503: N_("The database is busy. Please try again."),
}


def status_page(status: int, body: dict[str, Any] | None = None) -> ResponseReturnValue:
    """Return the error page for an HTTP status; `body` has the exact message if known."""
    if body is None:
        text = _STATUS_TEXTS.get(status, N_("Something went wrong."))
        body = {
            "message": translate(text, locale()),
            "problems": [],
            "hint": "",
            "request_id": request_id(),
        }
    return make_response(render_template("gx/error.html", status=status, error=body), status)


def back_or(path: str) -> str:
    """Return the local path in the form's `next`, else `path`; never another site's."""
    target = request.form.get("next") or request.args.get("next") or ""
    parts = urlsplit(target)
    is_local = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_local and not parts.netloc and not parts.scheme else path


def went(path: str) -> ResponseReturnValue:
    """Send the browser, or our script, to another page after a form was done."""
    return jsonify({"location": path}) if wants_json() else redirect(path, 303)


@lru_cache(maxsize=1)
def _icon_names(changed: int) -> frozenset[str]:
    """Return the names in the icon sprite, read again only when the file changes."""
    del changed
    text = (STATIC / "vendor" / "icons.svg").read_text(encoding="utf-8")
    return frozenset(re.findall(r'<symbol id="([^"]+)"', text))


@lru_cache(maxsize=64)
def _stamp(path: str, changed: int) -> str:
    """Return a short hash of a static file, read again only when the file changes."""
    del changed
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:10]


def _changed(path: str) -> int:
    """Return when a static file changed, 0 without it; the disk is asked once a request."""
    known: dict[str, int] = g.setdefault("gx_files", {})
    if path not in known:
        try:
            known[path] = (STATIC / path).stat().st_mtime_ns
        except OSError:
            known[path] = 0
    return known[path]


def asset(path: str) -> str:
    """Return the address of a static file that changes whenever the file does."""
    changed = _changed(path)
    return f"/static/{path}" + (f"?v={_stamp(path, changed)}" if changed else "")


def has_vendor() -> bool:
    """Return whether the front-end packages were copied; without them FAB's files serve."""
    return bool(_changed("vendor/tabler.min.css"))


def icon(name: str, css: str = "") -> Markup:
    """Return one drawing of the icon sprite; purely decorative, words stand beside it."""
    changed = _changed("vendor/icons.svg")
    return _icon(name, css, changed) if name and changed else Markup()


@lru_cache(maxsize=500)
def _icon(name: str, css: str, changed: int) -> Markup:
    if name not in _icon_names(changed):
        name = "folder"
    return Markup(
        '<svg class="gx-icon {css}" aria-hidden="true" focusable="false">'
        '<use href="{file}#{name}"></use></svg>'
    ).format(css=css, file=asset("vendor/icons.svg"), name=name)


def t(text: str, **params: Any) -> str:
    """Return `text` in the reader's language; parameters are escaped by the template."""
    return translate(text, locale(), **params)


def label(texts: Any, default: str = "") -> str:
    """Return a schema label in the reader's language."""
    return pick(texts, locale(), default)


def unstyled(html: Any) -> Markup:
    """Return a control of Flask-AppBuilder without its inline style, which the policy forbids."""
    return Markup(re.sub(r'\sstyle="[^"]*"', "", str(html)))  # noqa: S704  was markup before


def role_labels(roles: Any) -> str:
    """Return roles by the names that the schema gives them, in the reader's language."""
    ctx = g.get("gx_context")
    known = {role.name: role.label for role in ctx.registry.release.roles} if ctx else {}
    comma = "、" if locale() == "zh" else ", "
    return comma.join(pick(known.get(str(role)), locale(), str(role)) for role in roles or ())


def permission_labels(permissions: Any) -> list[str]:
    """Return rights of inherited pages as people read them, by place."""
    return sorted(permission_label(str(each), locale()) for each in permissions or ())


def named_choices(html: Any, field: str) -> Markup:
    """Return a control whose choices, if roles or rights, have the names that people know."""
    ctx = g.get("gx_context")
    if field not in {"roles", "permissions"} or ctx is None:
        return Markup(html)  # noqa: S704  was markup before
    known = {role.name: pick(role.label, locale()) for role in ctx.registry.release.roles}

    def named(found: re.Match[str]) -> str:
        name = unescape(found[1])
        label = known.get(name, name) if field == "roles" else permission_label(name, locale())
        return f">{escape(label)}</option>"

    return Markup(re.sub(r">([^<>]*)</option>", named, str(html)))  # noqa: S704  was markup


def multiline(text: Any) -> Markup:
    """Return text with its line ends as HTML line breaks."""
    return Markup("<br>").join(escape(line) for line in str(text).split("\n"))


#: Texts that scripts show; they are sent with each page in its language.
BROWSER_TEXTS = (
    N_("Chart: {label}. The table below says the same."),
    N_("Try again"),
    N_("This card could not be fetched."),
    N_("Conditions"),
    N_("As text"),
    N_("How they go together"),
    N_("All of these hold"),
    N_("Any of these holds"),
    N_("Add condition"),
    N_("Add group"),
    N_("is one of"),
    N_("is none of"),
    N_("includes"),
    N_("does not include"),
    N_("a person"),
    N_("a value"),
    N_("Compared with"),
    N_("me"),
    N_("today"),
    N_("The server cannot be reached."),
    N_("Bold"),
    N_("Italic"),
    N_("Underlined"),
    N_("Heading"),
    N_("Plain paragraph"),
    N_("Quotation"),
    N_("List"),
    N_("Numbered list"),
    N_("Remove formatting"),
    N_("Formatting"),
    N_("Searching …"),
    N_("Nothing found."),
    N_("The search failed. Please try again."),
    N_("Saving …"),
    N_("Saved."),
    N_("You have unsaved changes."),
    N_("Kept, not saved yet."),
    N_("No changes yet."),
    N_("The server cannot be reached. Nothing was saved; what you typed is still here."),
    N_("Something went wrong. Nothing was saved; what you typed is still here."),
    N_("Remove"),
    N_("Clear"),
    N_("This is required."),
    N_("no discount"),
    N_("{amount}% off"),
    N_("Row {number} removed."),
    N_("{count} rows pasted."),
    N_("Delete this record?"),
    N_("Cancel"),
    N_("Delete"),
    N_("Please write an opinion first."),
    N_("Approved."),
    N_("Rejected."),
    N_("{count} left"),
    N_("All clear"),
    N_("is"),
    N_("is not"),
    N_("contains"),
    N_("starts with"),
    N_("is empty"),
    N_("is not empty"),
    N_("at least"),
    N_("at most"),
    N_("more than"),
    N_("less than"),
    N_("Value"),
    N_("Yes"),
    N_("No"),
    N_("Remove condition"),
    N_("Field"),
    N_("Condition"),
    N_("theirs"),
    N_("yours"),
    N_("Take theirs"),
    N_("Keep mine"),
    N_("Loading …"),
    N_("Reading the file …"),
    N_("Withdraw this document?"),
    N_("Withdraw"),
    N_("Why?"),
    N_("Please go on"),
    N_("{done} of {total}"),
    N_("This cannot be loaded now. Please try again."),
    N_("Retry"),
    N_("At most {max} rows."),
    N_("Hidden because of other values."),
    N_("Are you sure?"),
    N_("Type to search"),
    N_("{name} is there."),
    N_("{name} was not uploaded: {reason}"),
    N_("{name} was removed."),
    N_("At most {limit} fit here."),
    N_("At most {max} files."),
    N_("This takes {accept}."),
    N_("Please wait until the files are uploaded."),
    N_("Sign here"),
    N_("Draw with a finger, pen or mouse, or type your name."),
    N_("Your name"),
    N_("Use this signature"),
    N_("Cancel the upload"),
    N_("is one of"),
    N_("is none of"),
    N_("Add condition"),
    N_("Add group"),
    N_("Build condition"),
    N_("Apply"),
    N_("falls on"),
    N_("same month as"),
    N_("same day of the month as"),
    N_("As an expression"),
    N_("several, with commas"),
    N_("on a day"),
    N_("days ago"),
    N_("No rows."),
    N_("Why? Row {number}"),
    N_("days from now"),
    N_("Days"),
    N_("today"),
    N_("now"),
    N_("Delete this view?"),
    N_("Save"),
    N_("all that match"),
    N_("{count} picked"),
    N_("Pick two records or more."),
    N_("There are records that look like this one:"),
    N_("Choose a field"),
    N_("Try it first"),
    N_("Change all that match"),
    N_("Change {count} records"),
    N_("Moved to {name}."),
    N_("Shown when"),
    N_("Required when"),
    N_("Locked when"),
    N_("Always"),
    N_("“{option}” can be chosen when"),
    N_("Only {options} when"),
    N_("decided when it is saved"),
    N_("holds now"),
    N_("does not hold now"),
    N_("rule {name}"),
    N_("stage"),
    N_("Hidden fields: {count}"),
    N_("(empty)"),
)


def browser_texts() -> dict[str, str]:
    """Return source text -> text in the reader's language, for scripts."""
    return _browser_texts(locale())


@lru_cache(maxsize=8)
def _browser_texts(language: str) -> dict[str, str]:
    return {text: translate(text, language) for text in BROWSER_TEXTS}


def csrf_field() -> Markup:
    """Return the hidden input that every form of ours carries."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def when(value: Any, zone: Any = None) -> Markup:
    """Return an instant (aware, or its wire text) as local time in a `time` element."""
    if not value:
        return Markup()
    text = value if isinstance(value, str) else to_wire(value)
    ctx = g.get("gx_context")
    shown = local_text(text, zone or (ctx.time_zone if ctx else None))
    return Markup('<time datetime="{}">{}</time>').format(text, escape(shown))


def store_zone() -> str:
    """Return the name of the zone that the page's times are shown and typed in."""
    ctx = g.get("gx_context")
    return ctx.time_zone.key if ctx else ""


def install_helpers(app: Flask) -> None:
    """Give every template, ours and Flask-AppBuilder's, our helpers."""
    app.jinja_env.filters.update(
        multiline=multiline, named_choices=named_choices, unstyled=unstyled
    )
    app.jinja_env.globals.update(
        asset=asset,
        browser_texts=browser_texts,
        csrf_field=csrf_field,
        gx_menu=_menu,
        has_vendor=has_vendor,
        icon=icon,
        label=label,
        page_locale=locale,
        permission_labels=permission_labels,
        role_labels=role_labels,
        status_tones=STATUS_TONES,
        store_zone=store_zone,
        t=t,
        when=when,
    )


def _menu() -> Menu | None:
    """Return the navigation of the signed-in person, for templates of any origin.

    An error page is drawn with it too, so whatever keeps it from being made only leaves
    it out: a dead session, a bad page token, a database that cannot be reached.
    """
    try:
        ctx = g.get("gx_context")
        if ctx is None:
            ctx = g.gx_context = context_for_request("form")
        return None if ctx.actor.id == "public" else menu(ctx)
    except (GuanxiError, HTTPException, SQLAlchemyError) as error:
        log.info("a page is shown without its menu: %s", error)
        return None
