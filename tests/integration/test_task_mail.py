"""Mails about tasks and the links in them: who gets one, and what a link never does."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from core.actor import PUBLIC
from core.automation.models import message
from core.automation.taskmail import TaskMail
from core.clock import FixedClock
from core.errors import UserError
from core.jobs.handlers import Event
from core.jobs.outbox import outbox
from core.records.operations import create_record
from core.settings import Mail
from core.workflow.deciding import decide
from core.workflow.models import task
from core.workflow.operations import submit
from core.workflow.queue import maillinks
from core.workflow.queue.inbox import list_tasks
from core.workflow.queue.pages import get_instance, get_task

BASE = "https://crm.example.com"

PAPER = """
record_type: paper
label: {zh: 文件, en: Paper}
title_field: name
document: true
fields: [{name: name, type: text, required: true}]
policies:
  - {name: clerks, who: {role: clerk}, actions: [view, create, submit]}
  - {name: approvers, who: {role: approver}, actions: [view]}
"""

PAPER_FLOW = """
flow: paper_release
version: 1
document: paper
steps: [{id: look, title: {zh: 看, en: Look}, approvers: {role: approver}}]
"""


@pytest.fixture
def site_schema():
    return PAPER, PAPER_FLOW


@pytest.fixture
def approver(make_context):
    return make_context("approver")


@pytest.fixture
def sent(make_context) -> dict[str, Any]:
    """Return what submitting a paper answers."""
    ctx = make_context("clerk")
    record = create_record(ctx, "paper", {"name": "Plan"})
    return submit(make_context("clerk"), "paper", record["id"])


def mails(site) -> list[dict[str, Any]]:
    """Return the mails that the opened tasks lead to."""
    settings = replace(
        site.services.settings,
        base_url=BASE,
        mail=Mail(host="mail.example.com", port=25, sender="crm@example.com"),
    )
    writer = TaskMail(settings)
    query = sa.select(outbox).where(outbox.c.topic == "task.opened")
    with site.services.db.read() as connection:
        rows = connection.execute(query).mappings().all()
    for row in rows:
        payload = msgspec.json.decode(row["payload"])
        ctx = site.context("admin")
        with ctx.writing():
            writer.write(ctx, Event(row["seq"], row["id"], row["topic"], payload, 1))
    with site.services.db.read() as connection:
        found = connection.execute(sa.select(message.c.content)).scalars().all()
    return [msgspec.json.decode(text) for text in found]


def tokens(site, approver) -> dict[str, str]:
    """Return verb -> token of the links in the one mail."""
    maillinks.set_mail(approver, wanted=True)
    (mail,) = mails(site)
    approve, reject = re.findall(rf"{BASE}/mail/(\S+)", mail["body"])
    return {"approve": approve, "reject": reject}


def state(site, sent: dict[str, Any]) -> str:
    return str(get_instance(site.context("approver"), sent["instance"])["state"])


def guest(site):
    return replace(site.context("approver"), actor=PUBLIC)


def posted(site, token: str, **form: str):
    client = site.client()
    page = client.get(f"/mail/{token}").get_data(as_text=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    return client.post(f"/mail/{token}", data=form | {"csrf_token": found[1] if found else ""})


def test_mail_goes_to_those_who_want_it_and_may_decide(site, make_context, approver, sent):
    assert mails(site) == [], "nobody has asked for mails"
    maillinks.set_mail(make_context("clerk"), wanted=True)
    assert mails(site) == [], "the initiator decides nothing"
    maillinks.set_mail(approver, wanted=True)
    (mail,) = mails(site)
    assert "Paper Plan" in mail["subject"] or "文件 Plan" in mail["subject"]
    assert f"{BASE}/tasks/{sent['task']}" in mail["body"]
    assert mail["body"].count(f"{BASE}/mail/") == 2
    maillinks.set_mail(approver, wanted=False)
    assert not maillinks.wants_mail(approver)


def test_link_shows_the_change_and_decides_only_when_its_button_is_pressed(site, approver, sent):
    token = tokens(site, approver)["approve"]
    for _ in range(3):
        page = site.client().get(f"/mail/{token}")
        assert page.status_code == 200
        assert "Plan" in page.get_data(as_text=True)
    assert state(site, sent) == "running", "opening decides nothing"
    assert posted(site, token).status_code == 200
    assert state(site, sent) == "approved"
    assert site.client().get(f"/mail/{token}").status_code == 409, "it is used up"
    (vote,) = [
        one for one in get_task(approver, sent["task"])["timeline"] if one["verb"] == "approve"
    ]
    assert vote["actor"] == approver.actor.id


def test_rejecting_link_asks_for_the_opinion_it_needs(site, approver, sent):
    token = tokens(site, approver)["reject"]
    assert posted(site, token).status_code == 422
    assert state(site, sent) == "running"
    assert posted(site, token, opinion="Too dear.").status_code == 200
    assert state(site, sent) == "rejected"


def test_token_is_kept_as_its_hash_only(site, approver, sent):
    token = tokens(site, approver)["approve"]
    with site.services.db.read() as connection:
        rows = connection.execute(sa.select(maillinks.link)).all()
    assert token not in repr(rows)


def refused(ctx, token: str) -> str:
    """Return the code with which a link is refused before anything is done."""
    with pytest.raises(UserError) as refusal:
        maillinks.open_link(ctx, token)
    return refusal.value.code


def write(site, statement) -> None:
    with site.services.db.write() as connection:
        connection.execute(statement)


def test_forged_token_opens_nothing(site, approver, sent):
    token = tokens(site, approver)["approve"]
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert refused(guest(site), forged) == "flow.link_unknown"
    assert site.client().get(f"/mail/{forged}").status_code == 404
    assert state(site, sent) == "running"


def test_link_ends_after_its_hours(site, approver, sent):
    token = tokens(site, approver)["approve"]
    late = FixedClock(approver.now + timedelta(hours=72, seconds=1))
    assert refused(replace(guest(site), clock=late), token) == "flow.link_expired"
    write(site, maillinks.link.update().values(expires_at="2026-01-01"))
    assert site.client().get(f"/mail/{token}").status_code == 409
    assert state(site, sent) == "running"


@pytest.mark.parametrize("values", [{"sign": "password"}, {"sign": "handwritten"}, {"risk": "95"}])
def test_what_is_signed_or_risky_is_never_decided_by_a_link(site, approver, sent, values):
    token = tokens(site, approver)["approve"]
    write(site, task.update().values(values))
    assert refused(guest(site), token) == "flow.sign_in_first"
    assert site.client().get(f"/mail/{token}").status_code == 401
    assert state(site, sent) == "running"
    with approver.writing() as connection:
        assert maillinks.make_links(approver, connection, sent["task"], approver.actor.id) == {}


def test_link_of_somebody_disabled_opens_nothing(site, approver, sent):
    token = tokens(site, approver)["approve"]
    leave = "UPDATE ab_user SET active = false WHERE username = 'approver'"
    write(site, sa.text(leave))
    assert refused(guest(site), token) == "flow.link_unknown"


def test_link_on_what_is_decided_meanwhile_changes_nothing(site, approver, sent):
    token = tokens(site, approver)["approve"]
    row = list_tasks(approver)["items"][0]
    decide(approver, row["id"], "reject", subject_hash=row["subject_hash"], opinion="No.")
    opened = maillinks.open_link(guest(site), token)
    with pytest.raises(UserError) as refusal:
        maillinks.use_link(opened)
    assert refusal.value.code in {"flow.already_decided", "flow.already_ended"}
    assert site.client().get(f"/mail/{token}").status_code == 409
    assert state(site, sent) == "rejected"


def test_link_of_somebody_else_is_refused(site, make_context, approver, sent):
    token = tokens(site, approver)["approve"]
    with pytest.raises(maillinks.LinkOfAnother):
        maillinks.open_link(make_context("clerk"), token)
    assert site.client("clerk").get(f"/mail/{token}").status_code == 403
    assert maillinks.open_link(approver, token).verb == "approve"
    assert state(site, sent) == "running"


@pytest.mark.parametrize(
    ("risk", "expected"),
    [("", False), ("low", False), ("High", True), ("高", True), ("79.5", False), ("80", True)],
)
def test_risk_is_high_by_word_or_number(risk, expected):
    assert maillinks.is_high(risk) is expected
