"""Every verb of an approval through REST, and every refusal: its code, its status, no change."""

import pytest
import sqlalchemy as sa

from core.testing.site import PASSWORD
from core.workflow.models import vote
from tests.integration.hostile_world import fingerprint

DEAL = """
record_type: deal
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: rate, type: decimal}
  - {name: remark, type: text}
  - {name: checked, type: text}
  - {name: cost, type: decimal}
policies:
  - {name: all, who: {role: [clerk, approver, cashier, auditor, Admin]}, actions: ["*"]}
"""

FLOW = """
flow: deal_release
version: 1
document: deal
subject: [name, rate]
start: {require: "doc.rate > 0"}
people: {distinct: [first, second]}
steps:
  - id: first
    approvers: {role: approver}
    may: [approve, reject, abstain, return, transfer, delegate, add_before, add_after,
      add_beside, remove_added, take_back, claim]
    comment: {reject: required, transfer: required}
    return: {to: [initiator], then: resume}
    fields: {edit: [remark, rate], hide: [cost]}
  - id: deep
    type: branch
    cases:
      - when: doc.rate < 0.7
        steps:
          - id: second
            seats:
              money: {approvers: {role: cashier}}
              rules: {approvers: {role: auditor}}
            decide: all
            fields: {edit: [checked, rate], require: [checked]}
            may: [approve, reject, return, transfer]
            return: {to: [initiator, first], then: ask}
            sign: {rules: password}
    else: []
  - {id: claimed, approvers: {role: [cashier, auditor]}, queue: {claim: required, bulk: false}}
outcome:
  approved: {set: {cost: "doc.rate * 2"}}
"""


@pytest.fixture
def site_schema():
    return (DEAL, FLOW)


class Desk:
    """A deal on its way, and people who act on it through REST."""

    def __init__(self, site):
        self.site = site
        self.clients = {}
        self.record = self.task = self.instance = ""

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = self.site.client(name)
        return self.clients[name]

    def id_of(self, name):
        return self.site.actor(name).id

    def make(self, **values):
        given = {"name": "D", "rate": "0.90"} | values
        answer = self.client("clerk").post("/api/v1/records/deal", json=given)
        assert answer.status_code == 201, answer.json
        self.record = answer.json["id"]

    def submit(self, name="clerk"):
        answer = self.client(name).post(f"/api/v1/records/deal/{self.record}/submit", json={})
        if answer.status_code == 200:
            self.task, self.instance = answer.json["task"], answer.json["instance"]
        return answer

    def sent(self, **values):
        self.make(**values)
        answer = self.submit()
        assert answer.status_code == 200, answer.json
        return self.task

    def edit(self, **values):
        url = f"/api/v1/records/deal/{self.record}"
        version = self.client("clerk").get(url).json["version"]
        return self.client("clerk").patch(url, json=values, headers={"If-Match": f'"{version}"'})

    def page(self, task="", name="admin"):
        return self.client(name).get(f"/api/v1/tasks/{task or self.task}").json

    def act(self, name, verb, task="", *, key=None, **body):
        task = task or self.task
        body.setdefault("subject_hash", self.page(task).get("subject_hash", ""))
        headers = {"Idempotency-Key": key} if key else {}
        return self.client(name).post(f"/api/v1/tasks/{task}/{verb}", json=body, headers=headers)

    def done(self, name, verb, task="", **body):
        answer = self.act(name, verb, task, **body)
        assert answer.status_code == 200, answer.json
        self.task = answer.json["next_task"] or self.task
        return answer.json

    def admin(self, verb, reason="Because."):
        url = f"/api/v1/instances/{self.instance}/{verb}"
        return self.client("admin").post(url, json={"reason": reason})

    def deep(self):
        """Bring a deal to its second step."""
        self.sent(rate="0.65")
        self.done("approver", "approve")


@pytest.fixture
def desk(site):
    return Desk(site)


# -- refusals -----------------------------------------------------------------------------------


def not_a_candidate(desk):
    desk.sent()
    return lambda: desk.act("cashier", "approve")


def sod_violation(desk):
    desk.make()
    desk.submit("approver2")
    return lambda: desk.act("approver2", "approve")


def already_decided(desk):
    first = desk.sent()
    desk.done("approver", "approve")
    return lambda: desk.act("approver2", "approve", first)


def already_ended(desk):
    task = desk.sent()
    desk.client("clerk").post(f"/api/v1/records/deal/{desk.record}/withdraw", json={})
    return lambda: desk.act("approver", "approve", task)


def duplicate_open(desk):
    desk.sent()
    return desk.submit


def suspended(desk):
    desk.sent()
    assert desk.admin("suspend").status_code == 200
    return lambda: desk.act("approver", "approve")


def claim_required(desk):
    desk.sent()
    desk.done("approver", "approve")
    return lambda: desk.act("cashier", "approve")


