"""What refers to something else is checked when a schema is made, each problem at its place."""

import pytest

from core.errors import SchemaError
from core.schema.layers import effective
from core.schema.yamlnodes import Source

HEAD = """record_type: thing
fields:
  - {name: code, type: text}
  - {name: size, type: integer}
  - {name: owner, type: link, target: person}
  - {name: rows, type: table, fields: [{name: price, type: money}, {name: note, type: text}]}
"""
PERSON = Source(
    "core",
    "person.yaml",
    "record_type: person\nfields:\n  - {name: name, type: text}\n"
    "  - {name: things, type: backlink, of: thing.owner}\n",
)
ROLES = Source("core", "roles.yaml", "roles:\n  - {name: clerk}\n  - {name: approver}\n")


def problems(text, *more):
    with pytest.raises(SchemaError) as caught:
        effective([Source("core", "t.yaml", text), PERSON, ROLES, *more], None, 1)
    return [
        (one.line, one.column, one.code) for one in caught.value.problems if one.file == "t.yaml"
    ]


def test_the_base_of_these_tests_is_sound():
    assert effective([Source("core", "t.yaml", HEAD), PERSON, ROLES], None, 1).number == 1


FIELDS = {
    "{name: id, type: text}": (7, 12, "schema.reserved"),
    "{name: Size, type: text}": (7, 12, "schema.bad_name"),
    "{name: a__b, type: text}": (7, 12, "schema.bad_name"),
    "{name: 2a, type: text}": (7, 12, "schema.bad_name"),
    "{name: a b, type: text}": (7, 12, "schema.bad_name"),
    "{name: _a, type: text}": (7, 12, "schema.bad_name"),
    "{name: 会会会会会会会会会会会会会会会会会会会, type: text}": (7, 12, "schema.bad_name"),
    "{name: size, type: text}": (7, 12, "schema.duplicate_field"),
    "{name: x, type: condition}": (7, 5, "schema.missing"),
    "{name: x, type: condition, scope: thign}": (7, 39, "schema.unknown"),
    "{name: x, type: condition, scope: thing.size}": (7, 39, "schema.unknown"),
    "{name: x, type: expression, scope: thing, gives: money}": (7, 54, "schema.not_one_of"),
    "{name: x, type: department}": (7, 21, "schema.unknown"),
    "{name: x, type: secret, unique: true}": (7, 29, "schema.not_for_type"),
    "{name: x, type: rich_text, pattern: a}": (7, 32, "schema.not_for_type"),
    "{name: x, type: table, fields: [{name: y, type: secret}]}": (7, 53, "schema.not_in_rows"),
    "{name: x, type: table, fields: [{name: y, type: lookup, through: z, field: name}, "
    "{name: z, type: link, target: person}]}": (7, 53, "schema.not_in_rows"),
    "{name: x, type: nubmer}": (7, 21, "schema.unknown"),
    "{name: x, type: text, min: 3}": (7, 27, "schema.not_for_type"),
    "{name: x, type: integer, options: []}": (7, 30, "schema.not_for_type"),
    "{name: x, type: formula, formula: size, required: true}": (7, 45, "schema.not_for_type"),
    "{name: x, type: integer, min: x}": (7, 35, "schema.bad_bound"),
    "{name: x, type: integer, min: 3, max: 2}": (7, 35, "schema.contradiction"),
    "{name: x, type: text, min_length: 3, max_length: 2}": (7, 39, "schema.contradiction"),
    "{name: x, type: text, pattern: '('}": (7, 36, "schema.bad_pattern"),
    "{name: x, type: text, pattern: '(?=a)'}": (7, 36, "schema.bad_pattern"),
    "{name: x, type: money, currency: yuan}": (7, 38, "schema.bad_currency"),
    "{name: x, type: integer, default: NO}": (7, 39, "schema.bad_default"),
    "{name: x, type: text, default: abc, max_length: 2}": (7, 36, "schema.bad_default"),
    "{name: x, type: text, default: a, default_expr: code}": (7, 36, "schema.contradiction"),
    "{name: x, type: select}": (7, 5, "schema.missing"),
    "{name: x, type: select, options: [{value: a}, {value: a}]}": (7, 59, "schema.duplicate"),
    "{name: x, type: select, options: [{value: 'a;b'}]}": (7, 47, "schema.bad_option"),
    "{name: x, type: select, options: [{value: a}], default: b}": (7, 61, "schema.bad_default"),
    "{name: x, type: select, options_from: [{type: persno, value: name}]}": (
        7,
        51,
        "schema.unknown",
    ),
    "{name: x, type: select, options_from: [{type: person, value: nmae}]}": (
        7,
        66,
        "schema.unknown",
    ),
    "{name: x, type: select, options_from: [{type: person, value: name, filter: 'nix'}]}": (
        7,
        81,
        "expression.unknown_field",
    ),
    "{name: x, type: link}": (7, 5, "schema.missing"),
    "{name: x, type: link, target: persno}": (7, 35, "schema.unknown"),
    "{name: x, type: link, target: person, required: true, on_delete: set_null}": (
        7,
        70,
        "schema.contradiction",
    ),
    "{name: x, type: link, target: person, filter: nix}": (7, 51, "expression.unknown_field"),
    "{name: x, type: backlink, of: person}": (7, 35, "schema.bad_backlink"),
    "{name: x, type: backlink, of: persn.name}": (7, 35, "schema.unknown"),
    "{name: x, type: backlink, of: person.nix}": (7, 35, "schema.unknown"),
    "{name: x, type: backlink, of: person.name}": (7, 35, "schema.bad_backlink"),
    "{name: x, type: text, offers: size}": (7, 27, "schema.not_for_type"),
    "{name: x, type: formula}": (7, 5, "schema.missing"),
    "{name: x, type: formula, formula: code + 1}": (7, 44, "expression.bad_arithmetic"),
    "{name: x, type: formula, formula: owner}": (7, 39, "schema.formula_type"),
    "{name: x, type: formula, formula: x}": (7, 39, "schema.circle"),
    "{name: x, type: rollup, of: rows}": (7, 5, "schema.missing"),
    "{name: x, type: rollup, of: size, how: count}": (7, 33, "schema.rollup_of"),
    "{name: x, type: rollup, of: nix, how: count}": (7, 33, "schema.unknown"),
    "{name: x, type: rollup, of: rows, take: nix, how: sum}": (7, 45, "schema.unknown"),
    "{name: x, type: rollup, of: rows, take: note, how: sum}": (7, 45, "schema.rollup_type"),
    "{name: x, type: rollup, of: rows, how: count, filter: nix > 1}": (
        7,
        59,
        "expression.unknown_field",
    ),
    "{name: x, type: sequence, number: 'CP-{yyyy}'}": (7, 39, "schema.bad_number"),
    "{name: x, type: sequence, number: 'CP-{mm}-{000}', reset: yearly}": (
        7,
        39,
        "schema.bad_number",
    ),
    "{name: x, type: sequence, number: '{week}{0}'}": (7, 39, "schema.bad_number"),
    "{name: x, type: text, visible_when: size}": (7, 41, "expression.wrong_type"),
    "{name: x, type: text, required_when: nix == 1}": (7, 42, "expression.unknown_field"),
    "{name: x, type: json, unique: true}": (7, 27, "schema.not_for_type"),
    "{name: x, type: formula, formula: owner.name, index: true}": (7, 58, "schema.not_stored"),
    "{name: x, type: table, fields: []}": (7, 36, "schema.missing"),
    "{name: x, type: table, fields: [{name: y, type: links, target: person}]}": (
        7,
        53,
        "schema.not_in_rows",
    ),
    "{name: x, type: table, fields: [{name: y, type: sequence, number: '{0}'}, "
    "{name: z, type: formula, formula: CONCAT(y)}]}": (7, 113, "schema.reads_number"),
    "{name: x, type: table, fields: [{name: position, type: integer}]}": (
        7,
        44,
        "schema.reserved",
    ),
    "{name: x, type: table, min_rows: 3, max_rows: 2, fields: [{name: a, type: text}]}": (
        7,
        38,
        "schema.contradiction",
    ),
}


