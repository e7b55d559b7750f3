"""Account kinds as files: problems at their places, layers, changes, and what ships."""

from pathlib import Path

import pytest

from core.errors import SchemaError
from core.schema.accountkinds import Lots
from core.schema.diff import diff
from core.schema.drafts import apply_changes
from core.schema.jsonschema import json_schema
from core.schema.layers import effective
from core.schema.model import decode_release, encode
from core.schema.threeway import find_conflicts
from core.schema.yamlnodes import Source

ROOT = Path(__file__).parents[2]
MEMBER = Source("core", "member.yaml", "record_type: member\nfields: [{name: name, type: text}]\n")
CARD = Source("core", "card.yaml", "record_type: card\nfields: [{name: number, type: text}]\n")
POINTS = """account_kind: points
label: {zh: 积分, en: Points}
owner: member
floor: null
categories:
  - {name: A, label: {zh: 消费, en: Purchase}, negative: true}
  - {name: R, label: {zh: 回馈, en: Used}, uses: true}
lots: {expiry: end_of_year, after: 1}
"""
STAMPS = "account_kind: stamps\nowner: member\ncap: 10\ncategories: [{name: given}]\n"


def release(*texts, layer="core", running=None):
    files = [Source(layer, f"{at}.yaml", text) for at, text in enumerate(texts)]
    return effective([MEMBER, CARD, *files], running, 1)


def refused(*texts, **rest):
    with pytest.raises(SchemaError) as refusal:
        release(*texts, **rest)
    return [(one.line, one.column, one.code) for one in refusal.value.problems]


def test_account_kind_is_read_with_what_nobody_needs_to_write():
    made = release(POINTS, STAMPS)
    points, stamps = made.account_kinds["points"], made.account_kinds["stamps"]
    assert (points.name, points.layer, points.unit, points.floor) == (
        "points",
        "core",
        "points",
        None,
    )
    assert points.lots == Lots(expiry="end_of_year", after=1)
    assert points.category("R").uses
    assert points.category("Z") is None
    assert (stamps.floor, stamps.cap, stamps.lots) == (0, 10, Lots())
    assert decode_release(encode(made)) == made


def test_every_problem_of_an_account_kind_has_its_place():
    bad = """account_kind: Stamps
owner: membr
floor: 1
cap: 0
unit: euro
lots: {expiry: months}
categories: [{name: a b, uses: true}, {name: used, uses: true}, {name: USED, uses: true}]
"""
    assert refused(bad.replace("unit: euro\n", "")) == [
        (1, 15, "schema.bad_name"),
        (2, 8, "schema.unknown"),
        (3, 8, "schema.bad_floor"),
        (4, 6, "schema.bad_cap"),
        (5, 7, "schema.bad_lots"),
        (6, 13, "schema.only_uses"),
        (6, 21, "schema.bad_name"),
        (6, 72, "schema.duplicate"),
    ]
    assert (5, 7, "schema.not_one_of") in refused(bad)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("lots: {after: 3}", "schema.bad_lots"),
        ("lots: {expiry: end_of_year, after: 101}", "schema.bad_lots"),
        ("lots: {expiry: months, after: 1201}", "schema.out_of_range"),
        ("lots: {expiry: sometime}", "schema.not_one_of"),
        ("cap: -1", "schema.bad_cap"),
        ("floor: low", "schema.bad_type"),
        ("colour: red", "schema.unknown_key"),
    ],
)
def test_account_kind_that_cannot_be_is_refused(line, code):
    assert [found for _, _, found in refused(STAMPS.replace("cap: 10", line))] == [code]


@pytest.mark.parametrize(
    "categories", ["[]", f"[{', '.join(f'{{name: c{n}}}' for n in range(31))}]"]
)
def test_account_kind_without_or_with_too_many_categories_is_refused(categories):
    text = f"account_kind: stamps\nowner: member\ncategories: {categories}\n"
    assert refused(text) == [(3, 13, "schema.bad_count")]


def test_two_files_cannot_declare_one_account_kind():
    assert refused(STAMPS, STAMPS) == [(1, 15, "schema.duplicate_account_kind")]


def test_site_changes_a_category_and_adds_another_in_its_own_layer():
    site = Source(
        "site", "points.yaml",
        "account_kind: points\nfloor: -100\ncategories: [{name: A, label: {en: Bought}}, {name: G}]\n",
    )  # fmt: skip
    shipped = Source("points_rules", "points.yaml", POINTS)
    (kind,) = effective([MEMBER, shipped, site], None, 1).account_kinds.values()
    assert (kind.layer, kind.floor) == ("points_rules", -100)
    assert [one.name for one in kind.categories] == ["A", "R", "G"]
    assert kind.categories[0].label == {"en": "Bought"}
    assert kind.categories[0].negative
    new = Source("points_rules", "points.yaml", POINTS.replace("floor: null", "floor: 0"))
    (conflict,) = find_conflicts([MEMBER, shipped, site], [MEMBER, new, site])
    assert (conflict.key, conflict.mine, conflict.theirs) == (
        "account_kind points.floor",
        "-100",
        "0",
    )


def test_release_tells_and_describes_account_kinds():
    before, after = release(POINTS), release(POINTS, STAMPS)
    assert [change.kind for change in diff(before, after)] == ["add_account_kind"]
    (change,) = diff(after, release(POINTS, STAMPS.replace("cap: 10", "cap: 12")))
    assert (change.kind, change.type, change.properties) == (
        "change_account_kind",
        "stamps",
        ("cap",),
    )
    assert [change.kind for change in diff(after, before)] == ["drop_account_kind"]
    (described,) = [one for one in json_schema()["oneOf"] if "account_kind" in one["required"]]
    assert {"owner", "unit", "floor", "cap", "categories", "lots"} <= set(described["properties"])


def test_renaming_the_owner_is_followed_in_the_sites_account_kinds():
    guest = Source("site", "guest.yaml", "record_type: guest\nfields: [{name: n, type: text}]\n")
    stamps = Source("site", "stamps.yaml", STAMPS.replace("member", "guest"))
    running = effective([guest, stamps], None, 1)
    rename = [{"op": "rename_type", "type": "guest", "to": "visitor"}]
    edited = apply_changes([guest, stamps], rename, running)
    assert effective(edited, running, 2).account_kinds["stamps"].owner == "visitor"


def test_shipped_account_kinds_say_what_they_hold():
    files = ("schemas/stored_value", "schemas/deposit", "plugins/card_types/schemas/small_change")
    made = release(*((ROOT / f"{name}.yaml").read_text("utf-8") for name in files)).account_kinds
    assert {name: (one.owner, one.unit, one.floor) for name, one in made.items()} == {
        "stored_value": ("member", "money", 0),
        "deposit": ("member", "money", 0),
        "small_change": ("card", "money", 0),
    }
    assert [one.label["zh"] for one in made["stored_value"].categories] == ["本金", "赠送", "已用"]
    for kind in made.values():
        for label in (kind.label, *(one.label for one in kind.categories)):
            assert set(label) == {"zh", "en"}
