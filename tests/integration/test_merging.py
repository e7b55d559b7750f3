"""Records merged into one and taken apart again: links, comments, values, rights, refusals."""

import time

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Forbidden, Invalid, NotFound, StaleVersion
from core.records.comments import add_comment, list_comments
from core.records.creating import insert_many
from core.records.following import follow, follower_ids
from core.records.history import history_problems, record_history
from core.records.merging import NotMergeable, merge_records
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import get_record
from core.records.unmerging import MergeUndone, find_survivor, list_merges, undo_merge
from core.testing.campaigns import examples
from tests.integration.records_world import (  # noqa: F401  the fixture
    World,
    a_member,
    an_order,
    codes,
    world,
)


def made(ctx, type_name, **values):
    return create_record(ctx, type_name, values)["id"]


@pytest.fixture
def clerk(world):
    return world.context("clerk", locale="en")


@pytest.fixture
def two(clerk):
    """Two records of one person, with what points to them."""
    keep = made(clerk, "member", **a_member(1, phone="1", level="gold", rate="0.9"))
    gone = made(clerk, "member", **a_member(2, phone="2", credit="5", friends=[keep]))
    third = made(clerk, "member", **a_member(3, friends=[gone, keep]))
    fourth = made(clerk, "member", **a_member(4, friends=[gone]))
    order = made(clerk, "order", **an_order(1, member=gone, helper=gone))
    other = made(clerk, "order", **an_order(2, member=keep, helper=gone))
    note = made(clerk, "note", title="n", member=gone)
    return {
        "keep": keep, "gone": gone, "third": third, "fourth": fourth,
        "order": order, "other": other, "note": note,
    }  # fmt: skip


def snapshot(ctx, ids):
    """Return what all of them hold, without versions and stamps."""
    aside = {"version", "updated_at", "updated_by", "order_count", "orders"}
    found = {}
    for name, one in ids.items():
        kind = {"order": "order", "other": "order", "note": "note"}.get(name, "member")
        record = get_record(ctx, kind, one, as_wire=True)
        found[name] = {key: value for key, value in record.items() if key not in aside}
    return found


def proved(world):
    assert list(history_problems(world.db, world.registries.current())) == []


def test_merge_moves_everything_and_undo_brings_it_back(world, clerk, two):
    keep, gone = two["keep"], two["gone"]
    before = snapshot(clerk, two)
    take = {"phone": gone, "credit": gone, "no": keep, "friends": "*"}
    merged = merge_records(
        clerk, "member", keep, {gone: 1}, version=1, take=take, reason="same person"
    )
    assert merged.moved == {"member": 2, "note": 1, "order": 2}
    record = get_record(clerk, "member", keep, as_wire=True)
    assert (record["phone"], record["credit"], record["no"]) == ("2", "5.00", "M0001")
    friends = [get_record(clerk, "member", two[one])["friends"] for one in ("third", "fourth")]
    assert friends == [[keep], [keep]]
    assert get_record(clerk, "note", two["note"])["member"] == keep
    with pytest.raises(NotFound):
        get_record(clerk, "member", gone)
    assert find_survivor(clerk, "member", gone) == keep
    event = record_history(clerk, "member", keep)[0]
    assert (event["action"], event["reason"]) == ("merge", "same person")
    assert event["changes"]["phone"] == ["1", "2"]
    assert record_history(clerk, "member", gone)[0]["action"] == "merged"
    moved = record_history(clerk, "order", two["order"])[0]
    assert moved["changes"] == {"member": [gone, keep], "helper": [gone, keep]}
    assert moved["actor_name"] == "system (clerk)"
    proved(world)
    assert [one["state"] for one in list_merges(clerk, "member", gone)] == ["done"]
    done = undo_merge(clerk, "member", merged.id)
    assert (done.restored, done.moved_back, done.kept) == ([gone], 5, [])
    assert snapshot(clerk, two) == before
    assert find_survivor(clerk, "member", gone) is None
    with pytest.raises(MergeUndone):
        undo_merge(clerk, "member", merged.id)
    proved(world)


def test_comments_and_followers_go_along_and_come_back(world, clerk, two):
    keep, gone = two["keep"], two["gone"]
    said = add_comment(clerk, "member", gone, text="hello")
    follow(world.context("manager"), "member", gone)
    merged = merge_records(clerk, "member", keep, {gone: None}, version=None)
    assert [one["id"] for one in list_comments(clerk, "member", keep)] == [said["id"]]
    with clerk.reading() as connection:
        assert follower_ids(connection, "member", keep) == ["clerk", "manager"]
    undo_merge(clerk, "member", merged.id)
    assert list_comments(clerk, "member", keep) == []
    assert len(list_comments(clerk, "member", gone)) == 1
    with clerk.reading() as connection:
        assert follower_ids(connection, "member", keep) == []


def test_undo_leaves_and_names_what_changed_since(world, clerk, two):
    keep, gone = two["keep"], two["gone"]
    merged = merge_records(
        clerk, "member", keep, {gone: None}, version=None, take={"phone": gone, "credit": gone}
    )
    world.later()
    update_record(clerk, "order", two["order"], {"member": None}, version=None)
    update_record(clerk, "order", two["other"], {"no": "O9"}, version=None)
    update_record(clerk, "member", keep, {"phone": "3"}, version=None)
    delete_record(clerk, "note", two["note"], version=None)
    done = undo_merge(clerk, "member", merged.id)
    assert sorted(done.kept) == sorted(
        [
            ("member", keep, "phone"),
            ("note", two["note"], "member"),
            ("order", two["order"], "member"),
        ]
    )
    order = get_record(clerk, "order", two["order"])
    assert (order["member"], order["helper"]) == (None, gone)
    assert get_record(clerk, "order", two["other"])["helper"] == gone
    record = get_record(clerk, "member", keep, as_wire=True)
    assert (record["phone"], record["credit"]) == ("3", None)
    proved(world)


