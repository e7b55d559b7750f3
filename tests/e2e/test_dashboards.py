"""Dashboards in a real browser: charts under the content policy, drill-down, a chart built."""

import pytest

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

BOARD = """
record_type: visit
title_field: guest
label: {zh: 到访, en: Visit}
fields:
  - {name: guest, type: text}
  - {name: kind, type: select, label: {zh: 类型, en: Kind}, options: [{value: tea, label: {zh: 喝茶, en: Tea}, color: green}, {value: meal, label: {zh: 吃饭, en: Meal}, color: blue}]}
  - {name: day, type: date, label: {zh: 日期, en: Day}}
  - {name: spent, type: money, currency: CNY, label: {zh: 消费, en: Spent}}
policies:
  - {name: all, who: {role: [Admin, clerk]}, actions: ["*"]}
---
dashboard: visits
label: {zh: 到访概况, en: Visits at a glance}
shared_with: [clerk]
cards:
  - {name: count, label: {zh: 到访数, en: Visits}, chart: number, type: visit, time_field: day, workbench: true}
  - {name: kinds, label: {zh: 按类型, en: By kind}, chart: bar, type: visit, group_by: kind, workbench: true}
  - {name: months, label: {zh: 每月消费, en: Spent by month}, chart: line, type: visit, how: sum, take: spent, group_by: day.month, wide: true}
"""


@pytest.fixture
def visits(site):
    site.publish(BOARD)
    clerk = site.client("clerk")
    for n, (kind, day) in enumerate(
        [("tea", "2026-01-03"), ("meal", "2026-02-10"), ("tea", "2026-02-11")]
    ):
        body = {"guest": f"g{n}", "kind": kind, "day": day, "spent": f"{n + 1}.50"}
        assert clerk.post("/api/v1/records/visit", json=body).status_code == 201


def drawn(page, name):
    """Return a card once its chart is on the page."""
    card = page.locator(f"#card-{name}")
    card.locator("canvas").wait_for()
    return card


def test_a_dashboard_draws_charts_that_lead_to_their_records(visits, person):
    page = person("clerk", locale="zh").page
    page.goto("/")
    drawn(page, "kinds")  # on the workbench
    page.goto("/dashboards/")
    page.get_by_role("link", name="到访概况").click()
    card = drawn(page, "kinds")
    drawn(page, "months")
    assert page.locator("#card-count .gx-figure").inner_text() == "3"
    # The table says the same, by keyboard, and leads to the list; so does a bar.
    card.get_by_text("以表格查看").press("Enter")
    card.get_by_role("link", name="喝茶").press("Enter")
    page.wait_for_url("**/records/visit/**")
    assert page.locator(".gx-row-link").count() == 2
    page.go_back()
    box = drawn(page, "kinds").locator("[data-chart]").bounding_box()
    page.wait_for_timeout(400)  # bars grow for a quarter of a second
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.25)
    page.wait_for_url("**/records/visit/**")
    assert page.locator(".gx-row-link").count() == 2
    page.goto("/dashboards/visits")
    page.fill("input[name=from]", "2026-02-01")
    page.locator("form:has(input[name=from]) button").click()
    page.locator("#card-count .gx-figure", has_text="2").wait_for()
    page.get_by_text("全部时间：此卡片没有可依据的日期。").wait_for()


def test_a_chart_is_built_by_choosing_on_a_phone_and_shown_without_scripts(visits, person):
    seated = person("clerk", locale="en", width=390, height=844)
    page = seated.page
    page.goto("/records/visit/")
    page.get_by_role("link", name="Chart", exact=True).click()
    preview = page.locator("[data-preview]")
    preview.locator("canvas").wait_for()
    preview.get_by_text("As a table").click()
    page.get_by_label("Pie").check()
    page.select_option("[name=how]", "sum")
    page.select_option("[name=take]", "spent")
    page.select_option("[name=group_by]", "kind")
    preview.get_by_text("5.00 CNY").wait_for()
    page.get_by_role("button", name="Add condition").click()
    page.locator("[data-filter-builder] select").first.select_option("spent")
    page.locator("[data-filter-builder] input").last.fill("2.50")
    preview.get_by_role("link", name="Tea").wait_for(state="detached")
    page.fill("[name=label]", "My tea")
    page.fill("[name=dashboard_label]", "My visits")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="My visits").wait_for()
    drawn(page, "chart_1")
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    assert page.get_by_role("heading", name="My tea").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert shown_without_scripts(seated) == "Tea"


def shown_without_scripts(seated):
    """Return what the first group of a dashboard's chart is called where nothing may run."""
    context = seated.page.context
    plain = context.browser.new_context(
        base_url=seated.address, java_script_enabled=False, storage_state=context.storage_state()
    )
    bare = plain.new_page()
    bare.goto("/dashboards/visits")
    bare.wait_for_url("**tables=1**")
    text = bare.locator("#card-kinds tbody a").first.inner_text()
    plain.close()
    return text
