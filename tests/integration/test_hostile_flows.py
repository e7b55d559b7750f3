"""Hostile requests at every door of an approval: refused, at once, and nothing is changed."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.actor import PUBLIC
from core.clock import FixedClock
from core.workflow.errors import NotACandidate, SodViolation
from core.workflow.models import candidate, instance, seat, task, vote
from core.workflow.queue.maillinks import (
    LinkOfAnother,
    LinkUnknown,
    LinkUsed,
    make_links,
    open_link,
    use_link,
)
from tests.effort import Effort
from tests.integration.hostile_world import assert_refused, naughty_strings, post_raw
from tests.integration.hostileflow_world import (
    API,
    JSON,
    NOWHERE,
    Case,
    desk,
    plain,
    site_schema,
)

__all__ = ["desk", "site_schema"]

#: What stands in addresses in the place of an id; none is one.
NO_IDS = (
    "%00",
    "%ED%A0%80",
    "%0a",
    "x" * 3000,
    "..%2f..",
    "'%20or%201=1--",
    "-1",
    "{id}",
    NOWHERE,
)
#: Routes of approvals.
ROUTES = re.compile(
    r"(/api/v1)?/(tasks|instances|delegations|desks|flows|schema/flows|away|rights/desk)"
)
#: What no key of any body may be.
WRONG = (
    None, True, -1, 10**40, 1.5, "\0", "\ud800", "a" * 10**6, [None], ["\0"], ["x"] * 1000,
    [[[]]], {"\0": "x"}, {"a": {"b": 1}}, {"x": ["\ud800"]},
)  # fmt: skip
VERBS = (
    "approve", "reject", "abstain", "complete", "return", "transfer", "delegate", "add_before",
    "add_after", "add_beside", "remove_added", "take_back", "claim", "release",
)  # fmt: skip


def rows(site, *tables):
    """Return every row of some tables."""
    with site.services.db.read() as connection:
        return {one.name: sorted(map(repr, connection.execute(sa.select(one)))) for one in tables}


def test_what_is_no_id_is_refused_at_every_route_and_changes_nothing(desk, site):
    desk.sent()
    before, tried = desk.prints(), 0
    browser, token = desk.browser("admin")
    for rule in site.app.url_map.iter_rules():
        if not ROUTES.match(rule.rule) or "<" not in rule.rule:
            continue
        for wrong in NO_IDS:
            verb = "approve" if "tasks" in rule.rule else "suspend"
            address = re.sub(r"<[^>]+>", wrong, rule.rule.replace("<verb>", verb))
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                body = None if method == "GET" else {"reason": "x"}
                if rule.rule.startswith("/api/"):
                    answer = desk.client("admin").open(address, method=method, json=body)
                else:
                    form = {"csrf_token": token, "reason": "x", "verb": "approve"}
                    form = None if method == "GET" else form
                    answer = browser.open(address, method=method, data=form, headers=JSON)
                tried += 1
                harmless = method in {"GET", "DELETE"} or "snooze" in rule.rule
                assert 400 <= answer.status_code < 500 or (
                    harmless and answer.status_code < 300
                ), (method, address, answer.status_code)
    assert tried > 200
    assert desk.prints() == before


# -- other people's approvals ----------------------------------------------------------------------


@pytest.fixture
def stores(desk):
    """Return the ids of the cashier's own store and of another."""
    made = {}
    for code in ("MINE", "OTHER"):
        body = {"code": code, "name": code}
        made[code] = desk.client("admin").post(f"{API}/records/store", json=body).json["id"]
    return made


