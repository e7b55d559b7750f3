"""Every screen: no complaint of the browser, no English left in Chinese, keyboard and phone."""

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from core.records.operations import create_record, update_record
from core.records.queries import Query, get_record, list_wire
from core.settings import ROOT
from core.testing.site import free_port, wait_until_ready
from core.workflow.deciding import decide
from core.workflow.operations import submit
from core.workflow.queue.pages import get_task

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

PAGES = (
    "/",
    "/tasks/",
    "/tasks/?box=started",
    "/tasks/bottlenecks",
    "/records/member/",
    "/records/member/?view=board",
    "/records/order/?view=by_store",
    "/records/order/?view=days",
    "/records/member/new",
    "/records/card_type/",
    "/records/card_type/new",
    "/records/card/new",
    "/records/discount_rule/new",
    "/records/order/new",
    "/records/product/",
    "/import/member",
    "/releases/",
    "/sheets/",
    "/records/member/duplicates",
    "/plugins/",
    "/evidence/",
    "/calendars/",
    "/automations/",
    "/automations/birthday_soon",
    "/automations/runs/",
    "/notices/",
    "/notices/?show=all",
    "/users/list/",
    "/users/add",
    "/roles/list/",
    "/users/userinfo/",
    "/records/nothing/",
)

#: Latin words that are right in Chinese: names, codes, formats, keys.
ALLOWED = re.compile(
    r"\b(English|Luhn|MOD|CSV|YAML|Enter|Esc|Ctrl|Alt|GOLD|M001|admin|clerk\d?|approver\d?|cashier"
    r"|auditor|configurator|CNY|Asia|Shanghai|init|invalid|guanxi\w*|gz|MB|RFC|API)\b",
    re.IGNORECASE,
)


def make_card_type(site, code, name, maker="clerk", **values):
    """Create a card type and submit it; return its id."""
    made = create_record(
        site.context(maker),
        "card_type",
        {"code": code, "name": name, "default_rate": "0.9", **values},
    )
    submit(site.context(maker), "card_type", made["id"])
    return made["id"]


def latin_words(page):
    """Return the Latin words a person sees, but for codes and what is written in the sources."""
    text = page.evaluate(
        """() => {
          const copy = document.body.cloneNode(true);
          copy.querySelectorAll("script, code, kbd, template, option, .gx-mono, .gx-badge, time")
            .forEach((each) => each.remove());
          document.body.append(copy);
          const text = copy.innerText;
          copy.remove();
          return text;
        }"""
    )
    plain = ALLOWED.sub("", re.sub(r"\w+_\w+", "", text))  # names of policies and hooks
    return sorted(set(re.findall(r"[A-Za-z]{3,}", plain)))


def test_no_page_complains_or_overflows_or_keeps_english(site, person):
    make_card_type(site, "GOLD", "金卡")
    admin = person("admin")
    left, wide = {}, []
    for path in PAGES:
        admin.page.goto(path)
        left[path] = latin_words(admin.page)
        if admin.page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wide.append(path)
    assert {path: words for path, words in left.items() if words} == {}
    assert wide == []


def test_phone_shows_every_page_without_scrolling_sideways(site, person):
    task = make_card_type(site, "GOLD", "金卡")
    admin = person("admin", width=390, height=844)
    wide = []
    for path in (*PAGES, f"/records/card_type/{task}"):
        admin.page.goto(path)
        if admin.page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wide.append(path)
    assert wide == []
    admin.page.goto("/")
    assert not admin.page.locator("#nav").get_by_role("link", name="会员", exact=True).is_visible()
    admin.page.locator("[data-nav-open]").click()
    admin.page.locator("#nav").get_by_role("link", name="会员", exact=True).click()
    admin.page.wait_for_url("**/records/member/")


def test_form_shows_every_problem_at_its_field_and_keeps_typing(site, person):
    page = person("clerk").page
    page.goto("/records/card_type/new")
    page.fill("[name=name]", "金卡")
    page.get_by_role("tab", name="折扣").click()
    page.fill("[name=default_rate]", "7")
    page.fill("[name=stack_start]", "0.8")
    page.get_by_role("button", name="创建", exact=True).click()
    page.locator("#form-messages .gx-note").wait_for()
    shown = page.eval_on_selector_all(
        "[data-problems]",
        "all => all.filter(one => one.textContent.trim()).map(one => one.dataset.problems)",
    )
    assert sorted(shown) == ["code", "default_rate", "stack_rate"]
    assert page.input_value("[name=default_rate]") == "7"
    page.locator("#form-messages a", has_text="折上折折扣率").click()
    assert page.evaluate("document.activeElement.name") == "stack_rate"


