"""A deep discount through its whole approval in Chinese, on a desktop and on a phone.

A clerk submits 0.65; the store manager and marketing agree, finance sends it back and asks for
it to come straight back; the clerk makes it 0.6; all three decide on what changed, finance by
hand and with the password anew.
"""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.cli.installation import Installation
from core.records.operations import create_record
from core.records.queries import get_record
from core.security.positions import set_position
from core.testing.site import PASSWORD
from core.workflow.deciding import decide
from core.workflow.operations import submit
from core.workflow.queue.pages import get_task

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

SCHEMAS = Path(__file__).parents[2] / "schemas"
GUIDE = SCHEMAS / "first-flow.md"
#: The files that the guide has its reader write: roles, their rights, and the flow.
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)

STRANGERS = {"finance": "finance_reviewer", "marketing": "marketing_reviewer"}


@pytest.fixture(scope="session")
def site_schema():
    """Publish the guide's flow once, with its roles among those that are there."""
    added, readers, flow = BLOCKS
    shipped = (SCHEMAS / "roles.yaml").read_text(encoding="utf-8")
    roles = shipped.replace("positions:", added.partition("\n")[2] + "positions:")
    asking = flow.replace(
        "[initiator, store_manager], then: rewalk", "[initiator, store_manager], then: ask"
    )
    assert asking != flow
    return roles, asking, readers


@pytest.fixture
def rule(site):
    """Put people in their places and submit a discount rule of 0.65; return its id."""
    system, clerk = site.context("system"), site.context("clerk")
    create_record(system, "store", {"code": "01", "name": "总店"})
    create_record(system, "brand", {"code": "B1", "name": "红牌"})
    set_position(site.context("admin"), "clerk", ("store", "01"))
    set_position(site.context("admin"), "approver", ("store", "01"), "store_manager")
    installation = Installation(site.settings)
    for name, role in STRANGERS.items():
        installation.add_user(name, PASSWORD, roles=[role])
    card = {"code": "GOLD", "name": "金卡", "default_rate": "0.9"}
    made = create_record(site.context("clerk2"), "card_type", card)
    sent = submit(site.context("clerk2"), "card_type", made["id"])
    shown = get_task(site.context("approver2"), sent["task"])["subject_hash"]
    decide(site.context("approver2"), sent["task"], "approve", subject_hash=shown)
    values = {
        "title": "周年庆",
        "card_types": [made["id"]],
        "lines": [{"scope": "brand", "targets": ["B1"], "rate": "0.65"}],
    }
    rule = create_record(clerk, "discount_rule", values)
    submit(clerk, "discount_rule", rule["id"])
    return rule["id"]


def open_task(page):
    """Open the only task of the person's box."""
    page.goto("/tasks/?box=todo")
    page.locator("[data-keys]:not([hidden])").wait_for(state="attached")
    page.locator("a[data-task]").first.click()
    page.locator("#task-title").wait_for()


def sent(page):
    """Wait until the decision was made; these people want no time to undo it."""
    expect(page.locator("[data-left]")).to_have_text("全部处理完毕", timeout=15_000)


def manager_agrees(page):
    open_task(page)
    assert "0.65 (6.5折)" in page.locator(".gx-diff").inner_text()
    assert page.locator("[data-phrase]").first.inner_text().endswith("同意")
    page.locator("[data-why] > summary").click()
    why = page.locator("[data-why]").inner_text()
    assert "店长" in why
    assert "财务市场会签" in why
    page.locator("button[data-verb=approve]").click()
    sent(page)


def finance_sends_back(page):
    open_task(page)
    back = page.locator("details[data-verb-form=return]")
    back.locator("summary").click()
    back.get_by_label("发起人").check()
    back.get_by_label("直接回到我这里").check()
    page.fill("#opinion", "折扣请再降到六折")
    back.locator("button").click()
    sent(page)


def clerk_lowers(page, rule):
    page.goto(f"/records/discount_rule/{rule}")
    assert "折扣请再降到六折" in page.locator("[data-timeline]").inner_text()
    page.fill("[name='lines.0.rate']", "0.6")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").wait_for()
    page.get_by_role("button", name="提交审核").click()
    page.get_by_text("已提交审核").wait_for()


def agrees_to_what_changed(page):
    open_task(page)
    since = page.locator(".gx-task-main .gx-card", has_text="与您在").inner_text()
    assert "6.5折" in since
    assert "6折" in since
    page.locator("button[data-verb=approve]").click()
    sent(page)


def marketing_agrees(page):
    open_task(page)
    page.locator("button[data-verb=approve]").click()
    sent(page)


def finance_signs(page):
    open_task(page)
    page.locator("button[data-verb=approve]").click()
    page.locator("[data-task-messages] .gx-note").wait_for()  # not without a signature
    pad = page.locator("[data-pad]")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 50, steps=6)
    page.mouse.up()
    page.fill("#signing-password", PASSWORD)
    page.locator("button[data-verb=approve]").click()
    sent(page)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_deep_discount_is_countersigned_returned_lowered_and_put_in_force(
    site, person, rule, size
):
    width, height = size
    window = {"width": width, "height": height}
    manager, clerk = person("approver", **window).page, person("clerk", **window).page
    finance = person(**window).sign_in("finance").page
    marketing = person(**window).sign_in("marketing").page
    for page in (manager, finance, marketing):
        page.goto("/tasks/")
        page.evaluate("localStorage.setItem('gx-send-at-once', '1')")
    manager_agrees(manager)
    marketing_agrees(marketing)
    finance_sends_back(finance)
    clerk_lowers(clerk, rule)
    # What the store manager agreed to is not what is there now: the way back leads past them.
    agrees_to_what_changed(manager)
    agrees_to_what_changed(marketing)
    finance_signs(finance)
    stored = get_record(site.context("admin"), "discount_rule", rule)
    assert stored["status"] == "effective"
    assert stored["lines"][0]["rate"] == Decimal("0.6")
    clerk.goto(f"/records/discount_rule/{rule}")
    course = clerk.locator("#progress").inner_text()
    assert "finance 同意" in course
    assert "低于 7 折" in course
    assert clerk.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
