"""A database for the tests of the outbox, with a table for the effects of its events."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from core.db import Database
from core.migration.run import bootstrap
from core.testing.databases import Prepared
from tests.integration.worker_process import own


@pytest.fixture(scope="session")
def jobs_database(backend: str, made_once: Callable[..., Prepared]) -> Prepared:
    return made_once(f"jobs-{backend}", partial(Prepared, backend, prepare=_prepare))


@pytest.fixture
def db(jobs_database: Prepared) -> Iterator[Database]:
    """Yield a database with the product's own tables and that of effects."""
    with jobs_database.fresh() as made:
        yield made


def _prepare(db: Database) -> None:
    bootstrap(db)
    own.create_all(db.engine)
