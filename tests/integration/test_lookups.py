"""Lookups and values taken over from links: live or kept, under the reader's rights."""

import pytest

from core.records.importing import run_import
from core.schema.yamlnodes import Source
from tests.integration.hostile_world import page_token

API = "/api/v1/records"

TIER = """
record_type: tier
title_field: name
fields:
  - {name: name, type: text, required: true, unique: true}
  - {name: rate, type: rate}
  - {name: cost, type: money}
  - {name: level, type: select, options: [{value: gold, label: {zh: 金, en: Gold}}, {value: basic}]}
  - {name: keeper, type: user}
  - {name: place, type: address}
  - {name: since, type: datetime}
  - {name: double, type: formula, formula: "rate * 2"}
  - {name: is_secret, type: boolean}
policies:
  - {name: staff, who: {role: [Admin, clerk]}, actions: ["*"]}
  - {name: few, who: {role: cashier}, actions: [view], rows: "is_secret != true", fields: {view: [name, rate, level, is_secret]}}
"""

GUEST = """
record_type: guest
title_field: name
fields:
  - {name: name, type: text, required: true, unique: true}
  - {name: tier, type: link, target: tier}
  - {name: rate_now, type: lookup, through: tier, field: rate}
  - {name: cost_now, type: lookup, through: tier, field: cost}
  - {name: level_now, type: lookup, through: tier, field: level}
  - {name: keeper_now, type: lookup, through: tier, field: keeper}
  - {name: place_now, type: lookup, through: tier, field: place}
  - {name: since_now, type: lookup, through: tier, field: since}
  - {name: double_now, type: lookup, through: tier, field: double}
  - {name: rate_then, type: rate, fetch_from: tier.rate}
  - {name: rate_first, type: rate, fetch_from: tier.rate, fetch_mode: if_empty}
  - {name: rate_live, type: rate, fetch_from: tier.rate, fetch_mode: live}
  - {name: is_gold, type: formula, formula: "level_now == 'gold'"}
  - name: visits
    type: table
    fields:
      - {name: tier, type: link, target: tier}
      - {name: rate_then, type: rate, fetch_from: tier.rate, fetch_mode: snapshot}
views:
  - {name: all, type: list, columns: [name, tier, rate_now, level_now, rate_then], sort: [rate_now]}
policies:
  - {name: staff, who: {role: [Admin, clerk, cashier]}, actions: ["*"]}
"""

PARTY = """
record_type: party
title_field: name
fields:
  - {name: name, type: text}
  - {name: guest, type: link, target: guest}
  - {name: rate_of_guest, type: lookup, through: guest, field: rate_now}
  - {name: cost_of_guest, type: lookup, through: guest, field: cost_now}
  - {name: tier_of_guest, type: lookup, through: guest, field: tier}
policies:
  - {name: staff, who: {role: [Admin, cashier]}, actions: ["*"]}
"""


@pytest.fixture
def site_schema():
    return (TIER, GUEST, PARTY)


@pytest.fixture
def guests(site):
    return site.client("admin")


def made(client, type_name, **body):
    answer = client.post(f"{API}/{type_name}", json=body)
    assert answer.status_code == 201, answer.json
    return answer.json


def a_tier(client, name="T1", **rest):
    values = {
        "rate": "0.9", "cost": "12.50", "level": "gold", "keeper": "1",
        "place": {"city": "上海市"}, "since": "2026-03-04T05:06:07.123456Z",
    }  # fmt: skip
    return made(client, "tier", name=name, **{**values, **rest})


def changed(client, type_name, record, **body):
    tag = {"If-Match": f'"{record["version"]}"'}
    return client.patch(f"{API}/{type_name}/{record['id']}", json=body, headers=tag)


def test_lookup_shows_the_linked_value_as_it_is_now(guests):
    tier = a_tier(guests)
    guest = made(guests, "guest", name="A", tier=tier["id"])
    read = guests.get(f"{API}/guest/{guest['id']}").json
    assert read["rate_now"] == "0.9000"
    assert read["cost_now"] == "12.50"
    assert read["level_now"] == "gold"
    assert read["keeper_now"] == "1"
    assert read["place_now"] == {"city": "上海市"}
    assert read["since_now"] == "2026-03-04T05:06:07.123456Z"
    assert read["double_now"] == "1.80"
    assert read["is_gold"] is True
    assert changed(guests, "tier", tier, rate="0.8", level="basic", place=None).status_code == 200
    later = guests.get(f"{API}/guest", query_string={"filter": "name == 'A'"}).json["items"][0]
    assert (later["rate_now"], later["level_now"], later["place_now"]) == ("0.8000", "basic", None)
    assert later["is_gold"] is False
    assert guests.get(f"{API}/guest/{guest['id']}").json["double_now"] == "1.60"


