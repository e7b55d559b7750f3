"""Differences between releases, small changes in the site's YAML, ids, and the JSON Schema."""

import difflib
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from core.errors import SchemaError
from core.migration.impact import uses
from core.schema.diff import diff
from core.schema.drafts import apply_changes, edited_text
from core.schema.following import follow_renames
from core.schema.ids import add_ids
from core.schema.jsonschema import json_schema
from core.schema.layers import effective
from core.schema.yamlnodes import Source

SCHEMAS = Path(__file__).parents[2] / "schemas"
THING = Source(
    "core",
    "thing.yaml",
    "record_type: thing\nfields:\n  - {name: code, type: text}\n"
    "  - {name: size, type: integer}\n"
    "  - {name: rows, type: table, fields: [{name: a, type: text}]}\n"
    "views:\n  - {name: all, columns: [code]}\n",
)
OTHER = Source(
    "core",
    "other.yaml",
    "record_type: other\nfields:\n  - {name: thing, type: link, target: thing}\n",
)
SITE = """# what we added
customize: thing
fields:
  - {name: nick, type: text, default: True, label: {zh: 昵称}}   # short name
  - {name: size, required_when: "nick is not empty", max: 011}
  # a note
  - name: shout
    type: formula
    formula: UPPER(nick)
checks:
  - {check: 'nick != "nick"', message: {en: 12:00}}
views:
  - {name: nicks, columns: [nick, code], sort: [-nick], filter: nick > 'a'}
"""
ELSEWHERE = Source(
    "site",
    "other.yaml",
    "customize: other\nfields:\n  - {name: n, type: formula, formula: thing.nick}\n",
)


def site(text=SITE):
    return Source("site", "thing.yaml", text)


def kinds(old, new):
    return [(one.kind, one.type, one.field, one.properties) for one in diff(old, new)]


def test_diff_of_nothing_and_a_release_adds_everything():
    release = effective([THING], None, 1)
    assert kinds(None, release) == [
        ("add_type", "thing", "", ()),
        ("add_field", "thing", "code", ()),
        ("add_field", "thing", "size", ()),
        ("add_field", "thing", "rows", ()),
        ("add_view", "thing", "all", ()),
    ]
    assert diff(release, release) == ()


def test_diff_goes_by_id_through_every_kind_of_change():
    text = THING.text.replace("name: code,", "name: sku, was: code, unique: true,")
    text = text.replace("name: size, type: integer", "name: size, type: decimal")
    text = text.replace(
        "{name: a, type: text}", "{name: b, was: a, type: text}, {name: c, type: text}"
    )
    text = (
        text.replace("[code]", "[sku]")
        + "label: {en: T}\nunique_together: [{fields: [sku, size]}]\n"
    )
    text += "policies: [{name: p, who: {role: clerk}, actions: [view]}]\n"
    old = effective([THING, OTHER], None, 1)
    new = effective([Source("core", "thing.yaml", text)], old, 2)
    assert kinds(old, new) == [
        ("archive_type", "other", "", ()),
        ("change_type", "thing", "", ("label", "layout")),
        ("rename_field", "thing", "sku", ()),
        ("change_field", "thing", "sku", ("unique",)),
        ("retype_field", "thing", "size", ()),
        ("change_field", "thing", "size", ("precision",)),
        ("rename_field", "thing", "rows.b", ()),
        ("add_field", "thing", "rows.c", ()),
        ("add_unique", "thing", "sku, size", ()),
        ("change_view", "thing", "all", ("columns",)),
        ("add_policy", "thing", "p", ()),
    ]
    back = effective([THING, OTHER], new, 3)
    assert ("restore_type", "other", "", ()) in kinds(new, back)


def test_diff_tells_of_positions_and_who_of_them_manages():
    def made(text):
        return effective([THING, Source("core", "roles.yaml", f"roles: []\n{text}")], None, 1)

    none, head = made(""), made("positions: [{name: head}]")
    leading = made("positions: [{name: head, manages: true}]")
    assert kinds(none, head) == [("add_position", "head", "", ())]
    assert kinds(head, leading) == [("change_position", "head", "", ("manages",))]
    assert kinds(leading, none) == [("drop_position", "head", "", ())]


def test_diff_shows_old_and_new_as_plain_json():
    old = effective([THING], None, 1)
    new = effective(
        [THING, Source("site", "s.yaml", "customize: thing\nfields: [{name: size, min: 3}]\n")],
        old,
        2,
    )
    [change] = diff(old, new)
    assert (change.id, change.old, change.new) == ("core.thing.size", {"min": None}, {"min": "3"})


