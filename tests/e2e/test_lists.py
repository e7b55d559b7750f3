"""Lists at a browser: conditions, saved views, cells, many records, boards, calendars, export."""

import csv
import io
import os
from pathlib import Path

import pytest

from core.records.operations import create_many, create_record, update_record
from core.records.queries import Query, get_record, list_wire
from core.records.views import saved_views
from tests.integration.hostile_world import page_token

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")


@pytest.fixture
def members(site):
    made = create_many(site.context("system"), "member", [
        {"no": "M001", "name": "张三", "phone": "13800001111", "gender": "male", "joined_on": "2026-03-02"},
        {"no": "M002", "name": "张三丰", "status": "frozen", "joined_on": "2026-03-02"},
        {"no": "M003", "name": "李四", "gender": "female", "joined_on": "2026-04-01"},
    ])  # fmt: skip
    return {one["no"]: one["id"] for one in made}


PICTURES = os.environ.get("GUANXI_TEST_PICTURES", "")


def look(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def shown(page):
    return page.locator("tbody .gx-row-link").all_inner_texts()


def member(site, record_id):
    return get_record(site.context("system"), "member", record_id)


def test_a_condition_is_read_from_text_changed_by_choosing_and_saved_as_a_view(
    site, person, members
):
    page = person("clerk").page
    page.goto("/records/member/?search=张三")
    assert shown(page) == ["M001", "M002"]
    page.goto(
        "/records/member/?filter=status in ['active', 'frozen'] and (gender == 'male'"
        " or LEN(name) > 2) and joined_on <= TODAY()"
    )
    page.get_by_role("button", name="筛选").click()
    page.locator("#filter .gx-builder-group .gx-builder-group").wait_for()
    boxes = page.locator("#filter .gx-builder-row").first.locator("input[type=checkbox]")
    assert [one.is_checked() for one in boxes.all()] == [True, True, False]
    assert (
        page.locator("#filter .gx-builder-row[data-text] input").input_value() == "LEN(name) > 2"
    )
    boxes.nth(1).uncheck()
    text = page.input_value("#filter-text")
    assert text == (
        "status in ['active'] and (gender == 'male' or (LEN(name) > 2)) and joined_on <= TODAY()"
    )
    page.get_by_role("button", name="应用").click()
    page.wait_for_url("**filter=status**")
    assert shown(page) == ["M001"]
    _save_view(page, "我的男会员")
    assert shown(page) == ["M001"]
    (saved,) = saved_views(site.context("clerk"), "member")
    assert (saved.label, saved.view.filter, saved.view.columns[-1]) == (
        "我的男会员",
        text,
        "email",
    )
    other = person("cashier").page
    other.goto("/records/member/")
    assert other.get_by_text("我的男会员").count() == 0
    page.get_by_role("button", name="视图").click()
    page.get_by_role("button", name="删除", exact=True).click()
    page.locator("dialog[open] .btn-danger").click()
    page.wait_for_url(lambda url: "view=" not in url)
    assert saved_views(site.context("clerk"), "member") == []


@pytest.mark.parametrize(("locale", "width"), [("zh", 390), ("en", 1280)])
def test_a_filter_is_built_by_keys_of_counted_days_and_picked_records(
    site, person, members, locale, width
):
    ctx = site.context("system")
    store = create_record(ctx, "store", {"code": "S1", "name": "南京路店"})["id"]
    recent = {"store": store, "joined_on": ctx.today.isoformat()}
    update_record(ctx, "member", members["M002"], recent, version=1)
    page = person("clerk", locale=locale, width=width).page
    page.goto("/records/member/")
    page.locator("[data-filter-toggle]").press("Enter")
    rows = page.locator("#filter .gx-builder-row")
    rows.nth(0).locator("select").nth(0).select_option("joined_on")
    rows.nth(0).locator("select").nth(1).select_option(">=")
    rows.nth(0).locator("select").nth(2).select_option("-")
    rows.nth(0).locator("input:visible").fill("30")
    page.locator("#filter [data-add]").last.press("Enter")
    rows.nth(1).locator("select").nth(0).select_option("store")
    rows.nth(1).locator("select").nth(1).select_option("in")
    rows.nth(1).locator("[data-search]").fill("南京")
    page.locator("#filter [role=option][data-index='0']").wait_for()
    rows.nth(1).locator("[data-search]").press("Enter")
    rows.nth(1).locator("[data-value]").wait_for()
    assert page.input_value("#filter-text") == (
        f"joined_on >= DATEADD(TODAY(), -30, 'day') and store in ['{store}']"
    )
    look(page, f"filter-{locale}-{width}")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    rows.nth(0).locator("input:visible").press("Enter")
    page.wait_for_url("**filter=joined_on**")
    assert page.locator(".gx-row-link").all_inner_texts() == ["M002"]
    page.locator("[data-filter-toggle]").press("Enter")
    rows.nth(1).locator("[data-value]").wait_for()
    assert "南京路店" in rows.nth(1).locator("[data-value]").inner_text()
    assert rows.nth(0).locator("select").nth(2).input_value() == "-"
    look(page, f"filter-read-{locale}-{width}")


def test_a_filter_reads_and_writes_times_of_the_store_whatever_the_browsers_clock(
    site, person, members
):
    assert site.context("system").time_zone.key == "Asia/Shanghai"
    page = person("clerk").page
    page.goto("/records/member/?filter=created_at >= '2026-03-02T15:30:00Z'")
    page.get_by_role("button", name="筛选").click()
    moment = page.locator("#filter .gx-builder-row input[type=datetime-local]")
    assert moment.input_value()[:16] == "2026-03-02T23:30"
    moment.fill("2026-03-01T08:00")
    assert page.input_value("#filter-text") == "created_at >= '2026-03-01T00:00:00.000000Z'"


def _save_view(page, label):
    page.get_by_role("button", name="视图").click()
    page.locator("#view-settings [name=label]").fill(label)
    page.locator("#view-settings [name=columns][value=email]").check()
    page.get_by_role("button", name="另存为新视图").click()
    page.wait_for_url("**view=**")


def test_cells_are_edited_by_keyboard_and_a_conflict_is_shown(site, person, members):
    page = person("clerk", locale="en").page
    page.goto("/records/member/")
    page.locator(".gx-row-link", has_text="M001").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator("td[data-open] input").fill("王五")
    page.keyboard.press("Enter")
    page.get_by_text("Saved.").wait_for()
    assert (member(site, members["M001"])["name"], shown(page)) == (
        "王五",
        ["M001", "M002", "M003"],
    )
    cell = page.locator("tr", has_text="M002").locator("td[data-field=name]")
    cell.dblclick()
    page.locator("td[data-open] input").fill("我写的")
    update_record(site.context("admin"), "member", members["M002"], {"name": "他写的"}, version=1)
    page.keyboard.press("Enter")
    page.get_by_text("他写的").wait_for()
    assert page.locator("td[data-open] input").input_value() == "我写的"
    with page.expect_response("**/cells/name"):
        page.get_by_role("button", name="Keep mine").click()
    assert member(site, members["M002"])["name"] == "我写的"
    cell.dblclick()
    page.locator("td[data-open] input").fill("")
    page.keyboard.press("Enter")
    page.locator("td[data-open] .gx-problem").wait_for()
    page.keyboard.press("Escape")
    assert cell.inner_text() == "我写的"


def test_many_records_are_tried_and_changed(site, person, members):
    page = person("clerk").page
    page.goto("/records/member/?sort=no")
    page.get_by_label("选择整页").check()
    page.get_by_role("button", name="批量修改").click()
    page.locator("dialog[open] select").first.select_option("status")
    page.locator("dialog[open] [name=status]").select_option("frozen")
    page.get_by_role("button", name="先试算").click()
    page.wait_for_url("**/edits/**")
    assert page.get_by_text("尚未写入任何内容").count() == 1
    assert member(site, members["M001"])["status"] == "active"
    assert page.locator("tbody .gx-badge").all_inner_texts().count("保持不变") == 1
    page.get_by_role("button", name="修改 2 条记录").click()
    page.get_by_role("link", name="已修改").wait_for()
    assert {member(site, one)["status"] for one in members.values()} == {"frozen"}


def test_cards_move_by_keys_by_list_and_by_dragging(site, person, members):
    page = person("clerk").page
    page.goto("/records/member/?type=kanban&group=status")
    lane = {
        name: page.locator(f"[data-lane][data-value={name}]")
        for name in ("active", "frozen", "closed")
    }
    card = page.locator("[data-card]", has_text="M001")
    card.locator(".gx-row-link").focus()
    page.keyboard.press("Alt+ArrowRight")
    page.get_by_text("已移到 冻结").wait_for()
    assert lane["frozen"].locator("[data-card]").count() == 2
    assert page.evaluate("document.activeElement.textContent.trim()") in card.inner_text()
    with page.expect_response("**/cells/status"):
        card.locator("[data-move]").select_option("closed")
    with page.expect_response("**/cells/status"):
        page.locator("[data-card]", has_text="M003").drag_to(lane["closed"])
    assert member(site, members["M001"])["status"] == "closed"
    assert member(site, members["M003"])["status"] == "closed"
    assert lane["active"].locator("[data-lane-count]").inner_text() == "0"


def test_a_refused_move_puts_the_card_back(site, person, members):
    page = person("clerk").page
    page.goto("/records/member/?type=kanban&group=status")
    update_record(
        site.context("admin"), "member", members["M001"], {"status": "closed"}, version=1
    )
    with page.expect_response("**/cells/status") as answer:
        page.locator("[data-card]", has_text="M001").locator("[data-move]").select_option("frozen")
    assert answer.value.status == 412
    page.locator(".gx-toast[data-tone=bad]").wait_for()
    assert page.locator("[data-lane][data-value=active] [data-card]", has_text="M001").count() == 1
    assert member(site, members["M001"])["status"] == "closed"


@pytest.mark.parametrize(("locale", "width"), [("zh", 1280), ("en", 390)])
def test_a_calendar_shows_days_in_month_and_week(site, person, members, locale, width):
    page = person("clerk", locale=locale, width=width).page
    page.goto("/records/member/?type=calendar&day=joined_on&date=2026-03-15")
    day = page.locator("td", has=page.locator("time[datetime='2026-03-02']"))
    assert sorted(day.locator("li").all_inner_texts()) == ["M001", "M002"]
    day.locator(".gx-day").click()
    page.wait_for_url("**span=week**")
    assert page.locator(".gx-calendar li").count() == 2
    page.locator(".gx-calendar-head [rel=next]").click()
    page.wait_for_url("**2026-03-09**")
    assert page.locator(".gx-calendar li").count() == 0
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")


def test_groups_are_told_and_an_export_is_what_is_seen(site, browser_as, members):
    clerk = browser_as("clerk")
    page = clerk.get("/records/member/?group=status&columns=name,created_at,status").text
    assert page.count('class="gx-group"') == 2
    answer = clerk.get(
        "/records/member/export?columns=name,created_at&sort=-no&search=张三&format=csv"
    )
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0] == ["name", "created_at"]
    assert [row[0] for row in rows[1:]] == ["张三丰", "张三"]
    book = clerk.get("/records/member/export?columns=name&format=xlsx")
    assert book.data[:2] == b"PK"
    assert clerk.get("/records/member/export?format=pdf").status_code == 422


