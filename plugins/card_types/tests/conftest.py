"""A store and two members, for the tests of cards."""

import pytest


@pytest.fixture
def store(shipped):
    """Return the id of a store."""
    return shipped.create("Admin", "store", code="01", name="Riverside")["id"]


@pytest.fixture
def member(shipped):
    """Return the id of a member."""
    return shipped.create("clerk", "member", no="M1", name="Lin")["id"]


@pytest.fixture
def other(shipped):
    """Return the id of another member."""
    return shipped.create("clerk", "member", no="M2", name="Chen")["id"]
