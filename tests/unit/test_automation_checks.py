"""What is wrong with an automation is said where it was written, all at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.automation.addresses import is_public
from core.automation.calling import signature
from core.errors import SchemaError
from core.expression.holes import Hole, UnclosedHole, plain_text, split_text
from core.schema.diff import diff
from core.schema.drafts import apply_changes
from core.schema.layers import effective
from core.schema.yamlnodes import Source

TYPES = """record_type: member
title_field: name
fields:
  - {name: name, type: text, unique: true}
  - {name: points, type: integer}
  - {name: level, type: select, options: [{value: basic}, {value: vip}]}
  - {name: born, type: date}
  - {name: sponsor, type: link, target: member}
  - {name: friends, type: links, target: member}
"""
HEAD = "automation: a\ntype: member\nrun_as: {system: true}\n"
SET = 'actions: [{do: set, values: {points: "1"}}]\n'


def problems(text, layer="core"):
    sources = [Source("core", "member.yaml", TYPES), Source(layer, "a.yaml", text)]
    try:
        effective(sources, None, 1)
    except SchemaError as error:
        return [(one.line, one.column, one.code) for one in error.problems]
    return []


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("trigger: {on: created}\nwhen: pints > 1\n" + SET, (5, 7), "expression.unknown_field"),
        ("trigger: {on: updated}\nwhen: old.pints > 1\n" + SET, (5, 11), "expression.unknown_field"),
        ("trigger: {on: manual}\nwhen: old.points > 1\n" + SET, (5, 7), "expression.unknown_field"),
        ("trigger: {on: updated, fields: [pints]}\n" + SET, (4, 33), "schema.unknown"),
        ("trigger: {on: created, fields: [points]}\n" + SET, (4, 24), "schema.not_for_this"),
        ("trigger: {on: state_changed, field: level, enters: [vipp]}\n" + SET, (4, 53), "schema.unknown"),
        ("trigger: {on: state_changed, field: points}\n" + SET, (4, 37), "schema.not_a_state"),
        ("trigger: {on: date_field, field: points}\n" + SET, (4, 34), "schema.not_a_date"),
        ("trigger: {on: date_field, field: born, at: '25:00'}\n" + SET, (4, 44), "schema.bad_time"),
        ("trigger: {on: schedule, cron: '* * * *'}\n" + SET, (4, 31), "schema.bad_time"),
        ("trigger: {on: schedule, cron: '0 9 * * *', time_zone: Mars/One}\n" + SET, (4, 55), "schema.time_zone"),
        ("trigger: {on: webhook, auth: token, match: points, input: [{name: points}]}\n" + SET, (4, 44), "schema.not_unique"),
        ("trigger: {on: webhook, auth: token}\n" + SET, (5, 16), "schema.no_record"),
        ("trigger: {on: deleted}\n" + SET, (5, 16), "schema.deleted"),
        ("trigger: {on: created}\napplies_to: [browser]\n" + SET, (5, 14), "schema.unknown"),
        ("trigger: {on: manual}\napplies_to: [form]\n" + SET, (5, 1), "schema.not_for_this"),
        ('trigger: {on: created}\nactions: [{do: set, values: {level: "\'vipp\'"}}]\n', (5, 37), "schema.unknown"),
        ('trigger: {on: created}\nactions: [{do: set, values: {points: "name"}}]\n', (5, 39), "expression.wrong_type"),
        ('trigger: {on: created}\nactions: [{do: set, values: {friends: "id"}}]\n', (5, 39), "schema.not_set"),
        ('trigger: {on: created}\nactions: [{do: set, record: name, values: {points: "1"}}]\n', (5, 29), "schema.not_a_link"),
        ('trigger: {on: created}\nactions: [{do: create, type: visit, values: {x: "1"}}]\n', (5, 30), "schema.unknown"),
        ("trigger: {on: created}\nactions: [{do: submit}]\n", (5, 16), "schema.not_a_document"),
        ("trigger: {on: created}\nactions: [{do: plugin, name: no.where}]\n", (5, 30), "schema.unknown"),
        ("trigger: {on: created}\nactions: [{do: notify, to: {user: [name]}, title: {en: 'x {nam} y'}}]\n", (5, 60), "expression.unknown_field"),
        ("trigger: {on: created}\nactions: [{do: notify, to: {user: [name]}, title: {en: 'x {name'}}]\n", (5, 56), "schema.brace"),
        ("trigger: {on: created}\nactions: [{do: notify, to: {address: [name]}, title: {en: x}}]\n", (5, 29), "schema.not_for_this"),
        ("trigger: {on: created}\nactions: [{do: webhook, url: 'ftp://x.example'}]\n", (5, 30), "schema.bad_url"),
        ("trigger: {on: created}\nactions: []\n", (1, 1), "schema.missing"),
    ],
)  # fmt: skip
def test_mistake_is_named_with_line_and_column(text, place, code):
    assert (*place, code) in problems(HEAD + text)


def test_every_problem_of_an_automation_is_said_at_once():
    text = (
        "automation: Loud Name\ntype: membr\ntrigger: {on: created}\nrun_as: {}\n"
        "actions: [{do: webhook, url: nowhere}]\n"
    )
    codes = [code for _, _, code in problems(text)]
    assert {"schema.bad_name", "schema.unknown", "schema.run_as", "schema.bad_url"} <= set(codes)


def test_unknown_keys_and_kinds_of_actions_are_refused():
    codes = [code for *_, code in problems(HEAD + "trigger: {on: creatd}\n" + SET)]
    assert "schema.not_one_of" in codes
    codes = [code for *_, code in problems(HEAD + "trigger: {on: created}\nwhne: x\n" + SET)]
    assert codes == ["schema.unknown_key"]


def test_site_changes_single_keys_of_what_is_shipped():
    base = HEAD + "trigger: {on: created}\n" + SET
    sources = [
        Source("core", "member.yaml", TYPES),
        Source("core", "a.yaml", base),
        Source("site", "a.yaml", "automation: a\noff: true\nlabel: {en: Mine}\n"),
    ]
    made = effective(sources, None, 1).automations["a"]
    assert (made.off, made.label, made.layer, made.trigger.on) == (
        True,
        {"en": "Mine"},
        "core",
        "created",
    )


def test_second_declaration_of_another_layer_is_a_problem():
    base = HEAD + "trigger: {on: created}\n" + SET
    sources = [
        Source("core", "member.yaml", TYPES),
        Source("core", "a.yaml", base),
        Source("cards", "b.yaml", base),
    ]
    with pytest.raises(SchemaError) as error:
        effective(sources, None, 1)
    assert [one.code for one in error.value.problems] == ["schema.duplicate_automation"]


def test_part_of_an_automation_that_nobody_declared_names_what_is_missing():
    found = problems("automation: b\noff: true\n", "site")
    assert [code for *_, code in found] == ["schema.missing"]


def test_diff_names_automations_that_come_change_and_go():
    base = [Source("core", "member.yaml", TYPES)]
    one = effective(
        [*base, Source("core", "a.yaml", HEAD + "trigger: {on: created}\n" + SET)], None, 1
    )
    two = effective(
        [
            *base,
            Source(
                "core",
                "a.yaml",
                HEAD
                + "trigger: {on: deleted}\noff: true\n"
                + SET.replace("set,", "set, record: sponsor,"),
            ),
        ],
        one,
        2,
    )
    none = effective(base, two, 3)
    assert [(each.kind, each.type) for each in diff(one, two)] == [("change_automation", "a")]
    assert [each.kind for each in diff(two, none)] == ["drop_automation"]
    assert "add_automation" in [each.kind for each in diff(none, one)]


def test_renaming_a_field_rewrites_every_mention_in_an_automation():
    text = HEAD.replace("core", "site") + (
        "trigger: {on: updated, fields: [points]}\n"
        'when: "points > 1 and old.points < 1 and sponsor.points > 2"\n'
        "actions:\n"
        '  - {do: set, record: sponsor, values: {points: "points + 1"}}\n'
        '  - {do: create, type: member, values: {points: "3", name: "TEXT(points)"}}\n'
        '  - {do: notify, to: {user: [created_by]}, title: {en: "{{points}} {points}"}}\n'
    )
    sources = [Source("site", "member.yaml", TYPES), Source("site", "a.yaml", text)]
    running = effective(sources, None, 1)
    changed = apply_changes(
        sources,
        [{"op": "rename_field", "type": "member", "field": "points", "to": "score"}],
        running,
    )
    made = effective(changed, running, 2).automations["a"]
    assert made.trigger.fields == ("score",)
    assert made.when == "score > 1 and old.score < 1 and sponsor.score > 2"
    assert made.actions[0].values == {"score": "score + 1"}
    assert made.actions[1].values == {"score": "3", "name": "TEXT(score)"}
    assert made.actions[2].title == {"en": "{{points}} {score}"}


@given(st.text(alphabet="ab{}'\" 中", max_size=30))
def test_text_in_its_plain_form_is_read_back_as_itself(text):
    assert "".join(map(str, split_text(plain_text(text)))) == text


@given(st.text(alphabet="ab{}'\"", max_size=20))
def test_any_text_is_split_or_refused(text):
    where, parts = 0, []
    try:
        parts = list(split_text(text))
    except UnclosedHole as error:
        where = error.position
    assert 0 <= where <= len(text)
    assert all(isinstance(part, str | Hole) for part in parts)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254",
        "0.0.0.0", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",  # noqa: S104  it must be refused
        "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "64:ff9b::7f00:1",
        "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::", "2001:db8::1",
        "fec0::1", "not an address", "",
    ],
)  # fmt: skip
def test_addresses_of_the_inside_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


def test_signature_covers_the_time_and_the_body():
    made = signature("secret", 5, b"body")
    assert made == signature("secret", 5, b"body")
    assert (
        len(
            {
                made,
                signature("secret", 6, b"body"),
                signature("secret", 5, b"b"),
                signature("x", 5, b"body"),
            }
        )
        == 4
    )
