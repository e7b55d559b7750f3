"""Merging over REST and in the browser, and what approvals under way forbid."""

import re

GRANT = """
record_type: grant
document: true
title_field: name
fields:
  - {name: name, type: text, required: true}
  - {name: member, type: link, target: member}
policies:
  - {name: all, who: {role: Admin}, actions: ["*"]}
---
flow: grant_flow
version: 1
document: grant
steps: [{id: review, type: approve, approvers: {role: approver}}]
"""


def person(client, number, **values):
    body = {"no": f"P{number}", "name": "Chen Wei", **values}
    return client.post("/api/v1/records/member", json=body).json["id"]


def merging(client, survivor, *others, **body):
    body["records"] = [{"id": one, "version": 1} for one in others]
    url = f"/api/v1/records/member/{survivor}/merge"
    return client.post(url, json=body, headers={"If-Match": '"1"'})


def test_merge_over_rest_is_done_once_and_undone(site):
    client = site.client("admin")
    keep, gone = person(client, 1), person(client, 2, phone="13800000001")
    url = f"/api/v1/records/member/{keep}/merge"
    body = {"records": [{"id": gone, "version": 1}], "take": {"phone": gone}}
    headers = {"If-Match": '"1"', "Idempotency-Key": "once"}
    answers = [client.post(url, json=body, headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert answers[0].json["record"]["phone"] == "13800000001"
    assert client.get(f"/api/v1/records/member/{gone}").status_code == 404
    items = client.get(f"/api/v1/records/member/{gone}/merges").json["items"]
    assert [(one["survivor"], one["losers"], one["state"]) for one in items] == [
        (keep, [gone], "done")
    ]
    undo = f"/api/v1/records/member/merges/{items[0]['id']}/undo"
    assert site.client("clerk").post(undo, json={}).status_code == 403
    assert client.post(undo, json={}).json == {"restored": [gone], "moved_back": 0, "kept": []}
    again = client.post(undo, json={})
    assert (again.status_code, again.json["code"]) == (409, "merge.not_done")
    assert client.get(f"/api/v1/records/member/{gone}").json["phone"] == "13800000001"


def test_bodies_that_mean_nothing_are_refused(site):
    client = site.client("admin")
    keep, gone = person(client, 1), person(client, 2)
    url = f"/api/v1/records/member/{keep}/merge"
    for body in (
        {}, {"records": []}, {"records": [gone]}, {"records": [{"id": gone}]},
        {"records": [{"id": gone, "version": True}]}, {"records": [{"id": keep, "version": 1}]},
        {"records": [{"id": gone, "version": 1}] * 2}, {"records": 1, "x": 2},
        {"records": [{"id": gone, "version": 1}], "take": {"name": 5}},
        {"records": [{"id": gone, "version": 1}], "take": {"name": "*"}},
        {"records": [{"id": gone, "version": 1}], "reason": "x" * 3000},
    ):  # fmt: skip
        answer = client.post(url, json=body, headers={"If-Match": '"1"'})
        assert 400 <= answer.status_code < 500, body
    assert client.get(f"/api/v1/records/member/{gone}").status_code == 200
    assert merging(site.client("clerk"), keep, gone).status_code == 403


def test_approvals_under_way_refuse_a_merge_and_its_undoing(site):
    site.publish(GRANT)
    client = site.client("admin")
    keep, gone = person(client, 1), person(client, 2)
    made = client.post("/api/v1/records/grant", json={"name": "g", "member": gone}).json["id"]
    assert client.post(f"/api/v1/records/grant/{made}/submit", json={}).status_code == 200
    refused = merging(client, keep, gone)
    assert (refused.status_code, refused.json["code"]) == (409, "merge.waiting")
    assert client.get(f"/api/v1/records/member/{keep}").json["version"] == 1
    assert client.post(f"/api/v1/records/grant/{made}/withdraw", json={}).status_code == 200
    merged = merging(client, keep, gone)
    assert merged.json["moved"] == {"grant": 1}
    assert client.post(f"/api/v1/records/grant/{made}/submit", json={}).status_code == 200
    undo = f"/api/v1/records/member/merges/{merged.json['merge']}/undo"
    refused = client.post(undo, json={})
    assert (refused.status_code, refused.json["code"]) == (409, "merge.waiting")
    assert client.post(f"/api/v1/records/grant/{made}/withdraw", json={}).status_code == 200
    assert client.post(undo, json={}).json["moved_back"] == 1
    assert client.get(f"/api/v1/records/grant/{made}").json["member"] == gone


def token(page):
    return {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page)[1]}


def test_pages_merge_lead_on_and_undo(site):
    client, browser = site.client("admin"), site.browser("admin")
    keep, gone = person(client, 1), person(client, 2, phone="13800000001", remark="<b>")
    page = browser.get(f"/records/member/merge?ids={keep}&ids={gone}").text
    assert "13800000001" in page
    assert "&lt;b&gt;" in page
    body = {
        **token(page), "ids": [keep, gone], f"version.{keep}": "1", f"version.{gone}": "1",
        "survivor": keep, "take.phone": gone, "take.remark": keep, "take.no": gone,
    }  # fmt: skip
    stale = browser.post("/records/member/merge", data=body | {f"version.{gone}": "9"})
    assert stale.status_code == 412
    assert f'value="{gone}" checked' in stale.text
    answer = browser.post("/records/member/merge", data=body)
    assert answer.location == f"/records/member/{keep}/merges"
    record = client.get(f"/api/v1/records/member/{keep}").json
    assert (record["phone"], record["remark"], record["no"]) == ("13800000001", None, "P2")
    led = browser.get(f"/records/member/{gone}").text
    assert f'href="/records/member/{keep}"' in led
    assert "merged others into it" in browser.get(f"/records/member/{keep}/history").text
    page = browser.get(answer.location).text
    undo = re.search(r'action="(/records/member/[^"]+/undo)"', page)[1]
    done = browser.post(undo, data=token(page)).text
    assert "The merge was undone" in done
    assert client.get(f"/api/v1/records/member/{gone}").json["no"] == "P2"
    assert client.get(f"/api/v1/records/member/{keep}").json["no"] == "P1"


def test_pages_are_for_those_who_may_merge(site):
    client = site.client("admin")
    keep, gone = person(client, 1), person(client, 2)
    url = f"/records/member/merge?ids={keep}&ids={gone}"
    for name in ("clerk", "cashier", "auditor"):
        assert site.browser(name).get(url).status_code == 403
    browser = site.browser("admin")
    for query in ("", f"ids={keep}", f"ids={keep}&ids=x", f"ids={keep}&ids={keep}"):
        assert browser.get(f"/records/member/merge?{query}").status_code == 404
    assert browser.get(f"/records/card_type/merge?ids={keep}&ids={gone}").status_code == 403
    assert "Nothing was merged." in browser.get(f"/records/member/{keep}/merges").text
    assert site.browser("cashier").get(f"/records/member/{keep}/merges").status_code == 404


PARTY = """
record_type: party
title_field: name
fields:
  - {name: name, type: text, required: true}
  - name: tables
    type: table
    fields:
      - {name: host, type: link, target: member}
      - name: seats
        type: table
        fields:
          - {name: guest, type: link, target: member}
policies:
  - {name: all, who: {role: Admin}, actions: ["*"]}
"""


def test_links_in_rows_and_in_rows_of_rows_move_and_come_back(site):
    site.publish(PARTY)
    client = site.client("admin")
    keep, gone = person(client, 1), person(client, 2)
    tables = [
        {"host": gone, "seats": [{"guest": keep}, {"guest": gone}]},
        {"host": None, "seats": [{"guest": gone}]},
    ]
    url = "/api/v1/records/party"
    first, second = (
        client.post(url, json={"name": name, "tables": tables}).json["id"] for name in "ab"
    )
    before = client.get(f"{url}/{first}").json["tables"]
    merged = merging(client, keep, gone)
    assert merged.json["moved"] == {"party": 2}
    assert gone not in client.get(f"{url}/{first}").text
    body = {"records": [{"id": second, "version": 2}], "take": {"tables": "*"}}
    joined = client.post(f"{url}/{first}/merge", json=body, headers={"If-Match": '"2"'})
    assert len(joined.json["record"]["tables"]) == 4
    undone = client.post(f"{url}/merges/{joined.json['merge']}/undo", json={})
    assert (undone.json["restored"], undone.json["kept"]) == ([second], [])
    undo = f"/api/v1/records/member/merges/{merged.json['merge']}/undo"
    assert client.post(undo, json={}).json["kept"] == []
    assert client.get(f"{url}/{first}").json["tables"] == before
