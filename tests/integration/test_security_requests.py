"""What every request and answer keeps to: shape, headers, page tokens, hostile bodies."""

import io

import pytest

from core.rest.exchange import rest
from core.settings import MAX_BODY
from core.web.page import pages

MEMBER = "/api/v1/records/member"
SHAPE = {"code", "message", "problems", "hint", "request_id"}

#: Every JSON route -> (method, URL with parts that exist nowhere, status per role).
#: Roles: nobody, clerk, Admin. A new route without a line here fails.
NOWHERE = "01890000-0000-7000-8000-000000000000"
ROUTES = {
    ("/types", "GET"): (401, 200, 200),
    ("/types/<name>", "GET"): (401, 404, 404),
    ("/records/<type_name>", "GET"): (401, 404, 404),
    ("/records/<type_name>", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>", "GET"): (401, 404, 404),
    ("/records/<type_name>/<record_id>", "PATCH"): (401, 404, 404),
    ("/records/<type_name>/<record_id>", "DELETE"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/history", "GET"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/restore", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/unmask", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/why", "GET"): (401, 404, 404),
    ("/records/<type_name>/bulk", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/duplicate", "POST"): (401, 404, 404),
    ("/records/<type_name>/duplicates", "GET"): (401, 404, 404),
    ("/records/<type_name>/similar", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/merge", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/merges", "GET"): (401, 404, 404),
    ("/records/<type_name>/merges/<merge_id>/undo", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/comments", "GET"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/comments", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/comments/<comment_id>", "PATCH"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/comments/<comment_id>", "DELETE"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/follow", "GET"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/follow", "PUT"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/follow", "DELETE"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/submit", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/void", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/review", "GET"): (401, 404, 404),
    ("/tasks/<task_id>/review", "GET"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/remind", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/withdraw", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/files/<name>", "POST"): (401, 404, 404),
    ("/requests/<path:key>", "GET"): (401, 404, 404),
    ("/members/<member_id>/accounts", "GET"): (401, 404, 404),
    ("/accounts/<account_id>/entries", "GET"): (401, 404, 404),
    ("/accounts/<account_id>/adjust", "POST"): (401, 404, 404),
    ("/ledger/rollforward", "GET"): (401, 403, 404),
    ("/ledger/liability", "GET"): (401, 403, 404),
    ("/tasks", "GET"): (401, 200, 200),
    ("/tasks/<task_id>", "GET"): (401, 404, 404),
    ("/tasks/<task_id>/<verb>", "POST"): (401, 404, 404),
    ("/tasks/bulk", "POST"): (401, 422, 422),
    ("/tasks/bulk/<bulk_id>", "GET"): (401, 404, 404),
    ("/tasks/bulk/<bulk_id>/retry", "POST"): (401, 404, 404),
    ("/tasks/held/<held_id>/cancel", "POST"): (401, 404, 404),
    ("/tasks/mail", "GET"): (401, 200, 200),
    ("/tasks/mail", "PUT"): (401, 422, 422),
    ("/tasks/filters", "GET"): (401, 200, 200),
    ("/tasks/filters", "POST"): (401, 422, 422),
    ("/tasks/filters/<filter_id>", "DELETE"): (401, 404, 404),
    ("/tasks/<task_id>/snooze", "PUT"): (401, 422, 422),
    ("/tasks/<task_id>/snooze", "DELETE"): (401, 204, 204),
    ("/tasks/<task_id>/opened", "POST"): (401, 404, 404),
    ("/flows/bottlenecks", "GET"): (401, 200, 200),
    ("/instances/<instance_id>/read", "POST"): (401, 404, 404),
    ("/instances/<instance_id>/effects", "GET"): (401, 403, 200),
    ("/instances/<instance_id>/effects/<visit_id>/retry", "POST"): (401, 403, 404),
    ("/instances/<instance_id>", "GET"): (401, 404, 404),
    ("/instances/<instance_id>/evidence", "GET"): (401, 404, 404),
    ("/instances/<instance_id>/<verb>", "POST"): (401, 403, 404),
    ("/instances/<instance_id>/migrate", "POST"): (401, 403, 404),
    ("/instances/<instance_id>/whatif", "POST"): (401, 403, 404),
    ("/till/quote", "POST"): (401, 422, 422),
    ("/till/orders", "POST"): (401, 400, 400),
    ("/till/orders/<order_id>/returns", "POST"): (401, 422, 422),
    ("/till/orders/<order_id>/certificate", "GET"): (401, 404, 404),
    ("/till/offline", "POST"): (401, 403, 422),
    ("/settings/<plugin>", "GET"): (401, 403, 404),
    ("/settings/<plugin>", "PUT"): (401, 403, 404),
    ("/schema/drafts", "POST"): (401, 403, 422),
    ("/schema/drafts/<draft_id>", "GET"): (401, 403, 404),
    ("/schema/drafts/<draft_id>/publish", "POST"): (401, 403, 404),
    ("/schema/drafts/<draft_id>/replay", "POST"): (401, 403, 404),
    ("/schema/releases", "GET"): (401, 403, 200),
    ("/schema/releases/<number>/rollback", "GET"): (401, 403, 404),
    ("/schema/releases/<number>/rollback", "POST"): (401, 403, 404),
    ("/schema/releases/<number>/quarantine", "GET"): (401, 403, 404),
    ("/schema/upgrade", "GET"): (401, 403, 200),
    ("/schema/upgrade", "POST"): (401, 403, 409),
    ("/schema/uses/<type_name>", "GET"): (401, 403, 404),
    ("/schema/releases/<number>/export", "GET"): (401, 403, 404),
    ("/schema/flows/<name>/bpmn", "GET"): (401, 403, 404),
    ("/schema/flows/bpmn", "POST"): (401, 403, 422),
    ("/automations", "GET"): (401, 403, 200),
    ("/automations/<name>", "GET"): (401, 403, 404),
    ("/automations/<name>", "PATCH"): (401, 403, 422),
    ("/automations/<name>/secret", "GET"): (401, 403, 404),
    ("/automations/<name>/secret", "POST"): (401, 403, 404),
    ("/automations/runs", "GET"): (401, 403, 200),
    ("/automations/runs/<run_id>", "GET"): (401, 403, 404),
    ("/automations/runs/<run_id>/replay", "POST"): (401, 403, 404),
    ("/edits/<edit_id>", "GET"): (401, 404, 404),
    ("/edits/<edit_id>/apply", "POST"): (401, 404, 404),
    ("/edits/<edit_id>/results", "GET"): (401, 404, 404),
    ("/files", "POST"): (401, 400, 400),
    ("/files/<file_id>", "GET"): (401, 404, 404),
    ("/files/<file_id>/about", "GET"): (401, 404, 404),
    ("/hooks/<name>", "POST"): (404, 404, 404),
    ("/hooks/<name>/<token>", "POST"): (404, 404, 404),
    ("/links", "GET"): (401, 200, 200),
    ("/links", "POST"): (401, 422, 422),
    ("/links/<link_id>", "DELETE"): (401, 404, 404),
    ("/delegations", "GET"): (401, 200, 200),
    ("/delegations", "POST"): (401, 422, 422),
    ("/delegations/<delegation_id>", "DELETE"): (401, 404, 404),
    ("/desks/<user_id>", "GET"): (401, 403, 200),
    ("/desks/<user_id>/hand-over", "POST"): (401, 403, 422),
    ("/notices", "GET"): (401, 200, 200),
    ("/notices/read", "POST"): (401, 200, 200),
    ("/records/<type_name>/<record_id>/automations", "GET"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/automations/<name>", "POST"): (401, 404, 404),
    ("/records/<type_name>/<record_id>/print/<name>", "GET"): (401, 404, 404),
    ("/records/<type_name>/edits", "POST"): (401, 404, 404),
    ("/dashboards", "GET"): (401, 200, 200),
    ("/dashboards", "POST"): (401, 422, 422),
    ("/dashboards/<name>", "GET"): (401, 404, 404),
    ("/dashboards/<name>", "PATCH"): (401, 404, 404),
    ("/dashboards/<name>", "DELETE"): (401, 404, 404),
    ("/dashboards/<name>/cards/<card>", "GET"): (401, 404, 404),
    ("/records/<type_name>/groups", "GET"): (401, 404, 404),
    ("/views/<type_name>", "GET"): (401, 404, 404),
    ("/views/<type_name>", "POST"): (401, 404, 404),
    ("/views/<type_name>/<view_id>", "DELETE"): (401, 404, 404),
    ("/views/<type_name>/<view_id>", "GET"): (401, 404, 404),
    ("/views/<type_name>/<view_id>", "PATCH"): (401, 404, 404),
}
PARTS = {
    "name": "nothing",
    "card": "nothing",
    "type_name": "nothing",
    "record_id": NOWHERE,
    "comment_id": NOWHERE,
    "key": "no-key",
    "task_id": NOWHERE,
    "instance_id": NOWHERE,
    "verb": "nothing",
    "link_id": NOWHERE,
    "delegation_id": NOWHERE,
    "user_id": "999999",
    "merge_id": NOWHERE,
    "run_id": NOWHERE,
    "edit_id": NOWHERE,
    "file_id": NOWHERE,
    "view_id": NOWHERE,
    "token": "nothing",
    "plugin": "nothing",
    "draft_id": NOWHERE,
    "number": "999",
}


def routes_of(app):
    return {
        (rule.rule.removeprefix("/api/v1"), method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith((f"{rest.name}.", f"{pages.name}."))
        and rule.rule.startswith("/api/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def url_of(rule, parts=PARTS):
    for name, value in parts.items():
        rule = rule.replace(f"<{name}>", value).replace(f"<path:{name}>", value)
    return f"/api/v1{rule}"


#: Routes that every signed-in person has: what they reach with them is their own, or is
#: asked for in the body, or record by record.
OPEN = {
    "/delegations", "/delegations/<delegation_id>",
    "/dashboards", "/dashboards/<name>", "/dashboards/<name>/cards/<card>", "/edits/<edit_id>", "/edits/<edit_id>/apply", "/edits/<edit_id>/results", "/files",
    "/files/<file_id>", "/files/<file_id>/about", "/hooks/<name>", "/hooks/<name>/<token>",
    "/instances/<instance_id>", "/instances/<instance_id>/evidence", "/links", "/links/<link_id>", "/notices", "/notices/read",
    "/requests/<path:key>", "/tasks", "/tasks/<task_id>", "/tasks/<task_id>/<verb>", "/tasks/<task_id>/review",
    "/tasks/bulk", "/tasks/bulk/<bulk_id>", "/tasks/bulk/<bulk_id>/retry",
    "/tasks/held/<held_id>/cancel", "/tasks/mail", "/tasks/filters", "/tasks/filters/<filter_id>",
    "/tasks/<task_id>/snooze", "/tasks/<task_id>/opened", "/flows/bottlenecks",
    "/instances/<instance_id>/read", "/types", "/types/<name>",
    "/members/<member_id>/accounts", "/accounts/<account_id>/entries",
    "/accounts/<account_id>/adjust", "/till/orders/<order_id>/certificate",
}  # fmt: skip
#: What a caller without the right may send: nothing, no JSON, JSON of another kind, other keys.
SENT = [
    {},
    {"data": "{", "content_type": "application/json"},
    {"json": []},
    {"json": {"zzz": 1}, "query_string": {"zzz": "1"}, "headers": {"If-Match": "no version"}},
]


def test_routes_without_the_right_are_403_whatever_is_sent(site):
    site.publish("record_type: vault\ntitle_field: name\nfields: [{name: name, type: text}]")
    cashier, auditor = site.client("cashier"), site.client("auditor")
    parts = PARTS | {"type_name": "vault", "verb": "suspend", "plugin": "card_types"}
    answered = {}
    for rule, method in ROUTES.keys() - {
        (rule, method) for rule, method in ROUTES if rule in OPEN
    }:
        url, somebody = url_of(rule, parts), auditor if rule.startswith("/till/") else cashier
        answered[rule, method] = {
            somebody.open(url, method=method, **sent).status_code for sent in SENT
        }
    assert {key: found for key, found in answered.items() if found != {403}} == {}


def test_every_json_route_has_a_line_in_the_matrix(app):
    assert routes_of(app) == set(ROUTES)


def test_every_route_answers_each_role_as_the_matrix_says(site):
    clients = [site.client(), site.client("clerk"), site.client("admin")]
    found = {}
    for rule, method in ROUTES:
        answers = [
            client.open(url_of(rule), method=method, json=None if method == "GET" else {})
            for client in clients
        ]
        found[rule, method] = tuple(answer.status_code for answer in answers)
        for answer in answers:
            assert answer.status_code < 400 or set(answer.json) >= SHAPE, (rule, answer.text)
    assert found == ROUTES


@pytest.mark.parametrize(
    ("method", "url", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v2/records/member", 404, "not_found"),
        ("GET", "/api/v9/_openapi", 404, "not_found"),
        ("PUT", "/api/v1/records/member", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("DELETE", "/api/v1/types", 405, "method_not_allowed"),
        ("GET", "/api/v1/security/login", 405, "method_not_allowed"),
        ("GET", "/api/v1/_info", 404, "not_found"),
    ],
)
def test_failures_outside_our_routes_have_the_shape(client_as, method, url, status, code):
    answer = client_as("clerk").open(url, method=method)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert set(answer.json) >= SHAPE
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    if status == 405:
        assert answer.headers["Allow"]


def test_messages_are_in_the_callers_language(site):
    client = site.client()
    texts = {
        language: client.get("/api/v1/types", headers={"Accept-Language": language}).json[
            "message"
        ]
        for language in ("en", "zh-CN,zh;q=0.9", "fr")
    }
    assert texts["en"] == texts["fr"] == "Please sign in."
    assert texts["zh-CN,zh;q=0.9"] != texts["en"]


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"NaN",
    b"{]",
    b'{"no": NaN}',
    b'{"no": Infinity}',
    b"\xff\xfe\x00",
    b'{"name": "\xed\xa0\x80"}',
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b'{"no":"a","no":"b"}',
    b'{"name": ' + b"9" * 5000 + b"}",
    b'{"name": 1e999999999}',
    b'{"name": 1E-999999999}',
    b'{"no": "A", "name": "\\u0000"}',
    b'{"no": "A", "name": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"no": "A", "name": ["x"]}',
    b'{"no": "A", "name": {"x": 1}}',
    b'{"no": "A", "name": true}',
    b'{"no": "A", "name": "B", "version": 100000000000000000000}',
    b'{"": 1}',
    b'{"__proto__": 1}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bodies_are_a_4xx_and_write_nothing(client_as, body):
    clerk = client_as("clerk")
    answer = clerk.post(MEMBER, data=body, content_type="application/json")
    assert answer.status_code in {400, 422}, answer.text
    assert set(answer.json) >= SHAPE
    assert clerk.get(f"{MEMBER}?count=exact").json["count"] == 0


def test_a_refused_character_is_named(client_as):
    answer = client_as("clerk").post(MEMBER, json={"no": "A", "name": "a\x00b"})
    [problem] = answer.json["problems"]
    assert (problem["path"], problem["params"]["char"]) == ("name", "U+0000")


def test_bodies_over_the_bound_are_413(client_as):
    answer = client_as("clerk").post(MEMBER, data=b"x" * (MAX_BODY + 1))
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize(("size", "status"), [(0, 201), (MAX_BODY, 413)])
def test_bodies_without_a_length_are_read_whole_or_refused(client_as, size, status):
    answer = client_as("clerk").post(
        MEMBER,
        input_stream=io.BytesIO(b'{"no":"A","name":"B"}' + b" " * size),
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == status, answer.text


def test_database_that_is_gone_is_said_and_comes_back(site):
    if site.backend == "sqlite":
        pytest.skip("a database in a file is there as long as the file system is")
    client, url = site.client("clerk"), "/api/v1/types"
    site.lose_database()
    site.services.db.dispose()
    refused = client.get(url)
    assert (refused.status_code, refused.json["code"]) == (503, "unavailable"), refused.text
    assert refused.headers["Retry-After"]
    assert client.post(MEMBER, json={"no": "A", "name": "B"}).status_code == 503
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["params"]["database"]) == (503, "unavailable")
    assert client.get("/healthz").status_code == 200
    assert "guanxi_up 0" in client.get("/metrics").text
    site.put_back()
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("tag", ['"x"', "", "*", '"1", "2"', '"99999999999999999999"', "-1"])
def test_if_match_that_is_no_version_is_malformed(client_as, tag):
    answer = client_as("clerk").patch(f"{MEMBER}/{NOWHERE}", json={}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json["code"]) == (400, "malformed")


@pytest.mark.parametrize("record_id", ["1", "x" * 5000, "%00", "..%2f..", "' or 1=1", "9" * 20])
def test_ids_that_are_none_are_not_found(client_as, record_id):
    assert client_as("clerk").get(f"{MEMBER}/{record_id}").status_code == 404


def test_a_session_cookie_needs_the_pages_token_to_change_anything(site):
    browser = site.browser("clerk")
    body = {"no": "A", "name": "B"}
    refused = browser.post(MEMBER, json=body)
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden.page_token")
    assert browser.get(f"{MEMBER}?count=exact").json["count"] == 0
    with browser.session_transaction() as session:
        session["csrf_token"] = "0" * 40
    with site.app.test_request_context():
        from flask import session as flask_session
        from flask_wtf.csrf import generate_csrf

        flask_session["csrf_token"] = "0" * 40
        token = generate_csrf()
    wrong = browser.post(MEMBER, json=body, headers={"X-CSRFToken": token + "x"})
    right = browser.post(MEMBER, json=body, headers={"X-CSRFToken": token})
    assert (wrong.status_code, right.status_code) == (403, 201)


def test_a_link_never_signs_anybody_out(site):
    browser = site.browser("clerk")
    answer = browser.get("/logout/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert browser.get(MEMBER).status_code == 200


@pytest.mark.parametrize(
    "url", ["/healthz", "/metrics", "/readyz", "/api/v1/types", "/api/v1/nothing"]
)
def test_every_answer_carries_the_headers(client_as, url):
    headers = client_as("clerk").get(url).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"


def test_request_id_of_the_client_is_kept_when_it_is_one(client_as):
    client = client_as("clerk")
    assert (
        client.get("/healthz", headers={"X-Request-Id": "till-7.0001"}).headers["X-Request-Id"]
        == "till-7.0001"
    )
    forged = client.get("/healthz", headers={"X-Request-Id": "<script>"}).headers["X-Request-Id"]
    assert len(forged) == 36


def test_a_failure_of_ours_shows_an_id_and_no_detail(site, monkeypatch, caplog):
    def fail(*_args, **_kwargs):
        raise ZeroDivisionError("the secret detail")

    monkeypatch.setattr("core.rest.records.get_record", fail)
    answer = site.client("clerk").get(f"{MEMBER}/{NOWHERE}")
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    assert "secret detail" not in answer.text
    assert answer.json["request_id"] in caplog.text


def test_openapi_lists_what_the_caller_may_see_and_what_was_published_a_moment_ago(site):
    client = site.client("configurator")
    before = client.get("/api/v1/_openapi").json
    assert "/api/v1/records/member" in before["paths"]
    assert before["components"]["schemas"]["Member"]["properties"]["name"]["type"] == "string"
    draft = client.post(
        "/api/v1/schema/drafts",
        json={
            "yaml": "record_type: gift\nlabel: {zh: 礼品, en: Gift}\ntitle_field: name\nfields:\n"
            "  - {name: name, type: text, label: {zh: 名称, en: Name}, required: true}\n"
            "  - {name: worth, type: money, label: {zh: 价值, en: Worth}}\n"
            "policies:\n  - {name: all, who: {role: configurator}, actions: ['*']}\n"
        },
    )
    assert draft.status_code == 201, draft.text
    done = client.post(f"/api/v1/schema/drafts/{draft.json['id']}/publish", json={"note": "gifts"})
    assert done.status_code == 200, done.text
    after = client.get("/api/v1/_openapi", headers={"Accept-Language": "zh"}).json
    gift = after["components"]["schemas"]["Gift"]
    assert (gift["title"], gift["properties"]["worth"]["title"]) == ("礼品", "价值")
    made = client.post("/api/v1/records/gift", json={"name": "Cup", "worth": "9.90"})
    assert (made.status_code, made.json["worth"]) == (201, "9.90")
    assert (
        "/api/v1/records/gift" not in site.client("cashier").get("/api/v1/_openapi").json["paths"]
    )
