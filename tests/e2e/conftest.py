"""People at browsers in front of a real server."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from core.testing.browser import chromium  # noqa: F401  a fixture
from core.testing.site import PASSWORD, Site

#: What Chromium says about itself and not about the page.
_NOISE = re.compile(r"favicon|ERR_ABORTED|ERR_INTERNET_DISCONNECTED|status of 4(04|09|12|22|29)")


#: Milliseconds that a busy machine has for what a page is waited for.
_PATIENCE = 15_000
expect.set_options(timeout=_PATIENCE)


class Person:
    """Somebody signed in at a browser; what the page complains about is kept."""

    def __init__(
        self, browser: Any, address: str, *, locale: str, width: int, height: int
    ) -> None:
        """Open a window of the given size in the given language."""
        self.address = address
        self.complaints: list[str] = []
        self._context = browser.new_context(
            locale="zh-CN" if locale == "zh" else "en-GB",
            base_url=address,
            viewport={"width": width, "height": height},
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(_PATIENCE)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not _NOISE.search(message.text):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def carry(self, cookie: Any) -> "Person":
        """Be signed in already, by the cookie of a session."""
        self._context.add_cookies(
            [{"name": cookie.key, "value": cookie.value, "url": self.address, "httpOnly": True}]
        )
        return self

    def sign_in(self, name: str) -> "Person":
        """Sign in by typing the test site's password, as somebody does who comes first."""
        self.page.goto("/login/")
        self.page.fill("#username", name)
        self.page.fill("#password", PASSWORD)
        self.page.click("form[name=login] button[type=submit]")
        self.page.wait_for_url(lambda url: "/login" not in url)
        return self

    def close(self) -> None:
        """Close the window."""
        self._context.close()


@pytest.fixture
def person(site: Site, chromium: Any) -> Iterator[Callable[..., Person]]:
    """Yield a function that seats a person at a browser before a server with two workers.

    Who is named is signed in already. What typing the password costs, two pages, is paid by
    the tests that are about it: `person().sign_in(name)`.
    """
    people: list[Person] = []
    with site.served(workers=2) as address:

        def seat(
            name: str = "", *, locale: str = "zh", width: int = 1440, height: int = 900
        ) -> Person:
            made = Person(chromium, address, locale=locale, width=width, height=height)
            people.append(made)
            return made.carry(site.session_cookie(name)) if name else made

        yield seat
        for each in people:
            each.close()
    assert [complaint for each in people for complaint in each.complaints] == []