@pytest.mark.parametrize("field", FIELDS)
def test_bad_field_is_refused_at_its_place(field):
    assert problems(f"{HEAD}  - {field}\n") == [FIELDS[field]]


REST = {
    "title_field: nmae": (7, 14, "schema.unknown"),
    "title_field: rows": (7, 14, "schema.title_type"),
    "layout: [{tab: {en: a}, sections: [{fields: [code, nix]}]}]": (7, 52, "schema.unknown"),
    "layout: [{tab: {en: a}, sections: [{fields: [code, code]}]}]": (7, 52, "schema.duplicate"),
    "layout: [{tab: {en: a}, visible_when: size, sections: []}]": (7, 39, "expression.wrong_type"),
    "views: [{name: a, columns: [code]}, {name: a, columns: [code]}]": (7, 44, "schema.duplicate"),
    "views: [{name: A, columns: [code]}]": (7, 16, "schema.bad_name"),
    "views: [{name: a, columns: [nix]}]": (7, 29, "schema.unknown"),
    "views: [{name: a, columns: [code], sort: [-rows]}]": (7, 43, "schema.not_sortable"),
    "views: [{name: a, columns: [code], filter: size}]": (7, 44, "expression.wrong_type"),
    "views: [{name: a, type: gantt, columns: [code]}]": (7, 25, "schema.not_one_of"),
    "views: [{name: a, type: kanban, columns: [code]}]": (7, 9, "schema.missing"),
    "views: [{name: a, type: kanban, columns: [code], group_by: code}]": (
        7,
        60,
        "schema.not_a_board",
    ),
    "views: [{name: a, type: calendar, columns: [code]}]": (7, 9, "schema.missing"),
    "views: [{name: a, type: calendar, columns: [code], date_field: code}]": (
        7,
        64,
        "schema.not_a_day",
    ),
    "views: [{name: a, columns: [code], group_by: cod}]": (7, 46, "schema.unknown"),
    "views: [{name: a, columns: [code], group_by: code.month}]": (7, 46, "schema.not_groupable"),
    "views: [{name: a, columns: [code], totals: {code: sum}}]": (7, 51, "schema.total_type"),
    "views: [{name: a, columns: [code], color_when: [{when: 'code > 1', color: red}]}]": (
        7,
        62,
        "expression.cannot_compare",
    ),
    "checks: [{check: size > , message: {en: a}}]": (7, 24, "expression.unfinished"),
    "checks: [{check: size > 1, message: {en: a}, fields: [nix]}]": (7, 55, "schema.unknown"),
    "checks: [{check: size > 1}]": (7, 10, "schema.missing"),
    "delete: {allow_when: nix, message: {en: a}}": (7, 22, "expression.unknown_field"),
    "unique_together: [{fields: [code, rows]}]": (7, 35, "schema.not_unique"),
    "policies: [{name: a, who: {role: clrek}, actions: [view]}]": (7, 34, "schema.unknown"),
    "policies: [{name: a, who: {role: clerk}, actions: [veiw]}]": (7, 52, "schema.unknown"),
    "policies: [{name: a, who: {role: clerk}, actions: [view], rows: nix}]": (
        7,
        65,
        "expression.unknown_field",
    ),
    "policies: [{name: a, who: {role: clerk}, actions: [view], fields: {view: [nix]}}]": (
        7,
        75,
        "schema.unknown",
    ),
    "policies: [{name: a, who: {position: nobody}, actions: [view]}]": (7, 38, "schema.unknown"),
    "policies: [{name: a, who: {role: []}, actions: [view]}]": (7, 27, "schema.missing"),
    "archive: [code]": (7, 1, "schema.archive"),
    "document: yes": (7, 11, "schema.bad_type"),
}