def test_changes_are_written_into_the_site_s_file_and_nothing_else_moves():
    sources = [THING, OTHER, site(), ELSEWHERE]
    running = effective(sources, None, 1)
    changed = apply_changes(
        sources,
        [
            {"op": "rename_field", "type": "thing", "field": "nick", "to": "alias"},
            {
                "op": "add_field",
                "type": "thing",
                "field": {"name": "n", "type": "boolean", "default": False},
            },
            {"op": "archive_field", "type": "thing", "field": "size"},
            {
                "op": "set_property",
                "type": "thing",
                "field": "code",
                "property": "help",
                "value": {"en": "null"},
            },
            {"op": "set_property", "type": "other", "property": "icon", "value": "box"},
        ],
        running,
    )
    assert changed[:2] == [THING, OTHER]
    lines = list(difflib.ndiff(SITE.splitlines(), changed[2].text.splitlines()))
    assert [line for line in lines if line[0] in "+-"] == [
        "-   - {name: nick, type: text, default: True, label: {zh: 昵称}}   # short name",
        "+   - {name: alias, type: text, default: True, label: {zh: 昵称}, was: nick}"
        " # short name",
        '-   - {name: size, required_when: "nick is not empty", max: 011}',
        '+   - {name: size, required_when: "alias is not empty", max: 011}',
        "-     formula: UPPER(nick)",
        "+     formula: UPPER(alias)",
        "+   - {name: n, type: boolean, default: false}",
        '+   - {name: code, help: {en: "null"}}',
        "-   - {check: 'nick != \"nick\"', message: {en: 12:00}}",
        "+   - {check: 'alias != \"nick\"', message: {en: 12:00}}",
        "-   - {name: nicks, columns: [nick, code], sort: [-nick], filter: nick > 'a'}",
        "+   - {name: nicks, columns: [alias, code], sort: [-alias], filter: alias > 'a'}",
        "+ archive:",
        "+   - size",
    ]
    assert changed[3].text.endswith("formula: thing.alias}\nicon: box\n")


def test_renaming_keeps_the_field_and_its_values():
    sources = [THING, OTHER, site(SITE.replace(", max: 011", "")), ELSEWHERE]
    first = effective(sources, None, 1)
    renamed = apply_changes(
        sources, [{"op": "rename_field", "type": "thing", "field": "nick", "to": "alias"}], first
    )
    second = effective(renamed, first, 2)
    assert [one.kind for one in diff(first, second) if one.id == "site.thing.nick"] == [
        "rename_field"
    ]
    assert second.types["thing"].field("alias").id == "site.thing.nick"


def test_archiving_a_field_of_the_site_removes_it_from_its_file():
    text = "customize: thing\nfields:\n  - {name: a, type: text}\n  - {name: b, type: text}\n"
    changed = apply_changes(
        [THING, site(text)], [{"op": "archive_field", "type": "thing", "field": "a"}], None
    )
    assert changed[1].text == "customize: thing\nfields:\n  - {name: b, type: text}\n"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"op": "explode"}, "changes.0"),
        ({"op": ["add_field"]}, "changes.0"),
        ("add_field", "changes.0"),
        ({"op": "add_field", "type": "thing"}, "changes.0.field"),
        ({"op": "add_field", "type": "thing", "field": "x"}, "changes.0.field"),
        ({"op": "add_field", "type": 3, "field": {"name": "x"}}, "changes.0.type"),
        ({"op": "add_field", "type": "nix", "field": {"name": "x"}}, "changes.0.type"),
        ({"op": "archive_field", "type": "thing", "field": "nix"}, "changes.0.field"),
        ({"op": "archive_field", "type": "thing", "field": "size", "why": 1}, "changes.0.why"),
        ({"op": "rename_field", "type": "thing", "field": "size", "to": "big"}, "changes.0.field"),
        ({"op": "rename_field", "type": "thing", "field": "nick", "to": "code"}, "changes.0.to"),
        (
            {"op": "set_property", "type": "thing", "field": "nix", "property": "min"},
            "changes.0.field",
        ),
    ],
)
def test_bad_change_is_refused_naming_its_path(change, path):
    text = SITE.replace(", max: 011", "")
    with pytest.raises(SchemaError) as caught:
        apply_changes([THING, site(text)], [change], None)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.yaml")), ids=lambda path: path.name)
