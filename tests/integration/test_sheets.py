"""A form made from a spreadsheet: what is guessed, decided, published and imported."""

import html
import io
import re

import openpyxl
import pytest
import sqlalchemy as sa

HEADER = ["编号", "姓名", "手机", "等级", "门店", "金额", "生日", "备注", "id"]
ROWS = [
    ["007", "张三", "13800000001", "金", "SH01", "¥1,234.50", "1990/1/5", "a\nb", "1"],
    ["008", "李四", "13800000002", "银", "SH02", "80", "1991年12月31日", "", "2"],
    ["009", "王五", "13800000003", "金", "北京店", "7.5", "1992-03-04", "@1+1", "3"],
    ["010", "赵六", "13800000004", "银", "SH02", "8", "1993/3/4", "", "4"],
    ["011", "钱七", "13800000005", "金", "SH01", "9", "1993/3/5", "", "5"],
    ["012", "孙八", "13800000006", "银", "SH01", "9", "1993/3/6", "", "6"],
]


@pytest.fixture
def stores(site):
    client = site.client("admin")
    for code, name in (("SH01", "上海店"), ("SH02", "浦东店"), ("BJ01", "北京店")):
        body = {"code": code, "name": name, "time_zone": "Asia/Shanghai", "currency": "CNY"}
        assert client.post("/api/v1/records/store", json=body).status_code == 201
    return client


def as_csv(rows):
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    return ("\n".join(lines) + "\n").encode("gb18030"), "客户 2026.csv"


def as_xlsx(rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue(), "客户 2026.xlsx"


def token(browser):
    page = browser.get("/sheets/").text
    return {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page)[1]}


def upload(browser, data, name):
    body = {"file": (io.BytesIO(data), name), **token(browser)}
    return browser.post("/sheets/", data=body)


