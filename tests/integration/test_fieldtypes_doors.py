"""People, addresses, places, formatted text, secrets and conditions at every door."""

import csv
import io
import json

import pytest

from core.api import secret_matches, stored_expression
from core.errors import NotFound
from core.expression import ExpressionError
from core.expression.types import PlainEnv
from core.records.exporting import export_csv
from core.records.importing import run_import
from core.records.queries import Query, list_wire
from core.schema.writtentypes import MASK, matches
from tests.integration.fieldtypes_world import CASE, HOSTILE, HOSTILE_JSON
from tests.integration.hostile_world import page_token

API = "/api/v1/records/case_note"
PLACE = {"province": "广东省", "city": "深圳市", "district": "南山区", "street": "科技路1号"}
SPOT = {"lat": "22.5405", "lng": "113.9345000"}


@pytest.fixture
def site_schema():
    return (CASE,)


@pytest.fixture
def cases(site):
    return site.client("admin")


def person(site, name):
    return site.actor(name).id


def department(client, code="D1"):
    body = {"code": code, "name": "客服部"}
    return client.post("/api/v1/records/department", json=body).json["id"]


def a_case(site, client, **rest):
    return {
        "code": "C1",
        "handler": person(site, "clerk"),
        "watchers": [person(site, "cashier"), person(site, "clerk2")],
        "team": "clerk",
        "hours": "cn_retail",
        "unit": department(client),
        "place": PLACE,
        "spot": SPOT,
        "story": "<p>a<script>alert(1)</script> <b>bold</b></p>",
        "pin": "4711",
        "rule": "status == 'active' and name is not empty",
        "visits": [{"by": person(site, "clerk"), "at": {"city": "上海市"}, "note": "<i>x</i>"}],
        **rest,
    }


def test_rest_answers_what_it_was_given_cleaned_and_masked(site, cases):
    made = cases.post(API, json=a_case(site, cases))
    assert made.status_code == 201, made.json
    read = cases.get(f"{API}/{made.json['id']}").json
    assert read["handler"] == person(site, "clerk")
    assert read["place"] == PLACE
    assert read["spot"] == {"lat": "22.5405", "lng": "113.9345"}
    assert read["story"] == "<p>a <b>bold</b></p>"
    assert read["pin"] == MASK
    assert read["has_pin"] is True
    assert read["is_mine"] is False
    assert read["visits"][0]["at"] == {"city": "上海市"}


def test_an_answer_can_be_sent_back_as_it_was_read(site, cases):
    made = cases.post(API, json=a_case(site, cases))
    read = cases.get(f"{API}/{made.json['id']}").json
    sent = cases.patch(f"{API}/{read['id']}", json=read, headers={"If-Match": '"1"'})
    assert sent.status_code == 200, sent.json
    assert sent.json["version"] == 1
    assert sent.json["pin"] == MASK


def test_rest_refuses_hostile_values_by_name(cases):
    for name, values in [*HOSTILE.items(), *HOSTILE_JSON.items()]:
        for value, code in values:
            answer = cases.post(API, json={"code": "C1", name: value})
            assert answer.status_code == 422, (name, value, answer.json)
            found = {
                (one["path"].partition(".")[0], one["code"]) for one in answer.json["problems"]
            }
            assert (name, code) in found, (name, value, found)
    assert cases.get(API).json["items"] == []


def test_form_refuses_hostile_values_at_their_fields(site, cases):
    browser = site.browser("admin")
    token = page_token(browser)
    for name, values in HOSTILE.items():
        for value, code in values:
            answer = browser.post(
                "/records/case_note/new",
                data={"csrf_token": token, "code": "C1", name: value},
                headers={"Accept": "application/json"},
            )
            assert answer.status_code == 422, (name, value)
            assert [one["code"] for one in answer.json["problems"]] == [code], (name, value)
    parts = {"spot.lat": "91", "spot.lng": "x", "place.city": "x" * 101}
    answer = browser.post(
        "/records/case_note/new",
        data={"csrf_token": token, "code": "C1", **parts},
        headers={"Accept": "application/json"},
    )
    assert {one["path"] for one in answer.json["problems"]} == {
        "spot.lat", "spot.lng", "place.city",
    }  # fmt: skip
    assert cases.get(API).json["items"] == []


