"""Who sees and changes what: actions, rows, and fields cell by cell."""

import pytest

from core.errors import Forbidden, Invalid, NotFound
from core.records.history import record_history
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import Query, get_record, list_wire
from tests.integration.records_world import a_member, an_order, world  # noqa: F401  a fixture


def test_fields_outside_the_policy_are_absent_and_named(world):
    member = create_record(world.context("clerk"), "member", a_member(phone="12345"))
    seen = get_record(world.context("guest"), "member", member["id"])
    hidden = seen.pop("no_access")
    assert seen == {"id": member["id"], "version": 1, "no": "M0001", "name": "Name 1"}
    assert {"phone", "pin", "created_at", "friends", "store_code"} <= set(hidden)


def test_questions_about_hidden_fields_are_refused(world):
    create_record(world.context("clerk"), "member", a_member(phone="12345"))
    guest = world.context("guest")
    for query in (
        Query(filter="phone == '12345'"), Query(filter="store.code == 'A'"),
        Query(sort=("phone",)), Query(sort=("-created_at",)), Query(expand=("store",)),
        Query(filter="phone is not empty", count="exact"),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            list_wire(guest, "member", query)
    with pytest.raises(Forbidden):
        record_history(guest, "member", "00000000-0000-7000-8000-000000000000")
    assert list_wire(guest, "member", Query(search="Name", count="exact")).count == 1


def test_rows_outside_are_not_found_and_not_counted(world):
    mine = create_record(world.context("local", user="u1"), "member", a_member(1))
    other = create_record(world.context("clerk"), "member", a_member(2))
    ctx = world.context("local", user="u1")
    page = list_wire(ctx, "member", Query(count="exact"))
    assert ([one["id"] for one in page.items], page.count) == ([mine["id"]], 1)
    for call in (
        lambda: get_record(ctx, "member", other["id"]),
        lambda: update_record(ctx, "member", other["id"], {"name": "x"}, version=1),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(Forbidden):
        delete_record(ctx, "member", mine["id"], version=1)


def test_rights_are_bound_to_the_person_not_to_the_cache(world):
    for user in ("u1", "u2"):
        create_record(world.context("local", user=user), "member", a_member(int(user[1])))
    for user in ("u1", "u2"):
        page = list_wire(world.context("local", user=user), "member", Query())
        assert [one["created_by"] for one in page.items] == [user]


def test_cells_follow_the_policies_that_apply_to_their_row(world):
    clerk = world.context("clerk")
    other = create_record(clerk, "member", a_member(1, phone="111"))
    mine = create_record(world.context("clerk", user="u1"), "member", a_member(2, phone="222"))
    ctx = world.context("mixed", user="u1")
    items = {one["id"]: one for one in list_wire(ctx, "member", Query(sort=("no",))).items}
    assert items[mine["id"]]["phone"] == "222"
    assert items[mine["id"]]["no_access"] == []
    assert "phone" not in items[other["id"]]
    assert "phone" in items[other["id"]]["no_access"]
    with pytest.raises(Forbidden):
        list_wire(ctx, "member", Query(filter="phone == '111'"))
    events = record_history(ctx, "member", mine["id"])
    assert sorted(events[0]["changes"]) == ["name", "no"]
    assert update_record(ctx, "member", mine["id"], {"phone": "3"}, version=1)["phone"] == "3"
    with pytest.raises(Forbidden):
        update_record(ctx, "member", other["id"], {"name": "x"}, version=1)


def test_fields_that_may_not_be_written_are_refused(world):
    ctx = world.context("local", user="u1")
    with pytest.raises(Forbidden) as refused:
        create_record(ctx, "member", a_member(phone="1", visits=3))
    assert [(one.path, one.code) for one in refused.value.problems] == [
        ("phone", "field.no_access")
    ]
    member = create_record(ctx, "member", a_member(visits=3))
    with pytest.raises(Forbidden):
        update_record(ctx, "member", member["id"], {"credit": "5"}, version=1)
    assert update_record(ctx, "member", member["id"], {"name": "B"}, version=1)["name"] == "B"


def test_links_lead_only_to_rows_that_are_seen(world):
    clerk = world.context("clerk")
    stores = {
        code: create_record(clerk, "store", {"code": code, "is_open": code == "A"})["id"]
        for code in "AB"
    }
    for number, code in enumerate("AB", start=1):
        create_record(
            world.context("clerk", user="u1"), "member", a_member(number, store=stores[code])
        )
    ctx = world.context("local", user="u1")
    items = list_wire(ctx, "member", Query(sort=("no",), expand=("store",))).items
    assert items[0]["store"]["code"] == "A"
    assert items[1]["store"] == {"id": stores["B"], "no_access": ["*"]}
    for text, found in (
        ("store.code == 'A'", ["M0001"]),
        ("store.code == 'B'", []),
        ("store.code is empty", ["M0002"]),
    ):
        page = list_wire(ctx, "member", Query(filter=text, sort=("no",)))
        assert [one["no"] for one in page.items] == found


def test_expanding_needs_the_right_on_the_target(world):
    create_record(world.context("clerk"), "order", an_order())
    ctx = world.context("local", user="u1")
    assert list_wire(ctx, "order", Query(expand=("member",))).items[0]["member"] is None
    with pytest.raises(Forbidden):
        list_wire(world.context("guest"), "order", Query(expand=("member",)))
    with pytest.raises(Invalid):
        list_wire(ctx, "order", Query(expand=("no",)))
