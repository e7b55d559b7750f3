"""A spreadsheet becomes a form on a phone; a member registered twice becomes one again."""

import pytest

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

ROWS = "编号,姓名,手机\n" + "".join(f"{n:03},张{n},138{n:08}\n" for n in range(1, 25)) + "025,,x\n"


def test_spreadsheet_becomes_a_form_on_a_phone(site, person):
    page = person("admin", width=390, height=844).page
    page.goto("/sheets/")
    file = {"name": "客户.csv", "mimeType": "text/csv", "buffer": ROWS.encode("gb18030")}
    page.set_input_files("#file", file)
    page.get_by_role("button", name="读取文件").click()
    page.get_by_text("25 行中有 1 行无法导入。").wait_for()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    page.fill("#name", "customer")
    page.get_by_role("button", name="显示方案").click()
    page.get_by_text("record_type: customer").wait_for()
    page.get_by_role("button", name="发布并导入").click()
    page.get_by_role("link", name="查看记录").click()
    page.wait_for_url("**/records/customer/")
    page.get_by_text("张24", exact=True).first.wait_for()


def test_member_registered_twice_is_noticed_merged_and_parted(site, person):
    client = site.client("admin")
    for number, phone in ((1, "13800000001"), (2, "+86 138 0000 0001")):
        body = {"no": f"P{number}", "name": "陈伟", "phone": phone}
        assert client.post("/api/v1/records/member", json=body).status_code == 201
    page = person("admin").page
    page.goto("/records/member/new")
    page.fill("[name=phone]", "138-0000-0001")
    page.keyboard.press("Tab")
    page.get_by_text("已有相似的记录：").wait_for()
    assert page.locator("#similar a").count() == 2
    page.goto("/records/member/duplicates")
    page.get_by_role("link", name="合并").click()
    page.get_by_role("radio", name="+86 138 0000 0001").check()
    page.get_by_role("button", name="合并").click()
    page.wait_for_url("**/merges")
    page.get_by_role("link", name="查看记录").click()
    page.locator("[name=phone][value='+86 138 0000 0001']").wait_for()
    page.go_back()
    page.get_by_role("button", name="撤销").click()
    page.get_by_text("合并已撤销").wait_for()
    assert len(client.get("/api/v1/records/member").json["items"]) == 2
