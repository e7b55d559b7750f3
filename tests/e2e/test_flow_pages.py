"""The pages of approval flows: drawn, proved, tried; on a desktop and on a phone."""

import os
import re
from pathlib import Path

import pytest

from core.records.operations import create_record
from core.security.positions import set_position
from core.settings import ROOT
from core.testing.processes import ran
from core.workflow.operations import submit

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
GUIDE = (ROOT / "schemas" / "first-flow.md").read_text(encoding="utf-8")
ROLES, READERS, FLOW = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def follow_the_guide(site):
    """Do the guide's steps with exactly its files."""
    folder = Path(site.environ["GUANXI_HOME"]) / "schemas"
    folder.mkdir(exist_ok=True)
    for name, text in (
        ("flow_roles", ROLES),
        ("flow_readers", READERS),
        ("discount_rule_release", FLOW),
    ):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    for command, said in (("check", "The schema is sound."), ("apply", "Published release")):
        code, out, errors = ran("schema", command, environ=site.environ)
        assert code == 0, errors
        assert out.startswith(said)


def make_rule(site, rate):
    kind = create_record(
        site.context("clerk"),
        "card_type",
        {"code": "GOLD", "name": "金卡", "purpose": "member_card"},
    )
    line = {"scope": "brand", "targets": ["B1"], "rate": rate}
    create_record(site.context("admin"), "brand", {"code": "B1", "name": "B1"})
    rule = create_record(
        site.context("clerk"),
        "discount_rule",
        {
            "title": "春季折扣",
            "card_types": [kind["id"]],
            "effective_from": "2026-01-01",
            "lines": [line],
        },
    )
    submit(site.context("clerk"), "discount_rule", rule["id"])


def staff_a_shop(site):
    """Have the clerk work where the approver is the store manager."""
    create_record(site.context("admin"), "store", {"code": "S", "name": "一店"})
    create_record(site.context("admin"), "store", {"code": "T", "name": "二店"})
    set_position(site.context("admin"), "clerk", ("store", "S"), "")
    set_position(site.context("admin"), "approver", ("store", "S"), "store_manager")


def test_flow_is_drawn_proved_and_tried_before_it_is_changed(site, person):
    follow_the_guide(site)
    staff_a_shop(site)
    make_rule(site, "0.8")
    page = person("admin", width=1280).page
    page.goto("/flows/")
    look(page, "flows")
    page.get_by_role("link", name="折扣规则发布审批").click()
    page.get_by_text("店长审核").first.wait_for()
    assert page.locator(".gx-flow-strands > li").count() == 2
    assert page.get_by_text("会签：全部同意").is_visible()
    assert page.locator("#tests .gx-badge", has_text="通过").count() == 6
    gaps = page.locator("#proof [data-tone=bad]").all_inner_texts()
    assert any("店长审核" in one and "二店" in one for one in gaps)
    look(page, "flow")
    phone = person("admin", width=390, locale="en").page
    phone.goto("/flows/discount_rule_release")
    phone.get_by_text("Approvers today").wait_for()
    look(phone, "flow-phone")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    try_values(page)
    change(page)


def try_values(page):
    """See the countersign come in at a deeper discount."""
    page.locator("a[href^='/flows/whatif/']").click()
    page.fill("[name='field:lines.rate']", "0.6")
    page.get_by_role("button", name="走一遍").click()
    page.locator("#then").get_by_text("财务市场会签").wait_for()
    page.locator("#differences").get_by_text("多审一步：财务市场会签。").wait_for()
    look(page, "whatif")
    page.fill("#do", "store_manager.approve\nfinish.approve")
    page.get_by_role("button", name="走一遍").click()
    page.locator("#differences").get_by_text("那里没有待办。").wait_for()
    page.locator("#then").get_by_text("正在：财务市场会签。").wait_for()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look(page, "whatif-phone")
    page.set_viewport_size({"width": 1280, "height": 900})


def change(page):
    """Write another version, see its plan, and replay past approvals by it."""
    page.goto("/flows/discount_rule_release")
    page.locator("#change summary").click()
    text = page.input_value("#flow-yaml")
    assert "version: 3" in text
    page.fill("#flow-yaml", text.replace("< 0.7", "< 0.9"))
    page.get_by_role("button", name="显示方案").click()
    page.get_by_text("测试“shallow”").wait_for()
    page.go_back()
    page.locator("#change summary").click()
    page.fill("#flow-yaml", text.replace("at: 48bh", "at: 40bh"))
    page.get_by_role("button", name="显示方案").click()
    page.get_by_text("目前的审批人").first.wait_for()
    look(page, "flow-plan")
    page.get_by_role("link", name="重演过往审批").click()
    page.get_by_text("没有任何审批会走别的路。").wait_for()
    look(page, "replay")
