"""Requests are tried under what a process saw last, and answered under what is in force."""

import pytest

from core.app import create_app
from core.cli.console import system_context
from core.migration.drafts import create_draft, publish_draft
from core.security.services import EXTENSION
from core.testing.databases import close
from tests.integration.till_world import fill, line

MEMBER = "/api/v1/records/member"

RENAMED = """
customize: member
fields:
  - {id: site.member.taste, name: flavour, was: taste, type: text}
"""


@pytest.fixture
def site_schema():
    return ("customize: member\nfields: [{name: taste, type: text}]",)


@pytest.fixture
def stale(site):
    """The site's clients, whose process saw a field that another process then renamed."""
    client = site.client("clerk")
    made = client.post(MEMBER, json={"no": "M1", "name": "王小明", "taste": "龙井"}).json
    assert client.get(f"{MEMBER}/{made['id']}").json["taste"] == "龙井"
    return client, made["id"]


@pytest.fixture(scope="module")
def second(_site):
    return create_app(_site.settings)


@pytest.fixture
def other(site, second):
    """The application of another process on the same database."""
    services = second.extensions[EXTENSION]
    services.forget()
    yield second
    close(services.db)


def _rename(other):
    author = system_context(other.extensions[EXTENSION])
    publish_draft(author, create_draft(author, yaml=RENAMED), "rename")


def test_read_after_a_rename_elsewhere_has_the_new_name(site, stale, other):
    client, record = stale
    _rename(other)
    assert site.services.registries.presumed().release.number == 2
    assert client.get(f"{MEMBER}/{record}").json["flavour"] == "龙井"


def test_list_after_a_rename_elsewhere_has_the_new_name(site, stale, other):
    client, _ = stale
    assert len(client.get(f"{MEMBER}?filter=taste == '龙井'").json["items"]) == 1
    _rename(other)
    refused = client.get(f"{MEMBER}?filter=taste == '龙井'")
    assert refused.status_code == 422
    assert [one["flavour"] for one in client.get(MEMBER).json["items"]] == ["龙井"]


def test_empty_list_after_a_rename_elsewhere_knows_the_new_name(site, stale, other):
    client, _ = stale
    assert client.get(f"{MEMBER}?filter=no == 'none'").json["items"] == []
    _rename(other)
    assert client.get(f"{MEMBER}?filter=no == 'none' and flavour is empty").json["items"] == []
    assert site.services.registries.presumed().release.number == 3


def test_right_taken_elsewhere_is_gone_at_the_next_read(site, stale, other):
    client, record = stale
    with other.app_context():
        manager = other.appbuilder.sm
        clerk = manager.find_user("clerk")
        clerk.active = False
        manager.update_user(clerk)
    assert client.get(f"{MEMBER}/{record}").status_code == 401
    assert client.get(MEMBER).status_code == 401


def test_write_after_a_rename_elsewhere_takes_the_new_name(stale, other):
    client, record = stale
    _rename(other)
    made = client.post(MEMBER, json={"no": "M2", "name": "李", "flavour": "普洱"})
    assert (made.status_code, made.json["flavour"]) == (201, "普洱")
    changed = client.patch(
        f"{MEMBER}/{record}", json={"flavour": "毛尖"}, headers={"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.json["flavour"]) == (200, "毛尖")
    refused = client.post(MEMBER, json={"no": "M3", "name": "李", "taste": "普洱"})
    assert (refused.status_code, refused.json["problems"][0]["code"]) == (422, "field.unknown")


def test_requests_after_a_change_of_type_elsewhere_have_the_new_type(site, other):
    client = site.client("clerk")
    made = client.post(MEMBER, json={"no": "M1", "name": "王小明", "taste": "7"}).json
    record, headers = f"{MEMBER}/{made['id']}", {"If-Match": '"1"'}

    def asked(taste):
        one, listed = client.get(record), client.get(MEMBER)
        assert (one.status_code, listed.status_code) == (200, 200)
        assert one.json["taste"] == listed.json["items"][0]["taste"] == taste

    # As often as it takes for the database to plan a statement once and for all.
    for taste, how in (("7", "integer"), (7, "text")):
        for _ in range(6):
            asked(taste)
        author = system_context(other.extensions[EXTENSION])
        yaml = f"customize: member\nfields: [{{name: taste, type: {how}}}]"
        publish_draft(author, create_draft(author, yaml=yaml), how)
    changed = client.patch(record, json={"taste": "better"}, headers=headers)
    assert (changed.status_code, changed.json["taste"]) == (200, "better")
    asked("better")


def test_right_taken_elsewhere_is_gone_at_the_next_write(site, stale, other):
    client, record = stale
    with other.app_context():
        manager = other.appbuilder.sm
        clerk = manager.find_user("clerk")
        clerk.roles = [manager.find_role("auditor")]
        manager.update_user(clerk)
    assert client.post(MEMBER, json={"no": "M2", "name": "李"}).status_code == 403
    headers = {"If-Match": '"1"'}
    assert client.delete(f"{MEMBER}/{record}", headers=headers).status_code == 403
    assert len(site.client("admin").get(MEMBER).json["items"]) == 1


def test_sale_after_a_release_elsewhere_has_its_new_field(site, other):
    till = fill(site)
    before = till.order(line(), key="k1").json["id"]
    author = system_context(other.extensions[EXTENSION])
    yaml = "customize: order\nfields: [{name: channel, type: text, default: till}]"
    publish_draft(author, create_draft(author, yaml=yaml), "channel")
    again, sold = till.order(line(), key="k1"), till.order(line(), key="k2")
    assert (again.status_code, sold.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    orders = {one: site.client("admin").get(f"/api/v1/records/order/{one}").json["channel"]
              for one in (before, again.json["id"], sold.json["id"])}  # fmt: skip
    assert orders == {before: None, sold.json["id"]: "till"}


def test_right_to_sell_taken_elsewhere_is_gone_at_the_next_sale(site, other):
    till = fill(site)
    assert till.order(line()).status_code == 201
    with other.app_context():
        manager = other.appbuilder.sm
        cashier = manager.find_user("cashier")
        cashier.roles = [manager.find_role("auditor")]
        manager.update_user(cashier)
    assert till.order(line()).status_code == 403
    assert till.count("order") == 1
