"""Bad input over REST: kept exactly or refused by name, never a 5xx, nothing half-written."""

import random

import pytest

from tests.effort import Effort
from tests.integration.hostile_world import (
    SHAPE,
    TRAP,
    assert_refused,
    batches,
    fingerprint,
    naughty_strings,
    post_raw,
    refused_character,
)

API = "/api/v1"
NOWHERE = "01890000-0000-7000-8000-000000000000"
JSON = {"Content-Type": "application/json"}

#: Values that hardly any field takes, as JSON text.
POOL = (
    "null", "true", "0", "-1", "1.5", "1e400", "-1e400", "1e-400", "NaN",
    "100000000000000000000", "9223372036854775808", '""', '"x"', '"\\u0000"', '"\\ud800"',
    '"a\\ufffe"', "[]", "{}", "[[]]", "[null]", '["x"]', "[{}]", '{"a": 1}',
    "[" * 30 + "]" * 30, "[" * 20_000, '"' + "x" * 300 + '"', '"' + "é" * 110_000 + '"',
    '"2026-02-30"', '"0000-00-00"', '"10000-01-01"', '"9999-12-31T23:59:59-14:00"',
    '"0001-01-01T00:00:00+14:00"', '"24:00"', '"1e99999999"', '"-0"', '"٣"', '"1_000"',
    '{"upsert": [{}], "remove": ["x"]}', '{"upsert": null}', '[{"id": 1}]',
    f'["{NOWHERE}", "{NOWHERE}"]', '"PT99999999999999H"', '"javascript:alert(1)"',
    '{"\\ud800": 1}', "[1e400]", f'"{NOWHERE}"', '"\' or 1=1 --"',
)  # fmt: skip


@pytest.fixture
def site_schema():
    return (TRAP,)


@pytest.fixture
def trap(site):
    return site.client("admin")


def test_every_naughty_string_is_kept_or_its_character_named(site, trap):
    records = batches()
    results = trap.post(f"{API}/records/trap/bulk", json={"create": records}).json["results"]
    kept = _told_apart(records, results)
    ids = {result["id"]: given for result, given in kept}
    read = trap.get(f"{API}/records/trap?limit=200").json["items"]
    assert {one["id"]: one["code"] for one in read} == {i: one["code"] for i, one in ids.items()}
    assert all(one[name] == text for one in read for name, text in ids[one["id"]].items())


def test_every_naughty_string_is_kept_or_named_by_a_change_and_in_rows(trap):
    made = trap.post(f"{API}/records/trap", json={"code": "A"})
    url, tag = f"{API}/records/trap/{made.json['id']}", made.headers["ETag"]
    rows = [{"cell": text} for text in naughty_strings()]
    refused = {
        f"lines.{at}.cell": refused_character(row["cell"])
        for at, row in enumerate(rows)
        if refused_character(row["cell"])
    }
    answer = trap.patch(url, json={"lines": rows}, headers={"If-Match": tag})
    assert answer.status_code == 422
    assert {one["path"]: one["params"]["char"] for one in answer.json["problems"]} == refused
    good = [row for row in rows if not refused_character(row["cell"])]
    notes = "\n".join(text for text in naughty_strings() if not refused_character(text, True))
    notes = notes[:10_000]
    changes = {"lines": good, "notes": notes}
    assert trap.patch(url, json=changes, headers={"If-Match": tag}).status_code == 200
    read = trap.get(url).json
    assert [row["cell"] for row in read["lines"]] == [row["cell"] for row in good]
    assert read["notes"] == notes.replace("\r\n", "\n")


def _told_apart(records, results):
    """Return (result, record) of what was kept; assert why the others were not."""
    kept = []
    for record, result in zip(records, results, strict=True):
        expected = {
            name: char for name, text in record.items() if (char := refused_character(text))
        }
        if result["status"] == 201:
            assert not expected
            kept.append((result, record))
        else:
            problems = result["error"]["problems"]
            assert {one["path"]: one["params"].get("char") for one in problems} == expected
    assert len(kept) > len(records) // 2
    return kept


def test_random_bodies_for_every_published_type_are_refused_in_time(site):
    admin, draw = site.client("admin"), random.Random(20261122)
    document = admin.get(f"{API}/_openapi").json
    types = [one["name"] for one in admin.get(f"{API}/types").json["items"]]
    assert {f"{API}/records/{name}" for name in types} <= _paths(document)
    before = fingerprint(site)
    slowest = 0.0
    for name in types:
        fields = [one["name"] for one in admin.get(f"{API}/types/{name}").json["fields"]]
        fields += ["id", "version", "created_at", "no_access", "proposal", "__class__", ""]
        for _ in range(25):
            picked = draw.sample(fields, k=min(len(fields), draw.randint(1, 6)))
            parts = [f'"{field}": {draw.choice(POOL)}' for field in picked]
            body = "{" + ", ".join([*parts, '"no such key": 1']) + "}"
            slowest = max(slowest, _refuse(admin, "POST", f"{API}/records/{name}", body))
            url = f"{API}/records/{name}/{NOWHERE}"
            slowest = max(slowest, _refuse(admin, "PATCH", url, body))
    assert slowest < 1
    assert fingerprint(site) == before