def asked(desk, who, case):
    """Return what somebody is answered by each door of an approval, without its ids."""
    ids = (case.task, case.instance, case.record)
    client = desk.client(who)
    hash_ = {"subject_hash": case.hash or "f" * 64}
    answers = {
        "task": client.get(f"{API}/tasks/{case.task}"),
        "instance": client.get(f"{API}/instances/{case.instance}"),
        "evidence": client.get(f"{API}/instances/{case.instance}/evidence"),
        "opened": client.post(f"{API}/tasks/{case.task}/opened", json={}),
        "read": client.post(f"{API}/instances/{case.instance}/read", json={}),
        "put off": client.put(
            f"{API}/tasks/{case.task}/snooze", json={"until": "2026-12-01T00:00:00Z"}
        ),
        "held": client.post(f"{API}/tasks/{case.task}/approve", json=hash_ | {"hold": 5}),
        "withdraw": client.post(f"{API}/records/offer/{case.record}/withdraw", json={}),
        "remind": client.post(f"{API}/records/offer/{case.record}/remind", json={}),
        "panel": desk.browser(who)[0].get(f"/tasks/{case.task}/panel", headers=JSON),
        "insight": desk.browser(who)[0].get(f"/tasks/{case.task}/insight", headers=JSON),
        "page": desk.browser(who)[0].get(f"/instances/{case.instance}", headers=JSON),
        "note": desk.post(who, f"/tasks/{case.task}/notes", note="x"),
        "aside": desk.post(who, f"/tasks/{case.task}/snooze", until="tomorrow"),
        **{verb: client.post(f"{API}/tasks/{case.task}/{verb}", json=hash_) for verb in VERBS},
        "decide": desk.press(who, case, "approve"),
    }  # fmt: skip
    many = {"verb": "approve", "items": [{"id": case.task, **hash_}]}
    answers["preview"] = client.post(f"{API}/tasks/bulk", json=many | {"preview": True})
    answers["bulk"] = client.post(f"{API}/tasks/bulk", json=many)
    return {door: (one.status_code, plain(one, *ids)) for door, one in answers.items()}


def test_approval_of_another_store_is_answered_like_none_at_every_door(desk, site, stores):
    """The seat at the desk is every cashier's, so one step is the lead's alone (13, 18)."""
    case = desk.sent(store=stores["OTHER"])
    with site.services.db.write() as connection:  # a till that lost its seat, as others never had
        connection.execute(
            candidate.delete().where(
                candidate.c.task_id == case.task, candidate.c.actor == "cashier"
            )
        )
    before = desk.prints()
    other = asked(desk, "cashier", case)
    none = asked(desk, "cashier", Case(NOWHERE, NOWHERE, NOWHERE, case.hash))
    assert {door for door in other if other[door] != none[door]} == set()
    assert {status for door, (status, _) in other.items() if door not in {"preview", "bulk"}} <= {
        403, 404,
    }  # fmt: skip
    assert '"refused"' in other["bulk"][1]
    assert desk.prints() == before


def test_candidate_who_may_not_read_the_document_neither_reads_nor_is_shown_it(desk, stores):
    case = desk.sent(store=stores["OTHER"])
    answer = desk.client("cashier").get(f"{API}/tasks/{case.task}")
    assert answer.status_code == 403
    assert "CANARY" not in desk.client("cashier").get(f"{API}/tasks").text


def test_approval_that_is_seen_and_not_ones_own_is_refused_by_its_code(desk):
    case = desk.sent()
    before = desk.prints()
    for verb in VERBS:
        answer = desk.ask("auditor", case, verb, to=[desk.ident("approver2")], opinion="x")
        expected = (403, "flow.not_a_candidate")
        assert (answer.status_code, answer.json["code"]) == expected, verb
    for who in ("approver", "auditor", "clerk"):
        for verb in ("suspend", "resume", "terminate", "retry", "migrate"):
            url = f"{API}/instances/{case.instance}/{verb}"
            assert desk.client(who).post(url, json={"reason": "x"}).status_code == 403
    assert desk.prints() == before


# -- bodies ----------------------------------------------------------------------------------------