def test_form_keeps_a_secret_that_is_not_typed_again(site, cases):
    browser = site.browser("admin")
    made = cases.post(API, json=a_case(site, cases)).json
    page = browser.get(f"/records/case_note/{made['id']}").text
    assert "4711" not in page
    assert "scrypt" not in page
    form = {"csrf_token": page_token(browser), "version": "1", "code": "C2", "pin": ""}
    assert browser.post(f"/records/case_note/{made['id']}", data=form).status_code == 303
    assert matches("4711", stored_pin(site))
    form |= {"version": "2", "pin": "", "pin.clear": "1"}
    assert browser.post(f"/records/case_note/{made['id']}", data=form).status_code == 303
    assert stored_pin(site) is None


def stored_pin(site):
    ctx = site.context("system")
    table = ctx.registry.tables["case_note"].main
    with ctx.reading() as connection:
        return connection.execute(table.select()).mappings().one()["pin"]


def test_secret_is_nowhere_but_in_its_hash(site, cases):
    made = cases.post(API, json=a_case(site, cases)).json
    cases.patch(f"{API}/{made['id']}", json={"pin": "8899"}, headers={"If-Match": '"1"'})
    kept = stored_pin(site)
    assert matches("8899", kept)
    assert not matches("4711", kept)
    assert not matches("8899", None)
    history = cases.get(f"{API}/{made['id']}/history").json
    assert "8899" not in json.dumps(history)
    assert kept not in json.dumps(history)
    assert [event["changes"]["pin"] for event in history["items"]] == [
        [MASK, MASK],
        [None, MASK],
    ]
    assert cases.get(f"{API}?filter=pin == '8899'").status_code == 422
    assert len(cases.get(f"{API}?filter=pin is not empty").json["items"]) == 1
    assert cases.get(f"{API}?sort=pin").status_code == 422
    browser = site.browser("admin")
    assert "pin" not in browser.get("/records/case_note/export").text.splitlines()[0].split(",")


def test_parts_of_addresses_and_places_filter_lists(site, cases):
    other = department(cases, "D2")
    cases.post(API, json=a_case(site, cases))
    cases.post(
        API,
        json={"code": "C2", "unit": other, "place": {"city": "上海市"},
              "spot": {"lat": "-1.5", "lng": "179.9999999"}},
    )  # fmt: skip
    cases.post(API, json={"code": "C3"})

    def found(text):
        answer = cases.get(API, query_string={"filter": text, "sort": "code"})
        assert answer.status_code == 200, answer.json
        return [one["code"] for one in answer.json["items"]]

    assert found("place.city == '上海市'") == ["C2"]
    assert found("place.city != '上海市'") == ["C1", "C3"]
    assert found("place.district is empty") == ["C2", "C3"]
    assert found("CONTAINS(place.street, '科技')") == ["C1"]
    assert found("place is empty") == ["C3"]
    assert found("spot.lat > 0") == ["C1"]
    assert found("spot.lng == 179.9999999") == ["C2"]
    assert found("unit.code == 'D2'") == ["C2"]
    assert found("any(visits, at.city == '上海市')") == ["C1"]
    wrong = cases.get(API, query_string={"filter": "place.town == 'x'"})
    assert wrong.json["problems"][0]["code"] == "expression.unknown_field"
    wrong = cases.get(API, query_string={"filter": "place == 'x'"})
    assert wrong.json["problems"][0]["code"] == "expression.cannot_compare"


