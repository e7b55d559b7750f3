"""Every refusal of an approval on its page, and what no test of REST refuses: one door, one rule."""

import inspect
import json

import pytest

from core.testing.site import PASSWORD
from core.workflow import errors
from tests.integration import test_workflow_refusals as by_rest
from tests.integration.hostile_world import fingerprint, page_token
from tests.integration.test_workflow_refusals import DEAL, FLOW

NOTE = """
record_type: note
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: checker, type: user}
  - name: lines
    type: table
    fields:
      - {name: item, type: text}
policies:
  - {name: all, who: {role: [clerk, approver, Admin]}, actions: ["*"]}
"""

NOTE_FLOW = """
flow: note_release
version: 1
document: note
people: {empty: fail}
withdraw: {until: first_vote}
steps:
  - {id: each_line, type: subflow, flow: note_line, each: lines.item}
  - {id: named, approvers: {field: checker}, sign: handwritten}
"""

NOTE_LINE = """
flow: note_line
version: 1
document: note
when: "name == 'nothing is called so'"
steps: [{id: see, approvers: {role: approver}}]
"""

PLAIN = """
record_type: slip
title_field: name
document: true
fields: [{name: name, type: text}]
policies:
  - {name: all, who: {role: [clerk, Admin]}, actions: ["*"]}
"""

JSON = {"Accept": "application/json"}
#: Running approvals are moved to another version of their flow through REST alone.
NOT_ON_PAGES = {errors.NotMigratable.code}
#: Tried where documents are voided, in `test_voiding.py`.
OF_VOIDS = {"flow.not_in_force", "flow.proposal_open"}


@pytest.fixture
def site_schema():
    return (DEAL, FLOW, NOTE, NOTE_FLOW, NOTE_LINE, PLAIN)


class Desk(by_rest.Desk):
    """The same desk, whose people act on pages once they are told to."""

    def __init__(self, site):
        super().__init__(site)
        self.browsers, self.is_paged = {}, False

    def post(self, name, address, **form):
        if name not in self.browsers:
            browser = self.site.browser(name)
            self.browsers[name] = browser, page_token(browser)
        browser, token = self.browsers[name]
        return browser.post(address, data={"csrf_token": token, **form}, headers=JSON)

    def act(self, name, verb, task="", *, key=None, **body):
        if not self.is_paged:
            return super().act(name, verb, task, key=key, **body)
        task = task or self.task
        form = {"verb": verb, "key": key or "", "opinion": body.pop("opinion", "")}
        form["subject_hash"] = body.pop("subject_hash", self.page(task)["subject_hash"])
        for field, value in body.pop("fields", {}).items():
            form[f"fields.{field}"] = value
        for part, value in body.pop("signature", {}).items():
            form[f"signature.{part}"] = value
        form |= {f"{verb}.{part}": value for part, value in body.items()}
        return self.post(name, f"/tasks/{task}/decide", **form)

    def submit(self, name="clerk", type_name="deal"):
        if self.is_paged:
            return self.post(name, f"/records/{type_name}/{self.record}/submit")
        url = f"/api/v1/records/{type_name}/{self.record}/submit"
        answer = self.client(name).post(url, json={})
        if answer.status_code == 200:
            self.task, self.instance = answer.json["task"], answer.json["instance"]
        return answer

    def remind(self, name="clerk"):
        if self.is_paged:
            return self.post(name, f"/records/deal/{self.record}/remind")
        return self.client(name).post(f"/api/v1/records/deal/{self.record}/remind", json={})

    def withdraw(self, name="clerk", type_name="deal"):
        if self.is_paged:
            return self.post(name, f"/records/{type_name}/{self.record}/withdraw")
        url = f"/api/v1/records/{type_name}/{self.record}/withdraw"
        return self.client(name).post(url, json={})

    def change(self, **values):
        if not self.is_paged:
            return self.edit(**values)
        record = self.client("clerk").get(f"/api/v1/records/deal/{self.record}").json
        form = {"version": record["version"], **values}
        return self.post("clerk", f"/records/deal/{self.record}", **form)

    def admin(self, verb, reason="Because."):
        if not self.is_paged:
            return super().admin(verb, reason)
        return self.post("admin", f"/instances/{self.instance}/{verb}", reason=reason)

    def note(self, type_name="note", **values):
        answer = self.client("clerk").post(
            f"/api/v1/records/{type_name}", json={"name": "N"} | values
        )
        assert answer.status_code == 201, answer.json
        self.record = answer.json["id"]


@pytest.fixture
def desk(site):
    return Desk(site)


# -- what no test of REST alone prepares -----------------------------------------------------------


def not_initiator(desk):
    desk.sent()
    return lambda: desk.withdraw("approver")


def nothing_to_submit(desk):
    desk.sent()
    desk.done("approver", "approve")
    desk.done("cashier", "claim")
    desk.done("cashier", "approve")
    return desk.submit


def no_flow(desk):
    desk.note("slip")
    return lambda: desk.submit(type_name="slip")


def subject_locked(desk):
    desk.sent()
    return lambda: desk.change(rate="0.10")