def bodies(desk, case):
    """Yield who, the address and a body of each door that writes."""
    person = desk.ident("approver2")
    for verb in ("approve", "add_before", "explode"):
        yield "approver", f"/tasks/{case.task}/{verb}", {
            "subject_hash": "f" * 64, "opinion": "x", "seat": "lead", "to": [person], "then": "",
            "rule": "any", "fields": {"name": "y"}, "signature": {}, "chosen": {}, "hold": 1,
            "unknown": 1,
        }  # fmt: skip
    yield (
        "approver",
        "/tasks/bulk",
        {"verb": "approve", "items": [{"id": 3}], "opinion": "", "preview": 1},
    )
    yield "approver", "/tasks/filters", {"label": "\0", "query": {"box": "todo"}}
    yield "admin", f"/instances/{case.instance}/suspend", {"reason": ""}
    yield "admin", f"/instances/{case.instance}/migrate", {"reason": "", "dry_run": 0}
    yield "admin", f"/instances/{case.instance}/whatif", {"fields": {"no": 1}, "without": [1]}
    yield "admin", "/schema/flows/bpmn", {"xml": "<a/>"}
    yield "admin", f"/desks/{person}/hand-over", {"to": NOWHERE, "reason": "x"}
    yield "approver", "/delegations", {
        "to": person, "start": "", "end": "yesterday", "types": [], "amount_field": "",
        "amount_max": "", "include_roles": True, "reason": "x",
    }  # fmt: skip
    yield "clerk", f"/records/offer/{case.record}/submit", {"chosen": {"x": ["y"]}}
    yield "clerk", f"/records/offer/{case.record}/withdraw", {"reason": "\0"}


def test_hostile_values_are_refused_at_every_door_at_once_and_write_nothing(desk, site):
    case = desk.sent()
    before = desk.prints()
    wrong = WRONG if site.backend == "sqlite" else ("\0", "\ud800", 10**40)
    for who, address, body in bodies(desk, case):
        for key in body:
            for value in wrong:
                if address.endswith("/withdraw") and value is None:
                    continue
                effort = Effort()
                answer = post_raw(desk.client(who), f"{API}{address}", body | {key: value})
                assert effort.seconds < 1, (address, key, repr(value)[:40])
                assert_refused(answer)
    assert desk.prints() == before


def test_json_that_is_none_or_says_things_twice_is_refused(desk):
    case = desk.sent()
    before = desk.prints()
    deep = "[" * 20_000 + "]" * 20_000
    for text in (
        "", "{", "[]", "null", '"x"', b"\xff\xfe{}", '{"opinion": "a", "opinion": "b"}',
        f'{{"fields": {deep}}}', '{"hold": NaN}', '{"hold": 1e999999}',
        '{"to": [' + "0," * 600_000 + "0]}",
    ):  # fmt: skip
        effort = Effort()
        answer = desk.client("approver").post(
            f"{API}/tasks/{case.task}/approve", data=text, content_type="application/json"
        )
        assert effort.seconds < 1
        assert_refused(answer)
    assert desk.prints() == before


