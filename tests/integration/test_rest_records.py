"""Records over HTTP: the shapes, versions and answers that clients rely on."""

from urllib.parse import quote

import msgspec
import pytest

MEMBER = {"no": "M0001", "name": "王小明", "phone": "13800000000"}
URL = "/api/v1/records/member"


@pytest.fixture
def clerk(client_as):
    return client_as("clerk")


@pytest.fixture
def member(clerk):
    return clerk.post(URL, json=MEMBER).json


def test_create_answers_201_with_version_and_the_same_shape(clerk):
    answer = clerk.post(URL, json=MEMBER)
    assert answer.status_code == 201, answer.text
    body = answer.json
    assert {name: body[name] for name in MEMBER} == MEMBER
    assert (body["version"], answer.headers["ETag"]) == (1, '"1"')
    again = clerk.get(f"{URL}/{body['id']}")
    assert again.json == body
    assert again.headers["ETag"] == '"1"'


def test_get_answers_304_for_the_version_the_caller_has(clerk, member):
    answer = clerk.get(f"{URL}/{member['id']}", headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.data) == (304, b"")


def test_update_needs_the_version_and_moves_it(clerk, member):
    url = f"{URL}/{member['id']}"
    assert clerk.patch(url, json={"name": "李"}).json["code"] == "version_required"
    done = clerk.patch(url, json={"name": "李"}, headers={"If-Match": '"1"'})
    assert (done.status_code, done.json["version"], done.json["name"]) == (200, 2, "李")
    stale = clerk.patch(url, json={"name": "张"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json["code"]) == (412, "stale_version")
    assert clerk.get(url).json["name"] == "李"


def test_delete_needs_the_version_and_hides_the_record(client_as, member):
    admin, url = client_as("admin"), f"{URL}/{member['id']}"
    assert admin.delete(url).status_code == 428
    assert admin.delete(url, headers={"If-Match": '"1"'}).status_code == 204
    assert admin.get(url).status_code == 404


def test_list_pages_by_cursor_and_counts(clerk):
    for number in range(5):
        clerk.post(URL, json={"no": f"M{number}", "name": f"N{number}"})
    first = clerk.get(f"{URL}?sort=no&limit=2&count=exact").json
    second = clerk.get(f"{URL}?sort=no&limit=2&after={first['next']}").json
    last = clerk.get(f"{URL}?sort=no&limit=2&after={second['next']}").json
    pages = [[item["no"] for item in page["items"]] for page in (first, second, last)]
    assert pages == [["M0", "M1"], ["M2", "M3"], ["M4"]]
    assert (first["count"], last["next"]) == (5, None)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filter=nothing+%3D%3D+1", 422),
        ("filter=name+like+'x'", 422),
        ("filter=name+==", 422),
        ("sort=nothing", 422),
        ("fields=nothing", 422),
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=100000000000000000000", 422),
        ("count=yes", 422),
        ("expand=nothing", 422),
        ("page=2", 422),
        ("limit=1&limit=2", 422),
        ("after=rubbish", 400),
        ("after=%00", 400),
    ],
)
def test_list_refuses_what_it_does_not_know(clerk, query, status):
    answer = clerk.get(f"{URL}?{query}")
    assert answer.status_code == status, answer.text
    assert set(answer.json) >= {"code", "message", "problems", "hint", "request_id"}


def test_create_names_every_broken_rule_at_once(clerk):
    answer = clerk.post(URL, json={"gender": "cat", "nothing": 1, "id": "x", "birthday": "never"})
    assert answer.status_code == 422
    assert sorted((item["path"], item["code"]) for item in answer.json["problems"]) == [
        ("birthday", "field.bad_date"),
        ("gender", "field.not_an_option"),
        ("id", "field.read_only"),
        ("name", "field.required"),
        ("no", "field.required"),
        ("nothing", "field.unknown"),
    ]


