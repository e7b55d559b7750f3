"""The audit queue in a real browser: keyboard, stale pages, many at once, phone."""

import re

import pytest
from playwright.sync_api import expect

from core.records.operations import create_record, update_record
from core.records.queries import get_record
from core.workflow.deciding import decide
from core.workflow.operations import submit, withdraw
from core.workflow.queue.pages import get_task

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

#: Latin words that are right in Chinese: names, codes, keys.
ALLOWED = re.compile(r"\b(English|Enter|Esc|Ctrl|T\d+|clerk\d?|approver\d?|admin|BB)\b")


def make_task(site, number, maker="clerk"):
    """Submit a new card type; return its id and its task's."""
    values = {
        "code": f"T{number:02d}",
        "name": f"测试卡{number}号",
        "default_rate": "0.9",
        "type_prefix": f"{number:02d}",
    }
    made = create_record(site.context(maker), "card_type", values)
    return made["id"], submit(site.context(maker), "card_type", made["id"])["task"]


def vote(site, task, verb="approve", name="approver", opinion=""):
    """Decide a task as somebody who looked at it just now."""
    shown = get_task(site.context(name), task)["subject_hash"]
    return decide(site.context(name), task, verb, subject_hash=shown, opinion=opinion)


def open_queue(person, name="approver", **how):
    """Seat somebody before the queue; return the page once its script runs."""
    page = person(name, **how).page
    page.goto("/tasks/")
    page.locator("[data-keys]:not([hidden])").wait_for(state="attached")
    return page


def wait_for_task(page, number):
    page.get_by_role("heading", name=f"测试卡{number}号", exact=True).wait_for()


def test_thirty_tasks_are_cleared_with_the_keyboard_alone(site, person):
    for number in range(30):
        make_task(site, number, "clerk2" if number % 2 else "clerk")
    page = open_queue(person)
    page.evaluate("document.addEventListener('pointerdown', () => { window.touched = true; })")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    assert "同意" in page.locator("#keys").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    for number in range(30):
        wait_for_task(page, number)
        if number % 10 == 4:
            # Nothing is rejected by one key, and nothing without a word.
            page.keyboard.press("r")
            page.keyboard.press("Control+Enter")
            page.get_by_text("请先填写意见").first.wait_for()
            page.keyboard.press("4")
            page.keyboard.press("Control+Enter")
        else:
            page.keyboard.press("a")
            page.keyboard.press("Enter")
    page.locator("#detail").get_by_text("全部处理完毕").wait_for()
    assert page.locator("[data-left]").inner_text() == "全部处理完毕"
    assert page.evaluate("window.touched") is None
    expect(page.locator(".gx-undo")).to_have_count(0, timeout=15_000)
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url("**/tasks/?box=done")
    states = page.locator("[data-tasks] .gx-badge").all_inner_texts()
    assert (states.count("已通过"), states.count("已拒绝")) == (27, 3)


def test_next_task_was_fetched_before_and_every_command_names_its_key(site, person):
    for number in range(3):
        make_task(site, number)
    page = open_queue(person)
    fetched = []
    page.on("requestfinished", lambda one: "/panel" in one.url and fetched.append(one.url))
    page.keyboard.press("j")
    wait_for_task(page, 0)
    while len(fetched) < 3:
        page.wait_for_timeout(20)
    page.context.set_offline(True)  # whatever comes now was there before
    page.keyboard.press("j")
    wait_for_task(page, 1)
    page.keyboard.press("j")
    wait_for_task(page, 2)
    page.keyboard.press("Control+k")
    page.keyboard.type("拒绝")
    assert page.locator("[data-palette-list] li").all_inner_texts() == ["拒绝\nr"]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "opinion"
    assert page.locator("p.gx-armed").inner_text() == "Ctrl+Enter 发送：拒绝"
    assert page.locator("[data-meaning]").inner_text().startswith("我拒绝")
    # The line is dead: what was written stays on this device.
    page.keyboard.type("离线也要留下")
    page.keyboard.press("Control+Enter")
    page.get_by_text("您的意见已保存在本设备上").wait_for()
    page.context.set_offline(False)
    page.reload()
    page.locator("[data-decide]").wait_for()
    expect(page.locator("#opinion")).to_have_value("离线也要留下")


