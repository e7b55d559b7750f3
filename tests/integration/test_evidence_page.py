"""The page that proves every approval: who reaches it, what it finds, the roots it hands out."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.workflow.evidence.rootfiles import file_problems
from core.workflow.evidence.roots import make_roots
from tests.integration.flow_world import unguarded
from tests.integration.test_evidence_pack import FLOW, FORM

#: What a part says where nothing is wrong.
WHOLE: dict[str, Any] = {"erased": 0, "problems": [], "broken": 0}


@pytest.fixture
def pledge(site: Any) -> str:
    """Return the id of an approval that waits."""
    site.put_back(FORM, FLOW)
    clerk = site.client("clerk")
    record_id = clerk.post("/api/v1/records/pledge", json={"name": "Spring"}).json["id"]
    sent = clerk.post(f"/api/v1/records/pledge/{record_id}/submit", json={})
    return str(sent.json["instance"])


def test_auditors_prove_every_approval_on_a_page(site: Any, pledge: str) -> None:
    browser = site.browser("auditor")
    page = browser.get("/evidence/").text
    assert 'data-total="1"' in page
    assert 'href="/evidence/"' in browser.get("/").text
    assert make_roots(site.context("system"))
    parts = [{"next": "/evidence/proof"}]
    while parts[-1]["next"]:
        parts.append(browser.get(parts[-1]["next"]).json)
    assert parts[1:] == [
        {"approvals": 1, "events": 2, "next": "/evidence/proof?root=1", **WHOLE},
        {"approvals": 0, "events": 0, "next": "/evidence/proof?root=2", **WHOLE},
        {"approvals": 0, "events": 0, "next": "", **WHOLE},
    ]
    with site.services.db.write() as connection, unguarded(connection):
        connection.execute(sa.text("UPDATE gx_flow_event SET verb = 'approve' WHERE seq = 1"))
    answer = site.browser("admin").get("/evidence/proof", headers={"Accept-Language": "zh"}).json
    assert answer["problems"] == [{"approval": pledge, "message": "第 1 个事件被改动"}]


@pytest.mark.parametrize("path", ["/evidence/", "/evidence/proof", "/evidence/roots/1"])
def test_others_have_no_part_in_it(site: Any, pledge: str, path: str) -> None:
    for name in ("clerk", "approver", "cashier", "configurator"):
        assert site.browser(name).get(path).status_code == 403
    assert 'href="/evidence/"' not in site.browser("approver").get("/").text


def test_root_is_downloaded_as_the_worker_writes_it(site: Any, pledge: str, tmp_path: Any) -> None:
    (one,) = make_roots(site.context("system"))
    browser = site.browser("admin")
    assert one.hash[:16] in browser.get("/evidence/").text
    answer = browser.get("/evidence/roots/1")
    assert one.file_name in answer.headers["Content-Disposition"]
    path = tmp_path / one.file_name
    path.write_bytes(answer.data)
    with site.services.db.read() as connection:
        assert list(file_problems(connection, path)) == []
    assert pledge in answer.text
    assert browser.get("/evidence/roots/9").status_code == 404


def test_page_warns_when_the_database_lets_events_be_changed(site: Any, pledge: str) -> None:
    with site.services.db.write() as connection:
        on = "" if connection.dialect.name == "sqlite" else " ON gx_vote"
        connection.execute(sa.text(f"DROP TRIGGER gx_vote_kept{on}"))
    assert "no longer refuses changes to gx_vote" in site.browser("admin").get("/evidence/").text
    assert pledge