def test_lookup_sorts_filters_and_pages(guests):
    rates = ["0.5", "0.95", None, "0.75", "0.1"]
    for at, rate in enumerate(rates):
        tier = a_tier(guests, f"T{at}", rate=rate, cost="9.5" if at else "10.25")
        made(guests, "guest", name=f"G{at}", tier=tier["id"])
    made(guests, "guest", name="G9")
    for sort in ("rate_now", "-rate_now", "double_now", "-cost_now,name", "level_now,-since_now"):
        whole = guests.get(f"{API}/guest?sort={sort}&limit=50").json["items"]
        found, after = [], ""
        while True:
            query = {"sort": sort, "limit": 2, **({"after": after} if after else {})}
            page = guests.get(f"{API}/guest", query_string=query).json
            found += page["items"]
            after = page["next"]
            if not after:
                break
        assert [one["name"] for one in found] == [one["name"] for one in whole]
    order = [one["name"] for one in guests.get(f"{API}/guest?sort=rate_now,name").json["items"]]
    assert order == ["G4", "G0", "G3", "G1", "G2", "G9"]

    def filtered(text):
        answer = guests.get(f"{API}/guest", query_string={"filter": text, "sort": "name"})
        assert answer.status_code == 200, answer.json
        return [one["name"] for one in answer.json["items"]]

    assert filtered("rate_now > 0.5") == ["G1", "G3"]
    assert filtered("double_now > 1") == ["G1", "G3"]
    assert filtered("cost_now == 10.25") == ["G0"]
    assert filtered("level_now is empty") == ["G9"]
    assert filtered("place_now.city == '上海市' and rate_now == 0.1") == ["G4"]


def test_lookup_is_hidden_where_its_reader_may_not_read_the_target(site, guests):
    open_tier, hidden = a_tier(guests, "T1"), a_tier(guests, "T2", is_secret=True)
    first = made(guests, "guest", name="A", tier=open_tier["id"])
    made(guests, "guest", name="B", tier=hidden["id"])
    cashier = site.client("cashier")
    read = cashier.get(f"{API}/guest?sort=name").json["items"]
    assert [one["rate_now"] for one in read] == ["0.9000", None]
    for one in read:
        assert "cost_now" not in one
        assert {"cost_now", "keeper_now", "place_now"} <= set(one["no_access"])
    alone = cashier.get(f"{API}/guest/{first['id']}").json
    assert alone["rate_now"] == "0.9000"
    assert "cost_now" not in alone
    for question in ("filter=cost_now > 1", "sort=cost_now", "filter=place_now.city == 'x'"):
        assert cashier.get(f"{API}/guest?{question}").status_code == 403, question
    found = cashier.get(f"{API}/guest?filter=rate_now == 0.9").json["items"]
    assert [one["name"] for one in found] == ["A"]
    text = site.browser("cashier").get("/records/guest/export").text
    assert "12.50" not in text
    assert "cost_now" not in text.splitlines()[0]
    # The administrator's answer, asked again, is still whole: nothing is kept across rights.
    assert guests.get(f"{API}/guest/{first['id']}").json["cost_now"] == "12.50"
    party = made(guests, "party", name="P", guest=first["id"])
    shown = cashier.get(f"{API}/party/{party['id']}").json
    assert shown["rate_of_guest"] == "0.9000"
    assert shown["tier_of_guest"] == open_tier["id"]
    assert "cost_of_guest" in shown["no_access"]


def test_snapshot_keeps_what_the_link_said_when_it_was_set(guests):
    tier, other = a_tier(guests), a_tier(guests, "T2", rate="0.7")
    guest = made(guests, "guest", name="A", tier=tier["id"], visits=[{"tier": tier["id"]}])
    assert (guest["rate_then"], guest["rate_first"], guest["rate_live"]) == (
        "0.9000", "0.9000", "0.9000",
    )  # fmt: skip
    assert guest["visits"][0]["rate_then"] == "0.9000"
    changed(guests, "tier", tier, rate="0.5")
    later = changed(guests, "guest", guest, name="B").json
    assert (later["rate_then"], later["rate_first"], later["rate_live"]) == (
        "0.9000", "0.9000", "0.5000",
    )  # fmt: skip
    assert later["visits"][0]["rate_then"] == "0.9000"
    moved = changed(guests, "guest", later, tier=other["id"]).json
    assert (moved["rate_then"], moved["rate_first"], moved["rate_live"]) == (
        "0.7000", "0.9000", "0.7000",
    )  # fmt: skip
    emptied = changed(guests, "guest", moved, tier=None).json
    assert (emptied["rate_then"], emptied["rate_live"]) == (None, None)


