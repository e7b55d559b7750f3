"""Policies for people at places: positions, and stores as a tree."""

import pytest

from core.actor import Actor
from core.errors import NotFound
from core.records.environment import RecordEnv
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import Query, get_record, list_wire
from core.security.places import Holding, hold, places_of, release
from core.security.stores import assign_stores
from tests.integration.records_world import world  # noqa: F401  a fixture

LIN = "7"


def context(world, *roles, user=LIN):
    """Return a context of somebody as the security layer makes them."""
    registry = world.registries.current()
    with world.db.read() as connection:
        places = places_of(connection, registry, user)
    ctx = world.context("clerk", user=user)
    ctx.actor = Actor(user, "Lin", frozenset(roles), places=places)
    return ctx


@pytest.fixture
def stores(world):
    """Return the ids of a region with a shop and a kiosk in it, and of a shop elsewhere."""
    made, clerk = {}, world.context("clerk")
    for code, parent in (("R", ""), ("RA", "R"), ("RAA", "RA"), ("S", "")):
        values = {"code": code, "parent": made.get(parent)}
        made[code] = create_record(clerk, "store", values)["id"]
    for number, code in enumerate(made, start=1):
        create_record(clerk, "visit", {"title": f"V{number}", "store": made[code]})
    create_record(clerk, "visit", {"title": "V9"})
    return made


def titles(ctx):
    items = list_wire(ctx, "visit", Query(sort=("title",), count="exact"))
    assert items.count == len(items.items)
    return [one["title"] for one in items.items]


def held(world, *holdings, stores=()):
    with world.db.write() as connection:
        assign_stores(connection, LIN, stores)
        for position, place_type, place in holdings:
            hold(connection, Holding(LIN, place_type, place, position))


def test_own_reaches_the_stores_one_works_for(world, stores):
    held(world, stores=[stores["RA"]])
    assert titles(context(world, "local")) == ["V2"]
    assert titles(context(world, "local", user="8")) == []


def test_own_and_below_reaches_down_the_tree(world, stores):
    held(world, stores=[stores["RA"]])
    assert titles(context(world, "mixed")) == ["V2", "V3"]
    held(world, stores=[stores["R"], stores["S"]])
    assert titles(context(world, "mixed")) == ["V1", "V2", "V3", "V4"]


def test_a_position_counts_where_it_is_held(world, stores):
    held(world, ("head", "store", stores["RA"]), ("guard", "store", stores["S"]))
    assert titles(context(world)) == ["V2", "V3"]
    seen = get_record(context(world), "visit", _id(world, "V2"))
    assert seen["title"] == "V2"
    with pytest.raises(NotFound):
        get_record(context(world), "visit", _id(world, "V4"))
    with world.db.write() as connection:
        release(connection, Holding(LIN, "store", stores["RA"], "head"))
    with pytest.raises(NotFound):
        get_record(context(world, "local"), "visit", _id(world, "V2"))


def test_moving_a_store_is_a_new_revision_of_rights(world, stores):
    held(world, stores=[stores["R"]])
    before = world.registries.current().revision.rights
    clerk = world.context("clerk")
    update_record(clerk, "store", stores["S"], {"parent": stores["RA"]}, version=1)
    assert world.registries.current().revision.rights > before
    assert titles(context(world, "mixed")) == ["V1", "V2", "V3", "V4"]
    now = world.registries.current().revision.rights
    update_record(clerk, "store", stores["S"], {"is_open": False}, version=2)
    assert world.registries.current().revision.rights == now
    delete_record(clerk, "visit", _id(world, "V4"), version=1)
    delete_record(clerk, "store", stores["S"], version=3)
    assert stores["S"] not in context(world).actor.places.lists["store_below"]


def test_a_circle_of_stores_ends(world, stores):
    update_record(
        world.context("clerk"), "store", stores["R"], {"parent": stores["RAA"]}, version=1
    )
    held(world, stores=[stores["RA"]])
    assert titles(context(world, "mixed")) == ["V1", "V2", "V3"]


@pytest.mark.parametrize(
    "text",
    [
        "store in MY_STORES()", "store in MY_STORES_BELOW()", "store in MY_STORES('head')",
        "store in MY_STORES_BELOW('guard')", "store not in MY_STORES('nobody')",
        "store in MY_DEPARTMENTS()", "store.parent in MY_STORES_BELOW()",
    ],
)  # fmt: skip
def test_lists_of_places_are_the_same_in_python_and_sql(world, stores, text):
    held(world, ("head", "store", stores["RA"]), ("guard", "store", stores["S"]))
    ctx = context(world, "clerk")
    found = {one["id"] for one in list_wire(ctx, "visit", Query(filter=text)).items}
    records = list_wire(world.context("clerk"), "visit", Query()).items
    with ctx.reading() as connection:
        env = RecordEnv(ctx, connection)
        expected = {one["id"] for one in records if env.holds("visit", text, one)}
    assert found == expected


def test_places_narrow_what_may_be_written(world, stores):
    held(world, stores=[stores["RA"]])
    ctx = context(world, "mixed")
    made = create_record(ctx, "visit", {"title": "W1", "store": stores["RAA"]})
    assert made["title"] == "W1"
    with pytest.raises(NotFound):
        update_record(ctx, "visit", _id(world, "V4"), {"title": "X"}, version=1)


def _id(world, title):
    query = Query(filter=f"title == '{title}'", fields=("id",))
    return list_wire(world.context("clerk"), "visit", query).items[0]["id"]
