"""Every route that takes a record: one's own, a colleague's, another store's, and none (18)."""

import json
import re

import pytest

from tests.integration.hostile_world import fingerprint, page_token

DOSSIER = """
record_type: dossier
title_field: code
fields:
  - {name: code, type: text, required: true, unique: true, searchable: true}
  - {name: note, type: text}
  - {name: day, type: date}
  - {name: parent, type: link, target: dossier}
  - {name: store, type: link, target: store}
  - {name: paper, type: file}
  - {name: children, type: backlink, of: dossier.parent}
views:
  - {name: all, columns: [code, note, parent], sort: [code]}
policies:
  - name: own_store
    who: {role: cashier}
    actions: [view, create, edit, delete, export, import, print, share, history, submit, unmask]
    rows: "created_by == current_user or store.code == 'MINE'"
"""

BUTTON = """
automation: ring
type: dossier
trigger: {on: manual}
run_as: {system: true}
actions:
  - {do: set, values: {note: "'rung'"}}
"""

API = "/api/v1/records/dossier"
NOWHERE = "01890000-0000-7000-8000-000000000000"
NO_MERGE = "01890000-0000-7000-8000-000000000001"

#: Route -> what a cashier is answered for a record of their own, of a colleague at the same
#: store, of another store, and for none; the last two must be the same to the letter.
JSON_ROUTES = {
    ("", "GET"): (200, 200, 404, 404),
    ("", "PATCH"): (200, 200, 404, 404),
    ("/history", "GET"): (200, 200, 404, 404),
    ("/restore", "POST"): (200, 200, 404, 404),
    ("/why", "GET"): (200, 200, 404, 404),
    ("/duplicate", "POST"): (201, 201, 404, 404),
    ("/comments", "GET"): (200, 200, 404, 404),
    ("/comments", "POST"): (201, 201, 404, 404),
    ("/comments/<comment_id>", "PATCH"): (200, 403, 404, 404),
    ("/follow", "GET"): (200, 200, 404, 404),
    ("/follow", "PUT"): (200, 200, 404, 404),
    ("/follow", "DELETE"): (200, 200, 200, 200),
    ("/submit", "POST"): (409, 409, 409, 409),
    ("/void", "POST"): (422, 422, 422, 422),
    ("/review", "GET"): (200, 200, 404, 404),
    ("/files/<name>", "POST"): (404, 404, 404, 404),
    ("/remind", "POST"): (404, 404, 404, 404),
    ("/withdraw", "POST"): (404, 404, 404, 404),
    ("/automations", "GET"): (200, 200, 404, 404),
    ("/automations/<name>", "POST"): (202, 202, 404, 404),
    ("/print/<name>", "GET"): (200, 200, 404, 404),
    ("/unmask", "POST"): (200, 200, 404, 404),
    ("/merges", "GET"): (200, 200, 404, 404),
    ("/merge", "POST"): (422, 422, 422, 422),
    # What ends something comes last.
    ("/comments/<comment_id>", "DELETE"): (204, 403, 404, 404),
    ("", "DELETE"): (204, 204, 404, 404),
}
PAGE_ROUTES = {
    ("/void", "POST"): (409, 409, 404, 404),
    ("/review", "GET"): (200, 200, 404, 404),
    ("/files/<name>", "POST"): (404, 404, 404, 404),
    ("/accounts", "GET"): (200, 200, 404, 404),
    ("", "GET"): (200, 200, 404, 404),
    ("/versions/<int:version>", "POST"): (303, 303, 404, 404),
    ("", "POST"): (303, 303, 404, 404),
    ("/automations/<name>", "POST"): (303, 303, 404, 404),
    ("/cells/<name>", "GET"): (200, 200, 404, 404),
    ("/cells/<name>", "POST"): (200, 200, 404, 404),
    ("/comments", "POST"): (303, 303, 404, 404),
    ("/comments/<comment_id>", "POST"): (303, 403, 404, 404),
    ("/follow", "POST"): (303, 303, 404, 404),
    ("/history", "GET"): (200, 200, 404, 404),
    ("/links", "GET"): (200, 200, 404, 404),
    ("/links", "POST"): (200, 200, 404, 404),
    ("/people", "GET"): (200, 200, 404, 404),
    ("/print/<name>", "GET"): (200, 200, 404, 404),
    ("/remind", "POST"): (404, 404, 404, 404),
    ("/submit", "POST"): (409, 409, 404, 404),
    ("/timeline", "GET"): (200, 200, 404, 404),
    ("/unmask", "POST"): (200, 200, 404, 404),
    ("/versions/<int:version>", "GET"): (200, 200, 404, 404),
    ("/withdraw", "POST"): (404, 404, 404, 404),
    ("/merges", "GET"): (200, 200, 404, 404),
    ("/merges/<merge_id>/undo", "POST"): (404, 404, 404, 404),
    ("/related/<name>", "GET"): (200, 200, 404, 404),
    ("/delete", "POST"): (303, 303, 404, 404),
}
BODIES = {
    "PATCH": {"note": "changed"},
    "/restore": {"version": 1},
    "/comments": {"text": "hello"},
    "/comments/<comment_id>": {"text": "hello"},
    "/duplicate": {"code": "COPY"},
    "/unmask": {"field": "note"},
    "/merge": {"records": []},
}
FORMS = {
    "": {"note": "changed"},
    "/comments": {"text": "hello"},
    "/comments/<comment_id>": {"text": "hello"},
    "/cells/<name>": {"note": "cell"},
    "/links": {"fields": "note", "label": "l", "days": "1"},
    "/unmask": {"field": "note"},
    "/follow": {"follow": "true"},
}
#: What somebody who only reads may do to a record: it concerns themselves.
HARMLESS = {("/comments", "POST"), ("/follow", "PUT"), ("/follow", "DELETE")}
QUERIES = {"/why": "?field=note"}


