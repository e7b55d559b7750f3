"""The till in a real browser, by keyboard alone, zh and en, on desktop and phone."""

import re

import pytest
from playwright.sync_api import expect

from tests.integration.till_world import fill

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

GOLD = {
    "code": "GOLD", "name": "金卡", "type_prefix": "01", "default_rate": "0.9",
    "points_rate": "0.1", "identity_multiple": "1", "stack_start": "0.80", "stack_rate": "0.95",
}  # fmt: skip


@pytest.fixture
def till(site):
    made = fill(site)
    gold = made.approve("card_type", GOLD)["id"]
    values = {"card_type": gold, "store": made.ids["store"]["S1"], "status": "active",
              "member": made.ids["member"]["M1"]}  # fmt: skip
    made.ids["card"] = {"M1": made.site.client("admin").post(
        "/api/v1/records/card", json=values
    ).json["number"]}  # fmt: skip
    return made


def open_till(person, **how):
    page = person("cashier", **how).page
    page.goto("/till/")
    page.evaluate("document.addEventListener('pointerdown', () => { window.touched = true; })")
    expect(page.locator("#till-scan")).to_be_focused()
    return page


def scan(page, text, name):
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator("[data-lines]")).to_contain_text(name)


def show_card(page, number):
    page.keyboard.press("F2")
    page.keyboard.type(number)
    page.keyboard.press("Enter")
    expect(page.locator("[data-member]")).to_contain_text("金卡")


def payable(page, amount):
    expect(page.locator("[data-payable]")).to_have_text(amount)


def commit(page):
    """Pay exactly and return the receipt number."""
    page.keyboard.press("F8")
    expect(page.locator("#till-amount")).to_be_focused()
    page.keyboard.press("Enter")
    said = page.locator("[data-said]")
    expect(page.locator("[data-empty]")).to_be_visible()
    return said.get_attribute("data-sold")


def sell_stacked(page, card):
    scan(page, "5*TEA-1", "TEA-1")
    show_card(page, card)
    payable(page, "450.00")
    page.keyboard.press("F4")
    page.keyboard.type("0.85")
    page.keyboard.press("Enter")
    payable(page, "403.75")
    page.keyboard.press("F7")
    expect(page.locator("[data-trace]")).to_contain_text("0.95")
    expect(page.locator("[data-earned]")).to_contain_text("A 40, E 40")
    return commit(page)


def redeem(page, card):
    show_card(page, card)
    scan(page, "CUP-1", "CUP-1")
    payable(page, "22.50")
    page.keyboard.press("F6")
    expect(page.locator("#till-points")).to_be_focused()
    page.keyboard.type("50")
    page.keyboard.press("Enter")
    payable(page, "22.00")
    return commit(page)


def return_all(page, receipt):
    page.keyboard.press("F9")
    page.keyboard.type(receipt)
    page.keyboard.press("Enter")
    expect(page.locator("[data-return-lines] input")).to_be_focused()
    page.keyboard.type("5")
    preview = page.locator("[data-preview]")
    # 80 are claimed; of 80 + 4 earned, 50 were spent: 46 of them must be bought.
    expect(preview).to_contain_text("A 40, E 40")
    expect(preview).to_contain_text("（F）: 46")
    page.keyboard.press("F8")
    expect(page.locator("#till-returns")).to_be_hidden()


def test_stacked_sale_redeeming_and_return_with_preview_by_keyboard_alone(till, person):
    page, card = open_till(person), till.ids["card"]["M1"]
    first = sell_stacked(page, card)
    redeem(page, card)
    return_all(page, first)
    assert till.count("order") == 3
    assert page.evaluate("window.touched") is None
    accounts = f"/api/v1/members/{till.ids['member']['M1']}/accounts"
    found = till.site.client("admin").get(accounts).json["accounts"]
    points = next(one for one in found if one["kind"] == "points")
    assert (points["balance"], points["categories"]["F"]) == ("0", "46")


@pytest.mark.parametrize(("locale", "width"), [("zh", 390), ("en", 390), ("en", 1280)])
def test_till_fits_its_screen_and_speaks_one_language(till, person, locale, width):
    page = open_till(person, locale=locale, width=width)
    scan(page, "TEA-1", "TEA-1")
    payable(page, "100.00")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if locale == "en":
        assert not re.search(r"[\u4e00-\u9fff]", page.locator("#till").inner_text())


def test_unknown_product_is_said_and_nothing_is_added(till, person):
    page = open_till(person)
    page.keyboard.type("没有这个")
    page.keyboard.press("Enter")
    expect(page.locator("[data-said]")).to_contain_text("没有找到")
    expect(page.locator("[data-empty]")).to_be_visible()