def test_condition_hides_and_requires_fields_while_typing(site, person):
    page = person("clerk").page
    page.goto("/records/card_type/new")
    page.get_by_role("tab", name="折扣").click()
    stack = page.locator("[data-field=stack_rate]")
    assert stack.locator("[data-must]").is_hidden()
    page.fill("[name=stack_start]", "0.8")
    assert stack.locator("[data-must]").is_visible()
    page.get_by_role("tab", name="基本").click()
    page.select_option("[name=purpose]", "rebate_card")
    page.get_by_role("tab", name="折扣").click()
    assert stack.is_hidden()


def test_child_table_takes_keys_and_pasted_rows(site, person):
    page = person("clerk").page
    page.goto("/records/discount_rule/new")
    rate = "[name='lines.0.rate']"
    page.fill(rate, "0.9")
    page.press(rate, "Enter")  # a new row, in the same column
    assert page.evaluate("document.activeElement.name") == "lines.1.rate"
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text/plain", "0.8\\n0.7\\n0.6\\n");
          document.activeElement.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    values = page.eval_on_selector_all(
        "[data-sheet=lines] input[data-kind=rate]", "all => all.map(one => one.value)"
    )
    assert values == ["0.9", "0.8", "0.7", "0.6"]
    page.locator("[data-remove-row]").nth(1).click()
    values = page.eval_on_selector_all(
        "[data-sheet=lines] input[data-kind=rate]", "all => all.map(one => one.value)"
    )
    assert values == ["0.9", "0.7", "0.6"]


def test_two_people_editing_merge_and_show_what_collides(site, person):
    member = create_record(site.context("system"), "member", {"no": "M001", "name": "王小明"})
    page = person("clerk").page
    page.goto(f"/records/member/{member['id']}")
    page.fill("[name=name]", "王大明")
    update_record(
        site.context("admin"),
        "member",
        member["id"],
        {"name": "王中明", "remark": "管理员写的"},
        version=1,
    )
    page.get_by_role("button", name="保存").click()
    note = page.locator("#form-messages .gx-note")
    note.wait_for()
    assert "王中明" in note.inner_text()
    assert page.input_value("[name=name]") == "王大明"
    assert page.input_value("[name=remark]") == "管理员写的"
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").wait_for()
    assert page.locator("h1").inner_text() == "王大明"
    assert page.input_value("[name=remark]") == "管理员写的"


def test_filter_shows_where_an_expression_is_wrong_and_builds_a_right_one(site, person):
    create_record(site.context("system"), "member", {"no": "M001", "name": "王小明"})
    page = person("clerk").page
    page.goto("/records/member/?filter=statu == 'active'")
    assert page.locator("#filter-text").get_attribute("aria-invalid") == "true"
    page.goto("/records/member/")
    page.get_by_role("button", name="筛选").click()
    row = page.locator("#filter .gx-builder-row")
    row.locator("select").nth(0).select_option("name")
    row.locator("select").nth(1).select_option(label="等于")
    row.locator("input").fill("王小明")
    assert page.input_value("#filter-text") == "name == '王小明'"
    page.get_by_role("button", name="应用").click()
    page.wait_for_url("**filter=name**")
    assert page.locator(".gx-row-link").all_inner_texts() == ["M001"]


def test_pages_work_without_scripts(site, chromium):
    create_record(site.context("system"), "member", {"no": "M001", "name": "王小明"})
    with site.served() as address:
        context = chromium.new_context(locale="zh-CN", base_url=address, java_script_enabled=False)
        page = context.new_page()
        page.goto("/login/")
        page.fill("#username", "clerk")
        page.fill("#password", "horse-battery-staple")
        page.click("form[name=login] button[type=submit]")
        page.goto("/records/member/new")
        page.fill("[name=name]", "没有会员号")
        page.click("[data-save]")
        assert page.locator("[data-problems=no] .gx-problem").count() == 1
        assert page.input_value("[name=name]") == "没有会员号"
        page.fill("[name=no]", "M002")
        page.click("[data-save]")
        assert page.locator("h1").inner_text() == "没有会员号"
        context.close()


