"""From files to a release: positions, layers, ids, archives, computed types."""

from pathlib import Path

import pytest

from core.errors import SchemaError
from core.schema.layers import effective
from core.schema.model import decode_release, encode
from core.schema.yamlnodes import Source

SCHEMAS = Path(__file__).parents[2] / "schemas"

THING = """record_type: thing
fields:
  - {id: f_code, name: code, type: text, required: true}
  - {name: size, type: integer}
"""


def core(text, path="thing.yaml"):
    return Source("core", path, text)


def site(text, path="site.yaml"):
    return Source("site", path, text)


def release(*sources, running=None, number=1):
    return effective(sources, running, number)


def refusals(*sources, running=None):
    with pytest.raises(SchemaError) as caught:
        effective(sources, running, 9)
    return [(one.file, one.line, one.column, one.code) for one in caught.value.problems]


def ids(found):
    return {field.name: field.id for field in found.fields}


def shipped():
    return [
        Source("core", path.name, path.read_bytes()) for path in sorted(SCHEMAS.glob("*.yaml"))
    ]


def test_shipped_schemas_give_the_base_records_of_the_contract():
    types = release(*shipped()).types
    names = {name: [field.name for field in one.fields] for name, one in types.items()}
    assert sorted(names) == [
        "brand",
        "category",
        "counter",
        "department",
        "member",
        "order",
        "product",
        "store",
    ]
    assert names["product"][:6] == ["code", "name", "category", "counter", "brand", "list_price"]
    assert names["category"][:3] == ["code", "name", "parent"]
    assert names["store"][:4] == ["code", "name", "time_zone", "currency"]
    assert set(names["member"]) >= {"no", "name", "phone", "birthday", "gender", "status"}
    assert [field.name for field in types["member"].fields if field.required] == ["no", "name"]
    assert names["order"][:7] == ["no", "kind", "of", "store", "member", "ordered_at", "lines"]
    assert [field.name for field in types["order"].field("lines").fields] == [
        "product",
        "quantity",
        "unit_price",
        "amount",
        "amount_due",
        "of_line",
    ]


def test_shipped_schemas_have_both_languages_and_ids_everywhere():
    for record_type in release(*shipped()).types.values():
        labels = [record_type.label, record_type.label_plural]
        columns = [column for field in record_type.fields for column in field.fields]
        for field in (*record_type.fields, *columns):
            assert field.id.startswith("f_"), f"{record_type.name}.{field.name}"
            labels += [field.label, *(option.label for option in field.options)]
            labels += [field.help] if field.help else []
        labels += [view.label for view in record_type.views]
        labels += [check.message for check in record_type.checks]
        assert [sorted(label) for label in labels] == [["en", "zh"]] * len(labels)


def test_shipped_totals_are_stored_and_exact():
    order = release(*shipped()).types["order"]
    found = {
        name: (order.field(name).result, order.field(name).precision, order.field(name).stored)
        for name in ("total", "total_due", "line_count")
    }
    assert found == {
        "total": ("decimal", 2, True),
        "total_due": ("money", 2, True),
        "line_count": ("integer", None, True),
    }


def test_shipped_policies_give_public_nothing_and_auditor_no_writing():
    found = release(*shipped())
    actions = {}
    for policy in found.policies:
        for role in policy.who.roles:
            actions.setdefault(role, set()).update(policy.actions)
    assert "Public" not in actions
    assert actions["auditor"] == {"view", "history", "export", "print", "unmask"}
    assert actions["Admin"] == {"*"}
    assert [role.name for role in found.roles] == [
        "Admin",
        "configurator",
        "clerk",
        "approver",
        "cashier",
        "auditor",
        "Public",
    ]


def test_release_travels_as_json_unchanged():
    found = release(*shipped())
    assert decode_release(encode(found)) == found


def test_release_from_the_same_files_again_is_the_same():
    first = release(*shipped())
    again = release(*shipped(), running=first, number=2)
    assert again.types == first.types


def test_every_problem_of_every_file_comes_at_once_with_its_place():
    found = refusals(
        core(
            "record_type: a\nlable: {zh: 甲}\nfields:\n  - {name: x, type: txt}\n"
            "  - {type: text}\n"
        ),
        core(
            "record_type: b\nfields: []\nchecks:\n  - {check: 'y >', message: {en: z}}\n", "b.yaml"
        ),
        site("customize: c\n"),
    )
    assert found == [
        ("b.yaml", 2, 9, "schema.missing"),
        ("b.yaml", 4, 17, "expression.unfinished"),
        ("site.yaml", 1, 12, "schema.unknown_type"),
        ("thing.yaml", 2, 1, "schema.unknown_key"),
        ("thing.yaml", 4, 21, "schema.unknown"),
        ("thing.yaml", 5, 5, "schema.missing"),
    ]


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(SchemaError) as caught:
        release(core(THING + "titel_field: code\nviews:\n  - {name: all, columns: [coed]}\n"))
    assert [(one.code, one.params.get("hint")) for one in caught.value.problems] == [
        ("schema.unknown_key", "title_field"),
        ("schema.unknown", "code"),
    ]


