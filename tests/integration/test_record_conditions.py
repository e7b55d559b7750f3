"""Rules, checks and stages hold at every door, and say why."""

import pytest

from core.records.importing import run_import
from core.records.operations import create_record
from core.records.why import explain_field
from core.workflow.operations import submit
from tests.integration.hostile_world import page_token

MEMBER = """
customize: member
fields:
  - {name: tier, type: select, label: {zh: 等级, en: Tier}, options: [{value: basic}, {value: gold}]}
  - {name: card_note, type: text, required_when: "store.code == 'VIP'"}
rules:
  - name: gold
    when: "tier == 'gold' and phone is empty"
    then:
      - {require: [phone]}
      - {error: {zh: 金卡会员不能冻结, en: A gold member is not frozen}, fields: [status]}
  - {name: tidy, when: "tier is empty", then: [{set: tier, to: "'basic'"}]}
stages:
  - {state: closed, require: [remark]}
checks:
  - {check: "email is not empty", severity: warn, message: {zh: 没有邮箱, en: No e-mail}, fields: [email]}
"""
URL = "/api/v1/records/member"


@pytest.fixture
def rules(publish):
    publish(MEMBER)


def broken(problems):
    return sorted((one["path"], one["code"]) for one in problems)


WRONG = {"no": "M1", "name": "A", "tier": "gold", "status": "closed"}
FOUND = [
    ("phone", "field.required"),
    ("remark", "field.required"),
    ("status", "rule.failed"),
]


@pytest.mark.usefixtures("rules")
def test_api_bulk_and_form_refuse_the_same(client_as, browser_as):
    api = client_as("clerk")
    assert broken(api.post(URL, json=WRONG).json["problems"]) == FOUND
    bulk = api.post(f"{URL}/bulk", json={"create": [WRONG]}).json
    assert broken(bulk["results"][0]["error"]["problems"]) == FOUND
    clerk = browser_as("clerk")
    form = clerk.post(
        "/records/member/new",
        data={**WRONG, "csrf_token": page_token(clerk)},
        headers={"Accept": "application/json"},
    )
    assert (form.status_code, broken(form.json["problems"])) == (422, FOUND)
    assert api.get(f"{URL}?count=exact").json["count"] == 0


@pytest.mark.usefixtures("rules")
def test_import_refuses_the_same(make_context, tmp_path):
    path = tmp_path / "member.csv"
    path.write_text("no,name,tier,status\nM1,A,gold,closed\nM2,B,,active\n", encoding="utf-8")
    report = run_import(make_context("admin", door="import"), "member", path)
    assert sorted((one.problem.path, one.problem.code) for one in report.problems) == FOUND
    assert report.created == 1


@pytest.mark.usefixtures("rules")
def test_rule_fills_in_and_check_warns_at_the_api(client_as):
    api = client_as("clerk")
    made = api.post(URL, json={"no": "M1", "name": "A"})
    assert (made.status_code, made.json["tier"]) == (201, "basic")
    assert [one["message"] for one in made.json["warnings"]] == ["No e-mail"]
    body = {"update": [{"id": made.json["id"], "version": 1, "status": "closed"}]}
    answer = api.post(f"{URL}/bulk", json=body).json
    assert broken(answer["results"][0]["error"]["problems"]) == [("remark", "field.required")]


def test_flow_refuses_to_submit_what_breaks_a_rule(publish, make_context):
    publish("""
customize: card_type
rules:
  - {name: named, on: submit, when: "purpose == 'member_card'", then: [{require: [suffix]}, {warn: {zh: 注意, en: Take care}}]}
""")
    ctx = make_context("clerk")
    made = create_record(ctx, "card_type", {"code": "GOLD", "name": "G", "default_rate": "0.9"})
    assert not ctx.warnings
    with pytest.raises(Exception, match="required") as error:
        submit(make_context("clerk"), "card_type", made["id"])
    assert [(one.path, one.code) for one in error.value.problems] == [("suffix", "field.required")]


@pytest.mark.usefixtures("rules")
def test_why_tells_each_reason_and_what_was_read(client_as):
    api = client_as("clerk")
    store = (
        client_as("admin").post("/api/v1/records/store", json={"code": "VIP", "name": "V"}).json
    )
    member = {"no": "M1", "name": "A", "store": store["id"], "card_note": "x", "tier": "gold",
              "phone": "1380000"}  # fmt: skip
    made = api.post(URL, json=member).json
    why = api.get(f"{URL}/{made['id']}/why?field=card_note").json
    assert why["required"]["value"] is True
    reason = why["required"]["reasons"][0]
    assert (reason["source"], reason["text"], reason["holds"]) == (
        "required_when", "store.code == 'VIP'", True,
    )  # fmt: skip
    assert reason["parts"] == [
        {"text": "store.code == 'VIP'", "value": True},
        {"text": "store.code", "value": "VIP"},
    ]
    phone = api.get(f"{URL}/{made['id']}/why?field=phone").json
    assert [
        (one["source"], one["name"], one["holds"]) for one in phone["required"]["reasons"]
    ] == [("rule", "gold", False)]
    status = api.get(f"{URL}/{made['id']}/why?field=status").json
    assert status["options"] == {"active": True, "frozen": True, "closed": True}
    assert api.get(f"{URL}/{made['id']}/why?field=nothing").status_code == 422
    assert api.get(f"{URL}/{made['id']}/why").status_code == 422


def test_why_keeps_back_what_its_reader_may_not_see(publish, make_context, client_as):
    publish("""
customize: member
fields:
  - {name: score, type: integer}
  - {name: offer, type: text, visible_when: "score >= 10 and store.code == 'VIP' or name == 'A'"}
policies:
  - {name: front, who: {role: cashier}, actions: [view], fields: {view: [offer]}}
""")
    values = {"no": "M1", "name": "A", "score": 12, "offer": "x"}
    made = create_record(make_context("admin"), "member", values)
    every = explain_field(make_context("admin"), "member", made["id"], "offer")
    assert {"text": "score", "value": 12} in every["visible"]["reasons"][0]["parts"]
    cashier = client_as("cashier")
    shown = cashier.get(f"{URL}/{made['id']}/why?field=offer").json
    parts = {one["text"]: one for one in shown["visible"]["reasons"][0]["parts"]}
    assert parts["score"] == {"text": "score", "no_access": True}
    assert parts["score >= 10"] == {"text": "score >= 10", "no_access": True}
    assert parts["name"] == {"text": "name", "value": "A"}
    assert shown["read_only"]["value"] is True
    assert cashier.get(f"{URL}/{made['id']}/why?field=score").status_code == 403
