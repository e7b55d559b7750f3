"""An installed site for tests: made once per database, put back before each test."""

import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from core.actor import SYSTEM, Actor
from core.cli.console import system_context
from core.cli.installation import Installation
from core.context import Context, Door
from core.migration.drafts import create_draft, publish_draft
from core.security.manager import SESSION_STAMP
from core.security.services import EXTENSION, Services
from core.settings import Settings
from core.testing.databases import Kept, Storage, close, release_file
from core.testing.processes import Program, guanxi

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import Cookie

    from core.tables.registry import Registry

#: Of every user of the test site.
PASSWORD = "horse-battery-staple"  # noqa: S105  nobody's but the tests'

#: Users of the test site -> their role; each role has one of its own name.
USERS: Mapping[str, str] = {
    "admin": "Admin",
    "configurator": "configurator",
    "clerk": "clerk",
    "clerk2": "clerk",
    "approver": "approver",
    "approver2": "approver",
    "cashier": "cashier",
    "auditor": "auditor",
}

_START_SECONDS = 60


class Site:
    """One database with the shipped schema and users, and the application on it."""

    def __init__(self, backend: str, folder: Path) -> None:
        """Install it; costs seconds, so do it once per session."""
        self.backend = backend
        self.folder = folder
        self._storage = Storage(backend, folder)
        self.settings = self._settings(self._storage)
        self._ids: dict[str, str] = {}
        installation = Installation(self.settings)
        installation.prepare()
        installation.publish_shipped()
        for name, role in USERS.items():
            installation.add_user(name, PASSWORD, roles=[role])
            self._ids[name] = installation.user_id(name)
        with installation.db.write() as connection:
            # A stored hash says itself how to check it; the product's is slow on purpose.
            quick = generate_password_hash(PASSWORD, "scrypt:1024:8:1")
            connection.execute(sa.text("UPDATE ab_user SET password = :quick"), {"quick": quick})
        release_file(installation.db)
        self._installed = self._storage.copy()
        # Published on top of the shipped schema -> the database as it was right after.
        self._kept: dict[tuple[str, ...], Kept] = {(): self._storage.keep()}
        # The same key -> the release of that database with the tables built from it, which
        # also keep SQLAlchemy's cache of compiled statements warm from one test to the next.
        self._built: dict[tuple[str, ...], Registry] = {}
        self.app: Flask = Installation(self.settings).app()
        self.app.testing = True
        self.services: Services = self.app.extensions[EXTENSION]

    def _settings(self, storage: Storage) -> Settings:
        return Settings.load(
            {"GUANXI_HOME": str(self.folder / "home"), "GUANXI_DATABASE_URL": storage.text}
        )

    def put_back(self, *texts: str) -> None:
        """Make the database what it was after the installation, with YAML texts published on top.

        The first call with `texts` publishes them, later ones only put back.
        """
        self.services.hooks.wait_for_notes()
        close(self.services.db)
        # What a test wrote into the site's own folder goes with it.
        shutil.rmtree(self.folder / "home" / "schemas", ignore_errors=True)
        kept = self._kept.get(texts)
        if kept is not None and self._storage.restore(kept):
            if texts not in self._built:
                self.services.forget()
                self._built[texts] = self.services.registries.current()
            self.services.forget(self._built[texts])
        elif texts:
            self.put_back()
            self.publish(*texts)
            release_file(self.services.db)
            self._kept[texts] = self._storage.keep()
        else:
            self._storage.become(self._installed)
            self._kept[texts] = self._storage.keep()
            self.services.forget()

    def lose_database(self) -> None:
        """Take the database away under the running application; `put_back` returns it."""
        self._storage.drop()

    def drop(self) -> None:
        """Remove the databases."""
        close(self.services.db)
        for storage in (self._storage, self._installed, *self._kept.values()):
            if isinstance(storage, Storage):
                storage.drop()

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of a process that works on this site."""
        return {
            **os.environ,
            "GUANXI_HOME": str(self.settings.home),
            "GUANXI_DATABASE_URL": self.database_url,
        }

    @property
    def database_url(self) -> str:
        """Return the URL of the database that tests work on."""
        return self._storage.text

    def actor(self, name: str) -> Actor:
        """Return the user called `name`, or the system."""
        if name == "system":
            return SYSTEM
        rights = self.services.registries.current().revision.rights
        found = self.services.actors.find(self._ids[_user_of(name)], rights)
        if found is None:
            msg = f"{name} is not active"
            raise LookupError(msg)
        return found

    def context(self, name: str = "admin", *, door: Door = "api", locale: str = "en") -> Context:
        """Return a context in which the user or role `name` acts."""
        ctx = system_context(self.services, self.actor(name))
        ctx.door, ctx.locale = door, locale
        return ctx

    def client(self, name: str | None = None) -> FlaskClient:
        """Return a new HTTP client that sends the token of `name`, or none."""
        client = self.app.test_client()
        if name is not None:
            actor = self.actor(name)
            token = self.services.tokens.issue(actor.id, actor.stamp)
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    def browser(self, name: str) -> FlaskClient:
        """Return a new HTTP client that carries the session cookie of `name`."""
        client = self.app.test_client()
        actor = self.actor(name)
        with client.session_transaction() as session:
            session["_user_id"] = actor.id
            session["_fresh"] = True
            session[SESSION_STAMP] = actor.stamp
        return client

    def session_cookie(self, name: str) -> "Cookie":
        """Return the cookie of a session of `name`, for a browser in front of this site."""
        cookie = self.browser(name).get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        assert cookie is not None
        return cookie

    def publish(self, *texts: str, note: str = "test") -> int:
        """Publish YAML on top of the release in force; return the new release's number."""
        author = system_context(self.services)
        return publish_draft(author, create_draft(author, yaml="\n---\n".join(texts)), note)

    @contextmanager
    def served(self, *, workers: int = 1, **environ: str) -> Iterator[str]:
        """Yield the address of a real server process on this database."""
        port = free_port()
        arguments = ("serve", "--port", str(port), "--workers", str(workers))
        environment = {**self.environ, **environ}
        with Program(guanxi, *arguments, environ=environment, streams=(None, 1, 2)):
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"


def _user_of(name: str) -> str:
    return name if name in USERS else next(user for user, role in USERS.items() if role == name)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(address: str) -> None:
    """Return when the server at `address` says that it is ready; raises TimeoutError."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310  our own
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    msg = f"{address} did not get ready"
    raise TimeoutError(msg)
