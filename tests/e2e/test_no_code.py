"""A business user fills in a discount rule with its condition and a points scene, and writes no code.

What they chose is proved by quotes: it holds at the instants, cards, goods and amounts that it
says, and at no others.
"""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from core.clock import FixedClock
from tests.integration.till_world import fill, line

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
SHANGHAI = ZoneInfo("Asia/Shanghai")
#: Sales are quoted in the year after: what was approved holds from now on.
YEAR = datetime.now(UTC).year + 1
TUESDAY = next(day for n in range(1, 8) if (day := date(YEAR, 3, n)).isoweekday() == 2)

TEXTS = {
    "zh": {
        "types": "适用卡类别", "build": "设置条件", "submit": "创建并提交", "sent": "已提交审核",
        "done": "全部处理完毕", "title": "周二茶叶满五百",
    },
    "en": {
        "types": "Card types", "build": "Build condition", "submit": "Create and submit",
        "sent": "Submitted for approval", "done": "All clear", "title": "Birthday month",
    },
}  # fmt: skip
PLAIN = {
    "code": "PLAIN", "name": "普通卡", "type_prefix": "02", "default_rate": "0.95",
    "points_rate": "0.1",
}  # fmt: skip
GOLD = {**PLAIN, "code": "GOLD", "name": "金卡", "type_prefix": "01", "default_rate": "0.9"}


@pytest.fixture
def till(site, monkeypatch):
    """A gold card of a member born in March, a plain one of a member without a birthday."""
    monkeypatch.setattr(site.services, "clock", site.services.clock)  # put back afterwards
    made = fill(site)
    made.ids["card"] = {}
    for member, kind in (("M1", GOLD), ("M2", PLAIN)):
        values = {
            "card_type": made.approve("card_type", kind)["id"], "status": "active",
            "store": made.ids["store"]["S1"], "member": made.ids["member"][member],
        }  # fmt: skip
        answer = site.client("admin").post("/api/v1/records/card", json=values)
        made.ids["card"][kind["code"]] = answer.json["number"]
    return made


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"no-code-{name}.png"), full_page=True)


def pick(place, text):
    """Find a record by typing into the only picker of a place and choose it."""
    place.get_by_role("combobox").and_(place.locator("input")).fill(text)
    place.get_by_role("option", name=text).first.click()


def choose(builder, number, field, operator):
    """Add a row of field and operator; return where its value is chosen."""
    if number or not builder.locator(".gx-builder-row").count():
        builder.locator("[data-add]").click()
    row = builder.locator(".gx-builder-row").nth(number)
    row.locator("select").first.select_option(field)
    row.locator("select").nth(1).select_option(operator)
    return row.locator(".gx-builder-value")


def submit(page, text):
    page.get_by_role("button", name=text["submit"]).click()
    page.get_by_text(text["sent"]).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")


def fill_in_rule(page, text):
    """Only on Tuesdays, for gold members above 500, in category tea: 20 per cent off."""
    page.goto("/records/discount_rule/new")
    page.fill("[name=title]", text["title"])
    pick(page.locator("[data-field=card_types]"), "金卡")
    page.select_option("[name='lines.0.scope']", "big_class")
    pick(page.locator("[data-path='lines.0.targets']"), "tea")
    page.fill("[name='lines.0.rate']", "0.8")
    cell = page.locator("tr[data-row='lines.0'] td[data-column=condition]")
    cell.get_by_role("button", name=text["build"]).click()
    dialog = page.locator("dialog[open]")
    dialog.locator(".gx-builder-row").first.wait_for()
    choose(dialog, 0, "sale.ordered_at", "weekday").locator("input[value='2']").check()
    pick(choose(dialog, 1, "card.card_type", "=="), "金卡")
    choose(dialog, 2, "line.amount", ">").locator("input").fill("500")
    look(page, f"condition-{page.viewport_size['width']}")
    dialog.locator("button[value=yes]").click()
    assert page.locator("[name='lines.0.joins_stacking'][role=switch]").is_checked()
    look(page, f"rule-{page.viewport_size['width']}")
    submit(page, text)


def fill_in_scene(page, text):
    """Fifty points in the month of the member's birthday."""
    page.goto("/records/points_scene/new")
    page.fill("[name=title]", text["title"])
    page.fill("[name=points]", "50")
    builder = page.locator("[data-field=condition] .gx-builder")
    builder.locator("[data-add]").wait_for()
    value = choose(builder, 0, "member.birthday", "same month")
    value.locator("select").select_option("sale.ordered_at")
    look(page, f"scene-{page.viewport_size['width']}")
    submit(page, text)


def approve(page, text):
    """Open the only task and agree to it."""
    page.goto("/tasks/")
    page.evaluate("localStorage.setItem('gx-send-at-once', '1')")
    page.goto("/tasks/?box=todo")
    page.locator("[data-keys]:not([hidden])").wait_for(state="attached")
    page.locator("a[data-task]").first.click()
    page.locator("#task-title").wait_for()
    page.locator("button[data-verb=approve]").click()
    expect(page.locator("[data-left]")).to_have_text(text["done"])


def quoted(till, at, *lines, card="GOLD"):
    """Return the quote of a sale at an instant that lies ahead."""
    till.site.services.clock = FixedClock(at.astimezone(UTC))
    answer = till.quote(*lines, card=till.ids["card"][card])
    assert answer.status_code == 200, answer.text
    return answer.json


def rates(till, at, *lines, card="GOLD"):
    return [one["member_rate"] for one in quoted(till, at, *lines, card=card)["lines"]]


def prove_rule(till):
    first = datetime(TUESDAY.year, TUESDAY.month, TUESDAY.day, tzinfo=SHANGHAI)
    last = first + timedelta(hours=23, minutes=59)
    for at in (first, last, first + timedelta(days=7)):
        assert rates(till, at, line(quantity="6")) == ["0.8"]
    for at in (first - timedelta(minutes=1), first + timedelta(days=1)):
        assert rates(till, at, line(quantity="6")) == ["0.9"]
    # Of one sale, the line above 500; not the one at 500, nor other goods than tea.
    goods = [line(quantity="5.001"), line(quantity="5"), line("CUP-1", "40")]
    assert rates(till, last, *goods) == ["0.8", "0.9", "0.9"]
    assert rates(till, last, line(quantity="6"), card="PLAIN") == ["0.95"]


def prove_scene(till):
    begins = datetime(YEAR, 3, 1, tzinfo=SHANGHAI)
    march, april = (
        datetime(YEAR, 3, 31, 23, 59, tzinfo=SHANGHAI),
        datetime(YEAR, 4, 1, tzinfo=SHANGHAI),
    )
    gifts = {
        (at, card): quoted(till, at, line("CUP-1"), card=card)["points"]["C"]
        for at in (begins, march, april)
        for card in ("GOLD", "PLAIN")
    }
    assert [gifts[at, "GOLD"] for at in (begins, march, april)] == [50, 50, 0]
    assert {gifts[at, "PLAIN"] for at in (march, april)} == {0}


def test_rule_and_scene_made_of_forms_alone_hold_exactly_when_they_say(till, person):
    desktop, phone = {"locale": "zh", "width": 1440}, {"locale": "en", "width": 390}
    fill_in_rule(person("clerk", **desktop).page, TEXTS["zh"])
    approve(person("approver", **desktop).page, TEXTS["zh"])
    prove_rule(till)
    fill_in_scene(person("clerk", **phone).page, TEXTS["en"])
    approve(person("approver", **phone).page, TEXTS["en"])
    prove_scene(till)
