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
    "client_as", "database", "make_context", "publish", "services", "site", "site_schema",
]  # fmt: skip


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
def _storage(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    made = Storage(backend, tmp_path_factory.mktemp(f"database-{backend}"))
    yield made
    made.drop()


@pytest.fixture
def database(_storage: Storage) -> Iterator[Database]:
    """Yield a new, empty database."""
    _storage.clear()
    made = Database(_storage.text)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def _bootstrapped(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    made = Prepared(backend, tmp_path_factory.mktemp(f"tables-{backend}"), bootstrap)
    yield made
    made.drop()


@pytest.fixture
def bootstrapped(_bootstrapped: Prepared) -> Iterator[Database]:
    """Yield a database with the product's own tables, before the first release."""
    with _bootstrapped.fresh() as made:
        yield made


@pytest.fixture(scope="session")
def _site(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(backend, tmp_path_factory.mktemp(f"site-{backend}"))
    yield made
    made.drop()


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
