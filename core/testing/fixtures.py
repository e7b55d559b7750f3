"""Fixtures for tests of the product and of plugins; a `conftest.py` imports them all.

    from core.testing.fixtures import *  # noqa: F403

Each runs on SQLite and on PostgreSQL (`GUANXI_TEST_POSTGRES`, else the `pgserver`
wheel). `database` is a new, empty database per test, `bootstrapped` one with the product's
own tables. `site` is an installed one with users, put back to its first state before each
test; the others are views of it:

    def test_a_clerk_reads_members(client_as):
        assert client_as("clerk").get("/api/v1/records/member").status_code == 200

Override `site_schema` in a module whose every test needs the same YAML published; that is
done once then.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.context import Context
from core.db import Database
from core.migration.run import bootstrap
from core.security.services import Services
from core.testing import compiled  # noqa: F401  what applications compile is kept
from core.testing.browser import chromium
from core.testing.databases import BACKENDS, Prepared, Storage
from core.testing.site import Site

__all__ = [
    "_bootstrapped", "_push_request_context", "_site", "_storage", "app", "backend",
    "bootstrapped", "browser_as", "chromium",
    "client_as", "database", "made_once", "make_context", "publish", "services",
    "site", "site_schema",
]  # fmt: skip

_MADE = pytest.StashKey[dict[str, Any]]()


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Stand in for pytest-flask's fixture of this name, which would share one login.

    That one keeps a request context open for a whole test, so a client that never
    signed in would inherit the user of another.
    """


@pytest.fixture(params=BACKENDS, scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """Each of the databases that everything must run on."""
    return str(request.param)


@pytest.fixture(scope="session")
def made_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Return a function that makes what has a name at its first call, of a folder of its own.

    What it made is dropped when the run ends. A fixture of the session that has a parameter
    would be made anew whenever a test on the one database follows one on the other, and again
    in every folder whose `conftest.py` imports it.
    """
    made = request.config.stash.setdefault(_MADE, {})

    def make(name: str, how: Callable[[Path], Any]) -> Any:
        if name not in made:
            made[name] = how(tmp_path_factory.mktemp(name))
            request.config.add_cleanup(made[name].drop)
        return made[name]

    return make


@pytest.fixture(scope="session")
def _storage(backend: str, made_once: Callable[..., Storage]) -> Storage:
    return made_once(f"database-{backend}", partial(Storage, backend))


@pytest.fixture
def database(_storage: Storage) -> Iterator[Database]:
    """Yield a new, empty database."""
    _storage.clear()
    made = Database(_storage.text)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def _bootstrapped(backend: str, made_once: Callable[..., Prepared]) -> Prepared:
    return made_once(f"tables-{backend}", partial(Prepared, backend, prepare=bootstrap))


@pytest.fixture
def bootstrapped(_bootstrapped: Prepared) -> Iterator[Database]:
    """Yield a database with the product's own tables, before the first release."""
    with _bootstrapped.fresh() as made:
        yield made


@pytest.fixture(scope="session")
def _site(backend: str, made_once: Callable[..., Site]) -> Site:
    return made_once(f"site-{backend}", partial(Site, backend))


@pytest.fixture
def site_schema() -> tuple[str, ...]:
    """Return the YAML texts that `site` has on top of the shipped schema: none."""
    return ()


@pytest.fixture
def site(_site: Site, site_schema: tuple[str, ...]) -> Site:
    """Return the installed site in its first state."""
    _site.put_back(*site_schema)
    return _site


@pytest.fixture
def app(site: Site) -> Flask:
    """Return the application of the installed site."""
    return site.app


@pytest.fixture
def services(site: Site) -> Services:
    """Return the long-lived parts of the installed site."""
    return site.services


@pytest.fixture
def client_as(site: Site) -> Callable[..., FlaskClient]:
    """Return a function that makes an HTTP client of a role or user, with a token."""
    return site.client


@pytest.fixture
def browser_as(site: Site) -> Callable[[str], FlaskClient]:
    """Return a function that makes an HTTP client of a role or user, with a session cookie."""
    return site.browser


@pytest.fixture
def make_context(site: Site) -> Callable[..., Context]:
    """Return a function that makes a context in which a role or user acts."""

    def make(role: str = "admin", **rest: Any) -> Context:
        return site.context(role, **rest)

    return make


@pytest.fixture
def publish(site: Site) -> Callable[..., int]:
    """Return a function that publishes YAML texts on top of the release in force."""
    return site.publish
