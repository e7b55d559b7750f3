"""A hidden and a masked field behind every side door: no answer tells what they hold (13–16)."""

import io
import itertools
import re
import zipfile
from urllib.parse import quote

import pytest

from tests.integration.hostile_world import page_token

KEEPER = """
record_type: keeper
title_field: alias
fields:
  - {name: code, type: text, required: true, unique: true}
  - {name: alias, type: text, searchable: true}
policies:
  - {name: codes, who: {role: cashier}, actions: [view], fields: {view: [code]}}
"""

PATIENT = """
record_type: patient
title_field: code
fields:
  - {name: code, type: text, required: true, unique: true}
  - {name: name, type: text, searchable: true}
  - {name: quiet, type: text, searchable: true, unique: true}
  - {name: rank, type: integer}
  - {name: stage, type: select, options: [{value: canary_stage}, {value: other}]}
  - {name: born, type: date}
  - {name: tel, type: phone, sensitive: pii, searchable: true}
  - {name: paid, type: money, sensitive: pii}
  - {name: parent, type: link, target: patient}
  - {name: keeper, type: link, target: keeper}
  - {name: told, type: formula, formula: "CONCAT(quiet, '!')"}
  - {name: dialled, type: formula, formula: "CONCAT('+86', tel)"}
  - {name: open_note, type: text, visible_when: "rank > 5 and quiet is not empty", required_when: "rank > 5"}
  - {name: children, type: backlink, of: patient.parent}
  - {name: highest, type: rollup, of: children, take: rank, how: max}
  - name: lines
    type: table
    fields:
      - {name: cell, type: text}
checks:
  - {check: "rank is empty or rank > 0", message: {zh: 排名, en: Rank}, fields: [rank]}
views:
  - {name: all, columns: [code, quiet, rank, tel, told], sort: [-rank], color_when: [{when: "rank > 5", color: red}]}
  - {name: some, columns: [code, name], filter: "quiet is not empty", sort: [quiet]}
  - {name: grouped, columns: [code], group_by: stage, totals: {rank: sum, paid: sum}}
  - {name: board, type: kanban, columns: [code, quiet], group_by: stage}
  - {name: days, type: calendar, columns: [code, quiet], date_field: born}
policies:
  - name: desk
    who: {role: cashier}
    actions: [view, create, edit, delete, export, import, print, share, history, submit]
    fields: {view: [code, name, tel, paid, dialled, parent, keeper, children, open_note], edit: [code, name, parent, open_note]}
"""

BOARD = """
dashboard: desk
cards:
  - {name: ranks, chart: number, type: patient, how: sum, take: rank}
  - {name: stages, chart: bar, type: patient, group_by: stage}
  - {name: quiet, chart: table, type: patient, group_by: quiet}
  - {name: paid, chart: number, type: patient, how: max, take: paid}
  - {name: born, chart: bar, type: patient, group_by: born.year}
  - {name: some, chart: number, type: patient, filter: "LEN(quiet) > 1"}
  - {name: keepers, chart: table, type: patient, group_by: keeper}
"""

API = "/api/v1/records/patient"
HELD = {
    "code": "P1", "name": "Seen", "quiet": "CANARYQ", "rank": 987654321, "stage": "canary_stage",
    "born": "1931-07-09", "tel": "13899997777", "paid": "98765.43", "open_note": "x",
    "lines": [{"cell": "CANARYL"}],
}  # fmt: skip
CANARIES = ("CANARY", "987654321", "987,654,321", "1931-07-09", "13899997777", "1389999", "98765.43",
            "98,765.43")  # fmt: skip
#: An option's name is in the form's schema for whoever may see the form; its use is not.
HIDDEN = ("quiet", "rank", "stage", "born", "told", "highest", "lines")
MASKED = ("tel", "paid", "dialled")


@pytest.fixture
def site_schema():
    return (KEEPER, PATIENT, BOARD)


@pytest.fixture
def held(site):
    """Return the ids of a record with something in each field, and of its keeper."""
    admin = site.client("admin")
    keeper = admin.post("/api/v1/records/keeper", json={"code": "K1", "alias": "CANARYK"}).json
    made = admin.post(API, json={**HELD, "keeper": keeper["id"]})
    assert made.status_code == 201, made.json
    record = made.json["id"]
    child = {"code": "P2", "name": "Child", "parent": record, "rank": 987654321, "open_note": "x"}
    other = admin.post(API, json=child).json["id"]
    changed = admin.patch(
        f"{API}/{record}", json={"quiet": "CANARYQ2", "tel": "13899997778"},
        headers={"If-Match": '"1"'},
    )  # fmt: skip
    assert changed.status_code == 200, changed.json
    text = {"text": "what is it?"}
    assert admin.post(f"{API}/{record}/comments", json=text).status_code == 201
    return record, keeper["id"], other


