"""Rights in the browser: masks and who lifts them, why somebody sees something, seeing as them."""

import re

from playwright.sync_api import expect


def a_member(site):
    admin = site.client("admin")
    store = admin.post("/api/v1/records/store", json={"code": "A1", "name": "西湖店"}).json["id"]
    body = {
        "no": "M1",
        "name": "林小雨",
        "phone": "13812345678",
        "birthday": "1990-02-03",
        "store": store,
    }
    return admin.post("/api/v1/records/member", json=body).json["id"]


def test_masks_are_lifted_by_a_button_or_written_over_blind(site, person):
    member = a_member(site)
    site.publish(
        "policy_set: blind\npolicies:\n  - {name: blind, who: {role: auditor}, types: [member],"
        " actions: [edit], fields: {edit: [name, birthday]}}\n"
    )
    seat = person("auditor", locale="zh", width=390, height=844)
    seat.page.goto(f"/records/member/{member}")
    phone = seat.page.locator("[data-field=phone]")
    expect(phone).to_contain_text("138•••5678")
    phone.get_by_role("button").click()
    expect(phone).to_contain_text("13812345678")
    seat.page.fill("[name=name]", "林大雨")
    seat.page.click("[data-save]")
    expect(seat.page.locator("h1")).to_have_text("林大雨")
    expect(phone).to_contain_text("138•••5678")
    expect(seat.page.locator("[data-timeline]")).to_contain_text("查看了脱敏的内容")
    stored = site.client("admin").get(f"/api/v1/records/member/{member}").json
    assert (stored["phone"], stored["birthday"]) == ("13812345678", "1990-02-03")


def test_an_administrator_asks_why_and_looks_as_the_person(site, person):
    member = a_member(site)
    seat = person("admin", locale="en", width=390, height=844)
    seat.page.goto(f"/rights/why?type=member&record={member}")
    seat.page.fill("[name=user]", "auditor")
    seat.page.select_option("[name=field]", "phone")
    seat.page.get_by_role("button", name="Explain").click()
    expect(seat.page.get_by_role("status").first).to_contain_text("sees a mask")
    seat.page.get_by_role("button", name=re.compile("View as")).click()
    expect(seat.page.locator(".gx-viewed")).to_contain_text("can change nothing")
    expect(seat.page.locator("[data-field=phone]")).to_contain_text("138•••5678")
    seat.page.locator(".gx-viewed").get_by_role("button", name="Stop").click()
    expect(seat.page.locator(".gx-viewed")).to_have_count(0)