def _paths(document):
    base = document["servers"][0]["url"].rstrip("/") if document.get("servers") else ""
    return set(document["paths"]) | {base + path for path in document["paths"]}


def _refuse(client, method, url, body):
    effort = Effort()
    answer = client.open(
        url, method=method, data=body.encode(), headers=JSON | {"If-Match": '"1"'}
    )
    assert_refused(answer)
    return effort.seconds


QUERIES = (
    "filter=nosuch == 1",
    "filter=no ==",
    "filter=no like 'x'",
    "filter=" + "a" * 2001,
    "filter=" + "(" * 1500,
    "filter=" + "not " * 490 + "true",
    "filter=no == 1",
    "filter=no.__class__ == ''",
    "filter=eval('1')",
    "filter=version > 1e400",
    "filter=[x for x in no]",
    "filter=no;drop table r_member",
    "filter=%00",
    "filter=no == '%00'",
    "sort=nosuch",
    "sort=deleted_at",
    "sort=chain",
    "sort=--no",
    "sort=no,-no",
    "sort=store.code",
    "fields=nosuch",
    "fields=chain",
    "fields=*",
    "limit=0",
    "limit=201",
    "limit=1e2",
    "limit=100000000000000000000",
    "limit=NaN",
    "limit=-1",
    "limit=%D9%A3",
    "after=x",
    "after=%00",
    "after=W10",
    "after=" + "A" * 5000,
    "count=all",
    "count=",
    "expand=nosuch",
    "expand=name",
    "search=" + "x" * 101,
    "search=%00",
    "nosuch=1",
    "limit=1&limit=2",
    "=1",
    "%00=1",
    "&".join(f"p{n}=1" for n in range(10_000)),
)


#: Not bad at all: the first so many characters are all there are.
HUGE = "filter=LEFT(no, 10000000000000000000000) == ''"


@pytest.mark.parametrize("role", ["admin", "cashier"])
def test_questions_that_cannot_be_asked_are_refused(site, role):
    client, answered = site.client(role), []
    for query in (*QUERIES, HUGE):
        effort = Effort()
        answer = client.get(f"{API}/records/member?{query}")
        assert effort.seconds < 1, query[:50]
        if answer.status_code == 200:
            answered.append(query)
        else:
            assert_refused(answer)
    assert answered == ["count=", HUGE]


def test_texts_beside_records_are_checked_like_those_in_them(site):
    admin = site.client("admin")
    before = fingerprint(site)
    for bad, char in (("a\0", "U+0000"), ("\ud800", "U+D800"), ("\ufffe", "U+FFFE")):
        for url, body, key in (
            (f"schema/drafts/{NOWHERE}/publish", {"note": bad}, "note"),
            (f"records/member/{NOWHERE}/restore", {"version": 1, "reason": bad}, "reason"),
            (f"tasks/{NOWHERE}/reject", {"opinion": bad}, "opinion"),
            ("schema/drafts", {"yaml": bad}, "yaml"),
        ):
            answer = post_raw(admin, f"{API}/{url}", body)
            assert answer.status_code == 422, (url, answer.text)
            [problem] = answer.json["problems"]
            assert (problem["path"], problem["params"]["char"]) == (key, char)
    assert fingerprint(site) == before


def test_texts_beside_records_are_bounded(site):
    admin = site.client("admin")
    added = "customize: member\nfields:\n  - {name: extra, type: text, label: {en: E, zh: E}}\n"
    draft = admin.post(f"{API}/schema/drafts", json={"yaml": added}).json["id"]
    before = fingerprint(site)
    for url, body in (
        (f"schema/drafts/{draft}/publish", {"note": "x" * 2_001}),
        (f"records/member/{NOWHERE}/restore", {"version": 1, "reason": "x" * 2_001}),
    ):
        answer = admin.post(f"{API}/{url}", json=body)
        assert (answer.status_code, answer.json["problems"][0]["code"]) == (422, "field.too_long")
    assert fingerprint(site) == before


