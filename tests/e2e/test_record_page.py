"""The record page at a browser: live conditions with their why, comments, unsaved typing."""

import pytest

from core.records.comments import list_comments
from core.records.operations import create_record
from core.records.queries import Query, list_wire
from core.records.unsaved import list_forms

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

DEAL = """
record_type: deal
label: {zh: 商机, en: Deal}
title_field: name
menu: sales
fields:
  - {name: name, type: text, label: {zh: 名称, en: Name}, required: true}
  - {name: member, type: link, target: member, label: {zh: 会员, en: Member}}
  - {name: stage, type: select, default: open, label: {zh: 阶段, en: Stage}, options: [{value: open, label: {zh: 进行中, en: Open}}, {value: lost, label: {zh: 输单, en: Lost}}]}
  - {name: amount, type: money, label: {zh: 金额, en: Amount}, read_only_when: "stage == 'lost'"}
  - {name: reason, type: text, label: {zh: 原因, en: Reason}, visible_when: "stage == 'lost'"}
  - {name: note, type: text, label: {zh: 特批说明, en: Approval note}, required_when: "member.status == 'frozen'"}
  - {name: priority, type: select, label: {zh: 优先级, en: Priority}, options: [{value: low, label: {zh: 低, en: Low}}, {value: high, label: {zh: 高, en: High}}]}
rules:
  - {name: big, on: change, when: "amount >= 1000", then: [{set: priority, to: "'high'"}]}
policies:
  - {name: clerks, who: {role: clerk}, actions: ["*"]}
"""


def begin_deal(page):
    """Type a name and choose a member, whose state makes a note necessary."""
    page.goto("/records/deal/new")
    page.fill("[name=name]", "大单")
    assert page.is_hidden("[data-field=note] [data-must]")
    page.fill("[data-field=member] [data-search]", "冻结")
    page.click("[data-field=member] [role=option][data-index]")
    page.wait_for_selector("[data-field=note] [data-must]:visible")


@pytest.mark.parametrize(("locale", "width", "height"), [("zh", 1280, 900), ("en", 390, 844)])
def test_form_follows_links_fills_in_and_says_why(site, person, locale, width, height):
    site.publish(DEAL)
    values = {"no": "F1", "name": "冻结先生", "status": "frozen"}
    create_record(site.context("clerk"), "member", values)
    page = person("clerk", locale=locale, width=width, height=height).page
    begin_deal(page)
    page.focus("[data-field=note] .gx-why")
    page.keyboard.press("Enter")
    told = page.inner_text("[data-field=note] .gx-why-box")
    assert "member.status == 'frozen'" in told
    assert ("会员 › 状态: 冻结" if locale == "zh" else "Member › Status: Frozen") in told.replace(
        "：", ": "
    )
    page.keyboard.press("Escape")
    assert page.query_selector(".gx-why-box") is None
    page.fill("[name=amount]", "2000")
    assert page.input_value("[name=priority]") == "high"
    page.select_option("[name=priority]", "low")
    assert page.input_value("[name=priority]") == "low"
    page.click(".gx-why-hidden")
    assert "stage == 'lost'" in page.inner_text(".gx-form-foot .gx-why-box")
    page.select_option("[name=stage]", "lost")
    assert page.is_visible("[name=reason]")
    assert page.get_attribute("[name=amount]", "readonly") is not None
    page.select_option("[name=stage]", "open")
    page.click("[data-save]")
    page.wait_for_selector("#form-messages a")
    page.fill("[name=note]", "ok")
    page.click("[data-save]")
    page.wait_for_url(lambda url: "/new" not in url)
    stored = list_wire(site.context("clerk"), "deal", Query()).items
    assert [(one["note"], one["priority"]) for one in stored] == [("ok", "low")]


@pytest.mark.parametrize(("locale", "width", "height"), [("zh", 1280, 900), ("en", 390, 844)])
def test_comment_by_keyboard_keeps_the_form_and_unsaved_typing_comes_back(
    site, person, locale, width, height
):
    made = create_record(site.context("clerk"), "member", {"no": "M1", "name": "王小明"})
    page = person("clerk", locale=locale, width=width, height=height).page
    page.goto(f"/records/member/{made['id']}")
    page.fill("[name=name]", "王大明")
    page.fill("form[data-comment] textarea", "@appr")
    page.wait_for_selector("form[data-comment] [role=option]")
    page.keyboard.press("Enter")
    page.keyboard.type("看一下")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("[data-timeline] .gx-mention")
    [said] = list_comments(site.context("clerk"), "member", made["id"])
    assert [one["name"] for one in said["mentions"]] == [site.actor("approver").name]
    assert page.input_value("[name=name]") == "王大明"
    page.wait_for_selector("[data-state]:text-matches('暂存|Kept')")
    [form] = list_forms(site.context("clerk"))
    again = person("clerk", locale=locale, width=width, height=height).page
    again.goto("/")
    again.click(f"#unsaved a[href$='{form.id}']")
    assert again.input_value("[name=name]") == "王大明"
    again.click("[data-save]")
    again.wait_for_selector("h1:has-text('王大明')")
    assert list_forms(site.context("clerk")) == []
