"""Typing that is kept on the server: whose it is, what is kept, when it goes."""

import pytest

from core.errors import Invalid, NotFound, TooLarge
from core.records import unsaved
from core.records.operations import create_record, update_record
from core.records.queries import get_record
from core.records.unsaved import drop_form, find_form, keep_form, list_forms
from tests.integration.hostile_world import page_token

JSON = {"Accept": "application/json"}


@pytest.fixture
def clerk(browser_as):
    return browser_as("clerk")


@pytest.fixture
def member(make_context):
    return create_record(make_context("clerk"), "member", {"no": "M1", "name": "王小明"})["id"]


def typed(browser, **values):
    return {"csrf_token": page_token(browser), **values}


def keep(browser, url="", **values):
    answer = browser.post(
        f"/records/member/unsaved{url}", data=typed(browser, **values), headers=JSON
    )
    assert answer.status_code == 200, answer.text
    return answer.json["id"]


def test_new_form_goes_on_where_it_was_left_and_is_gone_once_saved(clerk):
    form = keep(clerk, no="M9", name="")
    assert keep(clerk, f"?unsaved={form}", no="M9", name="李", birthday="no date") == form
    page = clerk.get(f"/records/member/new?unsaved={form}").text
    assert 'value="李"' in page
    assert 'value="no date"' in page
    assert f"unsaved={form}" in page
    board = clerk.get("/").text
    assert f"/records/member/new?unsaved={form}" in board
    assert "You began to fill this in" in clerk.get("/records/member/new").text
    refused = clerk.post(
        f"/records/member/new?unsaved={form}", data=typed(clerk, no="M9", name="李", birthday="x")
    )
    assert refused.status_code == 422
    assert f'data-unsaved="{form}"' in refused.text
    assert 'value="no date"' in clerk.get(f"/records/member/new?unsaved={form}").text
    done = clerk.post(
        f"/records/member/new?unsaved={form}", data=typed(clerk, no="M9", name="李"), headers=JSON
    )
    assert done.status_code == 200, done.text
    assert clerk.get(f"/records/member/new?unsaved={form}").status_code == 404


def test_form_of_a_record_is_one_per_person_and_merges_when_it_is_stale(
    clerk, browser_as, make_context, member
):
    form = keep(clerk, f"?record={member}", version="1", name="王大明", remark="")
    assert keep(clerk, f"?record={member}", version="1", name="王大明", remark="x") == form
    update_record(make_context("clerk2"), "member", member, {"phone": "138"}, version=1)
    page = clerk.get(f"/records/member/{member}?unsaved={form}").text
    assert 'name="version" value="1"' in page
    saved = clerk.post(
        f"/records/member/{member}?unsaved={form}",
        data=typed(clerk, version="1", name="王大明", phone="", remark="x"), headers=JSON,
    )  # fmt: skip
    assert saved.status_code == 200, saved.text
    with pytest.raises(NotFound):
        find_form(make_context("clerk"), form)
    record = clerk.get(f"/records/member/{member}").text
    assert "王大明" in record
    assert "138" in record
    assert list_forms(make_context("clerk2")) == []


def test_nobody_reads_or_throws_away_what_another_typed(clerk, browser_as, make_context, member):
    form = keep(clerk, f"?record={member}", version="1", name="mine")
    other = browser_as("clerk2")
    assert other.get(f"/records/member/{member}?unsaved={form}").status_code == 404
    other.post(f"/unsaved/{form}/discard", data=typed(other))
    assert find_form(make_context("clerk"), form).typed
    clerk.post(f"/unsaved/{form}/discard", data=typed(clerk))
    assert list_forms(make_context("clerk")) == []


def test_secrets_and_unknown_names_are_not_kept(publish, make_context):
    publish("""
customize: member
fields:
  - {name: pin, type: text, sensitive: secret}
  - {name: keys, type: table, fields: [{name: code, type: text, sensitive: secret}, {name: label, type: text}]}
""")
    kept = keep_form(
        make_context("clerk"), "member",
        [("name", "a"), ("pin", "1234"), ("keys.0.code", "x"), ("keys.0.label", "y"), ("evil", "z")],
    )  # fmt: skip
    assert kept.typed == (("name", "a"), ("keys.0.label", "y"))


def test_kept_forms_are_bounded_and_none_is_lost_for_it(make_context, monkeypatch, member):
    ctx = make_context("clerk")
    monkeypatch.setattr(unsaved, "MOST", 3)
    forms = [keep_form(ctx, "member", [("name", str(number))]).id for number in range(3)]
    with pytest.raises(unsaved.TooManyForms):
        keep_form(ctx, "member", [("name", "3")])
    assert keep_form(ctx, "member", [("name", "again")], form_id=forms[0]).id == forms[0]
    with pytest.raises(TooLarge):
        keep_form(ctx, "member", [("name", "x" * unsaved.MAX_BYTES)], form_id=forms[0])
    for text in ("a\x00", "\ud800"):
        with pytest.raises(Invalid):
            keep_form(ctx, "member", [("name", text)], form_id=forms[0])
    assert {one.id for one in list_forms(ctx)} == set(forms)
    drop_form(ctx, forms[1])
    assert (
        keep_form(ctx, "member", [("name", "b")], record_id=member, version=1).record_id == member
    )


