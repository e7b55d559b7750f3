"""Records that are probably one: found in all, told while one is typed, settled by imports."""

import time

import pytest

from core.errors import NotFound
from core.records.creating import insert_many
from core.records.duplicates import find_duplicates, find_similar
from core.records.importing import run_import
from core.testing.campaigns import examples
from tests.integration.test_merge_pages import person, token

NAMES_ONLY = """
policy_set: base
policies:
  - {name: admin, who: {role: Admin}, types: ["*"], actions: ["*"], fields: {clear: ["*"]}}
  - name: approver
    who: {role: approver}
    types: [member]
    actions: [view]
    fields: {view: [name, birthday], clear: [birthday]}
  - {name: stores, who: {role: approver}, types: [store], actions: [view]}
"""
HEADER = "no,name,phone,birthday\n"


@pytest.fixture
def people(site):
    """Members of whom some are one: by telephone, by name and birthday, by both."""
    client = site.client("admin")
    return {
        "chen": person(client, 1, name="陈伟明", phone="13800000001", birthday="1990-01-05"),
        "chen2": person(client, 2, name="陈伟民", birthday="1990-01-05"),
        "chen3": person(client, 3, name="小陈", phone="+86 138-0000-0001"),
        "wei": person(client, 4, name="Wei Chen", birthday="1991-01-01", email="A@x.com"),
        "wei2": person(client, 5, name="Chen Wei", birthday="1991-01-01"),
        "other": person(client, 6, name="Anna", phone="13900000002", birthday="1990-01-05"),
        "mail": person(client, 7, name="Bob", email="a@X.com"),
    }


def names_of(people, group):
    return {name for name, one in people.items() if one in group.ids}


def test_groups_are_found_by_every_key_together(site, people):
    found = find_duplicates(site.context("admin"), "member")
    assert [names_of(people, one) for one in found.groups] == [
        {"chen", "chen2", "chen3"}, {"wei", "wei2", "mail"}
    ]  # fmt: skip
    assert found.groups[0].fields == (("birthday", "name"), ("phone",))
    assert (found.scanned, found.is_whole, found.count) == (7, True, 2)


def test_deleted_records_and_hidden_fields_take_no_part(site, people):
    client = site.client("admin")
    for name in ("chen2", "mail"):
        url = f"/api/v1/records/member/{people[name]}"
        assert client.delete(url, headers={"If-Match": '"1"'}).status_code == 204
    site.publish(NAMES_ONLY)
    found = find_duplicates(site.context("admin"), "member")
    assert [names_of(people, one) for one in found.groups] == [{"chen", "chen3"}, {"wei", "wei2"}]
    # An approver sees names and birthdays only, and so no match by telephone.
    approver = site.context("approver")
    found = find_duplicates(approver, "member")
    assert [names_of(people, one) for one in found.groups] == [{"wei", "wei2"}]
    assert find_similar(approver, "member", {"phone": "13800000001"}) == []
    assert find_similar(site.context("admin"), "member", {"phone": "13800000001"}) != []
    with pytest.raises(NotFound):
        find_duplicates(approver, "store")


def test_rest_and_pages_show_what_looks_alike(site, people):
    client, browser = site.client("admin"), site.browser("admin")
    found = client.get("/api/v1/records/member/duplicates?limit=1").json
    assert (found["count"], len(found["items"]), found["items"][0]["count"]) == (2, 1, 3)
    assert client.get("/api/v1/records/store/duplicates").status_code == 404
    url = "/api/v1/records/member/similar"
    for values, expected in (
        ({"phone": "138 0000 0001"}, {"chen", "chen3"}),
        ({"phone": "+86 138-0000-0001"}, {"chen", "chen3"}),
        ({"name": "陈伟", "birthday": "1990-01-05"}, {"chen", "chen2"}),
        ({"name": "陈伟", "birthday": "1990-01-06"}, set()),
        ({"name": 5, "birthday": "soon", "phone": None, "zz": 1}, set()),
        ({}, set()),
    ):
        items = client.post(url, json=values).json["items"]
        assert {n for n, one in people.items() if one in {i["id"] for i in items}} == expected
    assert client.post(url, json=[]).status_code == 400
    page = browser.get("/records/member/duplicates").text
    assert f"merge?ids={min(people['chen'], people['chen2'])}" in page
    assert "+86 138-0000-0001" in page
    form = browser.get("/records/member/new").text
    body = token(form) | {"name": "Chen Wei", "birthday": "1991-01-01"}
    items = browser.post("/records/member/similar", data=body).json["items"]
    assert {one["href"].rpartition("/")[2] for one in items} == {people["wei"], people["wei2"]}
    # It is said and nothing is refused.
    assert (
        client.post("/api/v1/records/member", json={"no": "P9", "name": "Wei Chen"}).status_code
        == 201
    )


@pytest.mark.parametrize(
    ("alike", "expected"),
    [
        ("", {"created": 4, "alike": 0, "refused": 0, "updated": 0}),
        ("report", {"created": 4, "alike": 3, "refused": 0, "updated": 0}),
        ("skip", {"created": 1, "alike": 3, "refused": 0, "updated": 0}),
        ("update", {"created": 1, "alike": 0, "refused": 2, "updated": 1}),
    ],
)
def test_import_does_with_similar_records_what_was_chosen(site, people, tmp_path, alike, expected):
    path = tmp_path / "in.csv"
    path.write_text(
        HEADER
        + "N1,Anna B,139 0000 0002,\n"  # one record: Anna
        + "N2,Someone,+8613800000001,\n"  # two records
        + "N3,New One,13700000003,\n"
        + "N4,New Two,137-0000-0003,\n",  # the line before
        "utf-8",
    )
    dry = run_import(site.context("admin"), "member", path, alike=alike, dry_run=True)
    assert {name: getattr(dry, name) for name in expected} == expected
    done = run_import(site.context("admin"), "member", path, alike=alike)
    assert {name: getattr(done, name) for name in expected} == expected
    anna = site.client("admin").get(f"/api/v1/records/member/{people['other']}").json
    assert (anna["name"], anna["no"]) == ("Anna B" if alike == "update" else "Anna", "P6")


def test_page_of_imports_offers_the_choice(site, people):
    browser = site.browser("admin")
    assert 'name="alike"' in browser.get("/import/member").text
    assert 'name="alike"' not in browser.get("/import/store").text


def test_many_members_are_compared_within_seconds(site):
    ctx, count = site.context("system"), examples(1_000)
    for start in range(0, count, 500):
        rows = [
            {"no": f"X{n}", "name": f"N{n % 997} M{n % 89}", "phone": f"138{n % (count // 2):08}",
             "birthday": f"19{n % 90 + 10}-0{n % 9 + 1}-1{n % 10}"}
            for n in range(start, start + 500)
        ]  # fmt: skip
        assert all(isinstance(one, dict) for one in insert_many(ctx, "member", rows))
    begin = time.monotonic()
    found = find_duplicates(ctx, "member")
    assert time.monotonic() - begin < 3 + count / 1_000
    assert found.scanned == count
    assert found.count > 0
