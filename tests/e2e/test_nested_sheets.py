"""Rows inside of rows in a form: unfolded, typed by keyboard, pasted, saved, merged, printed."""

import os
from pathlib import Path

import pytest

from core.records.operations import update_record
from core.records.queries import Query, get_record, list_records

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

#: Where pictures go when somebody wants to look at them.
PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")

PARCEL = """
record_type: parcel
label: {zh: 发货单, en: Parcel}
title_field: code
fields:
  - {name: code, type: text, label: {zh: 单号, en: Code}, required: true, unique: true}
  - name: lines
    type: table
    label: {zh: 明细, en: Lines}
    fields:
      - {name: article, type: text, label: {zh: 商品, en: Article}, required: true}
      - name: parts
        type: table
        label: {zh: 序列号, en: Serial numbers}
        fields:
          - {name: serial, type: text, label: {zh: 序列号, en: Serial}, required: true, max_length: 10}
          - {name: worth, type: decimal, label: {zh: 价值, en: Worth}}
          - {name: store, type: link, target: store, label: {zh: 门店, en: Store}}
      - {name: worth, type: rollup, of: parts, take: worth, how: sum, label: {zh: 合计, en: Worth}}
  - {name: pieces, type: formula, formula: "COUNT(lines.parts)", label: {zh: 件数, en: Pieces}}
policies:
  - {name: all, who: {role: Admin}, actions: ["*"]}
"""


def look(page, name, width=0):
    if PICTURES:
        size = page.viewport_size
        page.set_viewport_size({"width": width or size["width"], "height": size["height"]})
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)
        page.set_viewport_size(size)


def unfold(page, path):
    page.focus(f"details[data-path='{path}'] > summary")
    page.keyboard.press("Enter")


def type_parcel(page):
    """Fill in a parcel of two lines on the keyboard alone."""
    page.fill("#f-code", "P1")
    page.fill("[name='lines.0.article']", "lamp")
    unfold(page, "lines.0.parts")
    page.fill("[name='lines.0.parts.0.serial']", "A-1")
    page.press("[name='lines.0.parts.0.serial']", "Enter")  # a new row of the inner sheet
    assert page.evaluate("document.activeElement.name") == "lines.0.parts.1.serial"
    page.keyboard.type("A-2")
    page.press("[name='lines.0.article']", "Enter")  # a new line, with an inner sheet of its own
    assert page.evaluate("document.activeElement.name") == "lines.1.article"
    page.keyboard.type("rug")
    unfold(page, "lines.1.parts")
    page.focus("[name='lines.1.parts.0.serial']")
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text/plain", "B-1\\t5\\nB-2\\t2.5\\n");
          document.activeElement.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    page.locator("[data-row='lines.0.parts.0'] [data-remove-row]").click()
    counts = page.locator("tr[data-inside] > td > details > summary [data-inside-count]")
    assert counts.all_text_contents() == ["1", "2"]
    # What is computed over them is seen while somebody types.
    assert page.locator("[data-shows=pieces]").text_content() == "3.00"
    assert page.locator("[data-shows='lines.1.worth']").text_content() == "7.50"


def bare(record):
    return [
        (line["article"], [(one["serial"], str(one["worth"])) for one in line["parts"]])
        for line in record["lines"]
    ]


def test_rows_inside_rows_are_typed_saved_merged_and_printed(site, person):
    site.publish(PARCEL)
    page = person("admin", locale="zh", width=1280).page
    page.goto("/records/parcel/new")
    type_parcel(page)
    page.fill("[name='lines.1.parts.1.serial']", "much too long")
    page.click("[data-save]")
    page.locator("[data-problems='lines.1.parts.1.serial'] .gx-problem").wait_for()
    look(page, "nested-form-zh")
    look(page, "nested-form-zh-phone", 390)
    page.fill("[name='lines.1.parts.1.serial']", "B-2")
    page.click("[data-save]")
    page.wait_for_url(lambda url: not url.endswith("/new"))
    system = site.context("system")
    (record,) = list_records(system, "parcel", Query(fields=("lines",))).items
    assert bare(record) == [
        ("lamp", [("A-2", "None")]),
        ("rug", [("B-1", "5.00"), ("B-2", "2.50")]),
    ]
    merge_a_row(site, page, record)
    look(page, "nested-saved")
    told = page.locator("ol, ul").filter(has_text="B-1").first.text_content()
    assert "2.50" in told  # the timeline says what became of the inner row
    assert "3.00" in told
    page.goto(page.get_attribute("[data-prints]", "href"))
    assert "B-2" in page.content()
    look(page, "nested-print")


def merge_a_row(site, page, record):
    """Change one inner row in the form while somebody else changes another of the same line."""
    rug = record["lines"][1]
    theirs = {
        "upsert": [
            {"id": rug["id"], "parts": {"upsert": [{"id": rug["parts"][0]["id"], "worth": "9"}]}}
        ]
    }
    update_record(site.context("system"), "parcel", record["id"], {"lines": theirs}, version=1)
    unfold(page, "lines.1.parts")
    page.fill("[name='lines.1.parts.1.worth']", "3")
    with page.expect_navigation():
        page.click("[data-save]")
    merged = get_record(site.context("system"), "parcel", record["id"])
    assert bare(merged)[1] == ("rug", [("B-1", "9.00"), ("B-2", "3.00")])
