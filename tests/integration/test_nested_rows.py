"""Table fields inside the rows of table fields, on both databases."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.errors import InUse, Invalid
from core.records.duplicating import duplicate_record
from core.records.history import history_problems, record_history
from core.records.operations import (
    create_many,
    create_record,
    delete_record,
    restore_record,
    update_record,
)
from core.records.queries import Query, get_record, list_records
from core.records.why import explain_field
from core.records.wire import to_wire
from tests.integration.records_world import a_member, codes, world  # noqa: F401  a fixture


def a_part(serial, worth="10", **rest):
    return {"serial": serial, "worth": worth, **rest}


def a_parcel(number=1, **rest):
    lines = [
        {"article": "lamp", "parts": [a_part("L-1"), a_part("L-2", "2.5")]},
        {"article": "rug", "rate": "3", "parts": []},
    ]
    return {"no": f"P{number}", "lines": lines, **rest}


def bare(rows):
    """Return rows without their ids and numbers, for comparing what they hold."""
    return [
        {
            name: bare(cell) if isinstance(cell, list) else cell
            for name, cell in row.items()
            if name not in {"id", "number"}
        }
        for row in rows
    ]


def test_rows_inside_rows_are_written_computed_and_read_back(world):
    ctx = world.context("clerk")
    made = create_record(ctx, "parcel", a_parcel())
    read = get_record(ctx, "parcel", made["id"])
    assert to_wire(ctx.registry, "parcel", made) == to_wire(ctx.registry, "parcel", read)
    lamp, rug = read["lines"]
    parts = [
        (one["serial"], one["worth"], one["doubled"], one["position"]) for one in lamp["parts"]
    ]
    assert parts == [
        ("L-1", Decimal("10.00"), Decimal("20.00"), 0),
        ("L-2", Decimal("2.50"), Decimal("5.00"), 1),
    ]
    assert all(len(one["id"]) == 36 for one in lamp["parts"])
    assert (lamp["worth"], lamp["fragile"], lamp["rated"]) == (
        Decimal("12.50"),
        0,
        Decimal("25.00"),
    )
    assert (rug["parts"], rug["worth"]) == ([], Decimal("0.00"))
    assert (read["total"], read["deep"]) == (Decimal("12.50"), Decimal("14.50"))


def test_expressions_over_rows_inside_rows_mean_the_same_in_sql(world):
    ctx = world.context("clerk")
    create_many(ctx, "parcel", [a_parcel(1), {"no": "P2", "lines": []}])

    def found(text):
        return [one["no"] for one in list_records(ctx, "parcel", Query(filter=text)).items]

    assert found("SUM(lines.parts.worth) == 12.5") == ["P1"]
    assert found("SUM(lines.parts, worth * 2) == 0") == found("COUNT(lines.parts) == 0") == ["P2"]
    assert found("ANY(lines.parts, worth < 3)") == ["P1"]
    assert found("ALL(lines.parts, worth < 3)") == ["P2"]
    assert found("MAX(lines.parts.worth) == 10 and MIN(lines.parts, worth + 1) == 3.5") == ["P1"]
    assert found("ANY(lines, COUNT(parts, serial == 'L-2') == 1)") == ["P1"]
    with pytest.raises(Invalid) as refused:
        found("AVG(lines.parts.worth) > 1")
    assert codes(refused) == [("filter", "expression.nested_mean")]


def test_upsert_and_remove_reach_into_upserted_rows(world):
    ctx = world.context("clerk")
    parcel = create_record(ctx, "parcel", a_parcel())
    lamp, rug = parcel["lines"]
    first, second = lamp["parts"]
    inside = {
        "upsert": [{"id": second["id"], "worth": "7"}, a_part("L-3")],
        "remove": [first["id"]],
    }
    change = {
        "upsert": [
            {"id": lamp["id"], "parts": inside},
            {"id": rug["id"], "parts": [a_part("R-1")]},
        ]
    }
    parcel = update_record(ctx, "parcel", parcel["id"], {"lines": change}, version=1)
    lamp, rug = parcel["lines"]
    assert [(one["serial"], one["worth"]) for one in lamp["parts"]] == [
        ("L-2", Decimal("7.00")),
        ("L-3", Decimal("10.00")),
    ]
    assert lamp["parts"][0]["id"] == second["id"]
    assert [one["serial"] for one in rug["parts"]] == ["R-1"]
    assert parcel["total"] == Decimal("27.00")
    # A line that does not name its parts keeps them; one that goes takes them along.
    change = {"upsert": [{"id": lamp["id"], "article": "desk lamp"}], "remove": [rug["id"]]}
    parcel = update_record(ctx, "parcel", parcel["id"], {"lines": change}, version=2)
    assert [one["serial"] for one in parcel["lines"][0]["parts"]] == ["L-2", "L-3"]
    table = ctx.registry.tables["parcel"].rows_of("lines.parts")
    with world.db.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 2
    delete_record(ctx, "parcel", parcel["id"], version=3)
    with world.db.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert list(history_problems(world.db, ctx.registry)) == []


def test_problems_inside_rows_are_told_where_they_were_written(world):
    ctx = world.context("clerk")
    lines = [
        {"article": "lamp", "parts": [a_part("small"), {"fragile": True, "serial": "A", "x": 1}]}
    ]
    with pytest.raises(Invalid) as refused:
        create_record(ctx, "parcel", a_parcel(lines=lines))
    assert codes(refused) == [
        ("lines.0.parts.0.serial", "field.pattern"),
        ("lines.0.parts.1.care", "field.required"),
        ("lines.0.parts.1.x", "field.unknown"),
    ]
    parcel = create_record(ctx, "parcel", a_parcel())
    lamp, rug = parcel["lines"]
    inside = {"upsert": [{"id": lamp["parts"][1]["id"], "serial": None}, {"worth": "1"}]}
    change = {"upsert": [{"id": rug["id"], "parts": [{}]}, {"id": lamp["id"], "parts": inside}]}
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "parcel", parcel["id"], {"lines": change}, version=1)
    assert codes(refused) == [
        ("lines.upsert.0.parts.0.serial", "field.required"),
        ("lines.upsert.1.parts.upsert.0.serial", "field.required"),
        ("lines.upsert.1.parts.upsert.1.serial", "field.required"),
    ]
    stolen = [{"id": rug["id"], "parts": [{"id": lamp["parts"][0]["id"]}]}]
    too_many = [{"article": "x", "parts": [a_part("A")] * 21}, {"article": "y", "parts": "none"}]
    for lines, expected in (
        ({"upsert": stolen}, [("lines.upsert.0.parts.0.id", "row.unknown")]),
        (
            {"upsert": too_many},
            [
                ("lines.upsert.0.parts", "rows.too_many"),
                ("lines.upsert.1.parts", "field.bad_type"),
            ],
        ),
    ):
        with pytest.raises(Invalid) as refused:
            update_record(ctx, "parcel", parcel["id"], {"lines": lines}, version=1)
        assert codes(refused) == expected
    many = [{"article": "x", "parts": [a_part("A")] * 16}] * 2
    with pytest.raises(Invalid) as refused:
        create_record(ctx, "parcel", a_parcel(2, lines=many))
    assert codes(refused) == [("lines", "check.failed")]


def test_rows_are_numbered_once_when_they_come_in(world):
    ctx = world.context("clerk")

    def numbers(record):
        return [[one["number"] for one in line["parts"]] for line in record["lines"]]

    first, second = create_many(ctx, "parcel", [a_parcel(1), a_parcel(2)])
    assert (numbers(first), numbers(second)) == (
        [["N0001", "N0002"], []],
        [["N0003", "N0004"], []],
    )
    lamp, rug = first["lines"]
    inside = {"upsert": [a_part("L-3"), {"id": lamp["parts"][0]["id"], "worth": "3"}]}
    change = [{"id": rug["id"], "parts": [a_part("R-1")]}, {"id": lamp["id"], "parts": inside}]
    changed = update_record(ctx, "parcel", first["id"], {"lines": change}, version=1)
    assert numbers(changed) == [["N0001", "N0002", "N0005"], ["N0006"]]
    event = record_history(ctx, "parcel", first["id"])[0]["changes"]["lines"]["changed"]
    assert {one["number"] for line in event for one in line["parts"]["added"]} == {
        "N0005",
        "N0006",
    }
    with pytest.raises(Invalid) as refused:
        create_record(
            ctx,
            "parcel",
            a_parcel(3, lines=[{"article": "a", "parts": [a_part("A", number="X")]}]),
        )
    assert codes(refused) == [("lines.0.parts.0.number", "field.read_only")]
    copy = duplicate_record(ctx, "parcel", first["id"], {"no": "P4"})
    assert numbers(copy) == [["N0007", "N0008", "N0009"], ["N0010"]]


def test_conditions_inside_rows_see_their_row_and_record(world):
    ctx = world.context("clerk")
    lines = [{"article": "a", "rate": "6", "parts": [a_part("A", "1"), a_part("B", "2")]}]
    parcel = create_record(ctx, "parcel", a_parcel(lines=lines))
    path = "lines.0.parts.1.why"
    told = explain_field(ctx, "parcel", parcel["id"], path)
    (reason,) = told["required"]["reasons"]
    assert {"6.00", "P1", "2.00"} <= {part["value"] for part in reason["parts"]}
    # A change of the record alone is checked against the rows inside its rows.
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "parcel", parcel["id"], {"no": "P9"}, version=1)
    assert codes(refused) == [(path, "field.required")]


def test_links_and_cascades_hold_inside_rows(world):
    ctx = world.context("clerk")
    store = create_record(ctx, "store", {"code": "S1"})["id"]
    owner = create_record(ctx, "member", a_member(1, store=store))["id"]
    other = create_record(ctx, "member", a_member(2))["id"]
    good = [{"article": "a", "parts": [a_part("A", owner=owner, store=store)]}]
    parcel = create_record(ctx, "parcel", a_parcel(lines=good))
    for part, name in (
        (a_part("A", owner=other, store=store), "owner"),
        (a_part("A", store=parcel["id"]), "store"),
    ):
        with pytest.raises(Invalid) as refused:
            create_record(ctx, "parcel", a_parcel(2, lines=[{"article": "a", "parts": [part]}]))
        assert codes(refused) == [(f"lines.0.parts.0.{name}", "link.not_found")]
    (line,) = parcel["lines"]
    moved = {"upsert": [{"id": line["parts"][0]["id"], "store": None}]}
    change = {"lines": {"upsert": [{"id": line["id"], "parts": moved}]}}
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "parcel", parcel["id"], change, version=1)
    assert codes(refused) == [("lines.upsert.0.parts.upsert.0.owner", "link.not_found")]
    with pytest.raises(InUse):
        delete_record(ctx, "member", owner, version=1)


def test_history_restore_and_duplicate_know_rows_inside_rows(world):
    ctx = world.context("clerk")
    parcel = create_record(ctx, "parcel", a_parcel())
    first = to_wire(ctx.registry, "parcel", parcel)
    lamp, rug = first["lines"]
    kept, gone = lamp["parts"]
    inside = {"upsert": [{"id": kept["id"], "worth": "1"}, a_part("L-9")], "remove": [gone["id"]]}
    change = {"upsert": [{"id": lamp["id"], "parts": inside}], "remove": [rug["id"]]}
    second = update_record(ctx, "parcel", parcel["id"], {"lines": change}, version=1)
    event = record_history(ctx, "parcel", parcel["id"])[0]["changes"]["lines"]
    (line,) = event["changed"]
    added = to_wire(ctx.registry, "parcel", second)["lines"][0]["parts"][1]
    assert line["parts"]["added"] == [added]
    assert line["parts"]["removed"] == [gone]
    assert line["parts"]["changed"] == [
        {"id": kept["id"], "worth": ["10.00", "1.00"], "doubled": ["20.00", "2.00"]}
    ]
    assert event["removed"] == [rug]
    back = restore_record(ctx, "parcel", parcel["id"], to_version=1)
    wire = to_wire(ctx.registry, "parcel", back)
    assert bare(wire["lines"]) == bare(first["lines"])
    assert wire["lines"][0]["parts"][0]["id"] == kept["id"]
    again = restore_record(ctx, "parcel", parcel["id"], to_version=2)
    assert bare(again["lines"]) == bare(second["lines"])
    copy = duplicate_record(ctx, "parcel", parcel["id"], {"no": "P2"})
    assert bare(copy["lines"]) == bare(again["lines"])
    ids = {one["id"] for line in copy["lines"] for one in line["parts"]}
    assert not ids & {one["id"] for line in again["lines"] for one in line["parts"]}
    assert list(history_problems(world.db, ctx.registry)) == []


def test_what_was_read_with_rows_inside_rows_can_be_sent_back(world):
    ctx = world.context("clerk")
    parcel = to_wire(ctx.registry, "parcel", create_record(ctx, "parcel", a_parcel()))
    same = update_record(ctx, "parcel", parcel["id"], parcel, version=1)
    assert to_wire(ctx.registry, "parcel", same) == parcel