def test_current_user_is_compared_with_people(site, cases):
    cases.post(API, json=a_case(site, cases))
    cases.post(API, json={"code": "C2", "handler": person(site, "cashier")})
    cases.post(API, json={"code": "C3"})
    seen = site.client("cashier").get(f"{API}?sort=code").json["items"]
    assert [one["code"] for one in seen] == ["C1", "C2"]
    assert [one["is_mine"] for one in seen] == [False, True]
    query = Query(filter="handler == current_user", sort=("code",))
    mine = list_wire(site.context("cashier"), "case_note", query)
    assert [one["code"] for one in mine.items] == ["C2"]
    query = Query(filter="current_user in watchers", sort=("code",))
    watched = list_wire(site.context("clerk2"), "case_note", query)
    assert [one["code"] for one in watched.items] == ["C1"]


def test_files_hold_sign_in_names_and_come_back(site, cases, tmp_path):
    cases.post(API, json=a_case(site, cases))
    text = "".join(export_csv(site.context("admin"), "case_note", Query(sort=("code",))))
    row = next(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert row["handler"] == "clerk"
    assert row["watchers"] == "cashier;clerk2"
    assert row["unit"] == "D1"
    assert row["place"] == "广东省/深圳市/南山区/科技路1号"
    assert row["spot"] == "22.5405,113.9345"
    path = tmp_path / "in.csv"
    path.write_text(text.replace("C1", "C9"), "utf-8", newline="")
    report = run_import(site.context("admin", door="import"), "case_note", path)
    assert [(one.line, one.problem) for one in report.problems] == []
    first, second = cases.get(f"{API}?sort=code").json["items"]
    for name in ("handler", "watchers", "team", "hours", "unit", "place", "spot", "story", "rule"):
        assert first[name] == second[name], name


def test_import_names_each_hostile_value_and_writes_nothing(site, cases, tmp_path):
    lines = [
        (name, value, code)
        for name, values in HOSTILE.items()
        for value, code in values
        if "\x00" not in value
    ]
    lines += [("place", "{", "field.bad_type"), ("spot", "1", "field.bad_location")]
    lines += [("spot", "91,0", "field.out_of_range"), ("watchers", "nobody", "field.bad_user")]
    for at, (name, value, code) in enumerate(lines):
        path = tmp_path / f"{at}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["code", name], [f"C{at}", value]])
        report = run_import(site.context("admin", door="import"), "case_note", path)
        assert (report.created, report.refused) == (0, 1), (name, value)
        codes = {one.problem.code for one in report.problems}
        assert codes & {code, "import.no_link"}, (name, value, codes)
    assert cases.get(API).json["items"] == []


def test_users_that_left_stay_readable_and_cannot_be_chosen(site, cases):
    made = cases.post(API, json=a_case(site, cases)).json
    with site.services.db.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE ab_user SET active = {'0' if site.backend == 'sqlite' else 'false'} "
            "WHERE username = 'clerk'"
        )
    url = f"{API}/{made['id']}"
    kept = cases.patch(url, json={"code": "C7"}, headers={"If-Match": '"1"'})
    assert kept.status_code == 200, kept.json
    refused = cases.post(API, json={"code": "C8", "handler": made["handler"]})
    assert refused.json["problems"][0]["code"] == "user.not_found"


def test_people_are_looked_up_by_whoever_signed_in(site, cases):
    found = site.browser("cashier").get("/people/lookup?search=CLERK").json["items"]
    assert {one["note"] for one in found} == {"clerk", "clerk2"}
    assert site.browser("cashier").get("/people/lookup?search=%25").json["items"] == []
    assert site.app.test_client().get("/people/lookup?search=a").status_code in {302, 303, 401}


def test_openapi_describes_the_values(site, cases):
    shapes = cases.get("/api/v1/_openapi").json["components"]["schemas"]
    fields = shapes["CaseNote"]["properties"]
    assert set(fields["place"]["properties"]) == {"province", "city", "district", "street"}
    assert fields["watchers"]["type"] == "array"
    assert fields["pin"]["writeOnly"] is True
    assert fields["handler"]["type"] == "string"
    assert fields["unit"]["format"] == "uuid"


def test_a_department_in_use_cannot_be_deleted(site, cases):
    made = cases.post(API, json=a_case(site, cases)).json
    url = f"/api/v1/records/department/{made['unit']}"
    assert cases.delete(url, headers={"If-Match": '"1"'}).status_code == 409