def told(answer):
    """Return all that an answer says, workbooks unpacked."""
    data = answer.get_data()
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = b"\n".join(archive.read(name) for name in archive.namelist())
    return data.decode("utf-8", "replace")


def canaries(text):
    return [word for word in CANARIES if word in text]


def addresses(site, held):
    """Yield every address that is read, with the names and ids that are there."""
    record, _keeper, _other = held
    parts = {
        "type_name": ("patient", "keeper"), "record_id": (record,), "id": (record,),
        "name": ("quiet", "tel", "form", "desk", "children", "open_note", "patient", "all"),
        "card": ("ranks", "stages", "quiet", "paid", "born", "some", "keepers"),
        "version": ("1",), "int:version": ("1",), "number": ("1",), "int:number": ("1",),
    }  # fmt: skip
    for rule in site.app.url_map.iter_rules():
        names = re.findall(r"<([^>]+)>", rule.rule)
        is_read = rule.endpoint.startswith(("rest.", "gx.")) and "GET" in rule.methods
        if not is_read or "sign" in rule.rule or not all(name in parts for name in names):
            continue
        for chosen in itertools.product(*(parts[name] for name in names)):
            address = rule.rule
            for name, value in zip(names, chosen, strict=True):
                address = address.replace(f"<{name}>", value)
            yield address


def queries():
    """Yield each question about each field that is not to be answered."""
    for name in (*HIDDEN, *MASKED, "keeper.alias"):
        yield f"{API}?sort={name}"
        yield f"{API}?sort=-{name}"
        yield f"{API}?filter={quote(f'{name} is not empty')}"
        yield f"{API}?filter={quote(f'parent.{name} is not empty')}"
        yield f"{API}/groups?by={name}"
        yield f"{API}/groups?group_by={name}"
        yield f"{API}?expand={name}"
    for text in ("STARTSWITH(quiet, 'C')", "any(lines, cell is not empty)", "any(children, rank > 1)",
                 "sum(children, rank) > 1", "LEN(tel) == 11", "parent.parent.rank > 1"):  # fmt: skip
        yield f"{API}?filter={quote(text)}"


def test_nothing_that_can_be_read_tells_what_is_hidden_or_masked(site, held):
    if site.backend != "sqlite":
        return  # what is shown is decided above the database
    client, browser = site.client("cashier"), site.browser("cashier")
    found, opened = {}, 0
    for address in addresses(site, held):
        reader = client if address.startswith("/api/") else browser
        with reader.get(address) as answer:
            opened += answer.status_code == 200
            assert answer.status_code < 500, address
            if words := canaries(told(answer)):
                found[address] = words
    assert opened > 40
    assert found == {}


def test_lists_boards_and_files_tell_nothing_whatever_view_or_format(site, held):
    browser, found = site.browser("cashier"), {}
    record, _keeper, other = held
    pages = [
        *(f"/records/patient/?view={name}" for name in ("all", "some", "grouped", "board", "days")),
        *(f"/records/patient/?view=days&month=1931-07&search={text}" for text in ("P1", "Seen")),
        *(f"/records/patient/export?format={form}&whole={whole}&view=all"
          for form in ("csv", "xlsx") for whole in ("", "1")),
        *(f"/records/patient/?sort={name}&group_by={name}" for name in (*HIDDEN, *MASKED)),
        f"/records/patient/merge?ids={record}&ids={other}",
        "/records/keeper/lookup?search=", "/records/patient/lookup?search=P",
        f"/records/patient/choices?field=stage&record={record}",
        "/expressions/scope?name=patient", f"/rights/why?type=patient&record={record}",
        "/dashboards/chart?type=patient&group_by=stage&how=max&take=rank&chart=bar",
    ]  # fmt: skip
    for address in pages:
        with browser.get(address) as answer:
            assert answer.status_code < 500, address
            if words := canaries(told(answer)):
                found[address] = words
    assert found == {}


def test_questions_about_what_is_hidden_or_masked_are_refused_and_searches_find_nothing(
    site, held
):
    client, answered = site.client("cashier"), {}
    for address in queries():
        answer = client.get(address)
        assert answer.status_code < 500, address
        assert not canaries(told(answer)), address
        if answer.status_code == 200:
            answered[address] = answer.json
    assert list(answered) == []
    named = client.get(f"{API}?fields={','.join(HIDDEN)}").json["items"]
    assert [set(HIDDEN) - set(one["no_access"]) for one in named] == [set(), set()]
    for text in ("CANARYQ", "CANARYQ2", "13899997777", "CANARYK", "9999777"):
        assert client.get(f"{API}?search={text}&count=exact").json["count"] == 0, text
    for address in ("/records/keeper/lookup?search={}", "/records/patient/lookup?search={}"):
        pair = [
            site.browser("cashier").get(address.format(text)) for text in ("CANARYK", "NOSUCH")
        ]
        assert pair[0].status_code == pair[1].status_code
        assert all(one.status_code == 403 or one.json["items"] == [] for one in pair), address