def test_lone_surrogates_deep_inside_a_body_are_named(site):
    admin = site.client("admin")
    before = fingerprint(site)
    answer = post_raw(admin, f"{API}/schema/drafts", {"changes": [{"op": "\ud800"}]})
    assert_refused(answer)
    assert answer.json["params"]["char"] == "U+D800"
    for preview in (True, False):
        body = {"verb": "approve", "items": [{"id": "\ud800"}], "preview": preview}
        answer = post_raw(admin, f"{API}/tasks/bulk", body)
        assert answer.status_code == 200, answer.text
        assert answer.json["items"][0]["result"] == "refused"
    assert fingerprint(site) == before


GARBAGE = (None, 1, "x", "\ud800", [], {}, {"id": 1}, {"id": "x", "version": 1},
           {"id": NOWHERE, "version": 10**20}, {"id": NOWHERE, "version": "1"},
           {"id": NOWHERE, "version": 1, "id ": 1}, {"no": 1e308}, {"no": {"": []}})  # fmt: skip


def test_bulk_with_garbage_among_it_writes_what_is_good_or_nothing(site):
    clerk = site.client("clerk")
    good = {"no": "G", "name": "Good"}
    before = fingerprint(site)
    body = {"create": [good, *GARBAGE], "update": list(GARBAGE), "delete": list(GARBAGE)}
    url = f"{API}/records/member/bulk"
    answer = post_raw(clerk, url, body | {"atomic": True})
    assert_refused(answer)
    assert fingerprint(site) == before
    results = post_raw(clerk, url, body).json["results"]
    assert [one["status"] for one in results if one["status"] < 400] == [201]
    assert {one["status"] for one in results} <= {201, 400, 403, 404, 422, 428}
    many = clerk.post(url, json={"create": [good] * 1001})
    assert many.status_code == 413


def test_credentials_that_are_none_are_refused_alike(site):
    good = site.client("clerk").environ_base["HTTP_AUTHORIZATION"]
    head, payload, _sign = good.removeprefix("Bearer ").split(".")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + payload + "."
    for header in ("", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic eDp4",
                   f"Bearer {unsigned}", f"Bearer {head}.{payload}.AAAA",
                   "Bearer " + "x" * 1_000_000, good + "x", "Bearer \xff"):  # fmt: skip
        answer = site.client().get(f"{API}/types", headers={"Authorization": header})
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated"), header[:40]
        assert set(answer.json) >= SHAPE


@pytest.mark.parametrize("key", ["", "x" * 101, "é", "a\tb", "\x7f"])
def test_idempotency_keys_of_odd_characters_are_refused(site, key):
    before = fingerprint(site)
    headers = {"Idempotency-Key": key}
    body = {"no": "K", "name": "K"}
    assert_refused(site.client("clerk").post(f"{API}/records/member", json=body, headers=headers))
    assert fingerprint(site) == before


def test_bodies_of_very_many_values_are_refused_before_they_are_built(site):
    admin = site.client("admin")
    for body in (b'{"a":[' + b"[]," * 400_000 + b"[]]}", b"[" + b"1," * 600_000 + b"1]"):
        effort = Effort()
        answer = admin.post(f"{API}/records/trap", data=body, headers=JSON)
        assert (answer.status_code, answer.json["code"]) == (413, "too_large")
        assert effort.seconds < 1
    brackets = '\\"[{' * 60
    good = admin.post(f"{API}/records/trap", json={"code": "A", "t00": brackets})
    assert (good.status_code, good.json["t00"]) == (201, brackets)


def test_naughty_strings_are_sorted_paged_and_found_as_in_memory(trap):
    """What is stored is never part of a statement (security §1, 8, 9)."""
    made = trap.post(f"{API}/records/trap/bulk", json={"create": batches()}).json["results"]
    held = {one["id"]: one["record"]["t00"] for one in made if one["status"] == 201}
    listed, after = [], ""
    while after is not None:
        query = {"sort": "t00", "limit": 7, "fields": "t00", **({"after": after} if after else {})}
        page = trap.get(f"{API}/records/trap", query_string=query).json
        listed += [one["id"] for one in page["items"]]
        after = page["next"]
    filled = [one for one in listed if held[one] is not None]
    assert sorted(listed) == sorted(held)
    assert [held[one] for one in filled] == sorted(held[one] for one in filled)
    for text in {text for text in held.values() if text}:
        quoted = text.replace("\\", "\\\\").replace("'", "\\'")
        query = {"filter": f"t00 == '{quoted}'", "fields": "t00"}
        found = trap.get(f"{API}/records/trap", query_string=query)
        assert found.status_code == 200, (text, found.json)
        assert {one["t00"] for one in found.json["items"]} == {text}
