"""Account kinds in an installation: added by a site, seen over REST and on pages, kept safe."""

import re
from datetime import date

import pytest

from core.errors import SchemaError
from core.ledger.moves import Move
from core.ledger.moving import reverse
from core.ledger.posting import post
from core.ledger.reading import balance

STAMPS = """
account_kind: stamps
label: {zh: 印花, en: Stamps}
owner: member
cap: 10
categories:
  - {name: given, label: {zh: 发放, en: Given}}
  - {name: lost, label: {zh: 遗失, en: Lost}, uses: true}
  - {name: used, label: {zh: 已用, en: Used}, uses: true}
"""
SLIP = """
record_type: stamp_slip
label: {zh: 印花单, en: Stamp slip}
document: true
fields:
  - {name: member, type: link, target: member, required: true}
  - {name: stamps, type: integer}
policies:
  - {name: clerks, who: {role: clerk}, actions: [view, create, edit, submit]}
"""
FLOW = """
flow: stamp_slip_release
version: 1
document: stamp_slip
steps: [{id: check, type: approve, approvers: {role: approver}, decide: any, may: [approve, reject]}]
"""


@pytest.fixture
def site_schema():
    return (STAMPS, SLIP, FLOW)


@pytest.fixture
def member(site):
    body = {"no": "M1", "name": "Ann"}
    return site.client("clerk").post("/api/v1/records/member", json=body).json["id"]


def move(site, member, *moves, ref=("stamp_slip", ""), what="gift", key=""):
    ctx = site.context("system")
    made = [Move(kind, member, category, amount, **rest) for kind, category, amount, rest in moves]
    return post(ctx, made, what=what, key=key or f"k{ctx.now}", ref=ref, valid_at=ctx.now)


def stamps(category, amount, **rest):
    return ("stamps", category, amount, rest)


def test_business_user_adds_stamps_as_a_file_and_they_are_posted(site, member):
    client = site.client("clerk")
    (empty,) = [
        one for one in client.get(f"/api/v1/members/{member}/accounts").json["accounts"]
        if one["kind"] == "stamps"
    ]  # fmt: skip
    assert (empty["id"], empty["balance"]) == (None, "0")
    move(site, member, stamps("given", 8, expires_on=date(2999, 12, 31)))
    move(site, member, stamps("used", -3, against="spent"))
    move(site, member, ("deposit", "paid", 12345, {"unit": "CNY"}))
    found = {
        one["kind"]: one
        for one in client.get(f"/api/v1/members/{member}/accounts").json["accounts"]
    }
    one = found["stamps"]
    assert one["owner"] == {"type": "member", "id": member}
    assert (one["unit"], one["balance"], one["available"], one["held"]) == (
        "points",
        "5",
        "5",
        "0",
    )
    assert one["categories"] == {"given": "8", "lost": "0", "used": "3"}
    assert one["label"] == {"zh": "印花", "en": "Stamps"}
    (lot,) = one["lots"]
    assert (lot["issued"], lot["remaining"], lot["expires_on"]) == ("8", "5", "2999-12-31")
    assert one["expiring"] == [{"month": "2999-12", "amount": "5"}]
    money = found["deposit"]
    assert (money["unit"], money["balance"], money["lots"][0]["expires_on"]) == (
        "CNY",
        "123.45",
        None,
    )
    with pytest.raises(Exception, match="At most 10"):
        move(site, member, stamps("given", 6))
    pages = [client.get(f"/api/v1/accounts/{one['id']}/entries?limit=1")]
    pages.append(client.get(f"/api/v1/accounts/{one['id']}/entries?after={pages[0].json['next']}"))
    told = [
        (each["what"], each["category"], each["amount"], each["balance"])
        for each in (it for page in pages for it in page.json["items"])
    ]
    assert told == [("gift", "used", "-3", "5"), ("gift", "given", "8", "8")]
    assert pages[1].json["next"] is None
    refused = client.get(f"/api/v1/accounts/{one['id']}/entries?after=x")
    assert (refused.status_code, refused.json["code"]) == (422, "invalid")
    assert site.client("cashier").get(f"/api/v1/members/{'0' * 36}/accounts").status_code == 404


def test_account_is_changed_by_an_approved_document_alone(site, member):
    clerk = site.client("clerk")
    made = move(site, member, stamps("given", 1))
    account = balance(site.context("system"), "stamps", member).account_id
    slips = [
        clerk.post("/api/v1/records/stamp_slip", json={"member": member, "stamps": 2}).json["id"]
        for _ in range(2)
    ]
    for slip in slips:
        move(site, member, stamps("given", 2), ref=("stamp_slip", slip), key=f"slip:{slip}")
    url = f"/api/v1/accounts/{account}/adjust"
    answered = clerk.post(f"/api/v1/records/stamp_slip/{slips[0]}/submit", json={})
    assert answered.status_code == 200, answered.json
    approver = site.client("approver")
    (task,) = approver.get("/api/v1/tasks?box=todo").json["items"]
    verb = {"subject_hash": task["subject_hash"]}
    assert approver.post(f"/api/v1/tasks/{task['id']}/approve", json=verb).status_code == 200
    for named in (slips[0], {"type": "stamp_slip", "id": slips[0]}):
        answer = clerk.post(url, json={"document": named})
        assert (answer.status_code, answer.json["ref"]["id"]) == (200, slips[0])
        assert [(one["category"], one["amount"]) for one in answer.json["entries"]] == [
            ("given", "2")
        ]
    for body in (
        {}, {"amount": "100"}, {"document": slips[1]}, {"document": made.id}, {"document": 7},
        {"document": {"type": "member", "id": member}}, {"document": {"type": "stamp_slip"}},
    ):  # fmt: skip
        answer = clerk.post(url, json=body)
        assert (answer.status_code, answer.json["code"]) == (409, "ledger.document_required"), body
        assert "stamp_slip" in answer.json["hint"]
    assert balance(site.context("system"), "stamps", member).balance == 5