def test_stale_page_says_who_was_first_and_keeps_the_opinion(site, person):
    _, task = make_task(site, 1)
    record, moved = make_task(site, 2)
    page = open_queue(person)
    page.keyboard.press("j")
    wait_for_task(page, 1)
    page.fill("#opinion", "我写的意见")
    vote(site, task, name="approver2")
    with page.expect_response("**/decide") as answer:
        page.locator("button[data-verb=approve]").click()
    assert answer.value.status == 409
    note = page.locator("[data-task-messages] .gx-note")
    note.wait_for()
    assert "approver2" in note.inner_text()
    # The other document is withdrawn, changed and submitted again behind the reader's back.
    page.keyboard.press("j")
    wait_for_task(page, 2)
    page.fill("#opinion", "第二条意见")
    withdraw(site.context("clerk"), "card_type", record)
    version = present_version(site, record)
    update_record(site.context("clerk"), "card_type", record, {"name": "改名"}, version=version)
    submit(site.context("clerk"), "card_type", record)
    with page.expect_response("**/decide") as answer:
        page.locator("button[data-verb=approve]").click()
    assert answer.value.status in {409, 412}
    note.wait_for()
    page.goto(f"/tasks/{moved}")
    assert page.locator("[data-decide]").count() == 0


def present_version(site, record):
    """Return the present version of a card type."""
    return get_record(site.context("clerk"), "card_type", record)["version"]


def test_decision_is_called_back_by_one_key_and_made_without_it(site, person):
    _, first = make_task(site, 1)
    _, second = make_task(site, 2)
    page = open_queue(person)
    page.keyboard.press("j")
    wait_for_task(page, 1)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    wait_for_task(page, 2)
    assert page.locator("[data-box=todo].gx-count").inner_text() == "1"
    assert get_task(site.context("approver"), first)["instance_state"] == "running"
    page.keyboard.press("z")
    wait_for_task(page, 1)
    page.keyboard.press("r")
    page.keyboard.type("不同意")
    page.keyboard.press("Control+Enter")
    wait_for_task(page, 2)
    # Somebody else is first while the other one is held: its person is told.
    page.keyboard.press("a")
    with page.expect_response("**/decide"):
        page.keyboard.press("Enter")
    vote(site, second, name="approver2")
    page.get_by_text("未发送").wait_for()
    states = [
        get_task(site.context("approver"), each)["instance_state"] for each in (first, second)
    ]
    assert states == ["rejected", "approved"]


def test_many_are_previewed_then_decided_with_a_result_for_each(site, person):
    tasks = [make_task(site, number)[1] for number in range(4)]
    page = open_queue(person)
    for number in range(4):
        page.locator("[data-pick]").nth(number).check()
    vote(site, tasks[0], name="approver2")
    page.locator("#bulk").get_by_role("button", name="拒绝").click()
    groups = page.locator(".gx-bulk-groups > div")
    groups.filter(has_text="需要填写意见").wait_for()
    page.fill("#bulk-opinion", "资料不全")
    groups.filter(has_text="可以处理").wait_for()
    assert groups.filter(has_text="可以处理").inner_text().split() == ["3", "可以处理"]
    page.get_by_role("button", name="处理 3 个").click()
    page.locator("dialog[open]").get_by_role("button", name="关闭").click()
    page.locator("#detail").get_by_text("全部处理完毕").or_(
        page.locator("#task-title")
    ).first.wait_for()
    states = [get_task(site.context("approver"), each)["instance_state"] for each in tasks]
    assert states == ["approved", "rejected", "rejected", "rejected"]


