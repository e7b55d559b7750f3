"""What the environment says: where data lives, how the product runs.

Read once at start. Whatever a business user may change lives in the database
instead, and no environment variable overrides it.
"""

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from core.errors import ConfigurationError, Problem
from core.i18n import LOCALES, N_

#: The checkout or installation that this code is part of.
ROOT = Path(__file__).resolve().parent.parent

#: Bytes of a request's body that are read at all.
MAX_BODY = 16 * 1024 * 1024

_SECRET_FILE = "secret-key"  # noqa: S105  the name of a file
_MIN_SECRET = 32
_MIN_DISTINCT = 10
_KNOWN_SECRETS = ("secret", "changeme", "change me", "thisismyscretkey", "dev", "test", "guanxi")
_TRUE = {"1", "true", "yes", "on"}
_BACKENDS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Mail:
    """The mail server that e-mails go to.

    Attributes:
        security: `none`, `starttls` or `tls` (from the first byte).
        sender: the address that mails come from, with or without a name.
    """

    host: str
    port: int
    sender: str
    security: str = "none"
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment decides.

    Attributes:
        home: the instance folder: database, secret key, uploads, site schema.
        database_url: SQLite or PostgreSQL.
        secret_key: signs sessions and tokens; keys of plugins are derived from it.
        former_keys: secret keys of before, by which cards and codes made then are still known.
        is_production: refuses weak settings and sends cookies over HTTPS only.
        time_zone: the store day's zone where no store is linked.
        locale: the language of people who chose none; empty follows the browser.
        proxies: how many reverse proxies in front may be believed about the client's address.
        base_url: what absolute links start with; empty makes relative links only.
        schemas: the folder of the base schema.
        plugins: the folder that plugins are discovered in.
        mail: the mail server; None sends no e-mail.
        webhook_hosts: hosts inside one's own network that webhooks may call.
    """

    home: Path
    database_url: str
    secret_key: str = field(repr=False)
    is_production: bool = False
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    locale: str = ""
    proxies: int = 0
    base_url: str = ""
    schemas: Path = ROOT / "schemas"
    plugins: Path = ROOT / "plugins"
    mail: Mail | None = None
    webhook_hosts: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def files(self) -> Path:
        """Return the folder that uploaded files lie in."""
        return self.home / "files"

    @property
    def site_locale(self) -> str:
        """Return the language of what no browser asks for, such as e-mails."""
        return self.locale or "zh"

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings that `environ` gives, making the instance folder and its key.

        Raises:
            ConfigurationError: with one problem per variable that is not right.
        """
        problems: list[Problem] = []
        home = Path(environ.get("GUANXI_HOME") or ROOT / "instance").absolute()
        mode = environ.get("GUANXI_ENV") or "development"
        if mode not in {"development", "production"}:
            problems.append(
                _problem("GUANXI_ENV", N_("must be development or production, not {value}"), mode)
            )
        is_production = mode == "production"
        if is_production:
            problems += _production_problems(environ)
        locale = environ.get("GUANXI_LOCALE") or ""
        if locale and locale not in LOCALES:
            problems.append(
                _problem("GUANXI_LOCALE", N_("{value} is not a language here"), locale)
            )
        settings = {
            "time_zone": _time_zone(environ.get("GUANXI_TIMEZONE") or "Asia/Shanghai", problems),
            "proxies": _proxies(environ.get("GUANXI_PROXIES") or "0", problems),
            "mail": _mail(environ, problems),
            "database_url": _database_url(environ.get("GUANXI_DATABASE_URL"), home, problems),
        }
        if problems:
            raise ConfigurationError(N_("The environment is not right."), problems=problems)
        make_private_folder(home)
        return cls(
            home=home,
            secret_key=environ.get("GUANXI_SECRET_KEY") or kept_secret(home),
            is_production=is_production,
            locale=locale,
            former_keys=_listed(environ.get("GUANXI_FORMER_KEYS")),
            webhook_hosts=_listed((environ.get("GUANXI_WEBHOOK_HOSTS") or "").lower()),
            base_url=(environ.get("GUANXI_BASE_URL") or "").rstrip("/"),
            **settings,  # type: ignore[arg-type]  # each value was checked above
        )