def test_merges_of_merges_are_undone_in_their_order(clerk, two):
    first = merge_records(clerk, "member", two["keep"], {two["gone"]: None}, version=None)
    second = merge_records(
        clerk, "member", two["third"], {two["keep"]: None, two["fourth"]: None}, version=None
    )
    assert get_record(clerk, "order", two["order"])["member"] == two["third"]
    with pytest.raises(MergeUndone):
        undo_merge(clerk, "member", first.id)
    undo_merge(clerk, "member", second.id)
    undo_merge(clerk, "member", first.id)
    assert get_record(clerk, "order", two["order"])["member"] == two["gone"]
    assert get_record(clerk, "member", two["third"])["friends"] == [two["gone"], two["keep"]]


def test_merges_that_may_not_be_are_refused_and_change_nothing(world, clerk, two):
    keep, gone = two["keep"], two["gone"]
    before = snapshot(clerk, two)

    def refused(error, ctx=clerk, others=None, type_name="member", **rest):
        with pytest.raises(error) as caught:
            merge_records(ctx, type_name, keep, others or {gone: None}, version=None, **rest)
        assert snapshot(clerk, two) == before
        return caught

    refused(NotFound, others={"nothing": None})
    refused(NotFound, ctx=world.context("cashier"))
    refused(Forbidden, ctx=world.context("guest"))
    refused(StaleVersion, others={gone: 7})
    assert codes(refused(Invalid, others={keep: None})) == [("records", "merge.records")]
    take = {"nothing": gone, "pin": gone, "order_count": gone, "name": "*", "phone": two["third"]}
    assert codes(refused(Invalid, take=take)) == [
        ("take.name", "merge.all"),
        ("take.nothing", "merge.field"),
        ("take.order_count", "merge.field"),
        ("take.phone", "merge.source"),
        ("take.pin", "merge.field"),
    ]
    assert codes(refused(Invalid, take={"no": gone})) == [("no", "field.set_once")]
    note = made(clerk, "note", title="m", member=keep)
    with pytest.raises(NotMergeable):
        merge_records(clerk, "note", note, {two["note"]: None}, version=None)
    rule = made(clerk, "rule", name="r")
    with pytest.raises(NotMergeable):
        merge_records(clerk, "rule", rule, {gone: None}, version=None)


def test_member_with_many_orders_is_merged_within_seconds(world, clerk, two):
    system, count = world.context(), examples(500)
    for start in range(0, count, 500):
        orders = [an_order(n, member=two["gone"]) for n in range(start + 10, start + 510)]
        insert_many(system, "order", orders)
    begin = time.monotonic()
    merged = merge_records(clerk, "member", two["keep"], {two["gone"]: None}, version=None)
    assert time.monotonic() - begin < 5 + count / 500
    assert merged.moved["order"] == count + 2
    assert undo_merge(clerk, "member", merged.id).moved_back == count + 5
    main = clerk.registry.tables["order"].main
    with clerk.reading() as connection:
        found = sa.select(sa.func.count()).where(main.c.member == two["gone"])
        assert connection.scalar(found) == count + 1


MEMBERS = 5


@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_merges_undone_in_turn_leave_every_record_as_it_was(world, data):
    clerk = world.context("clerk")
    mark = data.draw(st.integers(0, 10**9))
    with clerk.reading() as connection:
        main = clerk.registry.tables["member"].main
        known = connection.scalar(sa.select(sa.func.count()).select_from(main))
    ids = {}
    for number in range(MEMBERS):
        friends = (
            data.draw(st.lists(st.sampled_from(sorted(ids.values())), unique=True)) if ids else []
        )
        phone = data.draw(st.sampled_from([None, "1", "2"]))
        values = a_member(known + number + 1, phone=phone, friends=sorted(friends))
        ids[f"m{number}"] = made(clerk, "member", **values)
    members = list(ids.values())
    for name in ("order", "other"):
        member, helper = (data.draw(st.sampled_from([None, *members])) for _ in range(2))
        values = an_order(f"{mark}-{known}-{name}", member=member, helper=helper)
        ids[name] = made(clerk, "order", **values)
    states, done, alive = [snapshot(clerk, ids)], [], list(members)
    while len(alive) > 2:
        survivor, loser = data.draw(st.permutations(alive))[:2]
        take = {"phone": data.draw(st.sampled_from([survivor, loser])), "friends": "*"}
        done.append(
            merge_records(clerk, "member", survivor, {loser: None}, version=None, take=take).id
        )
        alive.remove(loser)
        states.append(snapshot_of_living(clerk, ids, alive))
    for merge_id in reversed(done):
        states.pop()
        assert undo_merge(clerk, "member", merge_id).kept == []
        alive = [one for one in members if find_survivor(clerk, "member", one) is None]
        assert snapshot_of_living(clerk, ids, alive) == states[-1]
    proved(world)


def snapshot_of_living(ctx, ids, alive):
    return snapshot(ctx, {k: one for k, one in ids.items() if k[0] != "m" or one in alive})
