"""The pages of rights: what a role may do, why somebody sees a field, seeing as somebody else."""

import re

import pytest

from core.audit import history
from core.records.userevents import user_events, user_problems
from core.records.whyaccess import explain_access
from core.security.places import list_holdings
from tests.integration.hostile_world import page_token

POLICIES = """
policy_set: tests
policies:
  - {name: auditors, who: {role: auditor}, types: [store], actions: [edit], rows: "code == 'A1'", fields: {edit: [phone]}}
"""


@pytest.fixture
def made(site):
    """Return the ids of a member with a telephone and of its store."""
    admin = site.client("admin")
    store = admin.post("/api/v1/records/store", json={"code": "A1", "name": "Shop"}).json["id"]
    body = {"no": "M1", "name": "Lin", "phone": "13812345678", "store": store}
    return admin.post("/api/v1/records/member", json=body).json["id"], store


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def sent(browser, url, data, **rest):
    """Send a form as a page of ours does."""
    return browser.post(url, data={"csrf_token": page_token(browser), **data}, **rest)


def outcome(site, person, record, **asked):
    return explain_access(site.context("admin"), site.actor(person), record, **asked)


def test_why_names_the_policy_that_gives_a_cell(site, made):
    member = ("member", made[0])
    found = outcome(site, "clerk", member, field="phone")
    assert found.outcome == "clear"
    assert [one.policy.name for one in found.verdicts if not one.missing] == ["clerk_members"]
    assert outcome(site, "auditor", member, field="phone").outcome == "masked"
    assert outcome(site, "cashier", member, field="birthday").outcome == "hidden"
    assert outcome(site, "cashier", member, field="name", action="edit").outcome == "no_policy"
    assert outcome(site, "clerk", member, action="edit").outcome == "allowed"


def test_why_tells_rows_with_the_values_they_read(site, made):
    site.publish(POLICIES)
    store = ("store", made[1])
    found = outcome(site, "auditor", store, field="phone", action="edit")
    assert found.outcome == "allowed"
    assert {"text": "code", "value": "A1"} in found.verdicts[0].parts
    other = site.client("admin").post("/api/v1/records/store", json={"code": "B", "name": "B"})
    found = outcome(site, "auditor", ("store", other.json["id"]), field="phone", action="edit")
    assert (found.outcome, found.verdicts[0].missing) == ("outside", "rows")


def test_pages_of_rights_are_for_those_who_build(site, made):
    admin = site.browser("admin")
    assert "birthday" not in text_of(admin.get("/rights/"))
    assert "sensitive" in text_of(admin.get("/rights/types/member?who=role:auditor"))
    url = f"/rights/why?user=auditor&type=member&record={made[0]}&field=phone"
    told = text_of(admin.get(url))
    assert "sees a mask" in told
    assert "13812345678" not in told
    assert admin.get("/rights/why?user=nobody&type=member&record=x").status_code == 422
    clerk = site.browser("clerk")
    for path in ("/rights/", "/rights/types/member", "/rights/why", "/rights/people"):
        assert clerk.get(path).status_code == 403


def test_positions_are_given_and_taken_by_administrators(site, made):
    admin = site.browser("admin")
    form = {"user": "cashier", "position": "store_manager", "place_type": "store", "place": "A1"}
    assert "Shop" in text_of(sent(admin, "/rights/people", form, follow_redirects=True))
    cashier = site.client("cashier")
    seen = cashier.get(f"/api/v1/records/member/{made[0]}").json
    assert seen["birthday"] is None
    assert cashier.get("/api/v1/records/member?fields=email").json["items"][0]["masked"] == [
        "email"
    ]
    bad = {**form, "place": "nowhere", "position": "king"}
    refused = sent(admin, "/rights/people", bad)
    assert refused.status_code == 422
    taken = sent(admin, "/rights/people", {**form, "what": "take"}, follow_redirects=True)
    assert taken.status_code == 200
    with site.context().reading() as connection:
        assert list_holdings(connection) == []
        events = user_events(connection, site.actor("cashier").id)
        assert list(user_problems(connection)) == []
    assert [one["action"] for one in events] == ["take_position", "give_position"]
    with site.context().writing() as connection:
        first = (history.c.record_type == "user") & (history.c.seq == 1)
        connection.execute(history.update().where(first).values(actor_name="nobody"))
        assert "event 1 was altered" in next(user_problems(connection))
    assert sent(site.browser("auditor"), "/rights/people", form).status_code == 403


def test_an_administrator_sees_as_another_and_changes_nothing(site, made):
    admin, path = site.browser("admin"), f"/records/member/{made[0]}"
    assert "13812345678" in admin.get(path).get_data(as_text=True)
    started = sent(admin, "/rights/view-as", {"user": "auditor", "next": path})
    assert (started.status_code, started.headers["Location"]) == (303, path)
    page = admin.get(path).get_data(as_text=True)
    assert "138•••5678" in page
    assert "13812345678" not in page
    assert "You see everything as" in page
    assert admin.get("/api/v1/records/member").json["items"][0]["phone"] == "138•••5678"
    for url, data in (
        (path, {"name": "X", "version": "1"}), (f"{path}/unmask", {"field": "phone"}),
        ("/rights/view-as", {"user": "clerk"}), (f"{path}/delete", {"version": "1"}),
    ):  # fmt: skip
        refused = sent(admin, url, data, headers={"Accept": "application/json"})
        assert (refused.status_code, refused.json["code"]) == (403, "view_as.read_only")
    refused = admin.post("/api/v1/records/member", json={"no": "M2", "name": "X"})
    assert refused.status_code == 403
    assert admin.get("/users/list/").status_code == 403
    assert sent(admin, "/rights/view-as/stop", {}).status_code == 303
    assert "13812345678" in admin.get(path).get_data(as_text=True)
    with site.context().reading() as connection:
        event = user_events(connection, site.actor("auditor").id)[0]
    assert (event["action"], event["actor"]) == ("viewed_as", site.actor("admin").id)


def test_only_administrators_see_as_others_and_not_for_long(site, made):
    for name in ("clerk", "auditor"):
        answer = sent(site.browser(name), "/rights/view-as", {"user": "admin"})
        assert answer.status_code == 403
    admin = site.browser("admin")
    assert sent(admin, "/rights/view-as", {"user": "nobody"}).status_code == 422
    sent(admin, "/rights/view-as", {"user": "cashier"})
    with admin.session_transaction() as session:
        session["gx_view_as"] = {**session["gx_view_as"], "until": "2020-01-01T00:00:00Z"}
    assert "You see everything as" not in admin.get("/").get_data(as_text=True)
    assert admin.get("/rights/").status_code == 200