def make_private_folder(folder: Path) -> None:
    """Make `folder` if it is not there, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_private_file(path: Path, text: str) -> bool:
    """Write `text` to a new file that only its owner reads; return False if it exists.

    The file appears complete or not at all, also when two processes try at once.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def kept_secret(home: Path) -> str:
    """Return the key kept in the instance folder, making it the first time."""
    path = home / _SECRET_FILE
    if not path.exists():
        write_private_file(path, secrets.token_urlsafe(48))
    if path.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):  # somebody else's file: readable is enough
            path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


def is_weak_secret(key: str) -> bool:
    """Return whether `key` is short, monotonous or one of the keys everybody knows."""
    lowered = key.lower()
    return (
        len(key) < _MIN_SECRET
        or len(set(key)) < _MIN_DISTINCT
        or any(known * 2 in lowered or lowered == known for known in _KNOWN_SECRETS)
    )


def _listed(text: str | None) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(one.strip() for one in (text or "").split(",") if one.strip())


def _problem(variable: str, text: str, value: str) -> Problem:
    return Problem(path=variable, code="settings.invalid", text=text, params={"value": value})


def _production_problems(environ: Mapping[str, str]) -> list[Problem]:
    problems = []
    key = environ.get("GUANXI_SECRET_KEY")
    if key and is_weak_secret(key):
        problems.append(
            Problem(
                path="GUANXI_SECRET_KEY",
                code="settings.weak_secret",
                text=N_("is too weak for production: use 32 or more random characters"),
            )
        )
    problems += [
        Problem(
            path=name, code="settings.debug", text=N_("debug mode is not allowed in production")
        )
        for name in ("FLASK_DEBUG", "GUANXI_DEBUG")
        if (environ.get(name) or "").lower() in _TRUE
    ]
    return problems


def _time_zone(name: str, problems: list[Problem]) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(_problem("GUANXI_TIMEZONE", N_("{value} is not a time zone"), name))
        return ZoneInfo("UTC")


def _proxies(text: str, problems: list[Problem]) -> int:
    if text.isdecimal() and len(text) == 1:
        return int(text)
    problems.append(_problem("GUANXI_PROXIES", N_("{value} is not a number from 0 to 9"), text))
    return 0


#: Scheme of the mail server's address -> how it is secured, and its usual port.
_MAIL_SCHEMES = {"smtp": ("none", 25), "smtp+starttls": ("starttls", 587), "smtps": ("tls", 465)}


def _mail(environ: Mapping[str, str], problems: list[Problem]) -> Mail | None:
    """Return the mail server that `GUANXI_SMTP_URL` and `GUANXI_SMTP_FROM` name."""
    text, sender = environ.get("GUANXI_SMTP_URL"), environ.get("GUANXI_SMTP_FROM") or ""
    if not text:
        return None
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in _MAIL_SCHEMES or not host:
        said = N_("must be an address such as smtp+starttls://user:password@mail.example.com")
        problems.append(Problem("GUANXI_SMTP_URL", "settings.invalid", said))
        return None
    address = parseaddr(sender)[1]
    if address.count("@") != 1 or not all(address.split("@")) or not address.isascii():
        said = N_("must be the address that e-mails come from")
        problems.append(Problem("GUANXI_SMTP_FROM", "settings.invalid", said))
        return None
    security, usual = _MAIL_SCHEMES[scheme]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Mail(host, port or usual, sender, security, user, password)


def _database_url(text: str | None, home: Path, problems: list[Problem]) -> str:
    if not text:
        return f"sqlite:///{home / 'guanxi.db'}"
    try:
        backend = sa.make_url(text).get_backend_name()
    except sa.exc.ArgumentError:
        backend = ""
    if backend not in _BACKENDS:
        problems.append(
            Problem(
                path="GUANXI_DATABASE_URL",
                code="settings.invalid",
                text=N_("must be a sqlite:/// or postgresql:// URL"),
            )
        )
    return text
