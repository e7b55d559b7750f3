"""Fields behind an approval: hidden by policies, masked, hidden by a seat; nothing tells them."""

import itertools
import re

import pytest

from tests.integration.hostileflow_world import API, JSON, desk, site_schema
from tests.integration.test_security_fields import told

__all__ = ["desk", "site_schema"]

#: What a cashier reads nowhere, by policies and masks.
NOWHERE_READ = (
    "CANARYNAME",
    "CANARYNEWNAME",
    "98765",
    "98,765",
    "1389999",
    "9999777",
    "canary_south",
)
#: What the seat at the desk hides besides, wherever its task or approval is shown.
AT_THE_SEAT = ("CANARYSECRET", "CANARYNEWSECRET")


@pytest.fixture
def cases(desk):
    """Return an approval in its second round, its first task, and one that was rejected."""
    old = desk.sent(code="OLD")
    assert desk.ask("approver", old, "return", opinion="no").status_code == 200
    found = desk.client("clerk").get(f"{API}/records/offer/{old.record}")
    changes = {
        "secret": "CANARYNEWSECRET", "cost": "98765.99", "tel": "13899997778",
        "name": "CANARYNEWNAME",
    }  # fmt: skip
    changed = desk.client("clerk").patch(
        f"{API}/records/offer/{old.record}", json=changes,
        headers={"If-Match": found.headers["ETag"]},
    )  # fmt: skip
    assert changed.status_code == 200, changed.json
    now = desk.submit(old.record)
    over = desk.sent(code="OVER")
    assert desk.ask("approver", over, "reject", opinion="no").status_code == 200
    waits = desk.sent(code="WAITS")
    return {"now": now, "old": old, "over": over, "waits": waits}


def words(answer, *also):
    text = told(answer)
    return [one for one in (*NOWHERE_READ, *also) if one in text]


def addresses(site, cases):
    """Yield every address that is read, with the ids and names that are there."""
    parts = {
        "task_id": [cases["now"].task, cases["old"].task, cases["over"].task],
        "instance_id": [cases["now"].instance, cases["over"].instance],
        "record_id": [cases["now"].record], "type_name": ["offer"],
        "name": ["form", "offer_release", "secret", "tel", "offer"], "version": ["1"],
        "int:version": ["1"], "number": ["1"], "int:number": ["1"],
    }  # fmt: skip
    for rule in site.app.url_map.iter_rules():
        names = re.findall(r"<([^>]+)>", rule.rule)
        is_read = rule.endpoint.startswith(("rest.", "gx.")) and "GET" in rule.methods
        if not is_read or "sign" in rule.rule or not all(name in parts for name in names):
            continue
        for chosen in itertools.product(*(parts[name] for name in names)):
            address = rule.rule
            for name, value in zip(names, chosen, strict=True):
                address = address.replace(f"<{name}>", value)
            yield address
    for text in ("CANARYNAME", "98765", "13899997777", "OLD"):
        for box in ("todo", "done", "team", "claimable"):
            yield f"/api/v1/tasks?box={box}&text={text}"
    for box in ("todo", "done", "team", "cc", "started"):
        yield f"/tasks/?box={box}&open=1"
        yield f"/tasks/rows?box={box}"
        yield f"/tasks/{cases['now'].task}?box={box}"


def test_no_address_of_an_approval_tells_what_its_reader_may_not_read(desk, site, cases):
    if site.backend != "sqlite":
        return  # what is shown is decided above the database
    client, (browser, _) = desk.client("cashier"), desk.browser("cashier")
    found, opened = {}, 0
    for address in addresses(site, cases):
        reader = client if address.startswith("/api/") else browser
        of_seat = "/tasks" in address or "/instances" in address
        # An option's name is in the form's schema for whoever may see the form.
        is_schema = address.startswith("/api/v1/types")
        with reader.get(address) as answer:
            opened += answer.status_code == 200
            assert answer.status_code < 500, address
            asked = address.partition("text=")[2] or "-"
            leaks = [one for one in words(answer, *AT_THE_SEAT * of_seat) if one != asked]
            if leaks and not is_schema:
                found[address] = leaks
    assert opened > 40
    assert found == {}
    for text in ("CANARYNAME", "98765", "13899997777"):
        assert client.get(f"{API}/tasks?text={text}").json["items"] == []


