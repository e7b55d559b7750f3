"""A leaver's desk through REST and its page, and users disabled where users are kept."""

import re

import pytest
import sqlalchemy as sa

from core.jobs.worker import Worker
from core.security.managers import set_manager, user_manager
from core.workflow.models import candidate, instance
from tests.integration.hostile_world import page_token

MEMO = """
record_type: memo
label: {zh: 备忘, en: Memo}
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
policies:
  - {name: all, who: {role: [clerk, approver, cashier, Admin]}, actions: ["*"]}
---
flow: memo_release
version: 1
document: memo
steps:
  - {id: look, type: approve, approvers: {user: approver}}
"""


@pytest.fixture
def site_schema():
    return (MEMO,)


def ident(site, name):
    return site.actor(name).id


def send(site, name, who="clerk"):
    """Submit a memo, which the approver decides by name."""
    client = site.client(who)
    record = client.post("/api/v1/records/memo", json={"name": name}).json["id"]
    answer = client.post(f"/api/v1/records/memo/{record}/submit", json={})
    assert answer.status_code == 200, answer.json


def sitting(site):
    """Return the title of each instance with who may sit in it."""
    query = (
        sa.select(instance.c.title, candidate.c.actor)
        .join(candidate, candidate.c.instance_id == instance.c.id)
        .where(candidate.c.gone.is_(False))
    )
    with site.services.db.read() as connection:
        return {tuple(row) for row in connection.execute(query)}


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def test_desk_is_shown_and_handed_over_through_rest(site):
    send(site, "A")
    send(site, "B", "cashier")
    set_manager(site.context("admin"), "clerk", "approver")
    set_manager(site.context("admin"), "cashier", "approver")
    approver, admin = ident(site, "approver"), site.client("admin")
    held = admin.get(f"/api/v1/desks/{approver}").json
    assert (held["count"], held["stands_in"]) == (2, 0)
    assert held["reports"] == ["clerk", "cashier"]
    body = {"to": ident(site, "cashier"), "reason": "left us"}
    made = admin.post(f"/api/v1/desks/{approver}/hand-over", json=body).json
    told = {(one["kind"], one["title"]): one["outcome"] for one in made["items"]}
    assert told == {
        ("task", "A"): "transferred",
        ("task", "B"): "refused",
        ("report", "clerk"): "transferred",
        ("report", "cashier"): "transferred",
    }
    assert ("A", ident(site, "cashier")) in sitting(site)
    with site.services.db.read() as connection:
        kept = connection.execute(sa.select(user_manager)).all()
    assert [tuple(one) for one in kept] == [(ident(site, "clerk"), ident(site, "cashier"))]


def test_desk_is_no_business_of_others(site):
    send(site, "A")
    before, approver = sitting(site), ident(site, "approver")
    body = {"to": ident(site, "cashier"), "reason": "left us"}
    for name in ("approver", "cashier", "configurator", "auditor"):
        client, browser = site.client(name), site.browser(name)
        assert client.get(f"/api/v1/desks/{approver}").status_code == 403
        answer = client.post(f"/api/v1/desks/{approver}/hand-over", json=body)
        assert answer.status_code == 403
        assert browser.get("/rights/desk?user=approver").status_code == 403
        form = {"user": "approver", "to": "cashier", "reason": "x"}
        form["csrf_token"] = page_token(browser)
        assert browser.post("/rights/desk", data=form).status_code == 403
    assert sitting(site) == before


def test_page_previews_hands_over_and_tells_each_refusal(site):
    send(site, "Apples")
    send(site, "Pears", "cashier")
    admin = site.browser("admin")
    shown = text_of(admin.get("/rights/desk?user=approver"))
    assert "Tasks: 2." in shown
    assert "Apples" in shown
    form = {"user": "approver", "to": "cashier", "csrf_token": page_token(admin)}
    refused = admin.post("/rights/desk", data={**form, "reason": " "})
    assert refused.status_code == 422
    refused = admin.post("/rights/desk", data={**form, "to": "nobody", "reason": "left"})
    assert "There is no user nobody." in text_of(refused)
    done = text_of(admin.post("/rights/desk", data={**form, "reason": "left us"}))
    assert "Handed over: 1. Refused: 1." in done
    assert "Pears : They wrote, edited or submitted this" in done
    assert admin.get("/rights/desk?user=nobody").status_code == 422
    assert "Nothing waits for them by name" in text_of(admin.get("/rights/desk?user=auditor"))


def test_user_disabled_where_users_are_kept_leaves_no_seat_unwatched(site):
    send(site, "A")
    set_manager(site.context("admin"), "approver", "cashier")
    manager = site.app.appbuilder.sm
    with site.app.test_request_context("/users/edit", method="POST"):
        user = manager.find_user("approver")
        user.active = False
        manager.update_user(user)
    worker = Worker(site.services.db, lambda: site.context("system"), elected=False)
    while worker.turn():
        pass
    assert ("A", ident(site, "cashier")) in sitting(site)
