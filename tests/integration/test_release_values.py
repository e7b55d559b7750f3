"""Values that move when fields change: tried out, converted, kept, brought back."""

from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.errors import SchemaError
from core.migration.conversion import quarantined
from core.migration.drafts import rollback
from tests.integration.release_world import world  # noqa: F401  a fixture


def thing(*fields, rest=""):
    lines = "".join(f"  - {{{field}}}\n" for field in ("name: name, type: text", *fields))
    return f"record_type: thing\ntitle_field: name\nfields:\n{lines}{rest}"


def test_text_becomes_integer_and_comes_back_exactly(world):
    world.publish(thing("name: age, type: text"))
    ids = world.add("thing", {"age": "12"}, {"age": " 007 "}, {"age": None})
    shown = world.draft(thing("name: age, type: integer"))
    (told,) = shown["conversions"]
    assert (told["rows"], told["succeeded"], told["failed"]) == (2, 2, 0)
    assert shown["checks"] == []
    assert world.publish(thing("name: age, type: integer")) == 2
    assert world.values("thing", "age") == [12, 7, None]
    world.assert_sound()
    world.update("thing", ids[0], age=99)
    world.update("thing", ids[1], name="touched")
    assert rollback(world, 1) == 3
    # What was changed since comes back converted, all else exactly as it was written.
    assert world.values("thing", "age") == ["99", " 007 ", None]
    world.assert_sound()
    assert rollback(world, 2) == 4
    assert world.values("thing", "age") == [99, 7, None]
    world.assert_sound()
    assert rollback(world, 1) == 5
    assert world.values("thing", "age") == ["99", " 007 ", None]
    world.assert_sound()


def test_values_that_fail_are_listed_and_refuse_the_release(world):
    world.publish(thing("name: age, type: text"))
    first, _ = world.add("thing", {"name": "A", "age": "x1"}, {"age": "2"})
    shown = world.draft(thing("name: age, type: integer"))
    (told,) = shown["conversions"]
    assert (told["rows"], told["succeeded"], told["failed"]) == (2, 1, 1)
    assert told["failures"] == [
        {
            "record": first,
            "title": "A",
            "field": "age",
            "value": "x1",
            "reason": "This is not a number.",
        }
    ]
    assert [one["code"] for one in shown["checks"]] == ["schema.conversion_failed"]
    with pytest.raises(SchemaError):
        world.publish(thing("name: age, type: integer"))
    assert world.release.number == 1
    world.update("thing", first, age="1")
    assert world.publish(thing("name: age, type: integer")) == 2
    assert world.values("thing", "age") == [1, 2]


@pytest.mark.parametrize("on_failure", ["null", "quarantine"])
def test_values_that_fail_are_emptied_or_listed_as_the_change_says(world, on_failure):
    world.publish(thing("name: age, type: text"))
    first, _ = world.add("thing", {"age": "x"}, {"age": "2"})
    how = f"changes: [{{retype: {{field: age, to: integer, on_failure: {on_failure}}}}}]\n"
    assert world.publish(thing("name: age, type: integer", rest=how)) == 2
    assert world.values("thing", "age") == [None, 2]
    with world.db.read() as connection:
        listed = [(one["record_id"], one["value"]) for one in quarantined(connection, 2)]
    assert listed == ([(first, "x")] if on_failure == "quarantine" else [])
    # The files still say how it was done; nothing is done again.
    assert world.draft(thing("name: age, type: integer", rest=how))["conversions"] == []
    assert rollback(world, 1) == 3
    assert world.values("thing", "age") == ["x", "2"]


def test_expression_converts(world):
    world.publish(thing("name: price, type: money, precision: 4"))
    world.add("thing", {"price": Decimal("1.2345")})
    new = "name: price, type: money, precision: 2"
    assert world.draft(thing(new))["conversions"][0]["failed"] == 1
    how = 'changes: [{retype: {field: price, to: money, convert: "ROUND(price, 2)"}}]\n'
    assert world.publish(thing(new, rest=how)) == 2
    assert world.values("thing", "price") == [Decimal("1.23")]
    assert rollback(world, 1) == 3
    assert world.values("thing", "price") == [Decimal("1.2345")]


def test_fields_merge_and_come_apart_again(world):
    world.publish(thing("name: first, type: text", "name: last, type: text"))
    ids = world.add(
        "thing", {"first": "Ann", "last": "Lee"}, {"first": "Bo"}, {}, {"first": "C", "last": "D"}
    )
    how = 'changes: [{merge: {fields: [first, last], into: full, separator: " "}}]\n'
    assert world.publish(thing("name: full, type: text", rest=how)) == 2
    assert world.values("thing", "full") == ["Ann Lee", "Bo", None, "C D"]
    world.assert_sound()
    world.update("thing", ids[3], full="Cy Day")
    world.add("thing", {"full": "Eve Fox"})
    assert rollback(world, 1) == 3
    assert world.values("thing", "first")[:4] == ["Ann", "Bo", None, "Cy"]
    assert world.values("thing", "last")[:4] == ["Lee", None, None, "Day"]
    assert (world.values("thing", "first")[4], world.values("thing", "last")[4]) == ("Eve", "Fox")
    world.assert_sound()
    assert rollback(world, 2) == 4
    assert world.values("thing", "full") == ["Ann Lee", "Bo", None, "Cy Day", "Eve Fox"]


