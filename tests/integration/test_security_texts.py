"""Texts that operators write and everybody is shown: never a template, never markup (1–3, 6, 36)."""

import re

import pytest

from core.jobs.worker import Worker
from tests.integration.hostile_world import page_token, structure

#: Most would show `PRODUCT` if anything made code of them, the others a class or a setting.
PRODUCT = "7006652"

TEMPLATES = (
    "{{1234*5678}}", "${1234*5678}", "#{1234*5678}", "<%= 1234*5678 %>", "{%set a=1234*5678%}{{a}}", "{{config.items()}}",
    "{{''.__class__.__mro__[1].__subclasses__()}}", "%(secret)s", "{0.__class__.__init__.__globals__}",
    "{{request|attr('application')}}", "{{cycler.__init__.__globals__.os.popen('id').read()}}",
    "{{self._TemplateReference__context}}", "*{1234*5678}", "@(1234*5678)", "[[${1234*5678}]]", "{{constructor}}",
)  # fmt: skip
MARKUP = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)", "javascript:alert(1)", "</title><script>alert(1)</script>",
    "<style>@import'//x'</style>", "--><iframe src=//x>", "<a href=javascript:alert(1)>x</a>",
    "</textarea><script>alert(1)</script>", "&lt;script&gt;", "<math><mi//xlink:href='data:x'>",
)  # fmt: skip
BAD = {"iframe", "math", "mi", "marquee", "svg/onload"}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def schema(text):
    """Return a form with `text` in every place that takes words."""
    word = f"{{en: {quoted(text)}, zh: {quoted(text)}}}"
    return f"""
record_type: shown
label: {word}
label_plural: {word}
title_field: code
fields:
  - {{name: code, type: text, label: {word}, help: {word}, placeholder: {word}, required: true, searchable: true}}
  - {{name: kind, type: select, label: {word}, options: [{{value: a, label: {word}}}, {{value: b}}]}}
  - {{name: amount, type: decimal, label: {word}, unit: {word}}}
  - name: rows
    type: table
    label: {word}
    fields:
      - {{name: cell, type: text, label: {word}}}
layout:
  - tab: {word}
    sections:
      - {{title: {word}, columns: 1, fields: [code, kind, amount, rows]}}
checks:
  - {{check: "code != 'refused'", message: {word}, fields: [code]}}
  - {{check: "code != 'warned'", severity: warn, message: {word}, fields: [code]}}
views:
  - {{name: all, label: {word}, columns: [code, kind], group_by: kind}}
  - {{name: board, type: kanban, label: {word}, columns: [code], group_by: kind}}
"""


def site_problems(site, text):
    """Publish a form of these words if it is one; return whether it is in force."""
    client = site.client("admin")
    draft = client.post("/api/v1/schema/drafts", json={"yaml": text})
    assert draft.status_code == 201, draft.json
    done = client.post(f"/api/v1/schema/drafts/{draft.json['id']}/publish", json={})
    assert done.status_code in {200, 422}, done.json
    return done.status_code == 200, done.json


@pytest.fixture(params=["templates", "markup"])
def words(request):
    return TEMPLATES if request.param == "templates" else MARKUP


def test_words_of_a_form_are_shown_as_they_are_everywhere(site, words):
    if site.backend != "sqlite":
        return  # nothing of it is asked of the database
    text = " ".join(words)[:180]
    is_published, told = site_problems(site, schema(text))
    assert is_published, told
    client, browser = site.client("admin"), site.browser("admin")
    values = {"code": text[:100], "kind": "a", "amount": "1.5", "rows": [{"cell": text[:100]}]}
    made = client.post("/api/v1/records/shown", json=values).json
    link = client.post(
        "/api/v1/links", json={"type": "shown", "fields": ["code", "kind"], "label": text[:60]}
    )
    view = {"label": {"en": text[:40], "zh": text[:40]}, "definition": {"columns": ["code"]}}
    client.post("/api/v1/views/shown", json=view)
    client.post(f"/api/v1/records/shown/{made['id']}/comments", json={"text": text})
    token = page_token(browser)
    pages = [
        "/", "/records/shown/", "/records/shown/?view=all", "/records/shown/?view=board", "/records/shown/new",
        f"/records/shown/{made['id']}", f"/records/shown/{made['id']}/history", "/import/shown",
        f"/records/shown/{made['id']}/print/form", f"/records/shown/{made['id']}/links", "/releases/",
        "/rights/", f"/records/shown/{made['id']}/timeline", "/automations/", "/dashboards/", "/notices/",
        link.json["url"][link.json["url"].index("/fill/"):],
    ]  # fmt: skip
    answers = {page: browser.get(page) for page in pages}
    for code in ("refused", "warned"):
        form = {"csrf_token": token, "code": code}
        answers[code] = browser.post("/records/shown/new", data=form, follow_redirects=True)
    is_seen = 0
    for page, answer in answers.items():
        assert answer.status_code in {200, 422}, (page, answer.status_code)
        body = answer.get_data(as_text=True)
        assert PRODUCT not in body, page
        assert not re.search("<class |&lt;class |SECRET_KEY|uid=", body), page
        elements = structure(body)
        assert not BAD & {tag for tag, _names in elements}, page
        names = {name for _tag, attributes in elements for name in attributes}
        assert not any(name.startswith("on") for name in names), page
        scripts = [attributes for tag, attributes in elements if tag in {"script", "style"}]
        assert all({"src", "nonce", "type"} & set(attributes) for attributes in scripts), page
        assert 'href="javascript:' not in body, page
        is_seen += words[0].replace("<", "&lt;").replace(">", "&gt;") in body
    assert is_seen > 8


AUTOMATION = """
automation: told
type: member
trigger: {{on: created}}
run_as: {{system: true}}
actions:
  - {{do: notify, to: {{role: Admin}}, title: {{en: "{title}", zh: "{title}"}}}}
"""


def test_holes_of_a_message_are_filled_once_and_hold_expressions_alone(site):
    """What fills a hole is never read again; what is no expression is refused by its place."""
    for hole in ("{name.__class__}", "{__import__('os')}", "{name.upper()}", "{0}", "{name!r}",
                 "{name:>9999999999}", "{config}", "{constructor}", "{__ｃlass__}", "{ctx.db}"):  # fmt: skip
        is_published, told = site_problems(site, AUTOMATION.format(title=hole))
        if is_published:  # a number is an expression too, and says itself
            assert hole == "{0}"
        else:
            assert told["problems"][0]["code"].startswith(
                ("expression.", "schema.", "automation.")
            ), told
    assert site_problems(site, AUTOMATION.format(title="Hello {name}"))[0]
    client = site.client("admin")
    name = "{no} {{1234*5678}} {name.__class__}"
    assert (
        client.post("/api/v1/records/member", json={"no": "N1", "name": name}).status_code == 201
    )
    worker = Worker(site.services.db, lambda: site.context("system"), elected=False)
    while worker.turn():
        pass
    items = client.get("/api/v1/notices").json["items"]
    assert any(f"Hello {name}" in str(one) for one in items), items
