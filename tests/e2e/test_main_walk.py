"""The main job in a browser, in Chinese: from a new card type to a card and a new field."""

import json
import urllib.request

import pytest

from core.demo.loading import load_demo
from core.records.operations import create_record
from core.testing.processes import ran
from tests.integration.demo_world import sales_of_a_day

pytestmark = pytest.mark.parametrize(
    "backend", ["sqlite", "postgresql"], indirect=True, scope="session"
)

MEMBERS = "no,name,phone\nM001,王小明,13800000001\nM002,李小红,13800000002\n"

NEW_FIELD = """customize: member
fields:
  - {name: nickname, type: text, label: {zh: 昵称, en: Nickname}, searchable: true}
"""


def guanxi(site, *arguments):
    """Run the command line against the test site; return what it printed."""
    code, out, errors = ran(*arguments, environ=site.environ)
    assert code == 0, errors
    return out + errors


def pick(page, label, text):
    """Choose a record in a link picker by typing."""
    page.get_by_role("combobox", name=label, exact=True).fill(text)
    page.get_by_role("option", name=text).first.click()


def import_members(admin, tmp_path):
    file = tmp_path / "members.csv"
    file.write_text(MEMBERS, encoding="utf-8")
    page = admin.page
    page.goto("/import/member")
    page.set_input_files("#file", str(file))
    page.get_by_text("试运行：检查每一行").click()
    page.get_by_role("button", name="导入").click()
    page.get_by_text("已新建").wait_for()
    assert page.locator(".gx-stat strong").all_inner_texts() == ["2", "2", "0", "0"]


def make_card_type(clerk):
    page = clerk.page
    page.goto("/records/card_type/new")
    page.fill("[name=code]", "GOLD")
    page.fill("[name=name]", "金卡")
    page.get_by_role("tab", name="号码").click()
    page.fill("[name=type_prefix]", "01")
    page.fill("[name=serial_length]", "8")
    page.fill("[name=serial_from]", "9")
    page.get_by_role("tab", name="折扣").click()
    page.fill("[name=default_rate]", "0.9")
    assert page.locator("[data-rate-hint][for=f-default_rate]").inner_text() == "9折"
    page.get_by_role("button", name="创建并提交").click()
    page.get_by_text("已提交审核").wait_for()
    assert page.locator(".gx-head .gx-badge").inner_text() == "审核中"


def approve(approver):
    page = approver.page
    page.goto("/tasks/")
    page.get_by_role("link", name="金卡").click()
    page.get_by_role("heading", name="金卡").wait_for()
    row = page.locator(".gx-diff tr", has=page.get_by_role("rowheader", name="默认折扣率"))
    assert "0.9 (9折)" in row.inner_text()
    page.fill("#opinion", "同意。")
    page.locator("button[data-verb=approve]").click()
    page.locator("#detail").get_by_text("全部处理完毕").wait_for()
    page.locator(".gx-undo").wait_for(state="detached")  # until then it could be called back


def issue_card(clerk):
    page = clerk.page
    page.goto("/records/card/new")
    pick(page, "卡类别", "金卡")
    pick(page, "制卡门店", "总店")
    pick(page, "会员", "Customer 17850")
    page.get_by_role("button", name="创建", exact=True).click()
    page.get_by_text("已创建").wait_for()
    # store 01 + prefix 01 + serial 00000009 + Luhn digit 7, as in the acceptance data
    assert page.locator("h1").inner_text() == "0101000000097"


def read_history(clerk):
    page = clerk.page
    page.goto("/records/card_type/")
    page.get_by_role("link", name="GOLD").click()
    page.wait_for_url("**/records/card_type/*-*")
    assert page.locator(".gx-head .gx-badge").first.inner_text() == "生效"
    page.goto(page.url + "/history")
    heads = page.locator("[data-timeline] .gx-event-head").all_inner_texts()
    told = [" ".join(head.split()) for head in heads]
    assert [words.split()[:2] for words in told] == [
        ["approver", "生效"],
        ["approver", "同意"],
        ["clerk", "提交审核"],
        ["clerk", "创建"],
    ]
    assert page.get_by_text("同意。").count() == 1


def add_field(site, admin, tmp_path):
    file = tmp_path / "member.yaml"
    file.write_text(NEW_FIELD, encoding="utf-8")
    assert "nickname" in guanxi(site, "schema", "plan", str(file))
    guanxi(site, "schema", "apply", str(file))
    page = admin.page
    for _ in range(4):  # whichever of the two workers answers
        page.goto("/records/member/?search=M001")
        assert page.get_by_role("columnheader", name="昵称").count() == 1
    page.get_by_role("link", name="M001").click()
    page.get_by_label("昵称").fill("小明")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已保存").wait_for()
    page.goto("/records/member/?search=小明")
    assert page.get_by_role("cell", name="小明", exact=True).count() == 1


def read_over_rest(site, address):
    actor = site.actor("admin")
    token = site.services.tokens.issue(actor.id, actor.stamp)

    def get(path):
        request = urllib.request.Request(
            f"{address}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    items = get("/api/v1/records/member?sort=-no&limit=2")["items"][::-1]
    assert [(item["no"], item["nickname"]) for item in items] == [("M001", "小明"), ("M002", None)]
    assert "nickname" in json.dumps(get("/api/v1/_openapi"))


def load_sales(site, tmp_path):
    """Load what was sold on one day of the demo; all of it is loaded by `init --demo`."""
    reports = load_demo(site.services, sales=sales_of_a_day(tmp_path))
    created = {name: report.created for name, report in reports.items()}
    assert created == {"product": 1351, "member": 98, "order": 143}


def test_main_job_from_new_card_type_to_new_field(site, person, tmp_path):
    load_sales(site, tmp_path)
    create_record(site.context("system"), "store", {"code": "01", "name": "总店"})
    admin = person().sign_in("admin")
    import_members(admin, tmp_path)
    clerk = person().sign_in("clerk")
    make_card_type(clerk)
    approve(person().sign_in("approver"))
    issue_card(clerk)
    read_history(clerk)
    add_field(site, admin, tmp_path)
    read_over_rest(site, admin.address)