def test_secret_of_a_document_waits_with_its_proposal(site, publish):
    publish(
        "record_type: vault\ndocument: true\ntitle_field: name\nfields:\n"
        "  - {name: name, type: text, required: true}\n  - {name: pin, type: secret}\n"
    )
    client = site.client("admin")
    made = client.post("/api/v1/records/vault", json={"name": "A", "pin": "1111"}).json
    ctx = site.context("system")
    table = ctx.registry.tables["vault"].main
    with ctx.writing() as connection:
        connection.execute(table.update().values(status="effective"))
    url = f"/api/v1/records/vault/{made['id']}"
    changed = client.patch(url, json={"pin": "2222"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.json
    assert changed.json["proposal"]["values"] == {"pin": MASK}
    again = client.patch(
        url, json={"name": "B"}, headers={"If-Match": f'"{changed.json["version"]}"'}
    )
    assert again.json["proposal"]["values"] == {"name": "B", "pin": MASK}
    with ctx.reading() as connection:
        kept = connection.exec_driver_sql('SELECT "values" FROM gx_proposal').scalar_one()
    assert matches("2222", json.loads(kept)["pin"])


def read_text(browser, text, scope="case_note", gives="boolean"):
    form = {"csrf_token": page_token(browser), "text": text, "scope": scope, "gives": gives}
    return browser.post("/expressions/read", data=form, headers={"Accept": "application/json"})


def test_builder_is_told_rows_titles_and_problems(site, cases):
    browser = site.browser("admin")
    handler = person(site, "clerk")
    found = read_text(browser, f"handler == '{handler}' and code == 'x'").json
    assert [one["field"] for one in found["rows"]["parts"]] == ["handler", "code"]
    assert found["titles"] == {handler: "clerk"}
    assert found["problems"] == []
    wrong = read_text(browser, "nix == 1").json
    assert wrong["problems"][0]["column"] == 1
    assert wrong["rows"]["parts"][0]["field"] == "nix"
    for text in ("code ==", "(" * 3_000, "x" * 2_001, "a\x00b", "code == '\ud7ff'"):
        assert read_text(browser, text).status_code == 200
    assert read_text(browser, "code").json["problems"]
    assert read_text(browser, "by is empty", scope="case_note.visits").json["problems"] == []
    assert read_text(browser, "1", scope="nix").status_code == 404
    assert read_text(site.browser("auditor"), "code == 'x'").status_code in {200, 403}


def test_builder_offers_the_fields_that_its_reader_sees(site, cases):
    fields = site.browser("admin").get("/expressions/scope?name=case_note").json["fields"]
    by_name = {one["name"]: one for one in fields}
    assert {"handler", "place.city", "spot.lat", "unit.code", "watchers"} <= by_name.keys()
    assert by_name["handler"]["target"] == "@user"
    assert "visits" not in by_name
    assert site.browser("admin").get("/expressions/scope?name=nix").status_code == 404
    rows = site.browser("admin").get("/expressions/scope?name=case_note.visits").json["fields"]
    assert {"by", "at.city", "note"} <= {one["name"] for one in rows}
    assert site.app.test_client().get("/expressions/scope?name=member").status_code in {
        302,
        303,
        401,
    }


def test_a_plugin_evaluates_a_stored_condition_and_compares_a_secret(site, cases):
    cases.post(API, json=a_case(site, cases))
    ctx = site.context("system")
    condition = stored_expression(ctx, "case_note", "rule", "status == 'active'")
    assert condition.evaluate({"status": "active"}, PlainEnv()) is True
    assert condition.evaluate({"status": "blocked"}, PlainEnv()) is False
    assert secret_matches("4711", stored_pin(site))
    with pytest.raises(NotFound):
        stored_expression(ctx, "case_note", "nix", "true")
    with pytest.raises(ExpressionError):
        stored_expression(ctx, "case_note", "rule", "nix == 1")