def test_no_answer_of_a_verb_or_refusal_tells_what_its_reader_may_not_read(desk, cases):
    case, old, waits = cases["now"], cases["old"], cases["waits"]
    client, colleague = desk.client("cashier"), [desk.ident("approver2")]
    stale = {"subject_hash": old.hash, "opinion": "x", "to": colleague}
    answers = {}
    for verb in ("approve", "reject", "abstain", "claim", "release"):
        answers[verb] = client.post(f"{API}/tasks/{case.task}/{verb}", json=stale)
        answers[f"{verb} form"] = desk.press("cashier", case, verb, subject_hash=old.hash)
        assert answers[verb].json["code"] == "flow.subject_changed", verb
    item = [
        {"id": case.task, "subject_hash": old.hash},
        {"id": waits.task, "subject_hash": waits.hash},
    ]
    many = {"verb": "approve", "items": item}
    deputy = {"to": colleague[0], "end": "2027-01-01T00:00:00Z", "include_roles": True}
    answers |= {
        "bulk preview": client.post(f"{API}/tasks/bulk", json=many | {"preview": True}),
        "deputy": client.post(f"{API}/delegations", json=deputy | {"preview": True}),
        "away": desk.post("cashier", "/away", to="approver2", end="2027-01-01T00:00",
                          include_roles="true", what="preview"),
        "forged field": desk.ask("cashier", case, "approve", fields={"secret": "x", "cost": "1"}),
        "claim good": desk.ask("cashier", case, "claim"),
        "hold": desk.ask("cashier", case, "approve", hold=5),
        "bulk": client.post(f"{API}/tasks/bulk", json=many),
        "withdraw": client.post(f"{API}/records/offer/{case.record}/withdraw", json={}),
        "what if": client.post(f"{API}/instances/{case.instance}/whatif", json={}),
        "evidence": client.get(f"{API}/instances/{case.instance}/evidence"),
        "note": desk.post("cashier", f"/tasks/{case.task}/notes", note="{secret} {{ doc.cost }}"),
        "notices": client.get(f"{API}/notices"),
        "notices page": desk.browser("cashier")[0].get("/notices/"),
        "plain page": desk.browser("cashier")[0].post(
            f"/tasks/{case.task}/decide",
            data={"csrf_token": desk.browser("cashier")[1], "verb": "reject",
                  "subject_hash": old.hash, "opinion": "x"},
        ),
    }  # fmt: skip
    for what, answer in answers.items():
        assert answer.status_code < 500, what
        assert words(answer, *AT_THE_SEAT) == [], what
    assert {answers[one].status_code for one in ("what if", "evidence", "withdraw")} == {403}


def test_ceiling_of_a_deputy_is_no_question_about_a_hidden_amount(desk, cases):
    """Whether a document is below a ceiling would tell its cost in some tens of requests (14)."""
    body = {
        "to": desk.ident("approver2"), "end": "2027-01-01T00:00:00Z", "include_roles": True,
        "types": ["offer"], "amount_field": "cost", "amount_max": "98765",
    }  # fmt: skip
    before = desk.prints()
    for preview in (True, False):
        answer = desk.client("cashier").post(
            f"{API}/delegations", json=body | {"preview": preview}
        )
        assert answer.status_code == 403, answer.json
    shown = desk.client("approver").post(f"{API}/delegations", json=body | {"preview": True})
    assert shown.status_code == 200
    assert desk.prints() == before


def test_past_of_a_task_compares_nothing_that_its_reader_may_not_read(desk, cases):
    same = desk.browser("cashier")[0].get(f"/tasks/{cases['now'].task}/insight").text
    whole = desk.browser("auditor")[0].get(f"/tasks/{cases['now'].task}/insight").text
    (mine,), (theirs,) = (re.findall(r"of (\d+) fields", text)[:1] for text in (same, whole))
    assert int(mine) == len({"code", "rate", "remark"})
    assert int(theirs) > int(mine)


def test_viewing_as_somebody_shows_their_queue_and_decides_nothing(desk, site, cases):
    if site.backend != "sqlite":
        return
    case = cases["waits"]
    assert desk.post("admin", "/rights/view-as", user="cashier").status_code in {200, 303}
    browser, token = desk.browser("admin")
    page = browser.get(f"/tasks/{case.task}")
    assert page.status_code == 200
    assert words(page, *AT_THE_SEAT) == []
    before = desk.prints()
    for address, form in (
        (f"/tasks/{case.task}/decide", {"verb": "approve", "subject_hash": case.hash}),
        (
            f"/tasks/{case.task}/decide",
            {"verb": "approve", "subject_hash": case.hash, "hold": "1"},
        ),
        (f"/tasks/{case.task}/decide", {"verb": "claim", "subject_hash": case.hash}),
        (f"/tasks/{case.task}/notes", {"note": "x"}),
        (f"/tasks/{case.task}/snooze", {"until": "tomorrow"}),
        (f"/tasks/{case.task}/opened", {}),
        (f"/instances/{case.instance}/terminate", {"reason": "x"}),
        ("/tasks/filters", {"label": "x"}),
        ("/away", {"to": "approver2", "end": "2027-01-01T00:00"}),
    ):
        answer = browser.post(address, data={"csrf_token": token, **form}, headers=JSON)
        assert answer.status_code == 403, (address, answer.status_code)
    many = {"verb": "approve", "items": [{"id": case.task, "subject_hash": case.hash}]}
    for address in ("/tasks/bulk", f"{API}/tasks/bulk"):
        headers = {**JSON, "X-CSRFToken": token}
        assert browser.post(address, json=many, headers=headers).status_code == 403
    assert desk.prints() == before