def claimed_by(desk):
    claim_required(desk)
    desk.done("cashier", "claim")
    return lambda: desk.act("auditor", "claim")


def route_changed(desk):
    desk.deep()
    return lambda: desk.act("cashier", "approve", fields={"rate": "0.80", "checked": "yes"})


def has_successor_vote(desk):
    first = desk.sent()
    desk.done("approver", "approve")
    desk.done("cashier", "claim")
    desk.done("cashier", "approve")
    desk.make(name="E", rate="0.60")
    desk.submit()
    first = desk.task
    desk.done("approver", "approve")
    desk.done("cashier", "approve", fields={"checked": "yes"})
    return lambda: desk.act("approver", "take_back", first)


def add_sign_depth(desk):
    desk.sent()
    desk.done("approver", "add_before", to=[desk.id_of("cashier")])
    desk.done("cashier", "add_before", to=[desk.id_of("auditor")])
    desk.done("auditor", "add_before", to=[desk.id_of("admin")])
    return lambda: desk.act("admin", "add_before", to=[desk.id_of("approver2")])


def seat_not_removable(desk):
    desk.sent()
    return lambda: desk.act("approver", "remove_added", to="approver")


def subject_changed(desk):
    desk.sent()
    return lambda: desk.act("approver", "approve", subject_hash="0" * 64)


def task_stale(desk):
    first = desk.sent()
    desk.done("approver", "return", opinion="Lower.")
    assert desk.edit(rate="0.80").status_code == 200
    assert desk.submit().status_code == 200
    return lambda: desk.act("approver", "approve", first)


def require_failed(desk):
    desk.make(rate="0.00")
    return desk.submit


def required_field_empty(desk):
    desk.deep()
    return lambda: desk.act("cashier", "approve")


def opinion_required(desk):
    desk.sent()
    return lambda: desk.act("approver", "reject")


def reauth_required(desk):
    desk.deep()
    return lambda: desk.act("auditor", "approve", fields={"checked": "yes"})


def field_readonly(desk):
    desk.sent()
    return lambda: desk.act("approver", "approve", fields={"name": "Mine"})


def return_target_invalid(desk):
    desk.sent()
    return lambda: desk.act("approver", "return", opinion="x", to="second")


def hash_required(desk):
    desk.sent()
    return lambda: desk.act("approver", "approve", subject_hash="")


def verb_not_allowed(desk):
    desk.deep()
    return lambda: desk.act("cashier", "abstain")


def person_invalid(desk):
    desk.sent()
    return lambda: desk.act("approver", "transfer", opinion="x", to=[desk.id_of("approver")])


def to_the_maker(desk):
    desk.sent()
    return lambda: desk.act("approver", "transfer", opinion="x", to=[desk.id_of("clerk")])


def second_duty(desk):
    desk.sent(rate="0.65")
    desk.done("approver", "transfer", opinion="x", to=[desk.id_of("cashier")])
    desk.done("cashier", "approve")
    return lambda: desk.act("cashier", "approve", fields={"checked": "yes"})


def rate_limited(desk):
    desk.sent()
    url = f"/api/v1/records/deal/{desk.record}/remind"
    assert desk.client("clerk").post(url, json={}).status_code == 200
    return lambda: desk.client("clerk").post(url, json={})


def not_possible(desk):
    desk.sent()
    return lambda: desk.admin("resume")


REFUSALS = {
    not_a_candidate: (403, "flow.not_a_candidate", ()),
    sod_violation: (403, "flow.sod_violation", ()),
    to_the_maker: (403, "flow.sod_violation", ("person",)),
    second_duty: (403, "flow.sod_violation", ("because",)),
    already_decided: (409, "flow.already_decided", ("by", "at", "verb")),
    already_ended: (409, "flow.already_ended", ("by", "at", "state")),
    duplicate_open: (409, "flow.duplicate_open", ("by", "at", "link")),
    suspended: (409, "flow.suspended", ("by", "at", "why")),
    claimed_by: (409, "flow.claimed_by", ("by", "until")),
    claim_required: (409, "flow.claim_required", ()),
    route_changed: (409, "flow.route_changed", ("step",)),
    has_successor_vote: (409, "flow.has_successor_vote", ()),
    add_sign_depth: (409, "flow.add_sign_depth", ("limit",)),
    seat_not_removable: (409, "flow.seat_not_removable", ("seat",)),
    not_possible: (409, "flow.not_possible", ("state",)),
    subject_changed: (412, "flow.subject_changed", ()),
    task_stale: (412, "flow.task_stale", ("task", "link")),
    require_failed: (422, "flow.require_failed", ("require",)),
    required_field_empty: (422, "flow.require_failed", ("field",)),
    opinion_required: (422, "flow.opinion_required", ()),
    reauth_required: (401, "flow.reauth_required", ()),
    field_readonly: (422, "flow.field_readonly", ("field",)),
    return_target_invalid: (422, "flow.return_target_invalid", ("target", "allowed")),
    hash_required: (422, "flow.subject_hash_required", ()),
    verb_not_allowed: (422, "flow.verb_not_allowed", ("verb",)),
    person_invalid: (422, "flow.person_invalid", ("person",)),
    rate_limited: (429, "flow.rate_limited", ()),
}


