"""Prints: templates that execute nothing, under the reader's rights, as page and as PDF."""

import re
from typing import Any

import pytest

from core.errors import SchemaError
from core.files.pictures import read_picture
from core.printing import pdf
from core.testing.databases import skip_or_fail
from tests.integration.files_world import CLAIM, make_claim, picture, png, upload_id

PRINTS = """
print: receipt
type: claim
label: {zh: 受理单, en: Receipt}
page: {size: A5, orientation: landscape}
when: "subject != 'hidden'"
blocks:
  - heading: {zh: "受理单 {subject}", en: "Receipt {subject} {{x}}"}
  - {fields: [subject, contract, secret_paper, photo_count], columns: 2}
  - text: {en: "Items: {count(items)}, photo: {photo is not empty}, secret: {secret_paper is empty}"}
    align: right
  - {table: items, cells: [{field: what}, {field: proof}, {value: "upper(what)", label: {en: Loud}}]}
  - {image: photo, when: "photo is not empty"}
  - {image: secret_photo}
  - {space: line}
  - {text: {en: never}, when: "subject == 'nobody'"}
"""
EXTRA = """
customize: claim
fields:
  - {name: secret_photo, type: image}
  - {name: member, type: link, target: member}
"""
LINKED = """
print: linked
type: claim
blocks:
  - text: {en: "<{member.name}> <{member.email}> <{concat('a', member.email)}> <{member.store.name}>"}
"""


@pytest.fixture
def site_schema() -> tuple[str, ...]:
    """Have the claim form published, with two prints."""
    return (CLAIM, EXTRA, PRINTS, LINKED)


def page_of(client: Any, claim: Any, name: str = "receipt", status: int = 200) -> str:
    """Return a print as HTML over REST."""
    response = client.get(f"/api/v1/records/claim/{claim['id']}/print/{name}")
    assert response.status_code == status, response.get_data(as_text=True)[:500]
    return response.get_data(as_text=True)


