"""Take the pictures of the README: a demo installation, a few documents, six screens.

    python -m tests.e2e.pictures

writes PNG files to `core/web/pictures/`. Nothing of it is kept but the pictures.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.settings import ROOT
from core.testing.browser import ARGUMENTS, find_chromium
from core.testing.site import PASSWORD, free_port, wait_until_ready

TARGET = ROOT / "core" / "web" / "pictures"

#: Bytes of one picture: a README is read over slow lines too.
MOST = 120_000

_GUANXI = (sys.executable, "-c", "from core.cli import main; main()")

#: Card types that wait beside the demo's, whose gold one is about to change.
CARD_TYPES = (
    {"code": "PEARL", "name": "珍珠卡", "type_prefix": "03", "default_rate": "0.88"},
    {"code": "GIFT", "name": "礼品卡", "type_prefix": "08", "default_rate": "1"},
)


class Caller:
    """Somebody at the JSON interface."""

    def __init__(self, address: str, name: str) -> None:
        """Sign in."""
        self._address, self._token = address, ""
        answer = self.call(
            "/security/login", {"username": name, "password": PASSWORD, "provider": "db"}
        )
        self._token = answer["access_token"]

    def call(self, path: str, body: Any = None, method: str = "", version: int = 0) -> Any:
        """Return what a route answers."""
        request = urllib.request.Request(
            f"{self._address}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method or ("GET" if body is None else "POST"),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self._token}",
                "If-Match": f'"{version}"',
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def demo() -> Iterator[str]:
    """Yield the address of a server with the demo data."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "GUANXI_HOME": home,
            "GUANXI_ADMIN_PASSWORD": PASSWORD, "GUANXI_DEMO_PASSWORD": PASSWORD,
            "GUANXI_DATABASE_URL": f"sqlite:///{home}/guanxi.db",
        }  # fmt: skip
        subprocess.run(
            [*_GUANXI, "init", "--demo"], env=environment, cwd=ROOT, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        port = free_port()
        command = [*_GUANXI, "serve", "--port", str(port)]
        with subprocess.Popen(command, env=environment, cwd=ROOT) as server:
            try:
                wait_until_ready(f"http://127.0.0.1:{port}")
                yield f"http://127.0.0.1:{port}"
            finally:
                server.terminate()


def write_documents(address: str) -> None:
    """Have a clerk write card types, and a change of the demo's gold one, for an approver."""
    clerk = Caller(address, "clerk")
    for each in CARD_TYPES:
        made = clerk.call("/records/card_type", each)
        clerk.call(f"/records/card_type/{made['id']}/submit", {})
    types = clerk.call("/records/card_type?fields=code,version")["items"]
    gold = next(each for each in types if each["code"] == "GOLD")
    changes = {
        "name": "金卡（周年庆）",
        "default_rate": "0.85",
        "stack_start": "0.75",
        "stack_rate": "0.9",
    }
    clerk.call(f"/records/card_type/{gold['id']}", changes, "PATCH", gold["version"])
    clerk.call(f"/records/card_type/{gold['id']}/submit", {})


@contextmanager
def window(
    browser: Any, address: str, name: str, *, locale: str, width: int, height: int = 720
) -> Iterator[Any]:
    """Yield a page on which `name` is signed in."""
    context = browser.new_context(
        locale=locale, base_url=address, viewport={"width": width, "height": height}
    )
    page = context.new_page()
    page.goto("/login/")
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("form[name=login] button[type=submit]")
    page.wait_for_url(lambda url: "/login" not in url)
    yield page
    context.close()


def take(browser: Any, address: str, target: Path) -> None:
    """Write the six pictures."""
    take_till(browser, address, target)
    with window(browser, address, "approver", locale="zh-CN", width=1200) as page:
        page.goto("/tasks/")
        page.get_by_role("link", name="金卡").click()
        page.get_by_role("heading", name="金卡").wait_for()
        page.screenshot(path=target / "tasks-zh.png")
    with window(browser, address, "clerk", locale="zh-CN", width=1200) as page:
        page.goto("/records/card_type/new")
        page.fill("[name=code]", "DIAMOND")
        page.fill("[name=name]", "钻石卡")
        page.get_by_role("tab", name="折扣").click()
        page.fill("[name=default_rate]", "0.88")
        page.fill("[name=stack_start]", "0.8")
        page.screenshot(path=target / "form-zh.png")
    with window(browser, address, "clerk", locale="en-GB", width=1200, height=600) as page:
        page.goto("/records/order/?filter=total > 300")
        page.screenshot(path=target / "list-en.png")
    with window(browser, address, "clerk", locale="en-GB", width=1200, height=780) as page:
        page.goto("/dashboards/members_and_sales")
        page.locator("canvas").first.wait_for()
        page.wait_for_timeout(1_500)  # charts grow into place
        page.screenshot(path=target / "dashboard-en.png")
    with window(browser, address, "approver", locale="zh-CN", width=390) as page:
        page.goto("/tasks/")
        page.get_by_role("link", name="金卡").click()
        page.get_by_role("heading", name="金卡").wait_for()
        page.screenshot(path=target / "phone-zh.png")


def take_till(browser: Any, address: str, target: Path) -> None:
    """Write the picture of a sale with a gold card, its first line explained."""
    with window(browser, address, "cashier", locale="zh-CN", width=1200, height=640) as page:
        page.goto("/till/")
        page.select_option("#till-store", "UK")
        for text, name in (("2*22423", "CAKESTAND"), ("12*85123A", "HEART")):
            page.fill("#till-scan", text)
            page.press("#till-scan", "Enter")
            page.locator("[data-lines]").get_by_text(name).wait_for()
        page.fill("#till-card", "UK01000000016")
        page.press("#till-card", "Enter")
        page.locator("[data-member]").get_by_text("GOLD").wait_for()
        page.keyboard.press("F7")
        page.locator("[data-trace]").first.wait_for()
        page.screenshot(path=target / "till-zh.png")


def main() -> int:
    """Take the pictures; return the exit code."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        sys.stderr.write("There is no Chromium: run `make browser`.\n")
        return 1
    TARGET.mkdir(exist_ok=True)
    with demo() as address, sync_playwright() as playwright:
        write_documents(address)
        browser = playwright.chromium.launch(
            executable_path=path, args=list(ARGUMENTS), chromium_sandbox=False
        )
        take(browser, address, TARGET)
        browser.close()
    large = [each.name for each in TARGET.glob("*.png") if each.stat().st_size > MOST]
    if large:
        sys.stderr.write(f"Too large: {', '.join(large)}\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