@pytest.mark.parametrize(
    ("value", "column"),
    [("size + > 1", 13), ("'size + > 1'", 14)],
)
def test_expression_problem_stands_at_its_column(value, column):
    text = THING + f"checks:\n  - check: {value}\n    message: {{en: x}}\n"
    [(_, line, found, code)] = refusals(core(text))
    assert line == 6
    assert found >= column
    assert code.startswith("expression.")


def test_extension_and_customization_are_merged_by_field():
    found = release(
        core(THING),
        Source("card", "more.yaml", "extend: thing\nfields:\n  - {name: card, type: text}\n"),
        site(
            "customize: thing\nlabel: {en: Gadget}\nfields:\n"
            "  - {name: size, label: {en: Size}, min: 1}\n"
            "  - {id: f_code, max_length: 9}\n  - {name: note, type: text}\n"
        ),
    ).types["thing"]
    assert found.label == {"en": "Gadget"}
    assert [(field.name, field.layer) for field in found.fields] == [
        ("code", "core"),
        ("size", "core"),
        ("card", "card"),
        ("note", "site"),
    ]
    assert ids(found) == {
        "code": "f_code",
        "size": "core.thing.size",
        "card": "card.thing.card",
        "note": "site.thing.note",
    }
    assert (found.field("size").min, found.field("size").type) == ("1", "integer")
    assert (found.field("code").max_length, found.field("code").required) == (9, True)


def test_customization_of_options_keeps_the_others():
    base = core(
        "record_type: thing\nfields:\n  - name: kind\n    type: select\n"
        "    options: [{value: a, label: {en: A}}, {value: b}]\n"
    )
    over = site(
        "customize: thing\nfields:\n  - name: kind\n"
        "    options: [{value: b, archived: true}, {value: c}]\n"
    )
    options = release(base, over).types["thing"].field("kind").options
    assert [(one.value, one.archived, one.label) for one in options] == [
        ("a", False, {"en": "A"}),
        ("b", True, {}),
        ("c", False, {}),
    ]


def test_customization_cannot_change_what_a_field_of_another_layer_is():
    over = "customize: thing\nfields:\n  - {name: size, type: text}\n  - {id: f_code, name: sku}\n"
    assert refusals(core(THING), site(over)) == [
        ("site.yaml", 3, 24, "schema.fixed"),
        ("site.yaml", 4, 24, "schema.fixed"),
    ]


def test_archiving_a_base_field_takes_it_out_of_lists_and_keeps_it():
    base = core(THING + "views:\n  - {name: all, columns: [code, size], sort: [-size]}\n")
    found = release(base, site("customize: thing\narchive: [size]\n")).types["thing"]
    assert [field.name for field in found.fields] == ["code"]
    assert [field.id for field in found.archived_fields] == ["core.thing.size"]
    assert (found.views[0].columns, found.views[0].sort) == (("code",), ())


def test_archiving_a_field_that_an_expression_uses_shows_the_use():
    base = core(THING + "checks:\n  - {check: size > 1, message: {en: x}}\n")
    assert refusals(base, site("customize: thing\narchive: [size]\n")) == [
        ("thing.yaml", 6, 13, "expression.unknown_field"),
    ]


def test_removed_field_is_archived_and_comes_back_as_itself():
    first = release(core(THING))
    without = core("record_type: thing\nfields:\n  - {id: f_code, name: code, type: text}\n")
    second = release(without, running=first, number=2)
    assert [field.id for field in second.types["thing"].archived_fields] == ["core.thing.size"]
    third = release(core(THING), running=second, number=3)
    assert ids(third.types["thing"]) == ids(first.types["thing"])
    assert third.types["thing"].archived_fields == ()


def test_recreated_field_of_another_type_is_a_new_field():
    first = release(core(THING))
    without = core("record_type: thing\nfields:\n  - {id: f_code, name: code, type: text}\n")
    second = release(without, running=first, number=2)
    text = core(THING.replace("integer", "text"))
    third = release(text, running=second, number=3).types["thing"]
    assert third.field("size").id == "core.thing.size.3"
    assert [field.id for field in third.archived_fields] == ["core.thing.size"]


def test_was_states_a_rename_once_and_for_all():
    first = release(core(THING))
    renamed = core(THING.replace("name: size,", "name: length, was: size,"))
    second = release(renamed, running=first, number=2)
    assert ids(second.types["thing"])["length"] == "core.thing.size"
    again = release(renamed, running=second, number=3)
    assert again.types == second.types
    both = core(
        THING.replace("name: size,", "name: length, was: size,") + "  - {name: size, type: text}\n"
    )
    third = release(both, running=again, number=4).types["thing"]
    assert ids(third)["length"] == "core.thing.size"
    assert ids(third)["size"] == "core.thing.size.4"