def test_kind_with_entries_stays_what_it_is(site, member):
    site.publish(STAMPS.replace("cap: 10", "unit: money"))
    site.publish(STAMPS.replace("name: lost", "name: gone"))
    move(site, member, stamps("given", 8))
    for text, path in (
        (STAMPS.replace("cap: 10", "unit: money"), "stamps.unit"),
        (STAMPS.replace("owner: member", "owner: store"), "stamps.owner"),
        (STAMPS.replace("name: given", "name: granted"), "stamps.categories.given"),
        (
            STAMPS.replace("Given}}", "Given}, uses: true}").replace(
                "Lost}, uses: true}", "Lost}}"
            ),
            "stamps.categories.given",
        ),
    ):
        with pytest.raises(SchemaError) as refusal:
            site.publish(text)
        assert [(one.path, one.code) for one in refusal.value.problems] == [
            (path, "schema.account_in_use")
        ]
    site.publish(STAMPS.replace("name: lost", "name: missing").replace("cap: 10", "cap: 99"))
    kind = site.services.registries.current().release.account_kinds["stamps"]
    assert (kind.cap, [one.name for one in kind.categories]) == (99, ["given", "missing", "used"])


def test_reports_over_rest_and_on_their_page(site, member):
    move(site, member, stamps("given", 8, expires_on=date(2999, 12, 31)))
    move(site, member, stamps("used", -3, against="spent"))
    auditor = site.client("auditor")
    answer = auditor.get("/api/v1/ledger/rollforward?kind=stamps")
    assert answer.json["proved"] is True
    rows = {one["category"]: one for one in answer.json["rows"]}
    assert (rows["given"]["open"], rows["given"]["issued"], rows["given"]["close"]) == (
        "0",
        "8",
        "8",
    )
    assert (rows["used"]["spent"], rows["used"]["close"]) == ("-3", "-3")
    owed = auditor.get("/api/v1/ledger/liability?kind=stamps").json
    assert owed["rows"] == [
        {"unit": "points", "category": "given", "month": "2999-12", "amount": "5", "ended": False}
    ]
    assert owed["totals"] == {"points": "5"}
    for query in (
        "from=yesterday",
        "to=0001-01-01",
        "from=2026-01-02&to=2026-01-01",
        "known_at=2026-01-01",
    ):
        assert auditor.get(f"/api/v1/ledger/rollforward?kind=stamps&{query}").status_code == 422
    page = site.browser("approver").get("/ledger/?kind=stamps").text
    assert "Proved: every entry has its counterpart" in page
    assert "2999-12" in page
    assert site.browser("clerk").get("/ledger/").status_code == 403
    assert site.browser("auditor").get("/ledger/?from=never").status_code == 422
    lines = site.browser("auditor").get("/ledger/export?kind=stamps&what=liability").text
    assert lines.splitlines()[1] == "points,Given,2999-12,5"
    book = site.browser("auditor").get("/ledger/export?kind=stamps&format=xlsx")
    assert (book.status_code, book.data[:2]) == (200, b"PK")


def test_accounts_without_entries_stand_on_the_statement_by_no_name_twice(site, member):
    text = site.browser("clerk").get(f"/records/member/{member}/accounts").text
    names = re.findall(r'\sid="([^"]*)"', text)
    assert text.count("<section") > 1
    assert len(names) == len(set(names))


def test_statement_of_a_member_says_why_the_balance_is_what_it_is(site, member):
    move(site, member, stamps("given", 8))
    move(site, member, stamps("used", -3, against="spent"), what="sale", key="s1")
    gone = move(site, member, stamps("given", 1), key="s2")
    reverse(site.context("system"), gone.id)
    browser = site.browser("clerk")
    assert f"/records/member/{member}/accounts" in browser.get(f"/records/member/{member}").text
    text = browser.get(f"/records/member/{member}/accounts").text
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert "5 = Given 8 − Used 3" in plain
    assert "Sale" in plain
    assert "Taken back" in plain
    # What ends together stands in one row, however many lots it came in.
    assert plain.count("never ends") + plain.count("2999-12-31") == 1
    assert browser.get(f"/records/member/{member}/accounts?account=x&after=1.1").status_code == 200


def test_reports_begin_with_a_kind_that_somebody_has(site, member):
    move(site, member, stamps("given", 8))
    page = site.browser("approver").get("/ledger/").text
    assert '<option value="stamps" selected>' in page
    assert "Proved: every entry has its counterpart" in page
