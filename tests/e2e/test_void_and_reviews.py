"""A document is checked by plugins on its page and its task, and voided by keyboard."""

import os
import threading
from collections.abc import Iterator, Sequence

import pytest
from werkzeug.serving import make_server

from core.api import Document, Review, hookimpl
from core.cli.installation import Installation
from core.records.operations import create_record, update_record
from core.records.queries import get_record
from core.security.services import EXTENSION
from core.workflow.deciding import decide
from core.workflow.operations import submit
from core.workflow.queue.inbox import list_tasks
from tests.e2e.conftest import Person
from tests.integration.flow_world import RULE, RULE_FLOW

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

#: Where pictures of these pages are put, if anywhere.
PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")

REASONS = {"zh": "印错了", "en": "Misprinted"}


class Prover:
    """A plugin that finds something of every kind."""

    @hookimpl
    def guanxi_review_document(self, document: Document) -> Sequence[Review]:
        members = tuple((f"M{number:04}", "1,250.00", "1,187.50") for number in range(14))
        return [
            Review("ok", "每条规则都会用到", "12 条规则，3 个卡类别。"),
            Review("warning", "两条规则同级重叠", "后审核的优先。", ("行", "与"), (("1", "7"),)),
            Review("note", "最近 30 天的收据", "", ("会员", "原价", "新价"), members),
            Review("refusal", f"折扣 {document.values['rate']} 低于底价"),
        ]


@pytest.fixture
def site_schema() -> tuple[str, ...]:
    return RULE.replace("{role: finance}", "{role: auditor}"), RULE_FLOW


@pytest.fixture
def address(site) -> Iterator[str]:
    """Yield the address of a server whose documents are reviewed."""
    app = Installation(site.settings).app()
    services = app.extensions[EXTENSION]
    services.hooks.register_plugin("prover", Prover(), {"guanxi_review_document": ["rule"]})
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
    services.db.dispose()


def approve(site, record_id: str) -> None:
    submit(site.context("clerk"), "rule", record_id)
    ctx = site.context("approver")
    task = next(
        each for each in list_tasks(ctx, box="todo")["items"] if each["record"]["id"] == record_id
    )
    decide(ctx, task["id"], "approve", subject_hash=task["subject_hash"])


def picture(page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def see_reviews(page, record_id: str, locale: str) -> None:
    page.goto(f"/records/rule/{record_id}")
    page.wait_for_selector(".gx-reviews article[data-level=refusal]")
    first = page.locator(".gx-reviews article").first
    assert first.get_attribute("data-level") == "refusal"  # what keeps it back stands first
    said = page.inner_text(".gx-reviews")
    assert "折扣 0.8000 低于底价" in said
    assert ("警告" if locale == "zh" else "Warning") in said
    assert page.locator(".gx-reviews article[data-level=note] > .gx-table-wrap tr").count() == 11
    assert page.locator(".gx-reviews details").get_attribute("open") is None
    picture(page, f"record-{locale}")


def void_by_keyboard(page, reason: str, locale: str) -> None:
    page.focus(".gx-head [data-drop] > summary")
    page.keyboard.press("Enter")
    page.focus("form[action$='/void'] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] textarea:focus")
    page.keyboard.type(reason)
    picture(page, f"dialog-{locale}")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_selector("[data-tone=good]")


@pytest.mark.parametrize(("locale", "width", "height"), [("zh", 1440, 900), ("en", 390, 844)])
def test_document_is_checked_and_voided(site, address, chromium, locale, width, height):
    lines = [{"product": "P1", "amount": 3}]
    values = {"code": "A1", "name": "春季规则", "rate": "0.9", "lines": lines}
    record_id = create_record(site.context("clerk"), "rule", values)["id"]
    approve(site, record_id)
    update_record(site.context("clerk"), "rule", record_id, {"rate": "0.8"}, version=None)
    clerk = Person(chromium, address, locale=locale, width=width, height=height)
    page = clerk.carry(site.session_cookie("clerk")).page
    see_reviews(page, record_id, locale)
    # With a change that waits it cannot be voided.
    assert page.locator("form[action$='/void']").count() == 0
    approve(site, record_id)

    page.goto(f"/records/rule/{record_id}")
    assert page.locator("[data-review], .gx-reviews").count() == 0
    void_by_keyboard(page, REASONS[locale], locale)
    found = get_record(site.context("admin"), "rule", record_id)
    assert (found["status"], found["proposal"]["values"]) == ("effective", {"status": "void"})
    picture(page, f"proposed-{locale}")

    approver = Person(chromium, address, locale=locale, width=width, height=height)
    page = approver.carry(site.session_cookie("approver")).page
    task = list_tasks(site.context("approver"), box="todo")["items"][0]
    page.goto(f"/tasks/{task['id']}")
    page.wait_for_selector(".gx-reviews article")
    changes = page.inner_text(".gx-task-main .gx-diff")
    assert ("作废" if locale == "zh" else "Void") in changes
    assert REASONS[locale] in changes
    picture(page, f"task-{locale}")
    for one in (clerk, approver):
        assert one.complaints == []
        one.close()
