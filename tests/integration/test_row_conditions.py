"""Conditions of a table field's columns see their row and the record around it, everywhere."""

import pytest

from core.errors import Invalid
from core.records.operations import create_record, update_record
from core.records.queries import get_record

DEAL = """
record_type: deal
label: {zh: 商机, en: Deal}
title_field: name
fields:
  - {name: name, type: text, required: true}
  - {name: stage, type: select, default: open, options: [{value: open}, {value: lost}, {value: won}]}
  - {name: member, type: link, target: member}
  - name: lines
    type: table
    fields:
      - {name: kind, type: select, options: [{value: goods}, {value: service}, {value: gift}], options_when: {gift: "stage == 'won'"}}
      - {name: stage_note, type: text, visible_when: "kind == 'service' and stage != 'lost'", when_hidden: clear}
      - {name: reason, type: text, required_when: "stage == 'lost' and quantity > 1"}
      - {name: quantity, type: integer, read_only_when: "stage == 'won'"}
      - {name: pass, type: text, required_when: "member.status == 'frozen' or ANY(lines, kind == 'gift')"}
policies:
  - {name: clerks, who: {role: clerk}, actions: ["*"]}
  - {name: cashiers, who: {role: cashier}, actions: [view], fields: {view: [name, lines]}}
"""


@pytest.fixture
def site_schema():
    return (DEAL,)


@pytest.fixture
def deals(make_context):
    ctx = make_context("clerk")
    lines = [
        {"kind": "goods", "quantity": 2},
        {"kind": "service", "quantity": 1, "stage_note": "x"},
    ]
    return create_record(ctx, "deal", {"name": "D", "lines": lines})


def broken(error):
    return sorted((one.path, one.code) for one in error.value.problems)


def change(make_context, deal, values, version=1):
    return update_record(make_context("clerk"), "deal", deal["id"], values, version=version)


def test_a_change_of_the_record_alone_is_checked_against_its_rows(deals, make_context):
    with pytest.raises(Invalid) as error:
        change(make_context, deals, {"stage": "lost"})
    assert broken(error) == [("lines.0.reason", "field.required")]
    rows = [{**one, "reason": "price"} for one in deals["lines"]]
    for row in rows:
        row.pop("position", None)
    change(make_context, deals, {"stage": "lost", "lines": rows})
    stored = get_record(make_context("clerk"), "deal", deals["id"])
    assert [one["stage_note"] for one in stored["lines"]] == [None, None]


def test_what_the_record_was_locks_the_cells_of_its_rows(deals, make_context):
    change(make_context, deals, {"stage": "won"})
    rows = [{"id": one["id"], "quantity": 5} for one in deals["lines"]]
    with pytest.raises(Invalid) as error:
        change(make_context, deals, {"stage": "open", "lines": rows}, version=2)
    assert broken(error) == [
        ("lines.0.quantity", "field.read_only"), ("lines.1.quantity", "field.read_only"),
    ]  # fmt: skip


def test_options_and_links_of_the_record_decide_about_cells(deals, make_context):
    rows = [{"kind": "gift", "quantity": 1}]
    with pytest.raises(Invalid) as error:
        create_record(make_context("clerk"), "deal", {"name": "E", "lines": rows})
    assert broken(error) == [("lines.0.kind", "field.option"), ("lines.0.pass", "field.required")]
    frozen = create_record(
        make_context("clerk"), "member", {"no": "F1", "name": "F", "status": "frozen"}
    )
    with pytest.raises(Invalid) as error:
        change(make_context, deals, {"member": frozen["id"]})
    assert broken(error) == [
        ("lines.0.pass", "field.required"), ("lines.1.pass", "field.required"),
    ]  # fmt: skip


def test_why_tells_of_a_cell_what_decides_and_keeps_back_what_is_not_seen(
    deals, make_context, client_as
):
    place = f"/api/v1/records/deal/{deals['id']}/why"
    api = client_as("clerk")
    why = api.get(f"{place}?field=lines.1.stage_note").json
    assert (why["field"], why["visible"]["value"]) == ("lines.1.stage_note", True)
    assert why["visible"]["reasons"][0]["parts"][1:] == [
        {"text": "kind == 'service'", "value": True}, {"text": "kind", "value": "service"},
        {"text": "stage != 'lost'", "value": True}, {"text": "stage", "value": "open"},
    ]  # fmt: skip
    assert api.get(f"{place}?field=lines.0.stage_note").json["visible"]["value"] is False
    assert api.get(f"{place}?field=lines.0.kind").json["options"] == {
        "goods": True, "service": True, "gift": False,
    }  # fmt: skip
    for name in ("lines.2.kind", "lines.x.kind", "lines.0.nix", "lines.0", "name.0.kind"):
        assert api.get(f"{place}?field={name}").status_code == 422, name
    [reason] = (
        client_as("cashier").get(f"{place}?field=lines.0.reason").json["required"]["reasons"]
    )
    assert reason["parts"] == [
        {"text": "stage == 'lost' and quantity > 1", "no_access": True},
        {"text": "stage == 'lost'", "no_access": True}, {"text": "stage", "no_access": True},
        {"text": "quantity > 1", "value": True}, {"text": "quantity", "value": 2},
    ]  # fmt: skip


def test_renaming_a_field_of_the_record_renames_it_in_its_columns(deals, publish, make_context):
    publish(DEAL.replace("{name: stage,", "{name: phase, was: stage,"))
    ctx = make_context("clerk")
    columns = {one.name: one for one in ctx.registry.record_type("deal").field("lines").fields}
    assert columns["reason"].required_when == "phase == 'lost' and quantity > 1"
    with pytest.raises(Invalid) as error:
        update_record(ctx, "deal", deals["id"], {"phase": "lost"}, version=1)
    assert broken(error) == [("lines.0.reason", "field.required")]
