"""An auditor proves every approval in a browser, and is told of what was changed."""

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from core.workflow.evidence.roots import make_roots
from tests.e2e.test_screens import make_card_type
from tests.integration.flow_world import unguarded

# What the page says of either database is asked without a browser.
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")


def test_auditor_proves_every_approval_and_sees_the_break(person, site):
    for code in ("P1", "P2"):
        make_card_type(site, code, f"Card {code}")
    make_roots(site.context("system"))
    page = person("auditor").page
    page.goto("/evidence/")
    page.get_by_role("button", name="立即核验").click()
    expect(page.locator("[data-verdict]")).to_contain_text("全部核验通过")
    expect(page.locator("[data-told]")).to_contain_text("已核验 2 / 2 个审批")
    assert page.get_by_role("link", name="下载").count() == 1
    with site.services.db.write() as connection, unguarded(connection):
        connection.execute(sa.text("UPDATE gx_task SET title = 'x' WHERE title = 'Card P2'"))
    page.get_by_role("button", name="立即核验").click()
    expect(page.locator("[data-verdict]")).to_contain_text("发现 1 处问题")
    expect(page.locator("[data-breaks] li")).to_contain_text("title")
