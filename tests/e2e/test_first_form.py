"""The guide's first form, as a business user does it: its file applied, then used in Chinese on a phone."""

import os
import re
from pathlib import Path

import pytest

from core.records.operations import create_record
from core.records.queries import Query, get_record, list_wire
from core.settings import ROOT
from core.testing.processes import ran

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
GUIDE = ROOT / "schemas" / "first-form.md"
[FILE] = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def guanxi(site, *arguments):
    code, out, errors = ran(*arguments, environ={**site.environ, "LC_ALL": "C.UTF-8"})
    assert code == 0, errors
    return out


def follow_the_guide(site, folder):
    """Do the guide's steps with exactly its file, which is short enough to be typed."""
    assert len(FILE.splitlines()) < 60
    path = folder / "vip_visit.yaml"
    path.write_text(FILE, encoding="utf-8")
    assert guanxi(site, "schema", "check", str(path)) == "The schema is sound.\n"
    assert "+ type vip_visit" in guanxi(site, "schema", "plan", str(path))
    assert guanxi(site, "schema", "apply", str(path)).startswith("Published release")


def add_row(page, number, what, amount):
    row = page.locator(f"tr[data-row='wishes.{number}']")
    row.locator("td[data-column=what] input").fill(what)
    row.locator("td[data-column=amount] input").fill(amount)


def begin_visit(page):
    """Find the form in the menu, name the visit and choose the member."""
    page.goto("/")
    page.click("[data-nav-open]")
    page.locator("#nav").get_by_role("link", name="VIP 回访", exact=True).click()
    page.get_by_role("link", name="新建").first.click()
    page.wait_for_url("**/records/vip_visit/new")
    page.fill("[name=subject]", "年度回访")
    page.fill("[data-field=member] [data-search]", "王贵宾")
    page.click("[data-field=member] [role=option][data-index]")
    page.locator("[data-shows=phone]", has_text="13800001111").wait_for()


def see_conditions_follow(page):
    assert page.is_hidden("[data-field=store]")
    page.select_option("[name=channel]", "shop")
    assert page.is_visible("[data-field=store] [data-must]")
    page.select_option("[name=channel]", "phone")
    assert page.is_hidden("[data-field=store]")


def test_first_form_of_the_guide_is_filled_in_and_moved_on_the_board(site, person, tmp_path):
    values = {"no": "V1", "name": "王贵宾", "phone": "13800001111"}
    create_record(site.context("clerk"), "member", values)
    page = person("clerk", width=390).page
    follow_the_guide(site, tmp_path)
    begin_visit(page)
    see_conditions_follow(page)
    add_row(page, 0, "生日礼盒", "300")
    page.click("[data-add-row=wishes]")
    add_row(page, 1, "到店品酒", "188.5")
    page.locator("[data-shows=total]", has_text="488.50").wait_for()
    look(page, "first-form")
    page.click("[data-save]")
    page.wait_for_url(lambda url: "/new" not in url)
    [made] = list_wire(site.context("clerk"), "vip_visit", Query()).items
    assert (made["phone"], made["total"], made["status"]) == ("13800001111", "488.50", "open")
    page.goto("/records/vip_visit/?view=board")
    page.focus("[data-card] .gx-row-link")
    look(page, "first-board")
    page.keyboard.press("Alt+ArrowRight")
    page.get_by_text("已移到 跟进中").wait_for()
    stored = get_record(site.context("clerk"), "vip_visit", made["id"])
    assert stored["status"] == "doing"
    assert [row["what"] for row in stored["wishes"]] == ["生日礼盒", "到店品酒"]
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
