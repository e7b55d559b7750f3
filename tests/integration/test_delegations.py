"""Deputies (代理): who may name whom, for what and when, through REST and the page."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.clock import FixedClock, to_wire
from core.records.userevents import user_events
from core.workflow.staff.delegations import delegation, moved_windows, upstream
from core.workflow.staff.people import STAFF
from tests.integration.hostile_world import page_token

PAPER = """
record_type: paper
label: {zh: 文件, en: Paper}
document: true
title_field: name
fields:
  - {name: name, type: text, required: true}
  - {name: amount, type: integer}
policies:
  - {name: all, who: {role: [clerk, approver, cashier, auditor, Admin]}, actions: ["*"]}
"""
NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def site_schema():
    return (PAPER,)


@pytest.fixture
def at_noon(site, monkeypatch):
    """Set the clock of the site, which tests may move."""
    clock = FixedClock(NOW)
    monkeypatch.setattr(site.services, "clock", clock)
    return clock


def ident(site, name):
    return site.actor(name).id


def post(site, who, **body):
    """Send a delegation; people are named by their sign-in names."""
    for key in ("to", "from"):
        if key in body:
            body[key] = ident(site, body[key])
    body = {"end": to_wire(NOW + 7 * DAY)} | body
    return site.client(who).post("/api/v1/delegations", json=body)


def codes(answer):
    assert answer.status_code == 422, answer.json
    return [(one["path"], one["code"]) for one in answer.json["problems"]]


def rows(site):
    with site.services.db.read() as connection:
        return connection.execute(sa.select(delegation).order_by(delegation.c.id)).all()


def standing(site):
    ctx = site.context("system")
    with ctx.reading() as connection:
        return STAFF.staff(ctx, connection).standing


def test_people_name_their_own_deputy_and_end_it(site, at_noon):
    answer = post(site, "approver", to="clerk", reason="on leave", types=["paper"])
    assert answer.status_code == 201, answer.json
    made = answer.json
    assert (made["from"]["name"], made["to"]["name"]) == ("approver", "clerk")
    assert (made["start"], made["types"], made["reason"]) == (to_wire(NOW), ["paper"], "on leave")
    (said,) = standing(site)[ident(site, "approver")]
    assert (said.deputy, said.end) == (ident(site, "clerk"), NOW + 7 * DAY)
    for name in ("approver", "clerk", "admin"):
        listed = site.client(name).get("/api/v1/delegations").json["items"]
        assert [one["id"] for one in listed] == [made["id"]]
    assert site.client("cashier").get("/api/v1/delegations").json["items"] == []
    gone = site.client("approver").delete(f"/api/v1/delegations/{made['id']}")
    assert gone.status_code == 204
    assert site.client("approver").delete(f"/api/v1/delegations/{made['id']}").status_code == 204
    assert standing(site) == {}
    assert site.client("approver").get("/api/v1/delegations").json["items"] == []
    over = site.client("clerk").get("/api/v1/delegations?over=true").json["items"]
    assert [one["revoked_at"] for one in over] == [to_wire(NOW)]
    with site.services.db.read() as connection:
        events = user_events(connection, ident(site, "approver"))
    assert [one["action"] for one in events] == ["revoke_delegation", "delegate"]
    assert [one["reason"] for one in events] == ["on leave", "on leave"]


def test_only_administrators_arrange_it_for_others(site, at_noon):
    assert post(site, "cashier", **{"from": "approver"}, to="cashier").status_code == 403
    made = post(site, "admin", **{"from": "approver"}, to="clerk")
    assert made.status_code == 201
    kept = rows(site)
    assert site.client("clerk").delete(f"/api/v1/delegations/{made.json['id']}").status_code == 403
    other = site.client("cashier").delete(f"/api/v1/delegations/{made.json['id']}")
    assert other.status_code == 404
    assert rows(site) == kept
    assert site.client("admin").delete(f"/api/v1/delegations/{made.json['id']}").status_code == 204


#: What a body of a sensible delegation is changed by -> the problems told.
SENSELESS = [
    ({"to": "approver"}, [("to", "delegation.self")]),
    ({"end": to_wire(NOW)}, [("end", "delegation.window")]),
    ({"end": to_wire(NOW - DAY)}, [("end", "delegation.window")]),
    ({"end": to_wire(NOW + 367 * DAY)}, [("end", "delegation.window")]),
    ({"end": "9999-12-31T23:59:59Z"}, [("end", "delegation.window")]),
    (
        {"start": "9999-12-30T00:00:00Z", "end": "9999-12-31T23:59:59-12:00"},
        [("end", "field.bad_datetime")],
    ),
    ({"start": "9999-12-30T00:00:00Z"}, [("end", "delegation.window")]),
    (
        {"amount_max": "9" * 60, "amount_field": "amount", "types": ["paper"]},
        [("amount_max", "field.not_a_number")],
    ),
    (
        {"amount_max": "9" * 40 + ".5", "amount_field": "amount", "types": ["paper"]},
        [("amount_field", "delegation.amount")],
    ),
    ({"end": "soon"}, [("end", "field.bad_datetime")]),
    ({"end": 5}, [("end", "field.wrong_type")]),
    ({"types": ["member"]}, [("types", "delegation.type")]),
    ({"types": ["nothing"]}, [("types", "delegation.type")]),
    ({"types": [5]}, [("types", "field.wrong_type")]),
    ({"amount_max": "9"}, [("amount_field", "delegation.amount")]),
    (
        {"amount_max": "9", "amount_field": "name", "types": ["paper"]},
        [("amount_field", "delegation.amount")],
    ),
    ({"amount_max": "many"}, [("amount_max", "field.not_a_number")]),
    ({"forever": True}, [("forever", "field.unknown")]),
]


def test_delegation_that_makes_no_sense_is_refused(site, at_noon):
    for body, told in SENSELESS:
        assert codes(post(site, "approver", **{"to": "clerk"} | body)) == told, body
    assert rows(site) == []


def test_nobody_who_cannot_sign_in_becomes_a_deputy(site, at_noon):
    body = {"to": "system", "end": to_wire(NOW + DAY)}
    answer = site.client("approver").post("/api/v1/delegations", json=body)
    assert codes(answer) == [("to", "delegation.person")]
    body["to"] = "999999"
    answer = site.client("approver").post("/api/v1/delegations", json=body)
    assert codes(answer) == [("to", "delegation.person")]


def test_two_words_for_the_same_are_refused_and_a_narrower_one_is_not(site, at_noon):
    assert post(site, "approver", to="clerk").status_code == 201
    assert codes(post(site, "approver", to="cashier")) == [("", "delegation.overlap")]
    later = {"start": to_wire(NOW + 7 * DAY), "end": to_wire(NOW + 8 * DAY)}
    assert post(site, "approver", to="cashier", **later).status_code == 201
    assert post(site, "approver", to="cashier", types=["paper"]).status_code == 201
    capped = {"types": ["paper"], "amount_field": "amount", "amount_max": "100.50"}
    answer = post(site, "approver", to="auditor", **capped)
    assert answer.json["amount_max"] == "100.50"


def test_circle_of_deputies_is_refused_while_windows_meet(site, at_noon):
    assert post(site, "approver", to="clerk").status_code == 201
    assert post(site, "clerk", to="cashier").status_code == 201
    assert codes(post(site, "cashier", to="approver")) == [("to", "delegation.circle")]
    later = {"start": to_wire(NOW + 7 * DAY), "end": to_wire(NOW + 8 * DAY)}
    assert post(site, "cashier", to="approver", **later).status_code == 201


def test_windows_that_open_or_close_are_found_with_everybody_upstream(site, at_noon):
    start, end = to_wire(NOW + DAY), to_wire(NOW + 2 * DAY)
    post(site, "approver", to="clerk")
    post(site, "clerk", to="cashier", start=start, end=end)
    both = frozenset({ident(site, "approver"), ident(site, "clerk")})
    with site.services.db.read() as connection:
        assert moved_windows(connection, to_wire(NOW), to_wire(NOW + DAY / 2)) == frozenset()
        assert moved_windows(connection, to_wire(NOW), start) == both
        assert moved_windows(connection, start, end) == both
        assert moved_windows(connection, end, to_wire(NOW + 3 * DAY)) == frozenset()
        assert upstream(connection, [ident(site, "cashier")], to_wire(NOW)) == (
            both | {ident(site, "cashier")}
        )


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def test_page_names_shows_and_ends_a_deputy(site, at_noon):
    browser = site.browser("approver")
    form = {"to": "clerk", "end": "2026-03-09T18:00", "csrf_token": page_token(browser)}
    shown = browser.post("/away", data={**form, "what": "preview"})
    assert shown.status_code == 200
    assert "Tasks that would be theirs too now: 0" in text_of(shown)
    assert rows(site) == []
    capped = {"amount_field": "paper.amount", "amount_max": "100"}
    named = browser.post("/away", data={**form, **capped}, follow_redirects=True)
    assert "clerk for approver" in text_of(named)
    assert "up to 100" in text_of(named)
    (row,) = rows(site)
    assert row.end == "2026-03-09T10:00:00.000000Z"  # the store's zone is Asia/Shanghai
    ended = browser.post(f"/away/{row.id}/end", data=form, follow_redirects=True)
    assert "Nobody is away" in text_of(ended)


def test_page_refuses_with_what_was_typed_kept(site, at_noon):
    browser = site.browser("approver")
    form = {"to": "nobody", "end": "2026-03-09T18:00", "csrf_token": page_token(browser)}
    refused = browser.post("/away", data=form)
    assert refused.status_code == 422
    assert 'value="nobody"' in refused.get_data(as_text=True)
    others = browser.post("/away", data={**form, "to": "clerk", "from": "cashier"})
    assert others.status_code == 403
    assert rows(site) == []