def test_stated_id_that_would_part_a_field_from_its_values_is_refused():
    first = release(core(THING))
    changed = core(THING.replace("name: size,", "id: f_size, name: size,"))
    assert refusals(changed, running=first) == [("thing.yaml", 4, 10, "schema.other_id")]


def test_removed_type_is_archived_with_its_fields():
    first = release(
        core(THING), core("record_type: other\nfields: [{name: a, type: text}]\n", "o")
    )
    second = release(core(THING), running=first, number=2)
    assert second.types["other"].archived
    assert second.type("other") is None
    assert [field.name for field in second.types["other"].fields] == ["a"]


def test_columns_of_a_table_field_keep_their_ids_too():
    text = (
        "record_type: thing\nfields:\n  - name: rows\n    type: table\n    fields:\n"
        "      - {name: a, type: text}\n      - {name: b, type: text}\n"
    )
    first = release(core(text))
    assert [one.id for one in first.types["thing"].field("rows").fields] == [
        "core.thing.rows.a",
        "core.thing.rows.b",
    ]
    changed = text.replace("- {name: a,", "- {name: z, was: a,").replace(
        "      - {name: b, type: text}\n", ""
    )
    rows = release(core(changed), running=first, number=2).types["thing"].field("rows")
    assert [(one.name, one.id) for one in rows.fields] == [("z", "core.thing.rows.a")]
    assert [one.id for one in rows.archived_fields] == ["core.thing.rows.b"]


def test_document_gets_a_status_that_nobody_writes():
    found = release(core(THING + "document: true\n")).types["thing"]
    status = found.field("status")
    assert [option.value for option in status.options] == [
        "draft",
        "submitted",
        "effective",
        "rejected",
        "void",
    ]
    assert (status.default, status.read_only_when) == ("draft", "true")


def test_document_s_own_status_stays_live_in_every_later_release():
    text = THING + "document: true\n"
    first = release(core(text))
    second = release(core(text), running=first, number=2)
    assert second.types == first.types
    assert second.types["thing"].archived_fields == ()
    plain = release(core(THING), running=second, number=3).types["thing"]
    assert [one.name for one in plain.archived_fields] == ["status"]


def test_layout_and_views_are_completed():
    base = THING + "layout:\n  - tab: {en: Basics}\n    sections: [{fields: [code]}]\n"
    found = release(core(base), site("customize: thing\nfields: [{name: n, type: text}]\n"))
    [tab] = found.types["thing"].layout
    assert [section.fields for section in tab.sections] == [("code",), ("size", "n")]
    assert found.types["thing"].views[0].columns == ("code", "size", "n")


def test_formulas_of_formulas_are_resolved_and_circles_named():
    chain = (
        "record_type: t\nfields:\n  - {name: c, type: formula, formula: b + 1}\n"
        "  - {name: b, type: formula, formula: a * 2}\n  - {name: a, type: integer}\n"
        "  - {name: d, type: formula, formula: 'TODAY()'}\n"
    )
    found = release(core(chain)).types["t"]
    assert [(one.name, one.result, one.stored) for one in found.fields if one.result] == [
        ("c", "decimal", True),
        ("b", "decimal", True),
        ("d", "date", False),
    ]
    circle = (
        "record_type: t\nfields:\n  - {name: a, type: formula, formula: b + 1}\n"
        "  - {name: b, type: formula, formula: a + 1}\n"
    )
    wrong = circle.replace("a + 1", "nope + 1")
    assert refusals(core(wrong)) == [("thing.yaml", 4, 39, "expression.unknown_field")]
    assert refusals(core(circle)) == [
        ("thing.yaml", 3, 39, "schema.circle"),
        ("thing.yaml", 4, 39, "schema.circle"),
    ]


def test_plugin_tabs_are_added_and_the_site_s_layout_replaces():
    base = core(THING + "layout:\n  - tab: {en: Basics}\n    sections: [{fields: [code, size]}]\n")
    plugin = Source(
        "card",
        "card.yaml",
        "extend: thing\nfields: [{name: card, type: text}, {name: pin, type: text}]\nlayout:\n"
        "  - tab: {en: Basics}\n    sections: [{fields: [card]}]\n"
        "  - tab: {en: Card}\n    sections: [{fields: [pin]}]\n",
    )
    tabs = release(base, plugin).types["thing"].layout
    assert [(tab.tab["en"], [section.fields for section in tab.sections]) for tab in tabs] == [
        ("Basics", [("code", "size"), ("card",)]),
        ("Card", [("pin",)]),
    ]
    over = site(
        "customize: thing\nlayout:\n  - tab: {en: One}\n"
        "    sections: [{fields: [pin, card, size, code]}]\n"
    )
    [only] = release(base, plugin, over).types["thing"].layout
    assert [section.fields for section in only.sections] == [("pin", "card", "size", "code")]
