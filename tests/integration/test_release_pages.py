"""The pages on which forms are taken in, published, settled and taken back."""

import io
import re
from dataclasses import replace

from tests.integration.test_release_promotion import packed

V1 = """\
record_type: visit
title_field: subject
fields:
  - {name: subject, type: text}
  - {name: age, type: text}
"""
V2 = V1.replace("age, type: text", "age, type: integer")
ASIDE = V2 + "changes: [{retype: {field: age, to: integer, on_failure: quarantine}}]\n"


def uploaded(browser, data):
    return browser.post(
        "/releases/promote", data={"file": (io.BytesIO(data), "file"), **token(browser)}
    )


def token(browser):
    page = browser.get("/releases/promote").text
    return {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page)[1]}


def seal_in(page):
    return re.search(r'name="seal" value="([^"]*)"', page)[1]


def test_uploaded_file_is_planned_published_and_taken_back(site):
    site.publish(V1)
    admin = site.client("admin")
    for age in ("30", "x1"):
        made = admin.post("/api/v1/records/visit", json={"subject": "A<b>", "age": age})
        assert made.status_code == 201
    browser = site.browser("configurator")
    answer = uploaded(browser, V2.encode())
    page = browser.get(answer.location).text
    assert "1 succeed" in page
    assert "1 fail" in page
    assert "A&lt;b&gt;" in page
    assert "Publish</button>" not in page
    answer = uploaded(browser, ASIDE.encode())
    page = browser.get(answer.location).text
    body = {"note": "why", "seal": seal_in(page), **token(browser)}
    stale = browser.post(answer.location, data=body | {"seal": "1-0"})
    assert stale.status_code == 409
    assert "look at the plan again" in stale.text
    assert browser.post(answer.location, data=body).location == "/releases/"
    assert "1 values set aside" in browser.get("/releases/").text
    assert "x1" in browser.get("/releases/3/quarantine").text
    page = browser.get("/releases/2/rollback").text
    body = {"note": "", "seal": seal_in(page), **token(browser)}
    assert browser.post("/releases/2/rollback", data=body).location == "/releases/"
    items = admin.get("/api/v1/records/visit?sort=age").json["items"]
    assert [one["age"] for one in items] == ["30", "x1"]
    export = browser.get("/releases/4/export")
    assert export.data.startswith(b"PK")
    again = browser.get(uploaded(browser, export.data).location).text
    assert "Nothing changes." in again


def test_uploads_that_are_no_forms_are_refused_with_a_page(site):
    browser = site.browser("configurator")
    for data in (b"", b"\xff\xfe\x00", b"PK\x03\x04", packed(a="x")):
        answer = uploaded(browser, data)
        assert 400 <= answer.status_code < 500
        assert "problems" in answer.text
    page = browser.get(uploaded(browser, b"record_type: [").location).text
    assert "This cannot be published as it is." in page


def test_pages_are_for_those_who_build_forms(site):
    clerk = site.browser("clerk")
    for url in ("promote", "upgrade", "1/rollback", "1/export", "1/quarantine", "drafts/x"):
        assert clerk.get(f"/releases/{url}").status_code == 403
    builder = site.browser("configurator")
    for url in ("99/rollback", "99/export", "99/quarantine", "drafts/x", "99999999999/rollback"):
        assert builder.get(f"/releases/{url}").status_code == 404
    assert "Nothing changes." in builder.get("/releases/upgrade").text


def test_upgrade_page_asks_what_to_keep(site, monkeypatch, tmp_path):
    site.publish("customize: brand\nfields: [{name: name, max_length: 33}]\n")
    folder = tmp_path / "schemas"
    folder.mkdir()
    for path in site.settings.schemas.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.name == "brand.yaml":
            text = text.replace("max_length: 100", "max_length: 44")
        (folder / path.name).write_text(text, encoding="utf-8")
    settings = replace(site.services.settings, schemas=folder)
    monkeypatch.setattr(site.services, "settings", settings)
    browser = site.browser("configurator")
    page = browser.get("/releases/upgrade").text
    assert "brand.fields.name.max_length" in page
    body = {"seal": seal_in(page), **token(browser)}
    assert browser.post("/releases/upgrade", data=body).status_code == 422
    key = "brand.fields.name.max_length"
    body |= {f"settle:{key}": "value", f"value:{key}": "40"}
    answer = browser.post("/releases/upgrade", data=body)
    assert answer.location == "/releases/", re.findall(r"<li>([^<]+)", answer.text)
    found = site.services.registries.current().release.types["brand"].field("name")
    assert found.max_length == 40
