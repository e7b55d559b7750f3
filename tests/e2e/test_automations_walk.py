"""A clerk is told by an automation, and a configurator looks at what it did, in both languages."""

import re

import pytest

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

WELCOME = """
automation: welcome
label: {zh: 欢迎会员, en: Welcome a member}
type: member
trigger: {on: created}
run_as: {role: clerk}
actions:
  - {do: notify, to: {role: clerk}, title: {zh: "新会员 {name}", en: "New member {name}"}}
"""

CALL_BACK = """
automation: call_back
label: {zh: 安排回访, en: Arrange a call}
type: member
trigger: {on: manual}
run_as: {system: true}
retry: {times: 0}
actions:
  - {do: email, to: {address: [email]}, title: {zh: 回访, en: Call}, body: {zh: "{name}", en: "{name}"}}
"""


def wait_for(page, path, selector):
    """Look at a page again and again until something is there; the worker needs a moment."""
    for _ in range(40):
        page.goto(path)
        if page.locator(selector).count():
            return page.locator(selector).first
        page.wait_for_timeout(250)
    raise AssertionError(f"{selector} never came to {path}")


@pytest.mark.parametrize(("locale", "width"), [("zh", 1280), ("en", 390)])
def test_notice_runs_and_replay_by_keyboard_and_on_a_phone(site, person, locale, width):
    site.publish(WELCOME, CALL_BACK)
    zh = locale == "zh"
    clerk_is_told_and_presses(person, zh=zh, locale=locale, width=width)
    configurator_looks_and_switches(person, zh=zh, locale=locale, width=width)


def clerk_is_told_and_presses(person, *, zh, locale, width):
    clerk = person("clerk", locale=locale, width=width, height=844).page
    clerk.goto("/records/member/new")
    clerk.fill("[name=no]", "W1")
    clerk.fill("[name=name]", "林晓")
    clerk.click("[data-save]")
    clerk.wait_for_url(re.compile(r"/records/member/[0-9a-f-]{36}$"))
    home = clerk.url
    notice = wait_for(clerk, "/notices/", ".gx-notices button")
    assert ("新会员 林晓" if zh else "New member 林晓") in notice.inner_text()
    assert clerk.locator(".gx-bell .gx-count").inner_text().strip().endswith("1")
    notice.focus()
    clerk.keyboard.press("Enter")
    clerk.wait_for_url(home)
    assert clerk.locator(".gx-bell .gx-count").count() == 0
    clerk.get_by_role("button", name="安排回访" if zh else "Arrange a call").click()
    clerk.wait_for_load_state()


def configurator_looks_and_switches(person, *, zh, locale, width):
    admin = person("configurator", locale=locale, width=width, height=844).page
    run = wait_for(admin, "/automations/", ".gx-rows a:has(.gx-badge[data-tone=bad])")
    run.click()
    admin.wait_for_url(re.compile("/automations/runs/"))
    assert admin.locator("[role=alert]").count() == 1  # the member has no e-mail address
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert admin.evaluate(wide) == 0
    admin.get_by_role("button", name="重新运行" if zh else "Run again").click()
    admin.wait_for_load_state()
    admin.goto("/automations/welcome")
    admin.get_by_role("button", name="关闭" if zh else "Switch off").click()
    admin.wait_for_load_state()
    shown = admin.locator(".gx-head .gx-badge").inner_text()
    assert shown.strip() == ("关闭" if zh else "Off")
    assert admin.evaluate(wide) == 0