@pytest.mark.parametrize("line", REST)
def test_bad_part_of_a_type_is_refused_at_its_place(line):
    assert problems(f"{HEAD}{line}\n") == [REST[line]]


FLOW = """flow: release
version: 1
document: thing
steps:
  - {id: one, approvers: {role: approver}}
"""
FLOWS = {
    FLOW.replace("thing", "thnig"): (3, 11, "schema.unknown"),
    FLOW.replace("role: approver", "role: aprover"): (5, 33, "schema.unknown"),
    FLOW + "  - {id: one, approvers: {role: clerk}}\n": (6, 10, "schema.duplicate"),
    FLOW + "subject: [nix]\n": (6, 11, "schema.unknown"),
    FLOW + "outcome: {approved: {set: {status: done}}}\n": (6, 36, "schema.bad_value"),
    FLOW + "outcome: {aproved: {set: {status: draft}}}\n": (6, 11, "schema.unknown_key"),
    FLOW + "outcome: {approved: {set: {nix: 1}}}\n": (6, 28, "schema.unknown"),
    FLOW.replace("version: 1", "version: 0"): (2, 10, "schema.out_of_range"),
    FLOW.replace("steps:\n  - {id: one, approvers: {role: approver}}", "steps: []"): (
        1,
        1,
        "schema.missing",
    ),
    FLOW.replace("{id: one,", "{id: one, may: [reject],"): (5, 20, "schema.dead_step"),
}