def test_snapshot_cannot_be_written_and_an_echo_is_no_change(guests):
    tier = a_tier(guests)
    refused = guests.post(
        f"{API}/guest", json={"name": "A", "tier": tier["id"], "rate_then": "0.1"}
    )
    assert [(one["path"], one["code"]) for one in refused.json["problems"]] == [
        ("rate_then", "field.read_only")
    ]
    row = {"tier": tier["id"], "rate_then": "0.2"}
    refused = guests.post(f"{API}/guest", json={"name": "A", "visits": [row]})
    assert refused.json["problems"][0]["path"] == "visits.0.rate_then"
    guest = made(guests, "guest", name="A", tier=tier["id"], rate_first="0.3")
    assert guest["rate_first"] == "0.3000"
    assert changed(guests, "guest", guest, rate_then="0.1").status_code == 422
    assert changed(guests, "guest", guest, rate_live="0.1").status_code == 422
    echo = changed(guests, "guest", guest, **guests.get(f"{API}/guest/{guest['id']}").json)
    assert (echo.status_code, echo.json["version"]) == (200, 1)


def test_form_shows_taken_over_values_and_posts_none(site, guests):
    tier = a_tier(guests)
    browser = site.browser("admin")
    form = {"csrf_token": page_token(browser), "name": "A", "tier": tier["id"], "rate_then": "0.1"}
    answer = browser.post("/records/guest/new", data=form)
    assert answer.status_code == 303
    guest = guests.get(f"{API}/guest").json["items"][0]
    assert guest["rate_then"] == "0.9000"
    page = browser.get(answer.headers["Location"]).text
    assert 'name="rate_then"' not in page
    assert 'name="rate_first"' in page
    assert "Gold" in page


def test_import_takes_over_like_every_door(site, guests, tmp_path):
    a_tier(guests)
    path = tmp_path / "guests.csv"
    path.write_text("name,tier,rate_then,rate_now\nA,T1,0.1,0.2\nB,,,\n", "utf-8")
    report = run_import(site.context("admin", door="import"), "guest", path)
    assert (report.created, report.refused) == (2, 0)
    assert set(report.ignored_columns) == {"rate_then", "rate_now"}
    first = guests.get(f"{API}/guest?sort=name").json["items"][0]
    assert (first["rate_then"], first["rate_now"]) == ("0.9000", "0.9000")


BAD = {
    "{name: x, type: lookup}": "schema.missing",
    "{name: x, type: lookup, through: nix, field: rate}": "schema.unknown",
    "{name: x, type: lookup, through: name, field: rate}": "schema.not_a_link",
    "{name: x, type: lookup, through: tier, field: rtae}": "schema.unknown",
    "{name: x, type: lookup, through: me, field: x}": "schema.circle",
    "{name: x, type: lookup, through: me, field: more}": "schema.lookup_type",
    "{name: x, type: lookup, through: tier, field: rate, required: true}": "schema.not_for_type",
    "{name: x, type: rate, fetch_from: tier}": "schema.bad_fetch",
    "{name: x, type: rate, fetch_from: name.rate}": "schema.bad_fetch",
    "{name: x, type: rate, fetch_from: tier.rtae}": "schema.unknown",
    "{name: x, type: date, fetch_from: tier.rate}": "schema.fetch_type",
    "{name: x, type: date, fetch_from: tier.rate, fetch_mode: live}": "schema.fetch_type",
    "{name: x, type: rate, fetch_mode: live}": "schema.missing",
    "{name: x, type: rate, fetch_from: tier.rate, fetch_mode: now}": "schema.not_one_of",
}


@pytest.mark.parametrize("field", BAD)
def test_a_wrong_lookup_or_fetch_is_a_mistake_at_its_place(field):
    from core.errors import SchemaError
    from core.schema.layers import effective

    text = (
        "record_type: thing\ntitle_field: name\nfields:\n  - {name: name, type: text}\n"
        "  - {name: tier, type: link, target: tier}\n  - {name: me, type: link, target: thing}\n"
        f"  - {{name: more, type: links, target: tier}}\n  - {field}\n"
    )
    with pytest.raises(SchemaError) as caught:
        effective([Source("core", "t.yaml", TIER), Source("core", "x.yaml", text)], None, 1)
    assert BAD[field] in [one.code for one in caught.value.problems if one.file == "x.yaml"]