def inputs(page):
    """Return what the page's form would send as it stands."""
    found = {}
    for tag in re.findall(r"<input[^>]*>", page):
        given = {k: html.unescape(v) for k, v in re.findall(r'([\w.-]+)="([^"]*)"', tag)}
        if given.get("type") == "checkbox":
            if " checked" in tag:
                found.setdefault(given["name"], []).append(given.get("value", "on"))
        elif "name" in given:
            found[given["name"]] = given.get("value", "")
    for name, body in re.findall(
        r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', body)
        found[name] = chosen[1] if chosen else ""
    for name, text in re.findall(
        r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', page, re.DOTALL
    ):
        found[name] = html.unescape(text)
    return found


@pytest.mark.parametrize("make", [as_csv, as_xlsx])
def test_sheet_becomes_form_with_its_rows(site, stores, make):
    browser = site.browser("admin")
    answer = upload(browser, *make([HEADER, *ROWS]))
    page = browser.get(answer.location).text
    assert "All 6 rows fit." in page
    found = inputs(page)
    kinds = [found[f"{place}.type"] for place in range(len(HEADER))]
    assert kinds == [
        *("text", "text", "phone", "select", "link:store", "money", "date", "long_text"),
        "integer",
    ]
    assert [found[f"{place}.name"] for place in (0, 8)] == ["编号", "id_2"]
    assert found["title"] == "姓名"
    found |= {"name": "customer", "7.label": "Remarks & more", "3.options": "金\n银\n铜"}
    plan = browser.post(answer.location, data=found | {"go": "plan"})
    assert plan.status_code == 200
    assert "record_type: customer" in plan.text
    assert "9 fields; 6 rows come with it." in plan.text
    done = browser.post(f"{answer.location}/publish", data=inputs(plan.text))
    assert done.status_code == 200
    assert "/records/customer/" in done.text
    items = stores.get("/api/v1/records/customer?sort=编号&expand=门店").json["items"]
    assert [one["编号"] for one in items] == [row[0] for row in ROWS]
    assert items[0]["金额"] == "1234.50"
    assert items[1]["生日"] == "1991-12-31"
    assert items[0]["备注"] == "a\nb"
    assert items[2]["备注"] == "@1+1"
    assert items[2]["门店"]["code"] == "BJ01"
    # Once more: what is there is known by its key; then the import is undone.
    again = browser.post(f"{answer.location}/import", data=token(browser))
    assert again.status_code == 200
    page = browser.get("/import/customer").text
    undo = re.search(r'action="(/import/customer/[^"]+/undo)"', page)[1]
    assert browser.post(undo, data=token(browser)).status_code == 200
    assert stores.get("/api/v1/records/customer").json["items"] == []


def test_what_does_not_fit_is_shown_and_nothing_is_lost(site):
    rows = [["no", "day", "color"], *([f"N{n}", f"2024/1/{n}", "red"] for n in range(1, 29))]
    rows += [["N1", "soon", "blue"], ["", "", "red"]]
    browser = site.browser("configurator")
    where = upload(browser, *as_csv(rows)).location
    found = inputs(browser.get(where).text)
    assert found["1.type"] == "date"
    page = browser.post(where, data=found | {"0.unique": "on", "0.required": "on"}).text
    assert "2 of 30 rows would not be taken." in page
    assert "soon" in page
    assert "Line 30" in page
    broken = found | {"0.name": "No", "1.name": "version", "2.options": "", "name": "member"}
    answer = browser.post(where, data=broken | {"label": "<b>", "go": "plan", "2.type": "select"})
    assert answer.status_code == 422
    for text in ("There is already a form called member.", "taken by the product", "&lt;b&gt;"):
        assert text in answer.text
    assert inputs(browser.get(where).text)["0.name"] == "No"


def test_plan_that_was_overtaken_is_shown_again_and_then_published(site):
    rows = [["no", "day", "color"], *([f"N{n}", f"2024/1/{n}", "red"] for n in range(1, 29))]
    rows += [["N29", "soon", "blue"], ["N30", "", "red"]]
    browser = site.browser("configurator")
    where = upload(browser, *as_csv(rows)).location
    found = inputs(browser.get(where).text)
    found |= {"name": "thing", "go": "plan"}
    del found["2.include"]
    plan = browser.post(where, data=found)
    before = site.services.registries.current().release.number
    moved = inputs(plan.text) | {"seal": "1-0"}
    refused = browser.post(f"{where}/publish", data=moved)
    assert refused.status_code == 409
    assert "record_type: thing" in refused.text
    done = browser.post(f"{where}/publish", data=inputs(refused.text))
    assert done.status_code == 200
    assert "soon" not in done.text
    release = site.services.registries.current().release
    assert release.number == before + 1
    assert [one.name for one in release.types["thing"].fields] == ["no", "day"]
    assert release.types["thing"].policies[0].who.roles == {"configurator"}
    client = site.client("configurator")
    assert len(client.get("/api/v1/records/thing").json["items"]) == 29


def test_files_that_are_no_tables_are_refused_with_a_page(site):
    browser = site.browser("admin")
    for data, name in (
        (b"", "a.csv"), (b"a,b\n", "a.csv"), (b"a,a\n1,2\n", "a.csv"), (b"PK\x03\x04", "a.xlsx"),
        (b"a\n1\n", "a.txt"), (b"\xd0\xcf\x11\xe0aaaa", "a.xlsx"), (b"a,\n1,2\n", "a.csv.xz"),
    ):  # fmt: skip
        answer = upload(browser, data, name)
        assert answer.status_code in {302, 303, 400}, name
        if answer.status_code == 400:
            assert "problems" in answer.text


def test_uploads_are_their_owners_and_designers_only(site):
    admin = site.browser("admin")
    where = upload(admin, *as_csv([["a"], ["1"], ["2"]])).location
    other = site.browser("configurator")
    assert other.get(where).status_code == 404
    for url in (f"{where}/import", f"{where}/publish", where):
        assert other.post(url, data=token(other)).status_code == 404
    for name in ("clerk", "auditor"):
        person = site.browser(name)
        assert person.get("/sheets/").status_code == 403
        assert person.get(where).status_code == 403
    with site.services.db.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM gx_draft")).scalar() == 0