def no_approver(desk):
    desk.note()
    return lambda: desk.submit(type_name="note")


def too_many_runs(desk):
    desk.note(
        checker=desk.id_of("approver"), lines=[{"item": str(number)} for number in range(201)]
    )
    return lambda: desk.submit(type_name="note")


def signature_required(desk):
    desk.note(checker=desk.id_of("approver"))
    assert desk.submit(type_name="note").status_code == 200
    return lambda: desk.act("approver", "approve", signature={"password": PASSWORD})


def remind_again(desk):
    desk.sent()
    assert desk.remind().status_code == 200
    return desk.remind


def not_migratable(desk):
    desk.sent()
    return lambda: desk.admin("migrate")


MORE = {
    not_initiator: (403, "flow.not_initiator", ()),
    nothing_to_submit: (409, "flow.nothing_to_submit", ()),
    no_flow: (409, "flow.no_flow", ()),
    subject_locked: (409, "flow.subject_locked", ()),
    no_approver: (409, "flow.no_approver", ("step",)),
    too_many_runs: (409, "flow.too_many_runs", ("step", "limit")),
    signature_required: (422, "flow.signature_required", ()),
    remind_again: (429, "flow.rate_limited", ()),
    not_migratable: (409, "flow.not_migratable", ()),
}

#: What `remind_again` prepares for both doors, and what there is no page for.
_NOT_ON_PAGES = {by_rest.rate_limited, not_migratable}
EVERY = {
    prepare: told
    for prepare, told in (by_rest.REFUSALS | MORE).items()
    if prepare not in _NOT_ON_PAGES
}


def named(prepare):
    return prepare.__name__


@pytest.mark.parametrize("prepare", MORE, ids=named)
def test_refusal_through_rest_changes_nothing(desk, prepare):
    answered(desk, prepare, MORE[prepare])


@pytest.mark.parametrize("prepare", EVERY, ids=named)
def test_refusal_through_the_page_is_the_same_and_changes_nothing(desk, prepare):
    if desk.site.backend != "sqlite" and prepare not in MORE:
        return  # the page is above the database, and REST asks the same of both
    answered(desk, prepare, EVERY[prepare], is_paged=True)


def answered(desk, prepare, expected, *, is_paged=False):
    status, code, told = expected
    attempt = prepare(desk)
    before = fingerprint(desk.site)
    desk.is_paged = is_paged
    answer = attempt()
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    assert answer.json["message"]
    params = answer.json["problems"][0]["params"] if told else {}
    assert all(params[name] for name in told), answer.json
    assert fingerprint(desk.site) == before


def test_every_refusal_is_tried_at_both_doors():
    codes = {
        one.code
        for _, one in inspect.getmembers(errors, inspect.isclass)
        if one.__module__ == errors.__name__
    }
    at_rest = {code for _, code, _ in (by_rest.REFUSALS | MORE).values()}
    on_page = {code for _, code, _ in EVERY.values()}
    codes -= OF_VOIDS
    assert (codes - at_rest, codes - on_page) == (set(), NOT_ON_PAGES)


def test_page_without_its_script_says_why_and_keeps_the_opinion(desk):
    desk.sent()
    browser = desk.site.browser("approver")
    form = {
        "csrf_token": page_token(browser), "verb": "reject", "subject_hash": "0" * 64,
        "opinion": "Far <too> low",
    }  # fmt: skip
    answer = browser.post(f"/tasks/{desk.task}/decide", data=form)
    assert answer.status_code == 412
    assert errors.SubjectChanged.text in answer.text
    assert "Far &lt;too&gt; low" in answer.text
    assert json.dumps(form["opinion"]) not in answer.text


def test_stale_page_names_what_changed_with_both_values_and_keeps_the_opinion(desk):
    edited = "in_flight: {subject_edit: stale_affected}"
    desk.site.publish(FLOW.replace("version: 1", "version: 2") + edited)
    desk.sent()
    browser = desk.site.browser("approver")
    stale = desk.page(name="approver")["subject_hash"]
    assert desk.edit(rate="0.80").status_code == 200
    tasks = desk.client("admin").get(f"/api/v1/instances/{desk.instance}").json["tasks"]
    (desk.task,) = [one["id"] for one in tasks if one["state"] == "open"]
    form = {
        "csrf_token": page_token(browser), "verb": "reject", "subject_hash": stale,
        "opinion": "Not at <this> rate",
    }  # fmt: skip
    before = fingerprint(desk.site)
    answer = browser.post(f"/tasks/{desk.task}/decide", data=form)
    assert (answer.status_code, fingerprint(desk.site)) == (412, before)
    assert errors.SubjectChanged.text in answer.text
    assert "rate was 0.90 and is 0.80 now." in answer.text
    assert "Not at &lt;this&gt; rate</textarea>" in answer.text
    told = browser.post(f"/tasks/{desk.task}/decide", data=form, headers=JSON).json["problems"]
    assert [one["message"] for one in told] == ["rate was 0.90 and is 0.80 now."]
