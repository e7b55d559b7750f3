"""The widgets of people, addresses, places, formatted text, secrets and conditions."""

import os
from pathlib import Path

import pytest

from core.records.operations import create_record
from core.records.queries import Query, list_records
from core.schema.writtentypes import matches
from tests.integration.fieldtypes_world import CASE

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

#: Where pictures of the widgets go when somebody wants to look at them.
PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def pick(page, field, text):
    box = page.locator(f"[data-field={field}] [data-search]")
    box.fill(text)
    page.locator(f"[data-field={field}] [role=option][data-index='0']").wait_for()
    box.press("Enter")


def stored(site):
    found = list_records(site.context("system"), "case_note", Query(limit=1)).items[0]
    ctx = site.context("system")
    table = ctx.registry.tables["case_note"].main
    with ctx.reading() as connection:
        pin = connection.execute(table.select()).mappings().one()["pin"]
    return found, pin


def fill(page):
    page.fill("#f-code", "C1")
    pick(page, "handler", "clerk")
    pick(page, "watchers", "cashier")
    pick(page, "watchers", "auditor")
    page.select_option("#f-team", "clerk")
    pick(page, "unit", "客服")
    typed = {"place-province": "广东省", "place-city": "深圳市", "place-street": "科技路1号"}
    typed |= {"spot-lat": "22.5405", "spot-lng": "113.9345", "pin": "4711"}
    for name, text in typed.items():
        page.fill(f"#f-{name}", text)
    area = page.locator("[data-field=story] [role=textbox]")
    area.click()
    area.press_sequentially("hello")
    area.press("Control+a")
    page.locator("[data-field=story] [role=toolbar] button").first.click()
    build_rule(page)


@pytest.mark.parametrize(("locale", "width"), [("zh", 1280), ("en", 390)])
def test_every_widget_is_filled_in_saved_and_shown(site, person, locale, width):
    site.publish(CASE)
    create_record(site.context("admin"), "department", {"code": "D1", "name": "客服部"})
    page = person("admin", locale=locale, width=width).page
    page.goto("/records/case_note/new")
    fill(page)
    look(page, f"widgets-{locale}-{width}-form")
    page.click("[data-save]")
    page.wait_for_url(lambda url: not url.endswith("/new"))
    found, pin = stored(site)
    expected = {
        "handler": site.actor("clerk").id,
        "watchers": [site.actor("cashier").id, site.actor("auditor").id],
        "place": {"province": "广东省", "city": "深圳市", "street": "科技路1号"},
        "spot": {"lat": "22.5405", "lng": "113.9345"},
        "rule": "CONTAINS(name, '王') and (status == 'active' or store is empty)",
    }
    assert {name: found[name] for name in expected} == expected
    assert "<b>hello</b>" in found["story"]
    assert matches("4711", pin)
    assert page.input_value("#f-pin") == ""
    look(page, f"widgets-{locale}-{width}-stored")
    page.fill("#f-code", "C2")
    page.click("[data-save]")
    page.locator("[data-version]:text-is('2')").wait_for()
    after, pin = stored(site)
    assert matches("4711", pin)
    assert {name: after[name] for name in expected} == expected
    assert after["story"] == found["story"]


def build_rule(page):
    """Build a condition of a row and a group of two, with selects and keys alone."""
    builder = page.locator("[data-field=rule] .gx-builder")
    add_row(builder.locator("[data-add]").last, builder, ("name", "contains", "王"))
    builder.locator(".gx-builder-group > .gx-builder-foot button").nth(1).click()
    inner = builder.locator(".gx-builder-group .gx-builder-group")
    add_row(inner.locator("[data-add]"), inner, ("status", "==", "active"))
    add_row(inner.locator("[data-add]"), inner, ("store", "is empty", ""))


def add_row(button, place, row):
    field, operator, value = row
    button.click()
    made = place.locator(".gx-builder-row").last
    made.locator("select").first.select_option(field)
    made.locator("select").nth(1).select_option(operator)
    if field == "status":
        made.locator(".gx-builder-value select").select_option(value)
    elif value:
        made.locator(".gx-builder-value input").fill(value)


def test_builder_reads_typed_text_and_says_what_is_wrong(site, person):
    site.publish(CASE)
    page = person("admin", locale="en", width=1280).page
    page.goto("/records/case_note/new")
    field = page.locator("[data-field=rule]")
    field.get_by_role("button", name="As text").click()
    text = field.locator("textarea")
    text.press_sequentially(
        "LEN(name) > 2 and created_by == current_user and status in ['active']"
    )
    rows = field.locator(".gx-builder-row")
    rows.nth(2).wait_for()
    assert rows.nth(0).locator("input").input_value() == "LEN(name) > 2"
    assert rows.nth(2).locator("select").first.input_value() == "status"
    rows.nth(2).get_by_role("button").click()
    assert text.input_value() == "(LEN(name) > 2) and created_by == current_user"
    text.fill("")
    text.press_sequentially("nmae == 'x'")
    problem = field.locator(".gx-problem:visible")
    problem.wait_for()
    assert "nmae" in problem.inner_text()
    worth = page.locator("[data-field=worth]")
    worth.locator("textarea").press_sequentially("number")
    worth.locator(".gx-problem:visible").wait_for()