@pytest.mark.parametrize("text", FLOWS)
def test_bad_flow_is_refused_at_its_place(text):
    document = Source("core", "thing.yaml", HEAD + "document: true\n")
    assert problems(text, document) == [FLOWS[text]]


def test_flow_of_what_is_no_document_is_refused():
    assert problems(FLOW, Source("core", "thing.yaml", HEAD)) == [
        (3, 11, "schema.not_a_document"),
    ]


def test_changed_flow_under_a_published_version_is_refused():
    document = Source("core", "thing.yaml", HEAD + "document: true\n")
    rest = [document, PERSON, ROLES]
    first = effective([Source("core", "t.yaml", FLOW), *rest], None, 1)
    changed = FLOW.replace("approvers: {role: approver}", "approvers: {role: clerk}")
    with pytest.raises(SchemaError) as caught:
        effective([Source("core", "t.yaml", changed), *rest], first, 2)
    assert [(one.line, one.code) for one in caught.value.problems] == [(2, "schema.flow_version")]
    raised = changed.replace("version: 1", "version: 2")
    assert (
        effective([Source("core", "t.yaml", raised), *rest], first, 2).flows["release"].version
        == 2
    )


def test_policy_set_names_existing_types_and_roles():
    text = (
        "policy_set: base\npolicies:\n"
        "  - {name: a, who: {role: [clerk, nix]}, types: [thing, thnig], actions: ['*']}\n"
        "  - {name: b, who: {role: clerk}, actions: [view]}\n"
        "  - {name: c, who: {role: clerk}, types: ['*'], actions: [view],"
        " rows: created_by == current_user}\n"
        "  - {name: d, who: {role: clerk}, types: ['*'], actions: [view], rows: size > 1}\n"
    )
    assert problems(text, Source("core", "thing.yaml", HEAD)) == [
        (3, 35, "schema.unknown"),
        (3, 57, "schema.unknown"),
        (4, 5, "schema.missing"),
        (6, 72, "expression.unknown_field"),
    ]


def test_same_id_twice_is_refused():
    text = HEAD.replace("{name: code", "{id: f_1, name: code").replace(
        "{name: size", "{id: f_1, name: size"
    )
    assert problems(text) == [(4, 10, "schema.duplicate_id")]


def test_own_status_of_a_document_needs_every_state():
    text = HEAD + "  - {name: status, type: select, options: [{value: draft}]}\ndocument: true\n"
    assert problems(text) == [(7, 5, "schema.bad_status")]


def test_chinese_field_names_work_in_expressions():
    text = (
        HEAD
        + "  - {name: 数量, type: integer}\nchecks: [{check: 数量 > 0, message: {zh: 要大于零}}]\n"
    )
    found = effective([Source("core", "t.yaml", text), PERSON, ROLES], None, 1)
    assert found.types["thing"].field("数量").id == "core.thing.数量"


DEED = Source(
    "core",
    "deed.yaml",
    "record_type: deed\nfields:\n  - {name: of, type: link, target: thing}\n"
    "  - {name: why, type: text}\n"
    "  - {name: kind, type: select, options: [{value: mend}, {value: sell}]}\n",
)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("offers: kind, options_when: {mend: size > 1}", []),
        ("offers: kidn", [(7, 52, "schema.unknown")]),
        ("offers: why", [(7, 52, "schema.not_a_choice")]),
        ("options_when: {mend: size > 1}", [(7, 5, "schema.missing")]),
        ("offers: kind, options_when: {lend: size > 1}", [(7, 79, "schema.unknown")]),
        ("offers: kind, options_when: {mend: sise > 1}", [(7, 79, "expression.unknown_field")]),
    ],
)
def test_what_a_backlink_offers_is_checked(told, found):
    text = f"{HEAD}  - {{name: x, type: backlink, of: deed.of, {told}}}\n"
    if found:
        assert problems(text, DEED) == found
    else:
        made = effective([Source("core", "t.yaml", text), PERSON, ROLES, DEED], None, 1)
        assert made.types["thing"].field("x").offers == "kind"
