"""Approvals that need an administrator, the wish for mails, and what a plain press says."""

import pytest
import sqlalchemy as sa

from core.workflow.models import instance, task
from core.workflow.queue.maillinks import wants_mail
from core.workflow.timing.effects import effect
from core.workflow.timing.sweeping import trouble
from tests.integration.hostile_world import page_token
from tests.integration.test_workflow_refusals import DEAL, FLOW, Desk

LONG_AGO = "2020-01-01T00:00:00.000000Z"


@pytest.fixture
def site_schema():
    return (DEAL, FLOW)


@pytest.fixture
def desk(site):
    return Desk(site)


def fail_effect(desk, visit="failed-visit"):
    with desk.site.services.db.write() as connection:
        row = {
            "visit_id": visit, "instance_id": desk.instance, "step": "tell_erp", "item": "null",
            "state": "failed", "attempts": 9, "error": "ERP said <no>", "results": "[]",
            "at": LONG_AGO,
        }  # fmt: skip
        connection.execute(effect.insert().values(row))


def test_each_reason_is_listed_with_its_error_and_what_can_be_done(desk):
    desk.sent()
    fail_effect(desk)
    with desk.site.services.db.write() as connection:
        row = {"attempts": 6, "next_at": LONG_AGO, "error": "KeyError: gone", "since": LONG_AGO}
        connection.execute(trouble.insert().values(instance_id=desk.instance, **row))
        connection.execute(sa.update(instance).values(attention="no_approver"))
        connection.execute(sa.update(task).values(due_at=LONG_AGO))
    text = desk.site.browser("admin").get("/instances/").text
    for group in ("no_approver", "effect_failed", "clock_failed", "late"):
        assert f'<section class="gx-card" id="{group}"' in text
    assert "ERP said &lt;no&gt;" in text
    assert "KeyError: gone" in text
    assert f'formaction="/instances/{desk.instance}/terminate"' in text
    assert f'formaction="/instances/{desk.instance}/resume"' not in text


def test_failed_effect_is_tried_again_from_the_page_once(desk):
    desk.sent()
    fail_effect(desk)
    browser = desk.site.browser("admin")
    form = {"csrf_token": page_token(browser)}
    url = f"/instances/{desk.instance}/effects/failed-visit/retry"
    assert browser.post(url, data=form).location == "/instances/"
    with desk.site.services.db.read() as connection:
        assert connection.execute(sa.select(effect.c.state)).scalar() == "waiting"
    assert "It is tried again now." in browser.get("/instances/").text
    browser.post(url, data=form)
    assert "This has not failed." in browser.get("/instances/").text


def test_suspended_approval_can_be_resumed_and_an_empty_list_says_so(desk):
    browser = desk.site.browser("admin")
    assert "No approval needs help" in browser.get("/instances/").text
    desk.sent()
    assert desk.admin("suspend").status_code == 200
    text = browser.get("/instances/").text
    assert f'formaction="/instances/{desk.instance}/resume"' in text


@pytest.mark.parametrize("name", ["clerk", "approver", "auditor"])
def test_only_administrators_see_and_mend_what_needs_help(desk, name):
    desk.sent()
    fail_effect(desk)
    browser = desk.site.browser(name)
    assert browser.get("/instances/").status_code == 403
    form = {"csrf_token": page_token(browser)}
    url = f"/instances/{desk.instance}/effects/failed-visit/retry"
    assert browser.post(url, data=form).status_code == 403


def test_wish_for_mails_is_switched_on_and_off_on_the_page(site):
    browser = site.browser("clerk")
    token = page_token(browser)
    for wanted in (True, False):
        form = {"csrf_token": token} | ({"wanted": "true"} if wanted else {})
        assert browser.post("/away/mail", data=form).status_code == 303
        assert wants_mail(site.context("clerk")) is wanted
        box = browser.get("/away").text.partition('name="wanted"')[2].partition(">")[0]
        assert ("checked" in box) is wanted
    assert wants_mail(site.context("approver")) is False


def test_panel_says_what_a_plain_press_means(desk):
    desk.sent()
    text = desk.site.browser("approver").get(f"/tasks/{desk.task}").text
    assert "I approve the release of D as it was shown to me." in text
    assert "signature.password" not in text