def test_a_view_that_sorts_and_colours_by_what_is_hidden_is_shown_without_it(site, held):
    shown = {
        role: told(site.browser(role).get("/records/patient/?view=all"))
        for role in ("admin", "cashier")
    }
    toned = {role: re.findall(r"<tr[^>]* data-tone=", text) for role, text in shown.items()}
    assert (len(toned["admin"]), len(toned["cashier"])) == (2, 0)
    assert all(f"/records/patient/{one}" in shown["cashier"] for one in (held[0], held[2]))
    assert canaries(shown["cashier"]) == []


def test_viewing_as_somebody_shows_what_they_see_and_nothing_else(site, held):
    if site.backend != "sqlite":
        return
    browser = site.browser("admin")
    page = browser.get(f"/records/patient/{held[0]}")
    assert "13899997778" in told(page)
    form = {"csrf_token": page_token(browser), "user": "cashier"}
    assert browser.post("/rights/view-as", data=form).status_code == 303
    for address in ("", "?view=all", held[0], f"{held[0]}/history", "export?whole=1"):
        page = browser.get(f"/records/patient/{address}")
        assert page.status_code in {200, 403}, address
        assert canaries(told(page)) == [], address
    assert canaries(told(browser.get(f"{API}?limit=10"))) == []
    refused = browser.post(
        f"/records/patient/{held[0]}", data={**form, "version": "2", "name": "x"}
    )
    assert refused.status_code == 403


def test_nothing_that_is_written_is_answered_with_what_is_hidden_or_masked(site, held):
    client, browser = site.client("cashier"), site.browser("cashier")
    record, _keeper, other = held
    token = page_token(browser)
    tag = {"If-Match": '"2"'}
    item = {"id": record, "version": 2}
    file = b"code,name,quiet,tel\nP1,Seen,CANARYX,1\nP7,New,,\n"
    answers = [
        client.post(API, json={"code": "P1", "name": "taken"}),
        client.post(API, json={"code": "P9", "quiet": "CANARY" "Q2"}),
        client.patch(f"{API}/{record}", json={"open_note": ""}, headers=tag),
        client.patch(f"{API}/{record}", json={"code": "P2"}, headers=tag),
        client.patch(f"{API}/{record}", json={"rank": 1, "tel": "1"}, headers=tag),
        client.patch(f"{API}/{record}", json={"name": "Seen"}, headers={"If-Match": '"1"'}),
        client.post(f"{API}/{record}/duplicate", json={"code": "P8"}),
        client.post(f"{API}/{record}/restore", json={"version": 1}),
        client.post(f"{API}/{record}/unmask", json={"field": "tel"}),
        client.post(f"{API}/{record}/unmask", json={"field": "quiet"}),
        client.post(f"{API}/bulk", json={"update": [{**item, "open_note": ""}]}),
        client.post(f"{API}/edits", json={"changes": {"open_note": ""}, "items": [item]}),
        client.post(f"{API}/edits", json={"changes": {"name": "x"}, "filter": "rank > 5"}),
        client.post(f"{API}/{other}/merge", json={"records": [item], "take": {"tel": record}},
                    headers={"If-Match": '"1"'}),
        client.post("/api/v1/links", json={"type": "patient", "record": record, "fields": ["quiet"]}),
        client.post("/api/v1/views/patient", json={"label": {"en": "v"}, "definition": {
            "columns": ["code", "quiet"], "filter": "rank > 5", "sort": ["-rank"]}}),
        client.post(f"{API}/{record}/comments", json={"text": "{quiet} {{record.quiet}}"}),
        browser.post(f"/records/patient/{record}", headers={"Accept": "application/json"},
                     data={"csrf_token": token, "version": "1", "code": "P1", "name": "Mine"}),
        browser.post("/import/patient", data={"csrf_token": token, "existing": "update",
                                              "file": (io.BytesIO(file), "in.csv")}),
        browser.post("/expressions/read", headers={"Accept": "application/json"}, data={
            "csrf_token": token, "text": f"parent == '{record}' and quiet == 'x'",
            "scope": "patient", "gives": "boolean"}),
        browser.get(f"/records/patient/{record}"),
    ]  # fmt: skip
    for at, answer in enumerate(answers):
        assert answer.status_code < 500, at
        text = told(answer).replace("CANARYX", "")
        assert canaries(text) == [], (at, text[:300])
    kept = site.client("admin").get(f"{API}/{record}").json
    assert (kept["quiet"], kept["rank"], kept["tel"]) == ("CANARYQ2", 987654321, "13899997778")