@pytest.mark.parametrize("prepare", REFUSALS, ids=lambda one: one.__name__)
def test_refusal_has_its_code_says_who_and_when_and_changes_nothing(desk, prepare):
    status, code, told = REFUSALS[prepare]
    attempt = prepare(desk)
    before = fingerprint(desk.site, beside=())
    answer = attempt()
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    assert answer.json["message"]
    params = answer.json["problems"][0]["params"] if told else {}
    assert all(params[name] for name in told), answer.json
    assert fingerprint(desk.site, beside=()) == before


# -- verbs --------------------------------------------------------------------------------------


def test_every_verb_works_through_rest(desk):
    desk.sent(rate="0.65")
    first = desk.task
    desk.done("approver", "claim")
    desk.done("approver", "release")
    desk.done("approver", "add_beside", to=[desk.id_of("admin")])
    desk.done("approver", "remove_added", to=desk.id_of("admin"))
    desk.done("approver", "delegate", to=desk.id_of("admin"))
    desk.done("admin", "complete", opinion="Looks right.")
    desk.done("approver", "add_before", to=[desk.id_of("admin")], rule="all")
    desk.done("admin", "approve")
    desk.done("approver", "approve")
    assert desk.page(desk.task)["step"]["id"] == "second"
    desk.done("approver", "take_back", first)
    desk.task = first
    back = desk.done("approver", "return", opinion="A little more.")
    assert (back["state"], back["verdict"]) == ("returned", "returned")
    assert desk.edit(rate="0.69").status_code == 200
    assert desk.submit().json["state"] == "running"
    desk.done("approver", "transfer", opinion="Away.", to=desk.id_of("approver2"))
    desk.done("approver2", "approve", fields={"remark": "Fine."})
    desk.done("cashier", "approve", fields={"checked": "yes"})
    signed = desk.act("auditor", "approve", signature={"password": PASSWORD})
    assert signed.status_code == 200, signed.json
    desk.task = signed.json["next_task"]
    desk.done("auditor", "claim")
    assert desk.done("auditor", "approve")["state"] == "approved"
    record = desk.client("clerk").get(f"/api/v1/records/deal/{desk.record}").json
    assert (record["status"], record["rate"], record["remark"]) == ("effective", "0.69", "Fine.")
    assert record["cost"] == "1.38"


def test_replayed_key_answers_the_same_with_one_effect(desk):
    task = desk.sent()
    shown = desk.page()["subject_hash"]
    answers = [
        desk.act("approver", "approve", task, key="once", subject_hash=shown) for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    with desk.site.services.db.read() as connection:
        assert len(connection.execute(sa.select(vote)).all()) == 1


def test_resume_after_a_change_cannot_skip_those_who_must_decide_on_it(desk):
    desk.sent(rate="0.80")
    desk.done("approver", "return", opinion="Deeper.")
    assert desk.edit(rate="0.60").status_code == 200
    desk.submit()
    assert desk.done("approver", "approve")["step"] == "second"


def test_field_hidden_by_the_step_is_neither_on_its_page_nor_in_a_refusal(desk):
    desk.sent(cost="3.21")
    page = desk.client("approver").get(f"/api/v1/tasks/{desk.task}")
    assert "3.21" not in page.get_data(as_text=True)
    assert "cost" in page.json["no_access"]
    assert "3.21" in desk.client("auditor").get(f"/api/v1/tasks/{desk.task}").get_data(
        as_text=True
    )


@pytest.mark.parametrize("body", [
    {"to": 3}, {"to": [1]}, {"to": ["x"] * 201}, {"then": "later"}, {"rule": "most"},
    {"fields": []}, {"signature": "x"}, {"chosen": {"a": 1}}, {"opinion": "a\0b"}, {"state": "x"},
])  # fmt: skip
def test_hostile_body_is_refused(desk, body):
    desk.sent()
    before = fingerprint(desk.site, beside=())
    answer = desk.act("approver", "approve", **body)
    assert answer.status_code == 422, answer.json
    assert fingerprint(desk.site, beside=()) == before


def test_no_route_moves_an_instance_but_verbs(desk):
    desk.sent()
    for verb in ("approve", "submit", "fire", "recheck", "effective", "state"):
        assert desk.admin(verb).status_code == 404
    for method in ("put", "patch", "delete"):
        for url in (f"tasks/{desk.task}", f"instances/{desk.instance}"):
            call = getattr(desk.client("admin"), method)
            assert call(f"/api/v1/{url}", json={"state": "approved"}).status_code == 405
