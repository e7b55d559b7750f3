"""What links to a record, as lists on its page: order, pages, a new one, rights."""

import os
from pathlib import Path

import pytest

from core.records.operations import create_many, create_record

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")
VISITS = """
record_type: visit
label: {zh: 到访, en: Visit}
title_field: subject
menu: sales
fields:
  - {name: subject, type: text, required: true, label: {zh: 事由, en: Subject}}
  - {name: member, type: link, target: member, label: {zh: 会员, en: Member}}
  - {name: guests, type: links, target: member, label: {zh: 同行, en: Guests}}
  - {name: spent, type: money, label: {zh: 消费, en: Spent}}
  - {name: secret_note, type: text, label: {zh: 内部备注, en: Internal note}}
views:
  - {name: dear, type: list, label: {zh: 大额, en: Dear}, columns: [subject, member, spent, secret_note], filter: "spent > 100000", sort: [subject], totals: {spent: sum}}
policies:
  - {name: clerks, who: {role: clerk}, actions: ["*"]}
  - {name: cashiers, who: {role: cashier}, actions: [view], rows: "spent < 5", fields: {view: [subject, member, spent]}}
---
customize: member
fields:
  - {name: visits, type: backlink, of: visit.member, label: {zh: 到访, en: Visits}}
  - {name: outings, type: backlink, of: visit.guests, label: {zh: 同行到访, en: Outings}}
"""


@pytest.fixture
def member(site):
    site.publish(*VISITS.split("---\n"))
    ctx = site.context("system")
    made = create_record(ctx, "member", {"no": "M1", "name": "王小明"})["id"]
    other = create_record(ctx, "member", {"no": "M2", "name": "李四"})["id"]
    visits = [
        {"subject": f"V{number:02}", "member": made, "spent": str(number), "secret_note": "内部"}
        for number in range(23)
    ]
    create_many(ctx, "visit", [*visits, {"subject": "别人", "member": other, "guests": [made]}])
    return made


def subjects(page, name="visits"):
    return page.locator(f"[data-related={name}] .gx-row-link").all_inner_texts()


@pytest.mark.parametrize(("locale", "width"), [("zh", 1280), ("en", 390)])
def test_related_records_are_sorted_paged_and_opened_without_leaving(
    site, person, member, locale, width
):
    page = person("clerk", locale=locale, width=width).page
    page.goto(f"/records/member/{member}")
    panel = page.locator("[data-related=visits]")
    assert subjects(page) == [f"V{number:02}" for number in range(10)]
    assert subjects(page, "outings") == ["别人"]
    assert panel.locator("h2").inner_text().split() == (
        ["到访", "23"] if locale == "zh" else ["Visits", "23"]
    )
    page.fill("[name=name]", "王大明")
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"related-{locale}-{width}.png"), full_page=True)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    panel.locator("[data-turn=spent]").press("Enter")
    page.locator(
        "[data-related=visits] th[aria-sort=ascending]",
        has_text="消费" if locale == "zh" else "Spent",
    ).wait_for()
    panel.locator("[data-turn=spent]").press("Enter")
    panel.get_by_role("link", name="V22", exact=True).wait_for()
    panel.locator("[data-turn=next]").press("Enter")
    panel.get_by_role("link", name="V12", exact=True).wait_for()
    panel.locator("[data-turn=next]").press("Enter")
    panel.get_by_role("link", name="V02", exact=True).wait_for()
    assert subjects(page) == ["V02", "V01", "V00"]
    panel.locator("[data-turn=prev]").press("Enter")
    panel.get_by_role("link", name="V12", exact=True).wait_for()
    assert page.input_value("[name=name]") == "王大明"


def test_a_new_related_record_is_linked_and_all_open_in_the_list(site, person, member):
    page = person("clerk").page
    page.goto(f"/records/member/{member}")
    page.click("[data-related=visits] .gx-pager a.gx-small")
    page.wait_for_url("**/records/visit/?filter=**")
    page.goto(f"/records/member/{member}")
    page.locator("[data-related=visits] .gx-card-head a").click()
    page.fill("[name=subject]", "新到访")
    assert page.input_value("[data-field=member] [data-search]") == "王小明"
    page.click("[data-save]")
    page.wait_for_url(lambda url: "/new" not in url)
    page.goto(f"/records/member/{member}")
    assert page.locator("[data-related=visits] h2").inner_text().split() == ["到访", "24"]
    page.locator("[data-related=outings] .gx-card-head a").click()
    assert "王小明" in page.locator("[data-field=guests] [data-value]").inner_text()


def test_related_records_keep_the_rights_of_their_reader(site, browser_as, member):
    place = f"/records/member/{member}/related"
    seen = browser_as("cashier").get(f"{place}/visits").text
    assert ("V04" in seen, "V05" in seen, "内部" in seen, "/new?" in seen) == (
        True,
        False,
        False,
        False,
    )
    assert (
        'data-related="outings"' not in browser_as("cashier").get(f"/records/member/{member}").text
    )
    clerk = browser_as("clerk")
    for path, status in (
        (f"{place}/visits?sort=nix", 422), (f"{place}/visits?after=x", 422), (f"{place}/name", 404),
        (f"{place}/nix", 404), (f"/records/member/{'0' * 36}/related/visits", 404),
        (f"{place}/visits?filter=spent>1&view=nix&columns=nix", 200),
    ):  # fmt: skip
        assert clerk.get(path).status_code == status, path
    assert site.app.test_client().get(f"{place}/visits").status_code in {302, 303, 401}