def test_idempotency_key_gives_the_stored_answer_and_no_second_record(clerk):
    headers = {"Idempotency-Key": "till-1-0001"}
    first, second = (clerk.post(URL, json=MEMBER, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"
    other = clerk.post(URL, json={**MEMBER, "name": "B"}, headers=headers)
    assert (other.status_code, other.json["code"]) == (409, "idempotency.key_reused")
    stored = clerk.get("/api/v1/requests/till-1-0001").json
    assert (stored["state"], stored["answer"]) == ("committed", first.json)


def test_idempotency_key_is_not_consumed_by_a_refusal_and_is_per_user(clerk, client_as):
    headers = {"Idempotency-Key": "k"}
    assert clerk.post(URL, json={}, headers=headers).status_code == 422
    assert clerk.get("/api/v1/requests/k").status_code == 404
    assert clerk.post(URL, json=MEMBER, headers=headers).status_code == 201
    assert client_as("admin").get("/api/v1/requests/k").status_code == 404


def test_idempotency_key_of_a_deletion_and_with_any_character_can_be_asked_for(client_as, member):
    admin, url, key = client_as("admin"), f"{URL}/{member['id']}", "till/1 #7"
    headers = {"If-Match": '"1"', "Idempotency-Key": key}
    answers = [admin.delete(url, headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.data) for answer in answers] == [(204, b"")] * 2
    asked = admin.get(f"/api/v1/requests/{quote(key, safe='')}")
    assert (asked.json["state"], asked.json["status"]) == ("committed", 204)


def test_history_says_who_when_and_through_which_door(clerk, member):
    url = f"{URL}/{member['id']}"
    clerk.patch(url, json={"name": "李"}, headers={"If-Match": '"1"'})
    newest, oldest = clerk.get(f"{url}/history").json["items"]
    assert newest["changes"] == {"name": ["王小明", "李"]}
    assert (newest["door"], newest["action"], oldest["action"]) == ("api", "update", "create")


def test_restore_brings_an_earlier_version_back_as_a_new_one(clerk, member):
    url = f"{URL}/{member['id']}"
    clerk.patch(url, json={"name": "李"}, headers={"If-Match": '"1"'})
    answer = clerk.post(f"{url}/restore", json={"version": 1})
    assert answer.status_code == 200, answer.text
    assert (answer.json["name"], answer.json["version"]) == ("王小明", 3)


def test_bulk_gives_a_result_per_item(clerk, member):
    answer = clerk.post(
        f"{URL}/bulk",
        json={
            "create": [{"no": "B1", "name": "B"}, {"no": "B2"}],
            "update": [{"id": member["id"], "version": 1, "name": "C"}],
        },
    )
    assert answer.status_code == 200, answer.text
    assert [item["status"] for item in answer.json["results"]] == [201, 422, 200]


def test_bulk_refuses_a_type_and_keys_that_do_not_exist(client_as, member):
    admin = client_as("admin")
    assert admin.post("/api/v1/records/nothing/bulk", json={}).status_code == 404
    item = {"id": member["id"], "version": 1, "force": True}
    [result] = admin.post(f"{URL}/bulk", json={"delete": [item]}).json["results"]
    assert (result["status"], result["error"]["problems"][0]["path"]) == (422, "force")
    assert admin.get(f"{URL}/{member['id']}").status_code == 200


def test_types_show_what_the_caller_may_do(client_as):
    listed = {item["name"]: item for item in client_as("clerk").get("/api/v1/types").json["items"]}
    assert "member" in listed
    described = client_as("clerk").get("/api/v1/types/member").json
    assert {"no", "name"} <= {field["name"] for field in described["fields"]}
    assert client_as("clerk").get("/api/v1/types/nothing").status_code == 404


def test_answers_are_plain_json_that_any_parser_reads(clerk, member):
    raw = clerk.get(f"{URL}/{member['id']}").data
    assert msgspec.json.decode(raw) == member


CARD_TYPE = {"name": "金卡", "type_prefix": "01", "default_rate": "0.9"}


def test_warnings_come_with_the_answer_only_when_there_are_some(client_as, clerk):
    url = "/api/v1/records/card_type"
    first = clerk.post(url, json={"code": "GOLD", **CARD_TYPE}).json
    sent = clerk.post(f"{url}/{first['id']}/submit", json={}).json
    approver = client_as("approver")
    task = approver.get(f"/api/v1/tasks/{sent['task']}").json
    vote = {"subject_hash": task["subject_hash"]}
    assert approver.post(f"/api/v1/tasks/{sent['task']}/approve", json=vote).status_code == 200
    send = {"json": {"code": "SILVER", **CARD_TYPE}, "headers": {"Idempotency-Key": "once"}}
    second, again = clerk.post(url, **send), clerk.post(url, **send)
    (warning,) = second.json["warnings"]
    assert (warning["path"], warning["code"]) == ("", "card_types.overlap")
    assert warning["params"] == {"names": "金卡"}
    assert again.json == second.json
    assert ["warnings" in each for each in (first, clerk.get(f"{url}/{second.json['id']}").json)] == [
        False, False,
    ]  # fmt: skip


def test_remind_answers_the_approval_then_429_with_the_time_to_wait(clerk):
    url = "/api/v1/records/card_type"
    record = f"{url}/{clerk.post(url, json={'code': 'GOLD', **CARD_TYPE}).json['id']}"
    assert clerk.post(f"{record}/remind", json={}).status_code == 404
    sent = clerk.post(f"{record}/submit", json={}).json
    reminded = clerk.post(f"{record}/remind", json={})
    assert (reminded.status_code, reminded.json) == (200, sent)
    early = clerk.post(f"{record}/remind", json={})
    assert (early.status_code, early.json["code"]) == (429, "flow.rate_limited")
    assert 7100 < int(early.headers["Retry-After"]) <= 7200
