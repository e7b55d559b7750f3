"""Creating, changing, deleting and restoring records, on both databases."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from core import audit
from core.errors import Conflict, Forbidden, InUse, Invalid, NotFound, StaleVersion, Taken
from core.extension.hookspecs import hookimpl
from core.jobs.outbox import outbox
from core.records.history import history_problems, record_history
from core.records.operations import (
    check_record,
    create_many,
    create_record,
    delete_record,
    restore_record,
    update_record,
)
from core.records.queries import get_record
from core.records.wire import to_wire
from tests.integration.records_world import a_member, an_order, codes, world  # noqa: F401  a fixture


def count_rows(world, table):
    statement = sa.select(sa.func.count()).select_from(table)
    if table is audit.history:
        statement = statement.where(table.c.record_type == "member")
    with world.db.read() as connection:
        return connection.execute(statement).scalar_one()


def test_create_fills_defaults_formulas_and_number(world):
    ctx = world.context("clerk")
    member = to_wire(ctx.registry, "member", create_record(ctx, "member", a_member(credit="5.5")))
    own = {
        name: value
        for name, value in member.items()
        if name not in {"id", "created_at", "updated_at"}
    }
    assert own == {
        "version": 1, "created_by": "clerk", "updated_by": "clerk", "no": "M0001",
        "name": "Name 1", "phone": None, "pin": None, "level": "basic", "credit": "5.50",
        "rate": None, "joined": "2026-03-09", "visits": 0, "store": None, "friends": [],
        "serial": "S-202603-0001", "label_text": "M0001 Name 1", "order_count": 0,
        "store_code": None, "closed": False, "remark": None, "no_access": [],
    }  # fmt: skip


def test_create_returns_what_get_returns(world):
    ctx = world.context("clerk")
    made = create_record(ctx, "order", an_order())
    read = get_record(ctx, "order", made["id"])
    assert to_wire(ctx.registry, "order", made) == to_wire(ctx.registry, "order", read)
    assert read["total"] == Decimal("7.00")


def test_create_reports_every_problem_at_once(world):
    ctx = world.context("clerk")
    with pytest.raises(Invalid) as refused:
        create_record(
            ctx, "member",
            {"no": "X", "credit": "1e20", "level": "silver", "nmae": "?", "visits": -1,
             "version": 1, "serial": "S-1", "store": "0" * 8, "phone": "\x00", "closed": 3},
        )  # fmt: skip
    assert codes(refused) == [
        ("closed", "field.bad_type"), ("credit", "field.not_a_number"),
        ("level", "field.not_an_option"), ("name", "field.required"), ("nmae", "field.unknown"),
        ("no", "field.pattern"), ("phone", "field.bad_character"),
        ("serial", "field.read_only"), ("store", "field.bad_id"),
        ("version", "field.read_only"), ("visits", "check.failed"),
    ]  # fmt: skip
    near = next(one for one in refused.value.problems if one.path == "nmae")
    assert near.params["nearest"] == "name"
    assert count_rows(world, audit.history) == 0


def test_create_names_rows_in_paths(world):
    ctx = world.context("clerk")
    lines = [
        {"article": "tea", "quantity": "1", "price": "-1"},
        {"quantity": "NaN", "price": "1", "amount": "3", "id": "x"},
        "row",
    ]
    with pytest.raises(Invalid) as refused:
        create_record(ctx, "order", an_order(lines=lines))
    assert codes(refused) == [
        ("lines.0.price", "field.too_small"), ("lines.1.amount", "field.read_only"),
        ("lines.1.article", "field.required"), ("lines.1.id", "row.unknown"),
        ("lines.1.quantity", "field.not_a_number"), ("lines.2", "field.bad_type"),
    ]  # fmt: skip


def test_too_few_rows_are_refused(world):
    with pytest.raises(Invalid) as refused:
        create_record(world.context("clerk"), "order", an_order(lines=[]))
    assert codes(refused) == [("lines", "rows.too_few")]


HOSTILE = (10**20, float("inf"), float("nan"), {"a": 1}, [1], "\ud800", True, -(2**70), 10**5000)


def test_hostile_values_are_problems(world):
    ctx = world.context("clerk")
    for name in ("credit", "visits", "name", "joined", "store", "level", "pin"):
        for hostile in HOSTILE:
            with pytest.raises(Invalid) as refused:
                create_record(ctx, "member", {**a_member(), name: hostile})
            assert [one.path.split(".")[0] for one in refused.value.problems] == [name]


def test_hostile_bodies_are_problems(world):
    for body in ([], "x", None, 3, {"\ud800": 1}, {"": 1}, {"\x00": {}}):
        with pytest.raises(Invalid):
            create_record(world.context("clerk"), "member", body)


def test_visible_and_required_when_hold(world):
    ctx = world.context("clerk")
    with pytest.raises(Invalid) as refused:
        create_record(ctx, "member", a_member(level="gold"))
    assert codes(refused) == [("rate", "field.required")]
    gold = create_record(ctx, "member", a_member(level="gold", rate="0.9"))
    assert gold["rate"] == Decimal("0.9")
    basic = update_record(ctx, "member", gold["id"], {"level": "basic"}, version=1)
    assert basic["rate"] is None


def test_set_once_and_read_only_when_hold_on_change(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member(closed=True))
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "member", member["id"], {"no": "M0002", "remark": "x"}, version=1)
    assert codes(refused) == [("no", "field.set_once"), ("remark", "field.read_only")]


def test_what_was_read_can_be_sent_back(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member(credit="5"))
    with world.db.write() as connection:  # an option that was archived since
        connection.execute(sa.text("UPDATE r_member SET level = 'old'"))
    wire = to_wire(ctx.registry, "member", get_record(ctx, "member", member["id"]))
    wire = {
        name: value for name, value in wire.items() if name not in {"order_count", "store_code"}
    }
    assert update_record(ctx, "member", member["id"], wire, version=1)["version"] == 1
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "member", member["id"], {**wire, "updated_by": "me"}, version=1)
    assert codes(refused) == [("updated_by", "field.read_only")]


def test_stale_version_is_refused_and_writes_nothing(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member())
    update_record(ctx, "member", member["id"], {"name": "A"}, version=1)
    with pytest.raises(StaleVersion):
        update_record(ctx, "member", member["id"], {"name": "B"}, version=1)
    assert get_record(ctx, "member", member["id"])["name"] == "A"


def test_taken_value_names_its_field(world):
    ctx = world.context("clerk")
    create_record(ctx, "member", a_member())
    with pytest.raises(Taken) as refused:
        create_record(ctx, "member", a_member())
    assert codes(refused) == [("no", "conflict.taken")]
    create_record(ctx, "note", {"title": "a", "code": "b"})
    with pytest.raises(Taken) as refused:
        create_record(ctx, "note", {"title": "a", "code": "b"})
    assert codes(refused) == [("code", "conflict.taken"), ("title", "conflict.taken")]


def test_deleted_value_is_free_unless_it_may_not_be_reused(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member())
    delete_record(ctx, "member", member["id"], version=1)
    assert create_record(ctx, "member", a_member())["no"] == "M0001"
    with pytest.raises(Taken):
        restore_record(ctx, "member", member["id"], to_version=1)
    order = create_record(ctx, "order", an_order())
    delete_record(ctx, "order", order["id"], version=1)
    with pytest.raises(Taken):
        create_record(ctx, "order", an_order())


def test_links_must_exist_live_and_be_readable(world):
    ctx = world.context("clerk")
    store = create_record(ctx, "store", {"code": "A", "is_open": False})
    nobody = "00000000-0000-7000-8000-000000000000"
    with pytest.raises(Invalid) as refused:
        create_record(ctx, "member", a_member(store=nobody, friends=[nobody]))
    assert codes(refused) == [("friends.0", "link.not_found"), ("store", "link.not_found")]
    assert create_record(ctx, "member", a_member(store=store["id"]))["store"] == store["id"]
    with pytest.raises(Invalid) as refused:  # closed stores are not shown to them
        create_record(world.context("local"), "member", a_member(2, store=store["id"]))
    assert codes(refused) == [("store", "link.not_found")]


def test_checks_follow_links(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member(closed=True))
    with pytest.raises(Invalid) as refused:
        create_record(ctx, "order", an_order(member=member["id"]))
    assert codes(refused) == [("member", "check.failed")]
    assert refused.value.problems[0].params["message"] == "The member is closed"


def test_rows_are_upserted_removed_and_recomputed(world):
    ctx = world.context("clerk")
    order = create_record(
        ctx,
        "order",
        an_order(lines=[{"article": name, "quantity": "1", "price": "10"} for name in "abc"]),
    )
    a, b, c = (row["id"] for row in order["lines"])
    change = {
        "upsert": [
            {"id": b, "price": "50"},
            {"article": "d", "quantity": "2", "price": "30.25"},
        ],
        "remove": [a],
    }
    order = update_record(ctx, "order", order["id"], {"lines": change}, version=1)
    rows = [(row["article"], row["amount"], row["position"]) for row in order["lines"]]
    assert rows == [
        ("b", Decimal("50.00"), 0),
        ("c", Decimal("10.00"), 1),
        ("d", Decimal("60.50"), 2),
    ]
    assert (order["total"], order["large"]) == (Decimal("120.50"), True)
    whole = [{"id": c}, {"id": b, "article": "bb"}]
    order = update_record(ctx, "order", order["id"], {"lines": whole}, version=2)
    assert [(row["id"], row["article"]) for row in order["lines"]] == [(b, "bb"), (c, "c")]
    with pytest.raises(Invalid) as refused:
        update_record(
            ctx,
            "order",
            order["id"],
            {"lines": {"upsert": [{"id": a}, {"id": b}], "remove": [a, b], "x": 1}},
            version=3,
        )
    assert codes(refused) == [
        ("lines.remove.0", "row.unknown"),
        ("lines.upsert.0.id", "row.unknown"),
        ("lines.upsert.1.id", "row.twice"),
        ("lines.x", "field.unknown"),
    ]


def test_problems_of_upserted_rows_are_told_where_they_were_written(world):
    ctx = world.context("clerk")
    lines = [{"article": name, "quantity": "1", "price": "10"} for name in "ab"]
    order = create_record(ctx, "order", an_order(lines=lines))
    b = order["lines"][1]["id"]
    upsert = [{"article": "c"}, {"id": b, "article": None}, {"quantity": "1", "price": "1"}]
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "order", order["id"], {"lines": {"upsert": upsert}}, version=1)
    assert codes(refused) == [
        ("lines.upsert.0.price", "field.required"),
        ("lines.upsert.0.quantity", "field.required"),
        ("lines.upsert.1.article", "field.required"),
        ("lines.upsert.2.article", "field.required"),
    ]


def test_history_tells_each_change(world):
    ctx = world.context("clerk", request_id="r1")
    order = create_record(ctx, "order", an_order())
    row = order["lines"][0]["id"]
    update_record(
        ctx,
        "order",
        order["id"],
        {"no": "O2", "lines": [{"id": row, "quantity": "3"}]},
        version=1,
        reason="counted again",
    )
    events = record_history(ctx, "order", order["id"])
    told = [(one["seq"], one["action"], one["reason"], one["request_id"]) for one in events]
    assert told == [(2, "update", "counted again", "r1"), (1, "create", "", "r1")]
    assert events[0]["changes"] == {
        "no": ["O1", "O2"],
        "lines": {
            "added": [],
            "removed": [],
            "changed": [{"id": row, "quantity": ["2.000", "3.000"], "amount": ["7.00", "10.50"]}],
        },
        "total": ["7.00", "10.50"],
    }


def test_secrets_stay_out_of_the_history(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member(pin="4711-canary"))
    update_record(ctx, "member", member["id"], {"pin": "4712-canary"}, version=1)
    with world.db.read() as connection:
        texts = connection.execute(sa.select(audit.history.c.changes)).scalars().all()
        texts += connection.execute(sa.select(outbox.c.payload)).scalars().all()
    assert [text for text in texts if "canary" in text] == []


def test_events_go_to_the_outbox_with_the_write(world):
    ctx = world.context("clerk")
    note = create_record(ctx, "note", {"title": "a"})
    update_record(ctx, "note", note["id"], {"title": "b"}, version=1)
    delete_record(ctx, "note", note["id"], version=2)
    with world.db.read() as connection:
        topics = connection.execute(sa.select(outbox.c.topic).order_by(outbox.c.seq)).scalars()
        assert list(topics) == ["record.created", "record.updated", "record.deleted"]


def test_delete_rule_and_links_protect_a_record(world):
    ctx = world.context("clerk")
    member, friend = (create_record(ctx, "member", a_member(number)) for number in (1, 2))
    update_record(ctx, "member", friend["id"], {"friends": [member["id"]]}, version=1)
    with pytest.raises(InUse) as refused:
        delete_record(ctx, "member", member["id"], version=1)
    assert [one.params["field"] for one in refused.value.problems] == ["friends"]
    update_record(ctx, "member", friend["id"], {"friends": []}, version=2)
    order = create_record(ctx, "order", an_order(member=member["id"]))
    with pytest.raises(InUse, match="Has orders"):
        delete_record(ctx, "member", member["id"], version=1)
    delete_record(ctx, "order", order["id"], version=1)
    delete_record(ctx, "member", member["id"], version=1)
    with pytest.raises(NotFound):
        get_record(ctx, "member", member["id"])


def test_delete_clears_and_cascades_as_links_say(world):
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member())
    order = create_record(ctx, "order", an_order(helper=member["id"]))
    note = create_record(ctx, "note", {"title": "a", "member": member["id"]})
    delete_record(ctx, "member", member["id"], version=1)
    order = get_record(ctx, "order", order["id"])
    assert (order["helper"], order["version"]) == (None, 2)
    with pytest.raises(NotFound):
        get_record(ctx, "note", note["id"])
    assert list(history_problems(world.db, ctx.registry)) == []


def test_restore_goes_back_and_undeletes(world):
    ctx = world.context("clerk")
    order = create_record(
        ctx,
        "order",
        an_order(lines=[{"article": name, "quantity": "1", "price": "1"} for name in "ab"]),
    )
    first = to_wire(ctx.registry, "order", order)
    b = order["lines"][1]["id"]
    update_record(
        ctx, "order", order["id"], {"no": "O9", "lines": [{"id": b, "article": "x"}]}, version=1
    )
    delete_record(ctx, "order", order["id"], version=2)
    back = restore_record(ctx, "order", order["id"], to_version=1, reason="undo")
    wire = to_wire(ctx.registry, "order", back)
    plain = [{k: v for k, v in row.items() if k != "id"} for row in wire["lines"]]
    assert plain == [{k: v for k, v in row.items() if k != "id"} for row in first["lines"]]
    assert (wire["no"], wire["version"], wire["lines"][1]["id"]) == ("O1", 4, b)
    with pytest.raises(NotFound):
        restore_record(ctx, "order", order["id"], to_version=77)
    assert list(history_problems(world.db, ctx.registry)) == []


def test_create_many_writes_the_good_and_names_the_bad(world):
    ctx = world.context("clerk", door="import")
    create_record(ctx, "member", a_member(1))
    outcomes = create_many(
        ctx, "member", [a_member(1), a_member(2), {"no": "bad"}, a_member(3), a_member(3)]
    )
    shown = [one["serial"] if isinstance(one, dict) else type(one) for one in outcomes]
    assert shown == [Taken, "S-202603-0002", Invalid, "S-202603-0003", Taken]
    assert count_rows(world, ctx.registry.tables["member"].main) == 3
    assert list(history_problems(world.db, ctx.registry)) == []


def test_check_record_writes_nothing(world):
    ctx = world.context("clerk")
    problems = check_record(ctx, "member", {"no": "M0001"})
    assert [(one.path, one.code) for one in problems] == [("name", "field.required")]
    assert check_record(ctx, "member", a_member()) == []
    assert count_rows(world, audit.history) == 0


def test_hooks_complete_and_refuse(world):
    class Cards:
        @hookimpl
        def guanxi_before_save(self, ctx, change):
            if change.action == "create" and change.record_type == "member":
                change.values["phone"] = "123"
            if change.action == "delete":
                raise Conflict("No.")

    world.hooks.register_core("cards", Cards())
    ctx = world.context("clerk")
    member = create_record(ctx, "member", a_member())
    assert member["phone"] == "123"
    with pytest.raises(Conflict, match=r"No\."):
        delete_record(ctx, "member", member["id"], version=1)


def test_unknown_and_malformed_ids_are_not_found(world):
    ctx = world.context("clerk")
    for wrong in ("", "x", "\x00", "\ud800", "00000000-0000-7000-8000-000000000000", "'--"):
        with pytest.raises(NotFound):
            get_record(ctx, "member", wrong)
        with pytest.raises(NotFound):
            update_record(ctx, "member", wrong, {}, version=1)
        with pytest.raises(NotFound):
            delete_record(ctx, "member", wrong, version=1)
        with pytest.raises(NotFound):
            record_history(ctx, "member", wrong)


def test_altered_history_is_found(world):
    ctx = world.context("clerk")
    for number in range(1, 4):
        create_record(ctx, "member", a_member(number))
    with world.db.write() as connection:
        events = sa.select(audit.history.c.record_id).where(
            audit.history.c.record_type == "member"
        )
        first = connection.execute(events).scalars().first()
        connection.execute(
            audit.history.update().where(audit.history.c.record_id == first).values(actor="other")
        )
    assert list(history_problems(world.db, ctx.registry)) == [
        f"member {first}: event 1 was altered"
    ]


def test_no_policy_means_no_access(world):
    for ctx in (world.context("nobody"), world.context("guest")):
        with pytest.raises(Forbidden):
            create_record(ctx, "order", an_order())
