"""Fixtures that several files of these tests share."""

from tests.integration.flow_world import flow_database, world  # noqa: F401  fixtures
from tests.integration.records_world import shop_database  # noqa: F401  a fixture