@pytest.mark.parametrize("query", [
    "type=kanban&group=nix", "type=kanban", "type=kanban&group=name", "type=calendar",
    "type=calendar&day=name", "group=orders", "group=status.month", "columns=nix,',<b>", "sort=-nix",
    "type=calendar&day=joined_on&date=9999-99-99", "search=" + "x" * 200, "filter=%00",
    "type=calendar&day=joined_on&date=0001-01-01", "type=calendar&day=joined_on&date=9999-12-31",
])  # fmt: skip
def test_no_address_of_a_list_breaks_the_server(browser_as, members, query):
    assert browser_as("clerk").get(f"/records/member/?{query}").status_code in {200, 422}


def test_hostile_cells_and_edits_are_refused(site, browser_as, members):
    clerk, place = browser_as("clerk"), f"/records/member/{members['M001']}/cells"
    headers = {"Accept": "application/json"}
    token = page_token(clerk)
    if token:
        for name, form, status in (
            ("nix", {"version": "1"}, 404), ("orders", {"version": "1"}, 404),
            ("name", {"version": "x", "name": "a"}, 422), ("name", {"version": "1", "name": ""}, 422),
            ("status", {"version": "1", "status": "nix"}, 422),
            ("name", {"version": "1", "name": "a\x00"}, 422),
        ):  # fmt: skip
            answer = clerk.post(
                f"{place}/{name}", data={"csrf_token": token, **form}, headers=headers
            )
            assert answer.status_code == status, (name, form)
        for form in ({"_items": "[[1,2]]", "name": "a"}, {"_items": "{", "name": "a"}, {}):
            answer = clerk.post(
                "/records/member/edits", data={"csrf_token": token, **form}, headers=headers
            )
            assert answer.status_code in {400, 422}, form
        for text in ("nix == 1", "status ==", "a" * 3000, "\x00"):
            answer = clerk.post(
                "/expressions/read",
                data={"csrf_token": token, "text": text, "scope": "member", "gives": "boolean"},
                headers=headers,
            )
            assert answer.status_code == 200
            assert answer.json["problems"]
    assert [one["name"] for one in list_wire(site.context("clerk"), "member", Query(sort=("no",))).items] == [
        "张三", "张三丰", "李四",
    ]  # fmt: skip
