"""Forms while somebody types: cells of child tables, computed values, what a link brings along."""

import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.records.operations import create_record
from core.records.queries import Query, list_wire

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
QUOTE = """
record_type: quote
label: {zh: 报价, en: Quote}
title_field: name
menu: sales
fields:
  - {name: name, type: text, label: {zh: 名称, en: Name}, required: true}
  - {name: stage, type: select, default: open, label: {zh: 阶段, en: Stage}, options: [{value: open, label: {zh: 进行中, en: Open}}, {value: lost, label: {zh: 输单, en: Lost}}]}
  - {name: member, type: link, target: member, label: {zh: 会员, en: Member}}
  - {name: member_state, type: lookup, through: member, field: status, label: {zh: 会员状态, en: Member state}}
  - {name: member_phone, type: text, fetch_from: member.phone, label: {zh: 会员电话, en: Member's telephone}}
  - {name: contact, type: text, fetch_from: member.name, fetch_mode: if_empty, label: {zh: 联系人, en: Contact}}
  - name: lines
    type: table
    label: {zh: 明细, en: Lines}
    fields:
      - {name: kind, type: select, label: {zh: 种类, en: Kind}, options: [{value: goods, label: {zh: 商品, en: Goods}}, {value: service, label: {zh: 服务, en: Service}}, {value: gift, label: {zh: 赠品, en: Gift}}], options_when: {gift: "total > 100"}}
      - {name: hours, type: integer, label: {zh: 工时, en: Hours}, visible_when: "kind == 'service'"}
      - {name: price, type: money, label: {zh: 单价, en: Price}, read_only_when: "kind == 'gift'"}
      - {name: amount, type: formula, formula: "price * COALESCE(hours, 1)", currency: CNY, label: {zh: 金额, en: Amount}}
      - {name: reason, type: text, label: {zh: 原因, en: Reason}, required_when: "stage == 'lost' or member.status == 'frozen'"}
  - {name: total, type: rollup, of: lines, take: amount, how: sum, label: {zh: 合计, en: Total}}
  - {name: tax, type: formula, formula: "total * 0.065", currency: CNY, label: {zh: 税, en: Tax}}
  - {name: at, type: datetime, label: {zh: 时间, en: Time}}
  - {name: day, type: formula, formula: "DAY(at)", precision: 0, label: {zh: 日, en: Day}}
rules:
  - {name: ended, on: change, when: "stage == 'lost'", then: [{set: at, to: "NOW()"}]}
policies:
  - {name: clerks, who: {role: clerk}, actions: ["*"]}
"""


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def cell(page, row, column):
    return page.locator(f"tr[data-row='lines.{row}'] td[data-column={column}]")


def shows(page, name):
    return page.locator(f"[data-shows='{name}']").inner_text()


def type_lines(page):
    cell(page, 0, "kind").locator("select").select_option("service")
    cell(page, 0, "price").locator("input").fill("40.5")
    cell(page, 0, "hours").locator("input").fill("2")
    page.locator("[data-add-row=lines]").press("Enter")
    cell(page, 1, "kind").locator("select").select_option("goods")
    cell(page, 1, "price").locator("input").fill("1200")


def choose_frozen_member(page, locale):
    page.fill("[data-field=member] [data-search]", "冻结")
    page.click("[data-field=member] [role=option][data-index]")
    state = page.locator("[data-shows=member_state]")
    state.filter(has_text="冻结" if locale == "zh" else "Frozen").wait_for()


