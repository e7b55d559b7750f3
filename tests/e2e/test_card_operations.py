"""A card's page begins operations with the card and the operation filled in already."""

import os
from pathlib import Path

import pytest

from tests.integration.till_world import fill

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
PLAIN = {"code": "GOLD", "name": "金卡", "type_prefix": "01"}


@pytest.fixture
def card(site):
    shop = fill(site)
    values = {"card_type": shop.approve("card_type", PLAIN)["id"],
              "store": shop.ids["store"]["S1"], "member": shop.ids["member"]["M1"]}  # fmt: skip
    return site.client("admin").post("/api/v1/records/card", json=values).json


def opened(page, label):
    """Open the menu of operations by keyboard; return it and the link that says so."""
    menu = page.locator("[data-offers=operations]")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    link = menu.get_by_role("link", name=label, exact=True)
    link.wait_for()
    return menu, link


def picture(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


@pytest.mark.parametrize(
    ("locale", "width", "loss", "found"),
    [("zh", 1280, "挂失", "解挂"), ("en", 390, "Report lost", "Found again")],
)
def test_a_loss_is_reported_from_the_page_of_the_card_by_keyboard(
    site, person, card, locale, width, loss, found
):
    page = person("cashier", locale=locale, width=width).page
    page.goto(f"/records/card/{card['id']}")
    menu, link = opened(page, loss)
    assert menu.get_by_role("link", name=found).count() == 0
    box = menu.locator(".gx-drop-body").bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= width
    picture(page, f"offers-{locale}-{width}")
    for _ in range(12):
        page.keyboard.press("Tab")
        if link.evaluate("it => it === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/records/card_operation/new?**")
    assert page.input_value("[data-field=card] [data-search]") == card["number"]
    assert page.input_value("[name=kind]") == "loss"
    assert not page.locator("[data-field=status_before]").is_visible()
    picture(page, f"operation-{locale}-{width}")
    page.fill("[data-field=store] [data-search]", "S1")
    page.locator("[data-field=store] [role=option]").first.click()
    page.click("[data-save]")
    page.wait_for_url(lambda url: "/new" not in url)
    assert page.locator("[data-field=status_before]").is_visible()
    assert site.client("admin").get(f"/api/v1/records/card/{card['id']}").json["status"] == "lost"
    page.goto(f"/records/card/{card['id']}")
    menu, _ = opened(page, found)
    assert menu.get_by_role("link", name=loss, exact=True).count() == 0