@pytest.fixture
def site_schema():
    return (DOSSIER, BUTTON)


@pytest.fixture
def records(site):
    """Return (record id, comment id) of the cashier's own, a colleague's and another store's."""
    admin, cashier = site.client("admin"), site.client("cashier")
    stores = {
        code: admin.post("/api/v1/records/store", json={"code": code, "name": code}).json["id"]
        for code in ("MINE", "OTHER")
    }

    def made(client, code, store):
        record = client.post(API, json={"code": code, "note": code, "store": store})
        assert record.status_code == 201, record.json
        url = f"{API}/{record.json['id']}/comments"
        return record.json["id"], client.post(url, json={"text": f"about {code}"}).json["id"]

    return {
        "own": made(cashier, "OWN", None),
        "others": made(admin, "COLLEAGUE", stores["MINE"]),
        "other store": made(admin, "SECRET-OTHER", stores["OTHER"]),
        "missing": (NOWHERE, NOWHERE),
    }


def of_record(site, start):
    """Return (rest of the route, method) of each route of one record under a path."""
    head = f"{start}/records/<type_name>/<record_id>"
    return {
        (rule.rule.removeprefix(head), method)
        for rule in site.app.url_map.iter_rules()
        if rule.rule.startswith(head) and rule.endpoint.startswith(("rest.", "gx."))
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def url_of(rest, record, *, name):
    record_id, comment_id = record
    for part, value in (
        ("comment_id", comment_id),
        ("merge_id", NO_MERGE),
        ("name", name),
        ("int:version", "1"),
    ):
        rest = rest.replace(f"<{part}>", value)
    return f"/records/dossier/{record_id}{rest}"


def name_of(rest):
    return {
        "/cells/<name>": "note",
        "/automations/<name>": "ring",
        "/related/<name>": "children",
    }.get(rest, "form")


def plain(answer, record):
    """Return what an answer says, without what is of its own request."""
    text = answer.get_data(as_text=True)
    for one in record:
        text = text.replace(one, "ID")
    if answer.mimetype == "application/json" and text.strip():
        body = json.loads(text)
        if isinstance(body, dict):
            body.pop("request_id", None)
        return json.dumps(body, sort_keys=True)
    return re.sub(r'nonce="[^"]*"|nonce-[^\']*|csrf[^>]*>|[0-9a-f]{8}-[0-9a-f-]{27}', "", text)


def test_every_route_of_a_record_has_a_line(site):
    assert of_record(site, "/api/v1") == set(JSON_ROUTES)
    assert of_record(site, "") == set(PAGE_ROUTES)


def version_of(site, record):
    return site.client("admin").get(f"{API}/{record[0]}").headers.get("ETag", '"1"')


def asked(site, routes, records, role, ask):
    """Return the statuses of each route, after asserting what no answer may tell or change."""
    found, told = {}, {}
    look = fingerprint if site.backend == "sqlite" else bool  # the code that writes is the same
    before = look(site)
    for rest, method in routes:
        statuses = []
        for kind, record in reversed(records.items()):
            with ask(rest, method, kind, record) as answer:
                statuses.insert(0, answer.status_code)
                told[kind] = plain(answer, record)
            if method != "GET" and role != "stranger":
                after = look(site)
                assert after == before or answer.status_code < 400, (rest, method, kind)
                before = after
        found[rest, method] = tuple(statuses)
        if role == "cashier":
            assert told["other store"] == told["missing"], (rest, method)
    return found


@pytest.mark.parametrize("role", ["cashier", "approver", "stranger"])
def test_rest_answers_for_each_kind_of_record_as_the_matrix_says(site, records, role):
    if site.backend != "sqlite" and role != "cashier":
        return
    client = site.client(None if role == "stranger" else role)

    def ask(rest, method, kind, record):
        url = f"/api/v1{url_of(rest, record, name=name_of(rest))}{QUERIES.get(rest, '')}"
        body = None if method == "GET" else BODIES.get(rest or method, {})
        if rest == "/duplicate":
            body = {"code": f"COPY {kind}"}
        headers = {"If-Match": version_of(site, record)}
        return client.open(url, method=method, json=body, headers=headers)

    found = asked(site, JSON_ROUTES, records, role, ask)
    if role == "cashier":
        assert found == JSON_ROUTES
    elif role == "stranger":
        assert set(found.values()) == {(401,) * 4}
    else:  # sees every record and writes none
        assert all(len(set(statuses[:3])) == 1 for statuses in found.values())
        written = {route for route, statuses in found.items() if statuses[0] < 300}
        assert written <= {route for route in found if route[1] == "GET"} | HARMLESS


def test_pages_answer_for_each_kind_of_record_as_the_matrix_says(site, records):
    if site.backend != "sqlite":
        return
    browser = site.browser("cashier")
    token = page_token(browser)

    def ask(rest, method, kind, record):
        url = url_of(rest, record, name=name_of(rest)) + QUERIES.get(rest, "")
        browser.get("/")  # takes the messages that wait for the next page
        if method == "GET":
            return browser.get(url)
        form = {"csrf_token": token, "version": version_of(site, record).strip('"')}
        return browser.post(url, data=form | FORMS.get(rest, {}))

    found = asked(site, PAGE_ROUTES, records, "cashier", ask)
    assert found == PAGE_ROUTES


def test_an_id_in_a_body_is_checked_like_one_in_an_address(site, records):
    """What names a record of another store is answered as what names none (21)."""
    client, before = site.client("cashier"), fingerprint(site)
    told = {}
    for kind in ("other store", "missing"):
        record_id, comment_id = record = records[kind]
        item = {"id": record_id, "version": 1}
        own = f"{API}/{records['own'][0]}"
        shown = []
        for method, url, body in (
            ("POST", API, {"code": "NEW", "parent": record_id}),
            ("PATCH", own, {"parent": record_id}),
            ("POST", f"{API}/bulk", {"update": [{**item, "note": "x"}], "delete": [item]}),
            ("POST", f"{API}/edits", {"changes": {"note": "x"}, "items": [item]}),
            (
                "POST",
                "/api/v1/links",
                {"type": "dossier", "record": record_id, "fields": ["note"]},
            ),
            ("PATCH", f"{own}/comments/{comment_id}", {"text": "x"}),
            ("POST", f"{own}/duplicate", {"code": "TWO", "parent": record_id}),
            ("POST", f"{own}/merge", {"records": [item]}),
            ("GET", f"{API}?filter=parent == '{record_id}'", None),
        ):
            answer = client.open(url, method=method, json=body, headers={"If-Match": '"1"'})
            shown.append((answer.status_code, plain(answer, record)))
            if url.endswith("/edits") and answer.status_code == 202:
                results = client.get(f"/api/v1/edits/{answer.json['id']}/results")
                shown[-1] = (202, plain(results, record))
        told[kind] = shown
    assert told["other store"] == told["missing"]
    statuses = [status for status, _text in told["missing"]]
    assert statuses == [422, 422, 200, 202, 404, 404, 422, 404, 200]
    changed = {name for name, rows in fingerprint(site).items() if rows != before[name]}
    assert changed <= {"gx_edit", "gx_edit_item"}
