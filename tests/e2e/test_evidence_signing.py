"""Somebody signs by hand and with the password, on a phone."""

import pytest
from playwright.sync_api import expect

from core.testing.site import PASSWORD
from tests.integration.test_evidence_signed_tasks import FORM

# What is signed is kept alike on either database: REST and the page are asked that of both.
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

FLOW = """
flow: contract_release
version: 1
document: contract
steps:
  - {id: seal, type: approve, approvers: {role: approver}, decide: any, sign: handwritten}
"""


@pytest.mark.parametrize(("locale", "words"), [("zh", "我同意“Lease”按所示内容发布。")])
def test_signature_is_drawn_on_a_phone(person, site, locale, words):
    site.publish(FORM, FLOW)
    clerk = site.client("clerk")
    record = clerk.post("/api/v1/records/contract", json={"name": "Lease"}).json["id"]
    sent = clerk.post(f"/api/v1/records/contract/{record}/submit", json={}).json
    page = person("approver", locale=locale, width=390, height=844).page
    page.goto(f"/tasks/{sent['task']}")
    expect(page.locator("[data-meaning]")).to_have_text(words)
    # What the past says comes later, above the pad, and moves it.
    page.locator("[data-insight]:not([hidden])").wait_for(state="attached")
    pad = page.locator("[data-pad]")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 60, steps=5)
    page.mouse.up()
    assert page.locator("[data-pad-image]").input_value().startswith("data:image/png;base64,")
    assert page.locator("[data-pad-pointer]").input_value() == "mouse"
    page.fill("#signing-password", PASSWORD)
    page.locator("form[data-decide] button[value=approve]").click()
    expect(page.locator("form[data-decide]")).to_have_count(0)
    done = site.client("admin").get(f"/api/v1/instances/{sent['instance']}").json
    assert done["state"] == "approved"
    (said,) = (one for one in done["events"] if one["verb"] == "approve")
    assert said["detail"]["signature"]["pointer"] == "mouse"
