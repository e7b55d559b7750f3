"""An approval on an installed site with all that hostile requests go for, and its doors."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from core.workflow.models import task
from tests.integration.hostile_world import fingerprint, page_token

#: What a cashier sees of it is cut down by policies, masks and seats: neither `name`, its title,
#: nor `cost` or `areas`; `tel` is masked, and the seat at the desk hides `secret`.
OFFER = """
record_type: offer
label: {zh: 报价, en: Offer}
title_field: name
document: true
fields:
  - {name: code, type: text, required: true, unique: true, searchable: true}
  - {name: name, type: text, searchable: true}
  - {name: rate, type: rate}
  - {name: cost, type: decimal}
  - {name: tel, type: phone, sensitive: pii}
  - {name: secret, type: text}
  - {name: remark, type: long_text}
  - {name: areas, type: multi_select, options: [{value: north}, {value: canary_south}]}
  - {name: store, type: link, target: store}
policies:
  - {name: makers, who: {role: clerk}, actions: [view, create, edit, delete, submit, history, print, export]}
  - {name: leads, who: {role: [approver, auditor]}, actions: [view, edit, submit, history]}
  - name: desk
    who: {role: cashier}
    actions: [view, create, edit, submit, history, print, export]
    fields: {view: [code, rate, tel, secret, remark, store], edit: [code, rate, remark, store]}
    rows: "created_by == current_user or store is empty or store.code == 'MINE'"
"""

OFFER_FLOW = """
flow: offer_release
version: 1
title: {zh: 报价审批, en: Offer approval}
document: offer
steps:
  - {id: regions, type: subflow, flow: offer_area, each: areas, wait: none}
  - id: check
    type: approve
    title: {zh: 审核, en: Check}
    seats:
      desk: {approvers: {role: cashier}}
      lead: {approvers: {role: approver}}
    decide: all
    may: [approve, reject, abstain, return, transfer, delegate, add_before, add_after, add_beside, remove_added, take_back, claim, remind]
    fields: {edit: [remark], hide: [secret@desk]}
    return: {to: [initiator]}
  - {id: seal, type: approve, title: {zh: 盖章, en: Seal}, approvers: {role: auditor}, sign: password}
"""

#: Walked for each area, which a cashier does not read.
OFFER_AREA = """
flow: offer_area
version: 1
document: offer
when: "code == 'none has this'"
steps: [{id: see, approvers: {role: auditor}}]
"""

API = "/api/v1"
JSON = {"Accept": "application/json"}
NOWHERE = "01890000-0000-7000-8000-000000000000"
#: Tables that a refused request may have written: counted tries, what was read, what was heard.
HELD = {
    "code": "A1", "name": "CANARYNAME", "rate": "0.9", "cost": "98765.43", "tel": "13899997777",
    "secret": "CANARYSECRET", "remark": "plain", "areas": ["canary_south"],
}  # fmt: skip


@dataclass
class Case:
    """One approval under way: its record, instance, first task and subject hash."""

    record: str
    instance: str
    task: str
    hash: str


class Desk:
    """People at a site, each with a token and with a browser."""

    def __init__(self, site: Any) -> None:
        """Open the doors of a site on which `OFFER` and `OFFER_FLOW` are published."""
        self.site = site
        self._clients: dict[str, Any] = {}
        self._browsers: dict[str, Any] = {}

    def client(self, who: str) -> Any:
        """Return somebody's REST client."""
        if who not in self._clients:
            self._clients[who] = self.site.client(who)
        return self._clients[who]

    def browser(self, who: str) -> tuple[Any, str]:
        """Return somebody's browser and the token of its pages' forms."""
        if who not in self._browsers:
            browser = self.site.browser(who)
            self._browsers[who] = browser, page_token(browser)
        return self._browsers[who]

    def draft(self, who: str = "clerk", type_name: str = "offer", **values: Any) -> str:
        """Make a document; return its id."""
        body = (HELD if type_name == "offer" else {}) | values
        made = self.client(who).post(f"{API}/records/{type_name}", json=body)
        assert made.status_code == 201, made.json
        return str(made.json["id"])

    def submit(self, record: str, who: str = "clerk", type_name: str = "offer") -> Case:
        """Send a document to its approvers."""
        url = f"{API}/records/{type_name}/{record}/submit"
        sent = self.client(who).post(url, json={})
        assert sent.status_code == 200, sent.json
        return self.case(record, sent.json)

    def case(self, record: str, answer: dict[str, Any]) -> Case:
        """Return the approval that an answer tells of, at its first step."""
        with self.site.services.db.read() as connection:
            row = connection.execute(
                sa.select(task.c.id, task.c.subject_hash)
                .where(
                    task.c.instance_id == answer["instance"], task.c.state == "open",
                    task.c.step == "check",
                )
            ).first()  # fmt: skip
        return Case(
            record, answer["instance"], row.id if row else "", row.subject_hash if row else ""
        )

    def sent(self, who: str = "clerk", **values: Any) -> Case:
        """Make a document and send it to its approvers."""
        return self.submit(self.draft(who, **values), who)

    def ask(self, who: str, case: Case, verb: str, **body: Any) -> Any:
        """Do something to a task through REST."""
        body = {"subject_hash": case.hash} | body
        return self.client(who).post(f"{API}/tasks/{case.task}/{verb}", json=body)

    def press(self, who: str, case: Case, verb: str, **form: Any) -> Any:
        """Do something to a task on its page, as its script does."""
        browser, token = self.browser(who)
        form = {"csrf_token": token, "verb": verb, "subject_hash": case.hash} | form
        return browser.post(f"/tasks/{case.task}/decide", data=form, headers=JSON)

    def post(self, who: str, address: str, **form: Any) -> Any:
        """Post a form of a page."""
        browser, token = self.browser(who)
        return browser.post(address, data={"csrf_token": token} | form, headers=JSON)

    def ident(self, who: str) -> str:
        """Return the id of a user."""
        return str(self.site.actor(who).id)

    def prints(self) -> dict[str, Any]:
        """Return what refused requests leave as it was."""
        return fingerprint(self.site)


def plain(answer: Any, *ids: str) -> str:
    """Return what an answer says without the ids that were asked for and of the request."""
    text = answer.get_data(as_text=True)
    for one in ids:
        text = text.replace(one, "ID")
    return re.sub(
        r'"request_id": ?"[^"]*"|nonce="[^"]*"|csrf[^>]*>|[0-9a-f]{8}-[0-9a-f-]{27}', "", text
    )


@pytest.fixture
def site_schema() -> tuple[str, ...]:
    """Return the YAML that the site has."""
    return (OFFER, OFFER_FLOW, OFFER_AREA)


@pytest.fixture
def desk(site: Any) -> Desk:
    """Return the people of the site."""
    return Desk(site)