def text_of(html: str) -> str:
    """Return what a page's body says."""
    body = html.partition("<main>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def with_pango() -> None:
    """Skip loudly, or fail with CI=true, where the system cannot make PDFs."""
    if pdf.printing_state() != "ok":
        skip_or_fail("no Pango or Chinese font: run `python -m core.testing.browser`")


def test_a_print_shows_what_its_blocks_say(client_as):
    admin = client_as("admin")
    photo = upload_id(admin, png())
    claim = make_claim(
        admin, subject="王<b>", photo=photo, items=[{"what": "tv", "proof": photo}, {"what": "pc"}]
    )
    html = page_of(admin, claim)
    assert "Receipt 王&lt;b&gt; {x}" in html
    assert "Items: 2, photo: Yes, secret: Yes" in text_of(html)
    assert "TV" in html
    assert html.count(f'src="/files/{photo}"') == 2
    assert "never" not in html
    assert "size: A5 landscape" in html
    assert "<script>" not in html


def test_a_print_hides_what_its_reader_may_not_see(client_as):
    admin, clerk = client_as("admin"), client_as("clerk")
    claim = make_claim(clerk, items=[{"what": "tv"}])
    told = text_of(page_of(clerk, claim))
    # secret_paper and photo_count stand as facts, in the text, and as a picture.
    assert told.count("No access") == 4
    assert "No access" not in text_of(page_of(admin, claim))
    assert "No access" in text_of(page_of(client_as("cashier"), claim))
    others = make_claim(admin)
    page_of(clerk, others, status=404)
    page_of(client_as(None), claim, status=401)


def test_links_are_read_with_the_readers_rights(client_as, publish):
    publish(
        "policy_set: more\npolicies:\n"
        "  - {name: seen, who: {role: cashier}, types: [claim], actions: [view, print]}\n"
    )
    admin = client_as("admin")
    body = {"no": "M1", "name": "Lin", "email": "lin@example.com"}
    member = admin.post("/api/v1/records/member", json=body).get_json()["id"]
    claim = make_claim(admin, member=member)
    told = text_of(page_of(admin, claim, "linked"))
    assert "Lin" in told
    assert "lin@example.com" in told
    assert "alin@example.com" in told
    # The cashier sees every claim, and of a member the name, not the address.
    told = text_of(page_of(client_as("cashier"), claim, "linked"))
    assert "Lin" in told
    assert "lin@example.com" not in told
    assert told.count("No access") == 2


def test_a_print_is_offered_where_its_condition_holds(client_as):
    admin = client_as("admin")
    claim = make_claim(admin, subject="hidden")
    for name, status in (("receipt", 404), ("nothing", 404), ("form", 200), ("../form", 404)):
        page_of(admin, claim, name, status=status)
    page_of(admin, {"id": "x"}, "form", status=404)


def test_every_type_has_a_print_of_its_layout(client_as, browser_as):
    admin = client_as("admin")
    member = admin.post("/api/v1/records/member", json={"no": "M1", "name": "王小明"}).get_json()
    place = f"/records/member/{member['id']}"
    page = browser_as("admin").get(place).get_data(as_text=True)
    assert f'href="{place}/print/form"' in page
    shown = browser_as("admin").get(f"{place}/print/form")
    assert shown.status_code == 200
    assert "王小明" in shown.get_data(as_text=True)
    assert "script-src 'self'" in shown.headers["Content-Security-Policy"]


HOSTILE = [
    "{{7*7}} {{ config }} {{''.__class__}}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "<link rel=stylesheet href=http://169.254.169.254/><style>@import 'file:///etc/passwd'</style>",
    "{subject}", "${7*7} #{7*7} <%= 7*7 %> {% raw %}",
]  # fmt: skip


def test_text_of_records_is_never_executed(client_as):
    admin = client_as("admin")
    for text in HOSTILE:
        html = page_of(admin, make_claim(admin, subject=text))
        assert "49" not in text_of(html)
        assert "<script>alert" not in html
        assert "<img src=x" not in html


REFUSED = {
    "{subject.__class__}": "unknown",
    "{self}": "unknown",
    "{subject": "bad_text",
    "{open('x')}": "unknown",
    "{subject|attr('x')}": "",
    "{}": "",
}


@pytest.mark.parametrize("text", REFUSED)
def test_templates_that_reach_further_are_refused_when_published(publish, text):
    source = f'print: bad\ntype: claim\nblocks: [{{text: {{en: "{text}"}}}}]'
    with pytest.raises(SchemaError) as caught:
        publish(source)
    assert all(one.line == 3 for one in caught.value.problems)


def test_mistakes_of_prints_are_named_at_once(publish):
    source = """print: Bad Name
type: claim
when: "nothing == 1"
blocks:
  - {fields: [subjekt]}
  - {table: papers}
  - {table: items, cells: [{field: wat}, {field: what, value: "what"}]}
  - {image: subject}
  - {image: photo, text: {en: x}}
  - {cells: []}
"""
    with pytest.raises(SchemaError) as caught:
        publish(source)
    found = [(one.line, one.code.rpartition(".")[2]) for one in caught.value.problems]
    assert found == [
        (1, "bad_name"), (3, "unknown_field"), (5, "unknown"), (6, "unknown"), (7, "unknown"),
        (7, "not_one_of"), (8, "no_picture"), (9, "not_one_of"), (10, "not_one_of"),
    ]  # fmt: skip


def test_a_pdf_has_the_text_and_only_its_own_pictures(client_as):
    with_pango()
    admin = client_as("admin")
    photo = upload_id(admin, png(80, 60))
    claim = make_claim(admin, subject="关系", photo=photo)
    response = admin.get(f"/api/v1/records/claim/{claim['id']}/print/receipt.pdf")
    assert (response.status_code, response.mimetype) == (200, "application/pdf")
    assert response.get_data()[:5] == b"%PDF-"
    assert b"/Image" in response.get_data()
    assert response.headers["Content-Disposition"].startswith("inline")


def test_pdfs_load_nothing_from_outside(tmp_path, caplog):
    with_pango()
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(33, 33))
    html = (
        f"<p>x</p><img src='file://{secret}'><img src='http://127.0.0.1:1/x.png'>"
        "<link rel=stylesheet href='file:///etc/passwd'><img src='/files/other'>"
        "<style>@import url('http://127.0.0.1:1/a.css');</style>"
        "<a rel=attachment href='file:///etc/passwd'>x</a>"
        "<object data='file:///etc/passwd'></object>"
    )
    made = pdf.make_pdf(html, "", {})
    assert made.startswith(b"%PDF-")
    assert b"/Image" not in made
    assert b"/EmbeddedFile" not in made


def test_a_machine_without_pango_prints_pages_and_says_so(client_as, browser_as, monkeypatch):
    admin = client_as("admin")
    claim = make_claim(admin, subject="关系")
    place = f"records/claim/{claim['id']}/print/form"
    for state, code in (("no pango", "print.no_pdf"), ("no chinese font", "print.no_font")):
        monkeypatch.setattr("core.printing.pdf.printing_state", lambda state=state: state)
        monkeypatch.setattr("core.rest.system.printing_state", lambda state=state: state)
        refused = admin.get(f"/api/v1/{place}.pdf")
        assert (refused.status_code, refused.get_json()["code"]) == (503, code)
        assert "apt-get" in refused.get_json()["hint"]
        assert browser_as("admin").get(f"/{place}.pdf").status_code == 503
        assert admin.get(f"/api/v1/{place}").status_code == 200
        assert admin.get("/readyz").get_json()["print"] == state


def test_a_print_too_long_for_a_pdf_is_refused(monkeypatch):
    monkeypatch.setattr("core.printing.pdf.printing_state", lambda: "ok")
    monkeypatch.setattr("core.printing.pdf.MOST_CHARACTERS", 10)
    with pytest.raises(pdf.PrintTooLarge):
        pdf.make_pdf("x" * 11, "", {})


def test_a_picture_that_breaks_off_stays_none_after_a_pdf_was_made(tmp_path):
    with_pango()
    assert pdf.make_pdf("<p>x</p>", "", {}).startswith(b"%PDF-")
    cut = tmp_path / "cut.png"
    whole = picture("PNG", 64, 64)
    cut.write_bytes(whole[: len(whole) // 2])
    assert read_picture(cut) is None
