"""Links without an account: what they open, to whom, how long, and what they never reach."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.actor import PUBLIC
from core.clock import FixedClock
from core.errors import Forbidden, Invalid, NotFound
from core.policies.access import access
from core.records.formlinks import (
    MAX_DAYS,
    form_link,
    list_links,
    make_link,
    open_link,
    revoke_link,
    use_link,
)
from core.records.operations import create_record, update_record
from core.records.queries import Query, get_record, list_wire
from tests.integration.hostile_world import page_token

JSON = {"Accept": "application/json"}
NEW = ("no", "name", "remark")


@pytest.fixture
def clerk(make_context):
    return make_context("clerk")


@pytest.fixture
def public(clerk):
    return replace(clerk, actor=PUBLIC)


@pytest.fixture
def member(clerk):
    values = {"no": "M1", "name": "王小明", "phone": "13800000000", "remark": "old"}
    return create_record(clerk, "member", values)


def members(ctx):
    return {one["no"]: one for one in list_wire(ctx, "member", Query()).items}


def test_link_makes_one_record_with_its_fields_and_is_used_up(clerk, public):
    made = make_link(clerk, "member", fields=NEW, label="入会")
    with pytest.raises(Forbidden):
        use_link(
            public, made["token"], {"no": "M8", "name": "B", "phone": "13900000000"}, version=None
        )
    assert list_links(clerk)[0]["state"] == "good"
    use_link(public, made["token"], {"no": "M9", "name": "A"}, version=None)
    record = members(clerk)["M9"]
    assert (record["name"], record["created_by"]) == ("A", "public")
    with pytest.raises(NotFound):
        use_link(public, made["token"], {"no": "M10", "name": "B"}, version=None)
    assert (list_links(clerk)[0]["state"], list_links(clerk)[0]["uses"]) == ("used", 1)


def test_refused_values_do_not_use_a_link_up(clerk, public, member):
    token = make_link(clerk, "member", fields=NEW)["token"]
    for values in (
        {"no": "M1", "name": "taken"},
        {"no": "", "name": "x"},
        {"no": "M2", "name": 5},
    ):
        with pytest.raises(Exception, match=r"\w"):
            use_link(public, token, values, version=None)
    use_link(public, token, {"no": "M2", "name": "x"}, version=None)
    assert set(members(clerk)) == {"M1", "M2"}


def test_link_to_a_record_shows_and_changes_its_fields_alone(clerk, public, member):
    made = make_link(
        clerk, "member", record_id=member["id"], fields=("name", "remark"), single_use=False
    )
    opened = open_link(public, made["token"])
    seen = get_record(opened.ctx, "member", member["id"])
    assert {name for name in seen if name not in {"id", "version", "no_access"}} == {
        "name", "remark",
    }  # fmt: skip
    use_link(public, made["token"], {"remark": "new"}, version=1)
    use_link(public, made["token"], {"name": "王"}, version=2)
    with pytest.raises(Exception, match="meantime"):
        use_link(public, made["token"], {"name": "李"}, version=1)
    with pytest.raises(Forbidden):
        use_link(public, made["token"], {"phone": "13900000000"}, version=3)
    other = create_record(clerk, "member", {"no": "M2", "name": "other"})
    for type_name, record_id in (("member", other["id"]), ("store", member["id"])):
        with pytest.raises((NotFound, Forbidden)):
            get_record(opened.ctx, type_name, record_id)
    with pytest.raises(NotFound):
        update_record(opened.ctx, "member", other["id"], {"name": "x"}, version=1)
    assert not access(opened.ctx, "member").may("delete")
    assert not access(opened.ctx, "order").may("view")
    assert [
        one["id"] for one in list_wire(opened.ctx, "member", Query(fields=("name",))).items
    ] == [member["id"]]


def test_link_dies_by_time_revocation_or_its_owners_rights(site, clerk, public, publish, member):
    for ending in ("time", "revoked", "rights"):
        token = make_link(clerk, "member", record_id=member["id"], fields=("name",))["token"]
        assert open_link(public, token).fields == {"name"}
        ctx = public
        if ending == "time":
            ctx = replace(public, clock=FixedClock(clerk.now + timedelta(days=7, seconds=1)))
        elif ending == "revoked":
            revoke_link(clerk, list_links(clerk)[0]["id"])
        else:
            with site.services.db.write() as connection:
                connection.execute(
                    sa.text("UPDATE ab_user SET active = false WHERE username = 'clerk'")
                )
        with pytest.raises(NotFound):
            open_link(ctx, token)
        with pytest.raises(NotFound):
            use_link(ctx, token, {"name": "x"}, version=1)
    assert get_record(site.context("admin"), "member", member["id"])["version"] == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fields": ()}, Invalid), ({"fields": ("name",)}, Invalid),
        ({"fields": (*NEW, "store")}, Invalid), ({"fields": (*NEW, "orders")}, Invalid),
        ({"fields": (*NEW, "created_by")}, Invalid), ({"fields": (*NEW, "id' or 1=1")}, Invalid),
        ({"fields": (*NEW, 5)}, Invalid), ({"fields": NEW, "days": 0}, Invalid),
        ({"fields": NEW, "days": MAX_DAYS + 1}, Invalid), ({"fields": NEW, "label": "x" * 101}, Invalid),
        ({"fields": NEW, "label": "a\x00"}, Invalid),
        ({"fields": NEW, "record_id": "01890000-0000-7000-8000-000000000000"}, NotFound),
        ({"fields": NEW, "record_id": "' or 1=1"}, NotFound),
    ],
)  # fmt: skip
def test_links_that_cannot_be_are_refused(clerk, options, error):
    with pytest.raises(error):
        make_link(clerk, "member", **options)
    assert list_links(clerk) == []


def test_nobody_makes_a_link_beyond_their_own_rights(make_context, clerk, member):
    cashier = make_context("cashier")
    with pytest.raises(Forbidden):
        make_link(cashier, "member", fields=(*NEW, "remark"))
    with pytest.raises(Forbidden):
        make_link(cashier, "member", record_id=member["id"], fields=("name",))
    made = make_link(clerk, "member", fields=NEW)
    with pytest.raises(NotFound):
        revoke_link(cashier, made["id"])
    assert list_links(cashier) == []
    revoke_link(make_context("admin"), made["id"])
    assert list_links(clerk)[0]["state"] == "revoked"


def test_token_is_kept_as_its_hash_only(site, clerk):
    token = make_link(clerk, "member", fields=NEW)["token"]
    with site.services.db.read() as connection:
        [row] = connection.execute(sa.select(form_link)).mappings()
    assert token not in str(dict(row))
    assert "token" not in list_links(clerk)[0]


def fill(browser, token, **values):
    page = browser.get(f"/fill/{token}").text
    found = page.split('name="csrf_token" value="')[1].split('"')[0]
    return browser.post(f"/fill/{token}", data={"csrf_token": found, **values}, headers=JSON)


def test_page_needs_no_sign_in_and_tells_nothing_else(site, clerk, client_as):
    made = make_link(clerk, "member", fields=NEW, label="<b>入会</b>")
    stranger = site.app.test_client()
    page = stranger.get(f"/fill/{made['token']}")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "&lt;b&gt;入会" in page.text
    assert 'name="phone"' not in page.text
    assert "/records/" not in page.text
    refused = fill(stranger, made["token"], no="", name="A")
    assert (refused.status_code, refused.json["problems"][0]["path"]) == (422, "no")
    done = fill(stranger, made["token"], no="M5", name="A", phone="13900000000", status="closed")
    assert done.status_code == 200, done.text
    assert (members(clerk)["M5"]["phone"], members(clerk)["M5"]["status"]) == (None, "active")
    assert stranger.get(f"/fill/{made['token']}").status_code == 404
    assert stranger.get("/fill/done").status_code == 200
    history = client_as("clerk").get(
        f"/api/v1/records/member/{members(clerk)['M5']['id']}/history"
    )
    assert history.json["items"][0]["actor_name"].startswith("link ")


@pytest.mark.parametrize(
    "token", ["nothing", "x" * 3000, "%00", "' or 1=1 --", "../../etc/passwd", "字"]
)
def test_wrong_tokens_are_all_told_the_same(site, token):
    answer = site.app.test_client().get(f"/fill/{token}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_guessing_tokens_is_slowed_down_and_large_bodies_refused(site, clerk):
    stranger = site.app.test_client()
    token = make_link(clerk, "member", fields=NEW)["token"]
    large = fill(stranger, token, name="x" * 70_000)
    assert large.status_code == 413
    codes = [stranger.get(f"/fill/guess{number}").status_code for number in range(62)]
    assert (codes[0], codes[-1]) == (404, 429)
    assert stranger.get(f"/fill/{token}").status_code == 200
    assert site.client("clerk").get("/api/v1/links").status_code == 200


def test_links_are_made_listed_and_revoked_on_their_page_and_over_rest(browser_as, client_as):
    clerk = browser_as("clerk")
    form = {
        "csrf_token": page_token(clerk),
        "fields": ["no", "name"],
        "days": "3",
        "label": "入会",
    }
    made = clerk.post("/records/member/links", data=form)
    assert made.status_code == 200
    address = made.text.split("/fill/")[1].split('"')[0]
    assert address not in clerk.get("/records/member/links").text
    bad = clerk.post("/records/member/links", data={**form, "days": "no"})
    assert bad.status_code == 422
    api = client_as("clerk")
    [listed] = api.get("/api/v1/links").json["items"]
    answer = api.post("/api/v1/links", json={"type": "member", "fields": ["no", "name"]})
    assert answer.status_code == 201
    assert answer.json["url"].endswith(answer.json["token"])
    clerk.post(f"/links/{listed['id']}/revoke", data=form)
    assert api.delete(f"/api/v1/links/{answer.json['id']}").status_code == 204
    assert {one["state"] for one in api.get("/api/v1/links").json["items"]} == {"revoked"}
