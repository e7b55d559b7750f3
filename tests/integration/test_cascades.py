"""Choices that depend on what else is chosen: `this.FIELD` in filters, at every door."""

import pytest

from core.errors import SchemaError
from core.records.importing import run_import
from core.schema.drafts import apply_changes
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from tests.integration.hostile_world import page_token

API = "/api/v1/records"

TOWN = """
record_type: town
title_field: name
fields:
  - {name: name, type: text, required: true, unique: true, searchable: true}
  - {name: province, type: text}
  - {name: size, type: integer}
  - {name: kind, type: select, options: [{value: big}, {value: small}]}
"""

TRIP = """
record_type: trip
title_field: name
fields:
  - {name: name, type: text, unique: true}
  - {name: province, type: text}
  - {name: least, type: integer}
  - {name: kind, type: select, options: [{value: big}, {value: tiny}]}
  - {name: town, type: link, target: town, filter: "province == this.province"}
  - {name: towns, type: links, target: town, filter: "size >= this.least"}
  - {name: same_kind, type: link, target: town, filter: "kind == this.kind"}
  - {name: town_name, type: select, options_from: [{type: town, value: name, filter: "province == this.province"}]}
  - name: stops
    type: table
    fields:
      - {name: province, type: text}
      - {name: town, type: link, target: town, filter: "province == this.province"}
"""


@pytest.fixture
def site_schema():
    return (TOWN, TRIP)


@pytest.fixture
def trips(site):
    client = site.client("admin")
    made = {}
    for name, province, size, kind in (
        ("深圳", "广东", 9, "big"), ("广州", "广东", 8, "small"), ("O'Hare", "a'b\\c", 1, None),
    ):  # fmt: skip
        body = {"name": name, "province": province, "size": size, "kind": kind}
        made[name] = client.post(f"{API}/town", json=body).json["id"]
    return client, made


def outcome(answer):
    if answer.status_code in {200, 201}:
        return []
    assert answer.status_code == 422, answer.json
    return [(one["path"], one["code"]) for one in answer.json["problems"]]


def test_a_choice_outside_the_cascade_is_refused(trips):
    client, town = trips

    def create(**body):
        return outcome(client.post(f"{API}/trip", json=body))

    assert create(province="广东", town=town["深圳"], town_name="广州") == []
    assert create(province="a'b\\c", town=town["O'Hare"]) == []
    assert create(province="广东", town=town["O'Hare"]) == [("town", "link.not_found")]
    assert create(town=town["深圳"]) == [("town", "link.not_found")]
    assert create(province="广东", town_name="O'Hare") == [("town_name", "field.option")]
    assert create(least=8, towns=[town["深圳"], town["广州"]]) == []
    assert create(least=9, towns=[town["深圳"], town["广州"]]) == [("towns.1", "link.not_found")]
    assert create(kind="big", same_kind=town["深圳"]) == []
    assert create(kind="tiny", same_kind=town["深圳"]) == [("same_kind", "link.not_found")]
    rows = [{"province": "广东", "town": town["深圳"]}, {"province": "x", "town": town["深圳"]}]
    assert create(stops=rows) == [("stops.1.town", "link.not_found")]
    assert create(province="' or true or '", town=town["深圳"]) == [("town", "link.not_found")]


def test_changing_what_a_choice_depends_on_asks_for_it_again(trips):
    client, town = trips
    made = client.post(
        f"{API}/trip", json={"province": "广东", "town": town["深圳"], "town_name": "广州"}
    ).json
    url, tag = f"{API}/trip/{made['id']}", {"If-Match": '"1"'}
    found = outcome(client.patch(url, json={"province": "a'b\\c"}, headers=tag))
    assert sorted(found) == [("town", "link.not_found"), ("town_name", "field.option")]
    body = {"province": "a'b\\c", "town": town["O'Hare"], "town_name": None}
    assert outcome(client.patch(url, json=body, headers=tag)) == []
    tag = {"If-Match": '"2"'}
    assert outcome(client.patch(url, json={"name": "later"}, headers=tag)) == []


def test_pickers_offer_what_the_row_allows(site, trips):
    browser = site.browser("admin")

    def titles(path, **query):
        answer = browser.get(path, query_string=query)
        assert answer.status_code == 200, answer.text
        return sorted(one["title"] for one in answer.json["items"])

    link = "/records/town/lookup"
    assert titles(link, **{"from": "trip.town", "row.province": "广东"}) == ["广州", "深圳"]
    assert titles(link, **{"from": "trip.town", "row.province": "a'b\\c"}) == ["O'Hare"]
    assert titles(link, **{"from": "trip.town"}) == []
    assert titles(link, **{"from": "trip.towns", "row.least": "9"}) == ["深圳"]
    assert titles(link, **{"from": "trip.towns", "row.least": "x"}) == []
    assert titles(link, **{"from": "trip.stops.town", "row.province": "广东"}) == ["广州", "深圳"]
    choices = "/records/trip/choices"
    assert titles(choices, field="town_name", **{"row.province": "广东"}) == ["广州", "深圳"]
    assert "data-cascades" in browser.get("/records/trip/new").text
    form = {"csrf_token": page_token(browser), "province": "x", "town": trips[1]["深圳"]}
    assert browser.post("/records/trip/new", data=form).status_code == 422


def test_import_holds_the_cascade(site, trips, tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text("name,province,town\nA,广东,深圳\nB,x,深圳\n", "utf-8")
    report = run_import(site.context("admin", door="import"), "trip", path)
    assert (report.created, report.refused) == (1, 1)
    assert [one.problem.code for one in report.problems] == ["link.not_found"]


def test_this_names_only_plain_fields_of_the_same_row():
    for text in ("name == this.nmae", "name == this", "this.stops is empty", "name == this.size"):
        wrong = TRIP.replace("province == this.province", text, 1)
        with pytest.raises(SchemaError) as caught:
            effective([Source("core", "a.yaml", TOWN), Source("core", "b.yaml", wrong)], None, 1)
        assert caught.value.problems[0].code.startswith("expression."), text


def test_renaming_a_field_renames_it_after_this_too():
    sources = [Source("core", "town.yaml", TOWN), Source("site", "trip.yaml", TRIP)]
    rename = {"op": "rename_field", "type": "trip", "field": "province", "to": "region"}
    release = effective(apply_changes(sources, [rename], effective(sources, None, 1)), None, 2)
    trip = release.types["trip"]
    assert trip.field("town").filter == "province == this.region"
    assert trip.field("town_name").options_from[0].filter == "province == this.region"
    assert trip.field("stops").fields[1].filter == "province == this.province"
