"""Saved views and groups: who gets them, what they may ask, what they add up to."""

import pytest

from core.errors import Forbidden, Invalid, NotFound, StaleVersion
from core.records.grouping import group_records
from core.records.operations import create_many, create_record, update_record
from core.records.queries import Query
from core.records.views import (
    change_view,
    find_view,
    remove_view,
    save_view,
    saved_views,
)
from tests.integration.records_world import a_member, codes, world  # noqa: F401  a fixture

VIEW = {
    "label": "我的金卡",
    "columns": ["no", "name"],
    "filter": "level == 'gold'",
    "sort": ["-name"],
}


def labels(ctx):
    return [one.label for one in saved_views(ctx, "member")]


def test_a_view_is_its_owners_until_it_is_shared(world):
    clerk, other = world.context("clerk"), world.context("clerk", user="other")
    manager, configurator = (
        world.context("manager"),
        world.context("configurator", "clerk", user="c"),
    )
    made = save_view(clerk, "member", VIEW)
    assert (labels(clerk), labels(other), labels(configurator)) == (["我的金卡"], [], [])
    with pytest.raises(NotFound):
        find_view(other, "member", made.id)
    made = change_view(clerk, "member", made.id, {"shared_with": ["clerk"]}, version=1)
    assert (labels(other), labels(manager)) == (["我的金卡"], [])
    assert made.view.filter == "level == 'gold'"
    with pytest.raises(Forbidden):
        change_view(other, "member", made.id, {"label": "x"}, version=2)
    with pytest.raises(Forbidden):
        remove_view(other, "member", made.id, version=2)
    for audience in (["manager"], ["*"], ["clerk", "manager"]):
        with pytest.raises(Forbidden):
            change_view(clerk, "member", made.id, {"shared_with": audience}, version=2)
    change_view(configurator, "member", made.id, {"shared_with": ["*"]}, version=2)
    assert labels(manager) == ["我的金卡"]
    # Its owner may go on changing it, without being able to widen it again.
    change_view(clerk, "member", made.id, {"label": "金卡"}, version=3)
    with pytest.raises(StaleVersion):
        remove_view(clerk, "member", made.id, version=3)
    remove_view(clerk, "member", made.id, version=4)
    assert labels(manager) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"label": " "}, "label"), ({"label": "a" * 61}, "label"), ({"columns": []}, "columns"),
        ({"columns": ["nix"]}, "columns.0"), ({"columns": ["no", "no"]}, "columns.1"),
        ({"columns": [1]}, "columns[0]"), ({"columns": ["no"] * 61}, "columns"),
        ({"sort": ["-friends"]}, "sort.0"), ({"filter": "nix == 1"}, "filter"),
        ({"filter": "visits"}, "filter"), ({"type": "pivot"}, "type"), ({"type": "kanban"}, ""),
        ({"type": "kanban", "group_by": "name"}, "group_by"), ({"type": "calendar"}, ""),
        ({"type": "calendar", "date_field": "name"}, "date_field"),
        ({"group_by": "friends"}, "group_by"), ({"group_by": "level.month"}, "group_by"),
        ({"group_by": "order_count"}, "group_by"), ({"totals": {"name": "sum"}}, "totals.name"),
        ({"totals": {"order_count": "sum"}}, "totals.order_count"),
        ({"totals": {"credit": "median"}}, "totals[...]"),
        ({"color_when": [{"when": "visits >", "color": "red"}]}, "filter"),
        ({"color_when": [{"when": "visits > 1", "color": "r" * 21}]}, "color_when.0.color"),
        ({"shared_with": ["nobody"]}, "shared_with"),
    ],
)  # fmt: skip
def test_a_bad_view_is_refused_with_the_place(world, change, path):
    with pytest.raises(Invalid) as refusal:
        save_view(world.context("clerk"), "member", {**VIEW, **change})
    assert path in [place for place, _ in codes(refusal)]


