"""Dashboards as files: problems at their places, the site's changes, renames, and their YAML."""

import pytest

from core.errors import SchemaError
from core.schema.dashboardtexts import rename_in_dashboard
from core.schema.diff import diff
from core.schema.jsonschema import json_schema
from core.schema.layers import effective
from core.schema.renaming import Renames
from core.schema.yamlnodes import Source

TYPE = """record_type: sale
fields:
  - {name: what, type: text}
  - {name: kind, type: select, options: [{value: a}, {value: b}]}
  - {name: day, type: date}
  - {name: next, type: link, target: sale}
  - {name: lines, type: table, fields: [{name: price, type: money}, {name: what, type: text}]}
"""
BOARD = """dashboard: board
label: {en: Board}
cards:
  - {name: one, chart: number, type: sale}
  - {name: two, chart: bar, type: sale, group_by: day.month, series_by: kind, filter: "kind == 'a'"}
  - {name: three, chart: pie, type: sale, how: sum, take: lines.price, group_by: lines.what}
"""


def release(*texts, layers=("core",), **rest):
    sources = [
        Source(layers[min(n, len(layers) - 1)], f"{n}.yaml", text) for n, text in enumerate(texts)
    ]
    return effective(sources, rest.get("running"), 1)


def test_every_problem_of_a_dashboard_has_its_place():
    bad = """dashboard: board
label: {en: x}
cards:
  - {name: one, chart: number, type: sales}
  - {name: one, chart: bar, type: sale, group_by: dya.month}
  - {name: x, chart: bar, type: sale}
  - {name: y, chart: pie, type: sale, group_by: kind, filter: "kind == 'z'"}
  - {name: z, chart: table, type: sale, group_by: kind, limit: 0, colors: [blue, mauve]}
"""
    with pytest.raises(SchemaError) as refusal:
        release(TYPE, bad)
    found = {(one.line, one.column, one.code) for one in refusal.value.problems}
    assert found >= {
        (4, 38, "schema.unknown"), (5, 12, "schema.duplicate"),
        (5, 51, "schema.unknown"), (6, 5, "schema.missing"), (8, 64, "schema.out_of_range"),
        (8, 82, "schema.bad_colour"),
    }  # fmt: skip
    assert any(line == 7 and "expression" in code for line, _, code in found)
    for line in ("colour: red", "cards: [{name: x, chart: area, type: sale}]"):
        with pytest.raises(SchemaError) as other:
            release(TYPE, f"dashboard: board\n{line}\n")
        assert 2 in [one.line for one in other.value.problems]
    (hint,) = [one.params.get("hint") for one in refusal.value.problems if one.line == 4]
    assert hint == "sale"


def test_the_sites_cards_stand_over_those_that_ship():
    site = """dashboard: board
label: {en: Ours}
cards:
  - {name: two, wide: true}
  - {name: one, hidden: true}
  - {name: four, chart: line, type: sale, group_by: day.week}
"""
    made = release(TYPE, BOARD, site, layers=("core", "core", "site")).dashboards["board"]
    assert (made.layer, made.label) == ("core", {"en": "Ours"})
    assert [card.name for card in made.cards] == ["one", "two", "three", "four"]
    assert made.cards[0].hidden
    assert (made.cards[1].wide, made.cards[1].group_by) == (True, "day.month")
    # A field is put away once no card that is shown names it.
    away = "customize: sale\narchive: [day]\n"
    with pytest.raises(SchemaError):
        release(TYPE, BOARD, away, layers=("core", "core", "site"))
    hidden = "dashboard: board\ncards: [{name: two, hidden: true}]\n"
    put_away = release(TYPE, BOARD, away, hidden, layers=("core", "core", "site"))
    assert put_away.types["sale"].field("day") is None
    with pytest.raises(SchemaError) as refusal:
        release(TYPE, BOARD, BOARD)
    assert refusal.value.problems[0].code == "schema.duplicate_dashboard"
    # Alone, what changes something that is not there is no dashboard.
    with pytest.raises(SchemaError):
        release(TYPE, site, layers=("core", "site"))


def test_renames_reach_every_name_of_a_card():
    known = release(TYPE, BOARD)
    tree = {
        "dashboard": "board",
        "cards": [
            {"name": "two", "filter": "kind == 'a' and next.day is empty", "series_by": "kind"},
            {"name": "new", "type": "sale", "take": "lines.price", "group_by": "day.month"},
        ],
    }
    renames = Renames(
        known,
        {("sale", "day"): "on", ("sale.lines", "price"): "cost", ("sale", "lines"): "rows"},
        {("sale", "kind", "a"): "first"},
        {"sale": "deal"},
    )
    rename_in_dashboard(tree, known, {"two": "sale"}, renames)
    assert tree["cards"][0]["filter"] == "kind == 'first' and next.on is empty"
    assert tree["cards"][1] == {
        "name": "new", "type": "deal", "take": "rows.cost", "group_by": "on.month",
    }  # fmt: skip


def test_a_release_keeps_tells_and_describes_dashboards():
    before, after = release(TYPE), release(TYPE, BOARD)
    assert [change.kind for change in diff(before, after)] == ["add_dashboard"]
    assert [change.kind for change in diff(after, before)] == ["drop_dashboard"]
    described = next(
        one for one in json_schema()["oneOf"] if "dashboard" in one.get("required", ())
    )
    assert {"cards", "time", "shared_with"} <= set(described["properties"])
    card = json_schema()["$defs"]["changed_card"]["properties"]
    assert sorted(card["chart"]["enum"]) == ["bar", "line", "number", "pie", "table"]