def test_naughty_opinions_are_kept_to_the_letter_or_refused_by_name(desk, site):
    """What is kept is text on every page, and its chain verifies; half of it goes to each door."""
    case, kept = desk.sent(), []
    strings = naughty_strings()[:: 3 if site.backend == "sqlite" else 11]
    # Joined, so that a few requests carry them all; each that may not be kept goes alone.
    for text in strings:
        answer = desk.ask("approver", case, "claim", opinion=text)
        assert answer.status_code in {200, 422}, text
        if answer.status_code == 422:
            assert answer.json["problems"][0]["path"] == "opinion", text
        else:
            kept.append(text)
    said = "\n".join(kept)
    parts = [said[at : at + 1800] for at in range(0, min(len(said), 7200), 1800)]
    for part in parts:
        note = desk.post("approver", f"/tasks/{case.task}/notes", note=part)
        assert note.status_code == 200, note.text
    page = desk.browser("approver")[0].get(f"/tasks/{case.task}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    done = desk.ask("approver", case, "reject", opinion=parts[0])
    assert done.status_code == 200, done.json
    timeline = desk.client("approver").get(f"{API}/tasks/{case.task}").json["timeline"]
    assert parts[0].strip() in [one["opinion"] for one in timeline]


def test_idempotency_keys_are_bound_to_what_was_asked(desk):
    case, other = desk.sent(), desk.sent(code="B1")
    client, body = desk.client("approver"), {"subject_hash": case.hash}
    headers = {"Idempotency-Key": "one"}
    url = f"{API}/tasks/{case.task}/claim"
    first = client.post(url, json=body, headers=headers)
    before = desk.prints()
    assert client.post(url, json=body, headers=headers).json == first.json
    for address, sent in (
        (url, body | {"opinion": "other"}),
        (f"{API}/tasks/{case.task}/approve", body),
        (f"{API}/tasks/{other.task}/claim", body),
    ):
        answer = client.post(address, json=sent, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (409, "idempotency.key_reused")
    for key in ("\x7f", "x" * 5000, "ключ"):
        assert_refused(client.post(url, json=body, headers={"Idempotency-Key": key}))
    assert desk.prints() == before


def test_bulk_is_bounded_and_takes_items_only(desk):
    case = desk.sent()
    before = desk.prints()
    item = {"id": case.task, "subject_hash": case.hash}
    for items in ([item] * 501, [{**item, "state": "approved"}], [1], [{"id": 3}], [[]], {}):
        answer = desk.client("approver").post(
            f"{API}/tasks/bulk", json={"verb": "approve", "items": items}
        )
        assert_refused(answer)
        sent = {"verb": "approve", "items": items}
        browser, token = desk.browser("approver")
        headers = {**JSON, "X-CSRFToken": token}
        assert 400 <= browser.post("/tasks/bulk", json=sent, headers=headers).status_code < 500
    assert desk.prints() == before


# -- pages, methods, raw changes -------------------------------------------------------------------


def test_every_form_of_approvals_needs_the_token_of_a_page(desk, site):
    case = desk.sent()
    before, tried = desk.prints(), 0
    browser, _ = desk.browser("approver")
    for rule in site.app.url_map.iter_rules():
        if rule.rule.startswith("/api/") or "POST" not in rule.methods:
            continue
        if not ROUTES.match(rule.rule):
            continue
        address = rule.rule.replace("<verb>", "terminate")
        address = re.sub(r"<instance_id>", case.instance, address)
        address = re.sub(r"<[^>]+>", case.task, address)
        form = {"verb": "approve", "subject_hash": case.hash, "reason": "x", "note": "x"}
        for headers in ({}, JSON, {"X-CSRFToken": "forged"}, {"Origin": "https://evil.example"}):
            answer = browser.post(address, data=form, headers=headers)
            assert answer.status_code in {400, 403}, (address, answer.status_code)
            tried += 1
    assert tried > 40
    assert desk.prints() == before


def test_reading_never_acts_and_no_method_changes_states_by_itself(desk, site):
    case = desk.sent()
    before = rows(site, instance, task, seat, vote)
    client = desk.client("admin")
    verbs = ("approve", "claim", "reject")
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"):
        for verb in verbs:
            answer = client.open(f"{API}/tasks/{case.task}/{verb}", method=method)
            assert answer.status_code in {200, 404, 405}, (method, verb)
        for address in (f"/tasks/{case.task}", f"/instances/{case.instance}"):
            answer = client.open(f"{API}{address}", method=method, json={"state": "approved"})
            assert answer.status_code in {200, 405}, (method, address)
    found = client.get(f"{API}/records/offer/{case.record}")
    for values in (
        {"status": "effective"}, {"audited_at": "2026-01-01T00:00:00Z"}, {"audit_seq": 7},
        {"makers": ""}, {"subject_hash": "f" * 64}, {"rate": "0.1"},
    ):  # fmt: skip
        answer = client.patch(
            f"{API}/records/offer/{case.record}", json=values,
            headers={"If-Match": found.headers["ETag"]},
        )  # fmt: skip
        assert_refused(answer)
    file = io.BytesIO(b"code,status,rate\nA1,effective,0.1\n")
    answer = desk.post("admin", "/import/offer", existing="update", file=(file, "in.csv"))
    assert answer.status_code < 500
    assert rows(site, instance, task, seat, vote) == before
    assert client.get(f"{API}/records/offer/{case.record}").json == found.json


# -- nobody decides on their own work --------------------------------------------------------------


def doors(desk, who, case):
    """Return the code that each door refuses somebody's approval with."""
    item = {"id": case.task, "subject_hash": case.hash}
    bulk = {"verb": "approve", "items": [item]}
    client = desk.client(who)
    (many,) = client.post(f"{API}/tasks/bulk", json=bulk).json["items"]
    (told,) = client.post(f"{API}/tasks/bulk", json=bulk | {"preview": True}).json["items"]
    answers = [
        desk.ask(who, case, "approve"),
        desk.ask(who, case, "reject", opinion="x"),
        desk.ask(who, case, "approve", hold=5),
        desk.press(who, case, "approve"),
        desk.press(who, case, "approve", hold="1"),
    ]
    return {many["code"], told["code"], *(one.json["code"] for one in answers)}


SOD = {"flow.sod_violation"}


def test_who_made_or_changed_it_decides_at_no_door_whatever_else_they_are(desk, site):
    record = desk.draft(code="E1")
    etag = desk.client("approver2").get(f"{API}/records/offer/{record}").headers["ETag"]
    changed = desk.client("approver2").patch(
        f"{API}/records/offer/{record}", json={"rate": "0.8"}, headers={"If-Match": etag}
    )
    assert changed.status_code == 200, changed.json
    edited = desk.submit(record)
    before = rows(site, instance, seat, vote)
    assert doors(desk, "approver2", edited) == SOD
    # A colleague's seat is no way round it: passed on, asked for advice or beside.
    for verb in ("transfer", "delegate", "add_before", "add_after", "add_beside"):
        for maker in ("approver2", "clerk"):
            answer = desk.ask("approver", edited, verb, to=[desk.ident(maker)], opinion="x")
            assert answer.json["code"] == "flow.sod_violation", (verb, maker)
    assert rows(site, instance, seat, vote) == before


def test_maker_does_not_decide_as_a_deputy_nor_as_administrator(desk, site, monkeypatch):
    clock = FixedClock(datetime(2026, 3, 2, 1, tzinfo=UTC))
    monkeypatch.setattr(site.services, "clock", clock)
    case, own = desk.sent(), desk.sent("admin", code="B1")
    body = {"to": desk.ident("clerk"), "end": "2026-03-09T00:00:00Z", "include_roles": True}
    given = desk.client("approver").post(f"{API}/delegations", json=body)
    assert given.status_code == 201, given.json
    clock.move(timedelta(minutes=1))
    assert desk.client("clerk").get(f"{API}/tasks").json["items"] == []
    before = rows(site, instance, seat, vote)
    assert doors(desk, "clerk", case) <= {"flow.sod_violation", "flow.not_a_candidate"}
    assert doors(desk, "admin", own) <= {"flow.sod_violation", "flow.not_a_candidate"}
    assert doors(desk, "admin", case) == {"flow.not_a_candidate"}
    assert rows(site, instance, seat, vote) == before


def test_mail_link_decides_for_nobody_but_its_person_once_and_never_their_own_work(desk, site):
    case = desk.sent()
    ctx = site.context("system")
    with ctx.writing() as connection:
        links = {
            who: make_links(ctx, connection, case.task, desk.ident(who))
            for who in ("approver", "clerk")
        }
    before = rows(site, instance, seat, vote)
    public = site.context("admin")
    public.actor = PUBLIC
    good = links["approver"]["approve"]
    for token in ("", "x" * 5000, good[:-1], good + "A", "\0", good.swapcase()):
        with pytest.raises(LinkUnknown):
            open_link(public, token)
    with pytest.raises(LinkOfAnother):
        open_link(site.context("approver2"), good)
    with pytest.raises((SodViolation, NotACandidate)):
        use_link(open_link(public, links["clerk"]["approve"]))
    assert rows(site, instance, seat, vote) == before
    opened = open_link(public, good)
    use_link(opened)
    for again in (lambda: use_link(opened), lambda: open_link(public, good)):
        with pytest.raises(LinkUsed):
            again()
