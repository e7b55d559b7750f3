"""A change of forms at a browser, in Chinese: draft, problems, diff, impact, publish, back."""

import os
from pathlib import Path

import pytest

from core.records.operations import create_record
from core.records.queries import Query, list_wire

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
VISIT = """\
record_type: visit
label: {zh: 回访, en: Visit}
title_field: subject
fields:
  - {name: subject, type: text, label: {zh: 主题, en: Subject}}
  - {name: age, type: text, label: {zh: 年龄, en: Age}}
views:
  - {name: all, columns: [subject, age], sort: [age]}
policies:
  - {name: clerks, who: {role: clerk}, actions: ["*"]}
"""
WRONG = VISIT.replace("age, type: text", "age, type: integer")
ASIDE = WRONG + "changes: [{retype: {field: age, to: integer, on_failure: quarantine}}]\n"
MISSPELT = VISIT.replace("type: text, label: {zh: 年龄", "type: txt, label: {zh: 年龄")


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def upload(page, text):
    """Take in a file of forms, as its writer does."""
    page.goto("/releases/")
    page.get_by_role("link", name="导入发布版本").click()
    page.set_input_files("input[type=file]", {
        "name": "visit.yaml", "mimeType": "text/yaml", "buffer": text.encode(),
    })  # fmt: skip
    page.get_by_role("button", name="显示方案").click()


def ages(site):
    found = list_wire(site.context("clerk"), "visit", Query(sort=("subject",))).items
    return [one["age"] for one in found]


def press(page, button, note):
    page.fill("#note", note)
    page.get_by_role("button", name=button).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/releases/")


def test_a_change_of_forms_is_planned_published_and_taken_back(site, person):
    site.publish(VISIT)
    for subject, age in (("甲", "30"), ("乙", "三十")):
        create_record(site.context("clerk"), "visit", {"subject": subject, "age": age})
    before = ages(site)
    page = person("configurator").page
    upload(page, MISSPELT)
    page.get_by_text("没有字段类型 txt").wait_for()
    upload(page, WRONG)
    page.get_by_text("现在还不能发布").wait_for()
    row = page.locator("tbody tr", has_text="乙")
    assert row.locator("td").nth(1).inner_text() == "三十"
    look(page, "release-problems")
    upload(page, ASIDE)
    page.get_by_role("heading", name="将发生的变化").wait_for()
    assert page.get_by_text("共 2 条").is_visible()
    look(page, "release-plan")
    press(page, "发布", "年龄改为整数")
    newest = page.locator("main details").first
    assert "年龄改为整数" in newest.inner_text()
    assert sorted(ages(site), key=str) == [30, None]
    look(page, "release-list")
    page.locator("main details").nth(1).locator("summary").click()
    page.locator("main details").nth(1).get_by_role("link", name="回到这一版").click()
    look(page, "release-rollback")
    press(page, "回退", "撤回")
    assert ages(site) == before
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
