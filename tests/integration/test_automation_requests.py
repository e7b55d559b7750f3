"""The REST interface and the pages of automations, webhooks that come in, and hostile input."""

import json
import time

import pytest

from core.automation.calling import signature
from core.automation.switches import secret_of
from core.jobs.worker import Worker

BUTTON = """
automation: call_back
label: {zh: 安排回访, en: Call back}
type: member
trigger: {on: manual}
when: "status == 'active'"
run_as: {system: true}
actions:
  - {do: notify, to: {user: [current_user]}, title: {zh: "回访 {name}", en: "Call {name}"}}
"""

HOOK = """
automation: signed_in
type: member
trigger: {on: webhook, auth: token, match: "no", input: [{name: "no", type: text, required: true}, {name: count, type: integer}]}
run_as: {role: clerk}
actions:
  - {do: set, values: {note: "CONCAT('count ', TEXT(input_count))"}}
"""

NOTE = """
customize: member
fields:
  - {name: note, type: text}
"""


@pytest.fixture
def site_schema():
    return (BUTTON, NOTE, HOOK)


@pytest.fixture
def shop(site):
    return site


def member(client, number="T1"):
    made = client.post("/api/v1/records/member", json={"no": number, "name": "Lin"})
    assert made.status_code == 201, made.json
    return made.json["id"]


def deliver(site):
    worker = Worker(site.services.db, lambda: site.context("system"), elected=False)
    while worker.turn():
        pass


def address(site, name="signed_in"):
    shown = site.client("admin").get(f"/api/v1/automations/{name}/secret").json["address"]
    return shown[shown.index("/api/") :]


def test_button_of_a_record_is_offered_pressed_and_done_once(shop):
    clerk = shop.client("clerk")
    record = member(clerk)
    home = f"/api/v1/records/member/{record}/automations"
    assert clerk.get(home).json == {"items": [{"name": "call_back", "label": "Call back"}]}
    headers = {"Idempotency-Key": "once"}
    first = clerk.post(f"{home}/call_back", json={}, headers=headers)
    assert (first.status_code, first.json) == (
        202,
        clerk.post(f"{home}/call_back", json={}, headers=headers).json,
    )
    deliver(shop)
    notices = clerk.get("/api/v1/notices").json
    assert ([one["message"] for one in notices["items"]], notices["unread"]) == (["Call Lin"], 1)
    assert clerk.post("/api/v1/notices/read", json={}).json == {"read": 1}
    assert clerk.get("/api/v1/notices").json == {"items": [], "unread": 0}
    run = shop.client("admin").get(f"/api/v1/automations/runs/{first.json['run']}").json
    assert (run["state"], run["by"], run["results"][0]["state"]) == ("done", "clerk", "done")


def test_button_is_refused_where_it_is_not_offered(shop):
    clerk = shop.client("clerk")
    record = member(clerk)
    etag = {"If-Match": clerk.get(f"/api/v1/records/member/{record}").headers["ETag"]}
    home = f"/api/v1/records/member/{record}"
    states = clerk.get("/api/v1/types/member")
    other = next(
        option["value"]
        for field in states.json["fields"] if field["name"] == "status"
        for option in field["options"] if option["value"] != "active"
    )  # fmt: skip
    assert clerk.patch(home, json={"status": other}, headers=etag).status_code == 200
    assert clerk.get(f"{home}/automations").json == {"items": []}
    refused = clerk.post(f"{home}/automations/call_back", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "automation.not_now")
    assert clerk.post(f"{home}/automations/nothing", json={}).status_code == 404
    assert clerk.post(f"{home}/automations/signed_in", json={}).status_code == 404
    assert shop.client("auditor").post(f"{home}/automations/call_back", json={}).status_code in {
        403,
        404,
    }
    assert shop.client().post(f"{home}/automations/call_back", json={}).status_code == 401


def test_webhook_with_the_token_changes_the_record_that_it_names(shop):
    clerk = shop.client("clerk")
    record = member(clerk)
    caller = shop.client()
    took = caller.post(address(shop), json={"no": "T1", "count": 3})
    assert took.status_code == 202
    deliver(shop)
    assert clerk.get(f"/api/v1/records/member/{record}").json["note"] == "count 3"
    run = shop.client("admin").get(f"/api/v1/automations/runs/{took.json['run']}").json
    assert run["input"]["values"] == {"no": "T1", "count": 3}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"no": "T1", "extra": 1}', 422), (b'{"count": 1}', 422), (b'{"no": "T1", "count": "x"}', 422),
        (b'{"no": ["T1"]}', 422), (b'{"no": "T1\\u0000"}', 422), (b"[]", 400), (b"{", 400),
        (b"\xff", 400), (b'{"no": "T1", "no": "T1"}', 400), (b'{"no": "nobody"}', 404),
        (b'{"no": "T1", "count": 1e400}', 422), (b"[" * 5000, 400), (b"", 400),
        (b'{"no": "' + b"x" * 70_000 + b'"}', 413),
    ],
)  # fmt: skip
def test_webhook_refuses_what_it_cannot_read(shop, body, status):
    member(shop.client("clerk"))
    answer = shop.client().post(address(shop), data=body, content_type="application/json")
    assert answer.status_code == status, answer.json
    assert set(answer.json) >= {"code", "message", "problems", "hint", "request_id"}
    assert shop.client("admin").get("/api/v1/automations/runs").json["items"] == []


def test_webhook_without_its_secret_is_not_there(shop):
    caller, good = shop.client(), address(shop)
    for path in (
        good[:-1],
        good[:-1] + "é",
        good.rpartition("/")[0],
        good + "/x",
        good.replace("signed_in", "call_back"),
    ):
        assert caller.post(path, json={"no": "T1"}).status_code in {404, 405}, path
    assert caller.get(good).status_code == 405
    assert caller.post(good, data="no=T1").status_code == 400