@pytest.mark.parametrize(("locale", "width"), [("zh", 1280), ("en", 390)])
def test_cells_react_to_their_row_the_record_and_links(site, person, locale, width):
    site.publish(QUOTE)
    values = {"no": "F1", "name": "冻结先生", "phone": "13800001111", "status": "frozen"}
    create_record(site.context("clerk"), "member", values)
    page = person("clerk", locale=locale, width=width).page
    page.goto("/records/quote/new")
    gift = cell(page, 0, "kind").locator("option[value=gift]")
    assert (gift.is_disabled(), cell(page, 0, "hours").locator("input").is_hidden()) == (
        True,
        True,
    )
    type_lines(page)
    assert (gift.is_disabled(), cell(page, 1, "hours").locator("input").is_hidden()) == (
        False,
        True,
    )
    reason = cell(page, 0, "reason")
    assert reason.get_attribute("data-must") is None
    choose_frozen_member(page, locale)
    assert reason.get_attribute("data-must") == ""
    cell(page, 0, "kind").locator("select").select_option("gift")
    assert cell(page, 0, "price").locator("input").get_attribute("readonly") is not None
    reason.locator("input").focus()
    page.focus("[data-field=lines] .gx-why-row")
    page.keyboard.press("Enter")
    told = page.inner_text("[data-field=lines] .gx-why-box")
    assert "stage == 'lost' or member.status == 'frozen'" in told
    assert ("可选“赠品”" if locale == "zh" else "“Gift” can be chosen") in told
    look(page, f"rows-{locale}-{width}")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    page.select_option("[name=stage]", "lost")
    page.fill("[name=name]", "Q")
    page.click("[data-save]")
    page.locator("#form-messages a[href='#f-lines-1-reason']").wait_for()


def test_computed_values_are_shown_before_saving_as_they_are_stored(site, person):
    site.publish(QUOTE)
    values = {"no": "F1", "name": "冻结先生", "phone": "13800001111", "status": "frozen"}
    create_record(site.context("clerk"), "member", values)
    page = person("clerk").page
    page.goto("/records/quote/new")
    page.fill("[name=name]", "Q")
    type_lines(page)
    assert shows(page, "lines.0.amount") == "81.00 CNY"
    assert (shows(page, "total"), shows(page, "tax")) == ("1,281.00 CNY", "83.27 CNY")
    choose_frozen_member(page, "zh")
    assert (shows(page, "member_phone"), page.input_value("[name=contact]")) == (
        "13800001111", "冻结先生",
    )  # fmt: skip
    for number in (0, 1):
        cell(page, number, "reason").locator("input").fill("ok")
    page.click("[data-save]")
    page.wait_for_url(lambda url: "/new" not in url)
    [stored] = list_wire(site.context("clerk"), "quote", Query()).items
    assert [stored[name] for name in ("total", "tax", "member_phone", "contact")] == [
        "1281.00", "83.27", "13800001111", "冻结先生",
    ]  # fmt: skip
    assert (shows(page, "total"), shows(page, "member_phone")) == ("1,281.00 CNY", "13800001111")
    page.locator("tr[data-row='lines.1'] [data-remove-row]").click()
    assert (shows(page, "total"), shows(page, "lines.0.amount")) == ("81.00 CNY", "81.00 CNY")
    page.wait_for_selector("[data-state]:text-matches('暂存|Kept')")
    page.goto("/")
    page.click("#unsaved a[href*='/records/quote/']")
    page.locator("[data-shows=total]:text-is('81.00 CNY')").wait_for()
    assert (shows(page, "lines.0.amount"), shows(page, "member_phone")) == (
        "81.00 CNY",
        "13800001111",
    )


def test_times_are_the_stores_whatever_the_browsers_clock_says(site, person):
    site.publish(QUOTE)
    page = person("clerk").page
    page.goto("/records/quote/new")
    page.fill("[name=at]", "2026-03-02T23:30:00")
    assert shows(page, "day") == "2"
    page.focus("[name=stage]")
    page.select_option("[name=stage]", "lost")
    told = page.evaluate("JSON.parse(document.getElementById('environment').textContent)")
    now = datetime.fromisoformat(told["now"]).astimezone(ZoneInfo(told["zone"]))
    assert page.input_value("[name=at]")[:16] == now.strftime("%Y-%m-%dT%H:%M")
    assert shows(page, "day") == str(now.day)