def test_a_view_cannot_ask_by_what_is_hidden(world):
    guest = world.context("guest")
    for change in (
        {"filter": "credit > 1"}, {"sort": ["credit"]}, {"group_by": "level"},
        {"totals": {"credit": "sum"}}, {"color_when": [{"when": "credit > 1", "color": "red"}]},
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            save_view(guest, "member", {"label": "x", "columns": ["no"], **change})
    with pytest.raises(Forbidden):
        save_view(world.context("nobody"), "member", VIEW)


def test_groups_and_totals_are_exact(world):
    ctx = world.context("clerk")
    create_many(ctx, "member", [
        a_member(1, level="gold", rate="0.9", credit="10.10", visits=1, joined="2026-01-31"),
        a_member(2, level="gold", rate="0.9", credit="0.20", visits=2, joined="2026-02-01"),
        a_member(3, level="gold", rate="0.9", visits=4, joined="2026-02-28"),
        a_member(4, credit="999.99", joined="2025-02-01"), a_member(5, level=None, joined=None),
    ])  # fmt: skip
    totals = {"credit": "sum", "visits": "avg"}
    found = group_records(ctx, "member", Query(), "level", totals)
    assert [(one.value, one.count, one.totals) for one in found.items] == [
        ("basic", 1, {"credit": "999.99", "visits": "0.00"}),
        ("gold", 3, {"credit": "10.30", "visits": "2.33"}),
        (None, 1, {"credit": None, "visits": "0.00"}),
    ]
    assert (found.whole.count, found.whole.totals) == (5, {"credit": "1010.29", "visits": "1.40"})
    months = group_records(ctx, "member", Query(), "joined.month", {"credit": "max"})
    assert [(one.value, one.count, one.totals["credit"]) for one in months.items] == [
        ("2025-02", 1, "999.99"), ("2026-01", 1, "10.10"), ("2026-02", 2, "0.20"),
        (None, 1, None),
    ]  # fmt: skip
    years = group_records(ctx, "member", Query(filter="credit > 1"), "joined.year", {})
    assert [(one.value, one.count) for one in years.items] == [("2025", 1), ("2026", 1)]
    days = group_records(
        ctx, "member", Query(search="Name 1"), "created_at.day", {"joined": "min"}
    )
    assert [(one.value, one.totals) for one in days.items] == [
        ("2026-03-09", {"joined": "2026-01-31"})
    ]


def test_an_instant_counts_for_its_day_in_the_store(world):
    # 2026-03-09 20:00 UTC is the tenth in Shanghai.
    world.later(16 * 3600)
    create_record(world.context("clerk"), "member", a_member(1))
    found = group_records(world.context("clerk"), "member", Query(), "created_at.day", {})
    assert [one.value for one in found.items] == ["2026-03-10"]


def test_groups_hold_what_their_reader_sees(world):
    staff, own = world.context("clerk"), world.context("local", user="me")
    mine = create_record(own, "member", {"no": "M0001", "name": "mine", "visits": 3})
    create_record(staff, "member", a_member(2, credit="5"))
    assert [one.count for one in group_records(own, "member", Query(), "level", {}).items] == [1]
    assert group_records(own, "member", Query(), "", {"visits": "sum"}).whole.totals == {
        "visits": "3"
    }
    for by, totals in (("level", {}), ("", {"credit": "sum"}), ("joined.month", {})):
        with pytest.raises(Forbidden):
            group_records(world.context("guest"), "member", Query(), by, totals)
    update_record(own, "member", mine["id"], {"visits": 4}, version=1)
    assert group_records(own, "member", Query(), "", {"visits": "sum"}).whole.totals == {
        "visits": "4"
    }


def test_views_and_groups_over_rest(client_as):
    clerk, guest = client_as("clerk"), client_as("cashier")
    body = {"label": "Active", "columns": ["no", "name"], "filter": "status == 'active'"}
    made = clerk.post("/api/v1/views/member", json=body)
    assert (made.status_code, made.headers["ETag"], made.json["type"]) == (201, '"1"', "list")
    place = f"/api/v1/views/member/{made.json['id']}"
    assert clerk.get(place).json["filter"] == "status == 'active'"
    assert guest.get(place).status_code == 404
    assert clerk.patch(place, json={"label": "B"}).status_code == 428
    renamed = clerk.patch(place, json={"label": "B"}, headers={"If-Match": '"1"'})
    assert (renamed.json["label"], renamed.json["version"]) == ("B", 2)
    assert clerk.patch(place, json={"label": "C"}, headers={"If-Match": '"1"'}).status_code == 412
    assert [one["label"] for one in clerk.get("/api/v1/views/member").json["items"]] == ["B"]
    assert clerk.post("/api/v1/views/member", json={**body, "nix": 1}).status_code == 422
    assert clerk.post("/api/v1/views/member", json={**body, "columns": {}}).status_code == 422
    assert clerk.delete(place, headers={"If-Match": '"2"'}).status_code == 204
    groups = "/api/v1/records/member/groups"
    clerk.post("/api/v1/records/member", json={"no": "M1", "name": "张三"})
    found = clerk.get(groups, query_string={"by": "status", "search": "张三"})
    assert found.json["items"] == [{"value": "active", "count": 1, "totals": {}}]
    for wrong in ("totals=sum:name", "totals=x:no", "totals=sum", "by=nix", "by=status.month", "x=1",
                  "totals=min:joined_on,max:joined_on"):  # fmt: skip
        assert clerk.get(f"{groups}?{wrong}").status_code == 422, wrong