def test_round_trip_of_a_shipped_file_changes_nothing(path):
    text = path.read_text()
    assert edited_text(text, lambda _: None) == text


def test_ids_are_added_where_they_are_missing_and_nothing_else_moves():
    text = (
        "record_type: t  # c\nfields:\n  - name: x\n    type: table\n    fields:\n"
        "      - {name: b, type: text}\n  - { name: c, type: text }\n"
        "  - {id: f_1, name: d, type: text}\n"
    )
    numbers = iter(range(9))
    assert add_ids(text, make=lambda: f"f_n{next(numbers)}") == (
        "record_type: t  # c\nfields:\n  - id: f_n2\n    name: x\n    type: table\n    fields:\n"
        "      - {id: f_n1, name: b, type: text}\n  - { id: f_n0, name: c, type: text }\n"
        "  - {id: f_1, name: d, type: text}\n"
    )
    assert add_ids(add_ids(text)) != text
    once = add_ids(text)
    assert add_ids(once) == once


def test_ids_of_a_change_go_to_new_fields_only():
    text = "customize: t\nfields:\n  - {name: old, required: true}\n  - {name: new, type: text}\n"
    assert add_ids(text, make=lambda: "f_x") == text.replace("{name: new", "{id: f_x, name: new")


def test_ids_of_a_broken_file_are_refused():
    with pytest.raises(SchemaError):
        add_ids("a: [")