def test_targets_of_a_rule_are_picked_by_the_scope_of_their_row(site, person):
    make = site.context("system")
    gold = effective_card_type(site, "GOLD", "金卡")
    create_record(make, "brand", {"code": "B1", "name": "红牌"})
    create_record(make, "counter", {"code": "C1", "name": "红柜", "store": make_store(site)})
    page = person("clerk").page
    page.goto("/records/discount_rule/new")
    page.get_by_role("combobox", name="适用卡类别").fill("金卡")
    page.get_by_role("option", name="金卡").click()
    targets = page.locator("[data-path='lines.0.targets']")
    for scope, name in (("counter", "红柜"), ("brand", "红牌")):
        page.select_option("[name='lines.0.scope']", scope)
        targets.get_by_role("combobox").fill("红")
        targets.get_by_role("option", name=name).wait_for()
        assert targets.get_by_role("option").count() == 1
    targets.get_by_role("option").click()
    page.fill("[name='lines.0.rate']", "0.8")
    page.get_by_role("button", name="创建", exact=True).click()
    page.get_by_text("已创建").wait_for()
    page.fill("[name=title]", "春季")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").wait_for()
    (rule,) = list_wire(make, "discount_rule", Query(fields=("id", "title"))).items
    stored = get_record(make, "discount_rule", rule["id"])
    assert (rule["title"], stored["card_types"]) == ("春季", [gold])
    assert [line["targets"] for line in stored["lines"]] == [["B1"]]


def make_store(site):
    """Create a store; return its id."""
    return create_record(site.context("system"), "store", {"code": "01", "name": "总店"})["id"]


def test_warning_is_shown_after_saving_and_approvers_are_reminded(site, person):
    effective_card_type(site, "GOLD", "金卡")
    page = person("clerk").page
    page.goto("/records/card_type/new")
    page.fill("[name=code]", "SILVER")
    page.fill("[name=name]", "银卡")
    page.get_by_role("tab", name="折扣").click()
    page.fill("[name=default_rate]", "0.9")
    page.get_by_role("button", name="创建并提交").click()
    page.get_by_text("已提交审核").wait_for()
    assert "金卡" in page.locator(".gx-note[data-tone=warn]").inner_text()
    page.get_by_role("button", name="催办").click()
    page.get_by_text("已提醒审核人").wait_for()
    page.get_by_role("button", name="催办").click()
    page.locator(".gx-note[data-tone=bad]").wait_for()
    assert "120 分钟后可再次催办" in page.locator(".gx-note[data-tone=bad]").inner_text()


def effective_card_type(site, code, name):
    """Have a clerk write a card type and an approver put it in force; return its id."""
    values = {"code": code, "name": name, "default_rate": "0.9"}
    made = create_record(site.context("clerk"), "card_type", values)
    sent = submit(site.context("clerk"), "card_type", made["id"])
    shown = get_task(site.context("approver"), sent["task"])["subject_hash"]
    decide(site.context("approver"), sent["task"], "approve", subject_hash=shown)
    return made["id"]


def test_earlier_version_is_previewed_and_restored(site, person):
    member = create_record(site.context("system"), "member", {"no": "M001", "name": "王小明"})
    update_record(site.context("admin"), "member", member["id"], {"name": "王大明"}, version=1)
    page = person("clerk").page
    page.goto(f"/records/member/{member['id']}/history")
    page.get_by_role("link", name="恢复此版本").click()
    page.wait_for_url("**/versions/1")
    cells = page.locator(".gx-diff tbody td").all_inner_texts()
    assert [text.split("：")[-1].strip() for text in cells] == ["王大明", "王小明"]
    page.get_by_role("button", name="恢复此版本").click()
    page.get_by_text("已恢复到版本 1").wait_for()
    assert page.locator("h1").inner_text() == "王小明"
    assert page.locator("[data-version]").inner_text() == "3"


@contextmanager
def served_from(folder, site):
    """Yield the address of a server of the copy of the product in `folder`."""
    port = free_port()
    program = "from core.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", str(port), "--workers", "1"],
        env={**site.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"},
        cwd=folder,
    ) as server:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_server_without_front_end_packages_can_be_used(site, chromium, tmp_path):
    create_record(site.context("system"), "member", {"no": "M001", "name": "王小明"})
    for folder in ("core", "plugins", "schemas"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("vendor", "*.xz")
        )
    with served_from(tmp_path, site) as address:
        context = chromium.new_context(locale="zh-CN", base_url=address)
        page = context.new_page()
        failed = []
        page.on("response", lambda answer: answer.status >= 400 and failed.append(answer.url))
        page.goto("/login/")
        page.fill("#username", "clerk")
        page.fill("#password", "horse-battery-staple")
        page.click("form[name=login] button[type=submit]")
        page.goto("/records/member/")
        assert page.locator("link[href*=vendor]").count() == 0
        page.get_by_role("link", name="M001").click()
        page.wait_for_url("**/records/member/*-*")
        page.fill("[name=name]", "王大明")
        page.get_by_role("button", name="保存").click()
        page.get_by_text("已保存").wait_for()
        assert failed == []
        context.close()