def test_note_is_hidden_from_who_made_it_and_a_task_put_aside_leaves_the_box(site, person):
    record, task = make_task(site, 1)
    make_task(site, 2)
    page = open_queue(person)
    page.keyboard.press("j")
    wait_for_task(page, 1)
    page.keyboard.press("c")
    page.keyboard.type("请财务再看一眼")
    page.get_by_role("button", name="备注").click()
    page.locator(".gx-note-line").get_by_text("请财务再看一眼").wait_for()
    page.keyboard.press("s")
    page.get_by_role("button", name="稍后处理").click()
    wait_for_task(page, 2)
    page.goto("/tasks/?snoozed=1")
    assert page.locator("[data-tasks] strong").all_inner_texts() == ["测试卡1号"]
    maker = site.browser("clerk")
    for path in (f"/tasks/{task}?box=started", f"/records/card_type/{record}"):
        shown = maker.get(path)
        assert shown.status_code == 200
        assert "请财务再看一眼" not in shown.text


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_phone_opens_a_task_as_a_sheet_without_overflow(site, person, locale):
    _, over = make_task(site, 7)
    vote(site, over, "reject", opinion="不行")
    make_task(site, 1)
    page = open_queue(person, locale=locale, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    page.locator("a[data-task]").first.click()
    wait_for_task(page, 1)
    page.locator("[data-insight] h4").first.wait_for()
    page.locator("[data-why] > summary").click()
    assert page.evaluate("document.getElementById('detail').scrollWidth <= innerWidth + 1")
    assert page.locator("#detail").bounding_box()["height"] >= 840
    if locale == "zh":
        text = ALLOWED.sub("", page.locator("#detail").inner_text())
        assert re.findall(r"[A-Za-z]{3,}", text) == []
    page.locator("[data-back]").click()
    page.locator("a[data-task]").first.wait_for()


def test_queue_can_be_worked_without_scripts(site, chromium):
    _, first = make_task(site, 1)
    _, second = make_task(site, 2)
    with site.served() as address:
        context = chromium.new_context(locale="zh-CN", base_url=address, java_script_enabled=False)
        cookie = site.session_cookie("approver")
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": address}])
        page = context.new_page()
        page.goto(f"/tasks/{first}")
        page.get_by_role("button", name="拒绝").click()
        expect(page.locator("[data-task-messages]")).to_contain_text("请填写意见")
        page.fill("#opinion", "理由不足")
        page.get_by_role("button", name="拒绝").click()
        wait_for_task(page, 2)  # the next one opened by itself
        page.locator("button[data-verb=approve]").click()
        page.get_by_text("全部处理完毕").first.wait_for()
        context.close()
    states = [
        get_task(site.context("approver"), each)["instance_state"] for each in (first, second)
    ]
    assert states == ["rejected", "approved"]


CLAIMED = """
flow: card_type_release
version: 9
title: {zh: 卡类别审核, en: Card type approval}
document: card_type
steps:
  - id: review
    title: {zh: 审核, en: Review}
    approvers: {role: approver}
    may: [approve, reject, claim, transfer, delegate, add_beside, remove_added]
    queue: {claim: soft, lease: 5m}
outcome:
  approved: {set: {status: effective}}
  rejected: {set: {status: rejected}}
"""


@pytest.mark.parametrize("site_schema", [(CLAIMED,)], ids=["claimed"])
def test_claim_is_seen_by_others_and_taken_over_with_a_notice(site, person):
    make_task(site, 1)
    first, second = open_queue(person), open_queue(person, "approver2")
    for page in (first, second):
        page.keyboard.press("j")
        wait_for_task(page, 1)
    first.locator("#opinion").press_sequentially("在看")  # the first key claims
    first.get_by_text("您正在处理").first.wait_for()
    second.reload()
    second.locator(".gx-task-row .gx-avatar").wait_for()
    assert "approver 正在处理" in second.locator("[data-claim-line]").inner_text()
    second.keyboard.press("e")
    second.get_by_role("button", name="接手").click()
    second.get_by_text("您正在处理").first.wait_for()
    first.reload()
    first.locator("[data-claim-line]").get_by_text("approver2 正在处理").wait_for()
    expect(first.locator("#opinion")).to_have_value("在看")


@pytest.mark.parametrize("site_schema", [(CLAIMED,)], ids=["claimed"])
def test_voice_is_added_and_removed_with_the_keyboard(site, person):
    make_task(site, 1)
    page = open_queue(person)
    page.keyboard.press("j")
    wait_for_task(page, 1)
    page.keyboard.press("Control+k")
    page.keyboard.type("并加签")
    page.keyboard.press("Enter")
    page.keyboard.type("auditor")
    page.get_by_role("option", name="auditor").wait_for()
    page.keyboard.press("Enter")
    page.locator("details[data-verb-form=add_beside] button[data-verb]").click()
    page.locator(".gx-seats li", has_text="auditor").wait_for()
    page.locator("details[data-verb-form=remove_added] summary").click()
    page.locator("details[data-verb-form=remove_added] button[data-verb]").click()
    page.locator(".gx-seats", has_text="已移除").wait_for()