@pytest.mark.parametrize("record", ["nothing", "01890000-0000-7000-8000-000000000000", "'--"])
def test_forms_of_records_that_are_not_there_are_not_kept(clerk, record):
    answer = clerk.post(
        "/records/member/unsaved", query_string={"record": record}, data=typed(clerk), headers=JSON
    )
    assert answer.status_code == 404


def test_duplicate_takes_over_what_may_be_copied(publish, client_as, browser_as):
    publish("""
customize: member
fields:
  - {name: note, type: text, copyable: false}
  - {name: pin, type: text, sensitive: secret}
  - {name: serial, type: sequence, number: "S-{0000}"}
  - {name: visits, type: table, fields: [{name: place, type: text}, {name: mark, type: text, copyable: false}]}
""")
    api, url = client_as("clerk"), "/api/v1/records/member"
    values = {"no": "M1", "name": "A", "note": "n", "pin": "p", "remark": "r",
              "visits": [{"place": "x", "mark": "m"}]}  # fmt: skip
    made = api.post(url, json=values).json
    refused = api.post(f"{url}/{made['id']}/duplicate", json={})
    assert [(one["path"], one["code"]) for one in refused.json["problems"]] == [
        ("no", "field.required")
    ]
    copy = api.post(f"{url}/{made['id']}/duplicate", json={"no": "M2"})
    assert copy.status_code == 201, copy.text
    body = copy.json
    assert (body["name"], body["remark"], body["note"], body["version"]) == ("A", "r", None, 1)
    assert body["serial"] == "S-0002"
    [row] = api.get(f"{url}/{body['id']}?fields=visits").json["visits"]
    assert (row["place"], row["mark"]) == ("x", None)
    assert row["id"] != api.get(f"{url}/{made['id']}?fields=visits").json["visits"][0]["id"]
    page = browser_as("clerk").get(f"/records/member/new?copy={made['id']}").text
    assert 'value="A"' in page
    assert 'value="M1"' not in page


def test_duplicate_takes_over_only_what_its_reader_sees(client_as, make_context):
    made = create_record(
        make_context("admin"), "member",
        {"no": "M1", "name": "A", "remark": "hidden from cashiers", "phone": "138"},
    )  # fmt: skip
    cashier, url = client_as("cashier"), "/api/v1/records/member"
    copy = cashier.post(f"{url}/{made['id']}/duplicate", json={"no": "M2"})
    assert copy.status_code == 201, copy.text
    record = client_as("admin").get(f"{url}/{copy.json['id']}").json
    assert (record["phone"], record["remark"]) == ("138", None)


def test_two_people_change_rows_of_one_table_and_lose_nothing(publish, clerk, make_context):
    publish("""
record_type: basket
fields:
  - {name: title, type: text}
  - {name: lines, type: table, fields: [{name: what, type: text}, {name: count, type: integer}]}
policies: [{name: all, who: {role: clerk}, actions: ["*"]}]
""")
    lines = [{"what": "tea", "count": 1}, {"what": "cup", "count": 2}]
    made = create_record(make_context("clerk"), "basket", {"title": "x", "lines": lines})
    first, second = (row["id"] for row in made["lines"])
    theirs = {"upsert": [{"id": first, "count": 9}, {"what": "pot", "count": 3}]}
    update_record(make_context("clerk2"), "basket", made["id"], {"lines": theirs}, version=1)

    def post(**values):
        form = {
            "version": "1", "title": "x", "lines": "",
            "lines.0.id": first, "lines.0.what": "tea", "lines.0.count": "1",
            "lines.1.id": second, "lines.1.what": "mug", "lines.1.count": "2", **values,
        }  # fmt: skip
        url = f"/records/basket/{made['id']}"
        return clerk.post(url, data=typed(clerk, **form), headers=JSON)

    collided = post(**{"lines.0.count": "5"})
    assert (collided.status_code, [one["path"] for one in collided.json["collisions"]]) == (
        412, ["lines"],
    )  # fmt: skip
    assert post().status_code == 200
    stored = get_record(make_context("clerk"), "basket", made["id"])
    assert [(row["what"], row["count"]) for row in stored["lines"]] == [
        ("tea", 9), ("mug", 2), ("pot", 3),
    ]  # fmt: skip