def test_new_secret_makes_the_old_one_worthless(shop):
    member(shop.client("clerk"))
    old = address(shop)
    admin = shop.client("admin")
    assert admin.post("/api/v1/automations/signed_in/secret", json={}).status_code == 200
    assert shop.client().post(old, json={"no": "T1"}).status_code == 404
    assert shop.client().post(address(shop), json={"no": "T1"}).status_code == 202


def test_signed_webhook_needs_a_fresh_signature_of_this_very_body(shop, publish):
    publish(HOOK.replace("auth: token", "auth: signature"))
    member(shop.client("clerk"))
    key = secret_of(shop.settings.secret_key, "signature", "signed_in", 0)
    assert shop.client("admin").get("/api/v1/automations/signed_in/secret").json["key"] == key
    body, now = json.dumps({"no": "T1", "count": 1}).encode(), int(time.time())

    def post(data=body, at=now, with_key=key, signed=None):
        headers = {
            "X-Guanxi-Signature": signature(with_key, at, body) if signed is None else signed
        }
        path = "/api/v1/hooks/signed_in"
        return shop.client().post(
            path, data=data, content_type="application/json", headers=headers
        )

    first = post()
    assert first.status_code == 202
    assert post().json == first.json  # the same call again is the same run
    assert post(at=now - 301).status_code == 404
    assert post(at=now + 400).status_code == 404
    assert post(with_key="x").status_code == 404
    assert post(data=body + b" ").status_code == 404
    for junk in ("", "t=1", "t=,v1=", "t=99999999999999999999,v1=" + "0" * 64, "é"):
        assert post(signed=junk.encode("latin-1", "replace").decode("latin-1")).status_code == 404


def test_too_many_calls_in_a_minute_are_refused(shop, monkeypatch):
    monkeypatch.setattr("core.automation.requests.CALLS_A_MINUTE", 3)
    member(shop.client("clerk"))
    path = address(shop)
    answers = [
        shop.client().post(path, json={"no": "T1", "count": n}).status_code for n in range(5)
    ]
    assert answers == [202, 202, 202, 429, 429]


@pytest.mark.parametrize("role", ["clerk", "cashier", "approver"])
def test_automations_are_for_those_who_administer(shop, role):
    client, browser = shop.client(role), shop.browser(role)
    for path in ("", "/signed_in", "/signed_in/secret", "/runs", "/runs/x"):
        assert client.get(f"/api/v1/automations{path}").status_code == 403
    assert client.patch("/api/v1/automations/signed_in", json={"is_on": False}).status_code == 403
    assert client.post("/api/v1/automations/signed_in/secret", json={}).status_code == 403
    for path in ("", "signed_in", "runs/", "runs/x"):
        assert browser.get(f"/automations/{path}").status_code == 403


def test_auditor_sees_runs_but_switches_nothing_and_learns_no_secret(shop):
    auditor = shop.client("auditor")
    assert auditor.get("/api/v1/automations").status_code == 200
    assert auditor.get("/api/v1/automations/runs").status_code == 200
    assert auditor.get("/api/v1/automations/signed_in/secret").status_code == 403
    assert auditor.patch("/api/v1/automations/signed_in", json={"is_on": False}).status_code == 403


def test_switch_over_rest_is_strict_and_works(shop):
    admin = shop.client("configurator")
    path = "/api/v1/automations/call_back"
    assert admin.patch(path, json={"is_on": "no"}).status_code == 422
    assert admin.patch(path, json={}).status_code == 422
    assert admin.patch(path, json={"is_on": False}).json["is_on"] is False
    assert admin.patch("/api/v1/automations/nothing", json={"is_on": False}).status_code == 404
    clerk = shop.client("clerk")
    record = member(clerk)
    assert clerk.get(f"/api/v1/records/member/{record}/automations").json == {"items": []}


@pytest.mark.parametrize(
    "query", ["state=bad", "limit=0", "limit=999", "nothing=1", "automation=%00", "before='", "record=%F0%9F%98%80"]
)  # fmt: skip
def test_hostile_questions_about_runs_are_answered_cleanly(shop, query):
    admin = shop.client("admin")
    assert admin.get(f"/api/v1/automations/runs?{query}").status_code in {200, 400, 422}
    page = shop.browser("admin").get(f"/automations/runs/?{query}")
    assert page.status_code in {200, 400, 422}


def test_pages_show_what_was_done_and_text_that_looks_like_markup_stays_text(shop):
    clerk = shop.client("clerk")
    record = clerk.post(
        "/api/v1/records/member", json={"no": "T1", "name": "<b>{{7*7}}</b>"}
    ).json["id"]
    run = clerk.post(f"/api/v1/records/member/{record}/automations/call_back", json={}).json["run"]
    deliver(shop)
    admin = shop.browser("admin")
    for path in ("", "call_back", "signed_in", "runs/", f"runs/{run}"):
        page = admin.get(f"/automations/{path}")
        assert page.status_code == 200, path
        assert b"<b>{{7*7}}</b>" not in page.data
    notices = shop.browser("clerk").get("/notices/").get_data(as_text=True)
    assert "&lt;b&gt;{{7*7}}&lt;/b&gt;" in notices
    assert admin.get("/automations/nothing").status_code == 404
    assert admin.get("/automations/runs/nothing").status_code == 404


def test_webhooks_secret_is_in_no_page_until_it_is_asked_for(shop):
    secret = address(shop).rpartition("/")[2]
    page = shop.browser("admin").get("/automations/signed_in").get_data(as_text=True)
    assert secret not in page
    openapi = shop.client("admin").get("/api/v1/_openapi").get_data(as_text=True)
    assert secret not in openapi
