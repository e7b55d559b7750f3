"""Real Chromium for browser tests, and the libraries that PDFs need.

`python -m core.testing.browser` finds them, or installs them where that is possible.
"""

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from core.printing.pdf import printing_state
from core.testing.databases import skip_or_fail

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# Screens are looked at in Chinese too: without a font every character is an empty box.
_PACKAGES = ("chromium-headless-shell", "fonts-noto-cjk")
_PDF_PACKAGES = ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "fonts-noto-cjk")
# The shell is the same engine without the windows around it: a page costs half the CPU.
_NAMES = (
    "chromium-headless-shell", "chrome-headless-shell",
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
)  # fmt: skip


def find_chromium() -> str | None:
    """Return the path of a Chromium that is installed, the system's before Playwright's own.

    `GUANXI_TEST_CHROMIUM` names another one.
    """
    named = os.environ.get("GUANXI_TEST_CHROMIUM")
    if named:
        return named
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            return path
    return _playwrights_own()


def _playwrights_own() -> str | None:
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  optional
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = pathlib.Path(playwright.chromium.executable_path)
    shells = path.parents[2].glob("chromium_headless_shell-*/*/*headless*shell")
    return next((str(each) for each in (*shells, path) if each.exists()), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Yield a Playwright browser; skipped loudly without one, failed with `CI=true`."""
    path = find_chromium()
    if path is None:
        skip_or_fail("no Chromium: install it, or run `python -m core.testing.browser`")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  optional

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=list(ARGUMENTS), chromium_sandbox=False
        )
        yield browser
        browser.close()


def main() -> int:
    """Find Chromium or install it; return 0 even without it, since tests then say so."""
    if not find_chromium() and not any(_done(commands) for commands in _installers()):
        print("Chromium could not be installed; browser tests will be skipped.", file=sys.stderr)  # noqa: T201
    if printing_state() != "ok" and not _done(_apt(_PDF_PACKAGES)):
        print("Pango could not be installed; tests of PDFs will be skipped.", file=sys.stderr)  # noqa: T201
    return 0


def _apt(packages: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Debian's way to packages, for root; a command that fails where it is not there."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return (("false",),)
    return (
        ("apt-get", "update", "-qq"),
        ("apt-get", "install", "-qq", "--no-install-recommends", *packages),
    )


def _installers() -> Iterator[tuple[tuple[str, ...], ...]]:
    """The ways to a Chromium here: Debian's package for root, then the one Playwright brings."""
    yield _apt(_PACKAGES)
    yield ((sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"),)


def _done(commands: tuple[tuple[str, ...], ...]) -> bool:
    return all(_run(command) == 0 for command in commands)


def _run(command: tuple[str, ...]) -> int:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=False)  # noqa: S603  our own arguments
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