@pytest.fixture(scope="module")
def validator():
    """Return what checks documents against the JSON Schema, which is a valid one itself."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.yaml")), ids=lambda path: path.name)
def test_json_schema_accepts_the_shipped_files(path, validator):
    validator.validate(YAML(typ="safe", pure=True).load(path.read_text()))


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("{record_type: a, fields: [{name: x, type: text}]}", True),
        ("{customize: a, fields: [{name: x}], archive: [y]}", True),
        ("{record_type: a, fields: [{name: x}]}", False),
        ("{record_type: a, fields: [{name: x, type: zzz}]}", False),
        ("{record_type: a, fields: [], archive: [y]}", False),
        ("{record_type: a, lable: {en: x}, fields: []}", False),
        ("{record_type: a, label: {english: x}, fields: []}", False),
        ("{flow: a, version: 1, document: b, steps: [{id: x, approvers: {role: [y]}}]}", True),
        ("{flow: a, version: 1, document: b, steps: [{approvers: {role: x}}]}", False),
        ("{flow: a, version: 1, document: b, steps: [{id: x, fields: {edit: [y]}}]}", True),
        (
            "{flow: a, version: 1, document: b, steps: [{id: x, type: branch, cases: "
            "[{when: c, steps: [{id: y, typ: cc}]}], else: []}]}",
            False,
        ),
        ("{roles: [{name: x}]}", True),
        ("{calendar: x, holidays: [{day: '2026-10-01'}]}", True),
        ("{calendar: x, holidays: [{to: '2026-10-01'}]}", False),
        ("{account_kind: x, owner: member, categories: [{name: A}]}", True),
        ("{account_kind: x, categories: [{name: A}, {uses: true}]}", True),
        ("{account_kind: x, unit: EUR}", False),
    ],
)
def test_json_schema_says_what_the_loader_says(text, good, validator):
    assert validator.is_valid(YAML(typ="safe", pure=True).load(text)) is good


def test_json_schema_tells_editors_what_each_key_means():
    found = json_schema()
    for made in (*found["oneOf"], *found["$defs"].values()):
        for name, key in made.get("properties", {}).items():
            assert key["description"], name


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("\"ta\\x73te == 'x'\"", id="escaped"),
        pytest.param("\uff54\uff41\uff53\uff54\uff45 == 'x'", id="wide letters"),
        pytest.param("kind ==\n      'two words'", id="folded option"),
        pytest.param("kind == 'two\n      words'", id="option broken at its space"),
    ],
)
def test_a_rename_is_followed_however_the_name_is_written(written):
    base = (
        "record_type: guest\ntitle_field: taste\nfields:\n  - {name: taste, type: text}\n"
        "  - {name: kind, type: select, options: [{value: two words}]}\n"
    )
    beside = (
        f"extend: guest\nfields:\n  - name: more\n    type: text\n    visible_when: {written}\n"
    )
    before = [Source("core", "guest.yaml", base), Source("plugin", "more.yaml", beside)]
    running = effective(before, None, 1)
    assert running.types["guest"].field("more").visible_when
    renamed = (
        base.replace("name: taste", "name: flavour, was: taste")
        .replace("value: two words", "value: pair, was: two words")
        .replace("title_field: taste", "title_field: flavour")
    )
    now = [Source("core", "guest.yaml", renamed), before[1]]
    followed = follow_renames(now, running, before)
    told = effective(followed, running, 2).types["guest"].field("more").visible_when
    assert told in {"flavour == 'x'", "kind == 'pair'"}


def test_a_file_that_mentions_nothing_renamed_stays_as_it_was_written():
    base = "record_type: guest\ntitle_field: taste\nfields:\n  - {name: taste, type: text}\n"
    odd = "record_type:   tool   # kept\ntitle_field: name\nfields: [ {name: name,type: text} ]\n"
    before = [Source("core", "guest.yaml", base), Source("core", "tool.yaml", odd)]
    running = effective(before, None, 1)
    renamed = base.replace("name: taste", "name: flavour, was: taste")
    now = [Source("core", "guest.yaml", renamed), before[1]]
    assert follow_renames(now, running, before)[1] is before[1]


def test_renaming_follows_lookups_values_taken_over_and_scopes():
    guest = (
        "record_type: guest\ntitle_field: name\nfields:\n  - {name: name, type: text}\n"
        "  - {name: tier, type: link, target: tier}\n"
        "  - {name: rate, type: lookup, through: tier, field: rate}\n"
        "  - {name: kept, type: rate, fetch_from: tier.rate}\n"
        "  - {name: rule, type: condition, scope: guest.rows}\n"
        "  - name: rows\n    type: table\n    fields:\n"
        "      - {name: tier, type: link, target: tier}\n"
        "      - {name: kept, type: rate, fetch_from: tier.rate}\n"
    )
    tier = (
        "record_type: tier\ntitle_field: name\nfields:\n  - {name: name, type: text}\n"
        "  - {name: rate, type: rate}\n"
    )
    sources = [Source("site", "guest.yaml", guest), Source("site", "tier.yaml", tier)]
    changes = [
        {"op": "rename_field", "type": "tier", "field": "rate", "to": "paid"},
        {"op": "rename_field", "type": "guest", "field": "tier", "to": "level"},
        {"op": "rename_field", "type": "guest", "field": "rows", "to": "lines"},
    ]
    for number, change in enumerate(changes, start=1):
        sources = apply_changes(sources, [change], effective(sources, None, number))
    made = effective(sources, None, 9).types["guest"]
    assert (made.field("rate").through, made.field("rate").field) == ("level", "paid")
    assert made.field("kept").fetch_from == "level.paid"
    assert made.field("lines").fields[1].fetch_from == "tier.paid"
    assert made.field("rule").scope == "guest.lines"


def test_renaming_follows_what_a_backlink_offers():
    tool = (
        "record_type: tool\ntitle_field: name\nfields:\n  - {name: name, type: text}\n"
        "  - {name: worn, type: boolean}\n"
        "  - {name: deeds, type: backlink, of: deed.tool, offers: kind, "
        "options_when: {mend: worn}}\n"
    )
    deed = (
        "record_type: deed\ntitle_field: kind\nfields:\n"
        "  - {name: tool, type: link, target: tool}\n"
        "  - {name: kind, type: select, options: [{value: mend}, {value: sell}]}\n"
    )
    sources = [Source("site", "tool.yaml", tool), Source("site", "deed.yaml", deed)]
    changes = [
        {"op": "rename_option", "type": "deed", "field": "kind", "option": "mend", "to": "fix"},
        {"op": "rename_field", "type": "deed", "field": "kind", "to": "sort"},
        {"op": "rename_field", "type": "deed", "field": "tool", "to": "of_tool"},
        {"op": "rename_field", "type": "tool", "field": "worn", "to": "used"},
        {"op": "rename_type", "type": "deed", "to": "act"},
    ]
    for number, change in enumerate(changes, start=1):
        sources = apply_changes(sources, [change], effective(sources, None, number))
    deeds = effective(sources, None, 9).types["tool"].field("deeds")
    assert (deeds.of, deeds.offers, deeds.options_when) == ("act.of_tool", "sort", {"fix": "used"})
    release = effective(sources, None, 9)
    used = [place for _, place in uses(release, release.types["act"], "sort")]
    assert "tool.deeds" in used
