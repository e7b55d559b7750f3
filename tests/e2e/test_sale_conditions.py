"""A condition over a sale, built in the row of a discount document by choosing alone."""

import pytest

from core.records.operations import create_record
from core.records.queries import get_record

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

#: Field, operator, value, in the order in which they are chosen; `=` before another field.
ROWS = (
    ("sale.ordered_at", "weekday", "2"),
    ("card.card_type.code", "==", "GOLD"),
    ("line.product.category.parent.code", "==", "tea"),
    ("sale.total", ">=", "500"),
    ("line.unit_price", "<", "=line.product.list_price"),
)
TEXT = (
    "WEEKDAY(sale.ordered_at) in [2] and card.card_type.code == 'GOLD' "
    "and line.product.category.parent.code == 'tea' and sale.total >= 500 "
    "and line.unit_price < line.product.list_price"
)


def make_document(site):
    clerk = site.context("clerk")
    kind = create_record(clerk, "card_type", {"code": "GOLD", "name": "金卡"})
    create_record(site.context("admin"), "brand", {"code": "B1", "name": "B1"})
    line = {"scope": "brand", "targets": ["B1"], "rate": "0.9"}
    values = {"card_types": [kind["id"]], "effective_from": "2026-01-01", "lines": [line]}
    return create_record(clerk, "discount_rule", values)["id"]


def choose(dialog, number, row):
    field, operator, value = row
    if number:
        dialog.locator("[data-add]").click()
    made = dialog.locator(".gx-builder-row").nth(number)
    made.locator("select").first.select_option(field)
    made.locator("select").nth(1).select_option(operator)
    if operator == "weekday":
        made.locator(f".gx-choices input[value='{value}']").check()
    elif value.startswith("="):
        made.locator(".gx-builder-value select").select_option(value[1:])
    else:
        made.locator(".gx-builder-value input").fill(value)


@pytest.mark.parametrize(("locale", "width"), [("zh", 1280), ("en", 390)])
def test_condition_of_a_row_is_built_in_a_dialog_saved_and_read_again(site, person, locale, width):
    rule = make_document(site)
    page = person("clerk", locale=locale, width=width).page
    page.goto(f"/records/discount_rule/{rule}")
    cell = page.locator("tr[data-row='lines.0'] td[data-column=condition]")
    cell.get_by_role("button", name="设置条件" if locale == "zh" else "Build condition").click()
    dialog = page.locator("dialog[open]")
    dialog.locator(".gx-builder-row").first.wait_for()
    if locale == "zh":
        shown = dialog.locator(".gx-builder-row select").first.locator("option")
        assert "订单 › 时间" in shown.all_inner_texts()
    for number, row in enumerate(ROWS):
        choose(dialog, number, row)
    dialog.locator("button[value=yes]").click()
    assert cell.locator("textarea").input_value() == TEXT
    page.click("[data-save]")
    page.locator("[data-version]:text-is('2')").wait_for()
    stored = get_record(site.context("system"), "discount_rule", rule)
    assert stored["lines"][0]["condition"] == TEXT
    cell.get_by_role("button").click()
    dialog.locator(".gx-builder-row").nth(len(ROWS) - 1).wait_for()
    assert dialog.locator("input[value='2']").is_checked()
    page.keyboard.press("Escape")
    page.click("[data-add-row=lines]")
    fresh = page.locator("tr[data-row='lines.1'] td[data-column=condition]")
    assert fresh.get_by_role("button").count() == 1