def test_field_splits_by_expressions_into_itself_and_another(world):
    world.publish(thing("name: full, type: text"))
    world.add("thing", {"full": "王小明"}, {"full": None})
    how = (
        "changes:\n  - split:\n      field: full\n      into: [full, given]\n"
        "      convert: {full: 'LEFT(full, 1)', given: 'RIGHT(full, LEN(full) - 1)'}\n"
    )
    fields = ("name: full, type: text", "name: given, type: text")
    assert world.publish(thing(*fields, rest=how)) == 2
    assert world.values("thing", "full") == ["王", None]
    assert world.values("thing", "given") == ["小明", None]
    assert rollback(world, 1) == 3
    assert world.values("thing", "full") == ["王小明", None]
    world.assert_sound()


def test_rows_of_a_table_field_convert_too(world):
    lines = "name: lines, type: table, fields: [{name: n, type: %s}]"
    total = "name: total, type: rollup, of: lines, take: n, how: sum"
    world.publish(thing(lines % "text"))
    (one,) = world.add("thing", {})
    with world.db.write() as connection:
        row = {"id": one, "record_id": one, "position": 0, "n": "41"}
        connection.execute(world.table("thing", "lines").insert().values(row))
    how = "changes: [{retype: {field: lines.n, to: integer}}]\n"
    assert world.publish(thing(lines % "integer", total, rest=how)) == 2
    assert world.values("thing", "n", "lines") == [41]
    assert world.values("thing", "total") == [41]
    world.assert_sound()
    assert rollback(world, 1) == 3
    assert world.values("thing", "n", "lines") == ["41"]
    world.assert_sound()


def test_labels_name_options_and_renamed_options_take_their_values_along(world):
    world.publish(thing("name: tier, type: text"))
    world.add("thing", {"tier": "金卡"}, {"tier": "silver"})
    options = "options: [{value: gold, label: {zh: 金卡}}, {value: silver}]"
    assert world.publish(thing(f"name: tier, type: select, {options}")) == 2
    assert world.values("thing", "tier") == ["gold", "silver"]
    renamed = options.replace("value: gold", "value: vip, was: gold")
    assert world.publish(thing(f"name: tier, type: select, {renamed}")) == 3
    assert world.values("thing", "tier") == ["vip", "silver"]
    world.assert_sound()
    assert rollback(world, 1) == 4
    assert world.values("thing", "tier") == ["金卡", "silver"]


def test_unique_field_that_would_hold_a_value_twice_is_refused_beforehand(world):
    world.publish(thing("name: code, type: text, unique: true"))
    world.add("thing", {"code": "1"}, {"code": "01"})
    new = thing("name: code, type: integer, unique: true")
    shown = world.draft(new)
    assert [one["code"] for one in shown["checks"]] == ["schema.duplicates"]
    first = thing("name: code, type: text, unique: true")
    with world.db.write() as connection:
        table = world.table("thing")
        connection.execute(table.update().where(table.c.code == "01").values(code="2"))
    assert world.draft(first)["conversions"] == []
    assert world.publish(new) == 2
    world.assert_sound()
    with pytest.raises(sa.exc.IntegrityError):
        world.add("thing", {"code": 1})


def test_days_and_instants_convert_in_the_store_zone(world):
    world.publish(thing("name: at, type: date"))
    world.add("thing", {"at": date(2026, 1, 2)})
    assert world.publish(thing("name: at, type: datetime")) == 2
    (at,) = world.values("thing", "at")
    assert at.isoformat() == "2026-01-01T16:00:00+00:00"
    assert world.publish(thing("name: at, type: date")) == 3
    assert world.values("thing", "at") == [date(2026, 1, 2)]


def test_changes_across_several_releases_are_taken_back_one_after_the_other(world):
    world.publish(thing("name: a, type: text"))
    ids = world.add("thing", {"a": "1.0"}, {"a": "2"})
    world.publish(thing("name: a, type: integer"))
    world.publish(thing("name: a, type: decimal, precision: 1"))
    world.publish(thing("name: a, type: boolean", rest=_LOSSY))
    world.update("thing", ids[1], a=True)
    assert rollback(world, 1) == 5
    assert world.values("thing", "a") == ["1.0", "2"]
    world.assert_sound()


_LOSSY = 'changes: [{retype: {field: a, to: boolean, convert: "a == 1"}}]\n'


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("changes: [{merge: {fields: [nosuch], into: b}}]\n", "schema.unknown"),
        ("changes: [{merge: {fields: [a], into: held}}]\n", "schema.bad_conversion"),
        ("changes: [{split: {field: a, into: [b], separator: ''}}]\n", "schema.bad_conversion"),
        ("changes: [{split: {field: a, into: [b], convert: {b: 'nosuch'}}}]\n", "expression."),
        ("changes: [{split: {field: a, into: [b], convert: {c: 'a'}}}]\n", "schema.bad_con"),
        ("changes: [{retype: {field: held, to: integer, convert: 'a +'}}]\n", "expression."),
        ("changes: [{retype: {field: held}}]\n", "schema.missing"),
        ("changes: [{explode: {}}]\n", "schema.unknown_key"),
        ("changes: x\n", "schema.bad_type"),
        ("changes: [{merge: {fields: [held, rows], into: b}}]\n", "schema.bad_conversion"),
    ],
)
def test_change_that_makes_no_sense_is_a_problem_with_its_place(world, rest, code):
    rows = "name: rows, type: table, fields: [{name: x, type: text}]"
    world.publish(thing("name: a, type: text", "name: held, type: text", rows))
    new = ["name: b, type: text", "name: held, type: integer", rows]
    new += ["name: a, type: text"] if "split" in rest else []
    if "held, rows" in rest:
        new.remove(rows)
    problems = world.draft(thing(*new, rest=rest))["checks"]
    assert any(one["code"].startswith(code) and one["line"] for one in problems), problems
