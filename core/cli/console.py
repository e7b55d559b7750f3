"""What all commands share: how they reach the product and how they say no."""

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from core.actor import SYSTEM, Actor
from core.context import Context
from core.errors import GuanxiError
from core.i18n import LOCALES, translate
from core.security.services import Services
from core.settings import Settings

#: What every command says where `guanxi init` was never called.
NOT_INSTALLED = "Nothing is installed here yet: run `guanxi init` first."

#: PostgreSQL's word for a table that is not there.
_NO_TABLE = "42P01"


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let `command` end with status 1 and a clear text on standard error when it is refused."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except GuanxiError as error:
            raise Refusal(said(error)) from error
        except DBAPIError as error:
            raise Refusal(_database_text(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # who reads has read enough; that is for click
            place = f"{error.filename}: " if error.filename else ""
            raise Refusal(f"{place}{error.strerror or error}") from error

    return run


def _database_text(error: DBAPIError) -> str:
    """Return on one line what is wrong with the database."""
    text = str(error.orig)
    if "no such table" in text or getattr(error.orig, "sqlstate", "") == _NO_TABLE:
        return NOT_INSTALLED
    return f"The database cannot be used: {' '.join(text.split())}"


class Refusal(click.ClickException):
    """A refusal as a person reads it; exit status 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print it to standard error."""
        click.echo(self.message, file=file or sys.stderr)


def console_locale() -> str:
    """Return the language of the terminal."""
    for name in ("GUANXI_LOCALE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return value[:2] if value[:2] in LOCALES else "en"
    return "en"


def said(error: GuanxiError) -> str:
    """Return an error with its problems, in the terminal's language."""
    locale = console_locale()
    lines = [translate(error.text, locale, **error.params)]
    for problem in error.problems:
        place = f"{problem.file}:{problem.line}:{problem.column}: " if problem.file else ""
        where = f"{problem.path}: " if problem.path else ""
        lines.append(f"{place}{where}{translate(problem.text, locale, **dict(problem.params))}")
    return "\n".join(lines)


def open_app() -> Any:
    """Return the application of this installation."""
    from core.app import create_app  # noqa: PLC0415  slow

    return create_app(Settings.load())


def open_services() -> Services:
    """Return the services of this installation, without a web server around them."""
    from core.app import load_product  # noqa: PLC0415  slow

    settings = Settings.load()
    hooks, _plugins = load_product(settings)
    return Services.build(settings, hooks)


def system_context(services: Services, actor: Actor = SYSTEM) -> Context:
    """Return a context that acts for the product itself, on the release in force."""
    return Context.of(
        services,
        actor,
        door="cli",
        locale=console_locale(),
        time_zone=services.settings.time_zone,
    )
