"""Renames of fields, options and record types, followed through every layer and table."""

import pytest

from core.migration.drafts import create_draft, get_draft, publish_draft, rollback
from core.migration.files import apply_paths, plan_paths, publish_disk
from tests.integration.release_world import world  # noqa: F401  a fixture

BASE = """\
record_type: thing
title_field: name
fields:
  - {id: f_1, name: name, type: text}
  - {id: f_2, name: tier, type: select, default: gold, options: [{value: gold}, {value: silver}]}
  - id: f_3
    name: lines
    type: table
    fields:
      - {id: f_4, name: price, type: money}
"""
SITE = """\
customize: thing
# what this site adds
fields:
  - {name: tier, label: {en: Tier}}
  - {name: rank, type: text, visible_when: "tier == 'gold' and name is not empty"}
  - {name: total, type: rollup, of: lines, take: price, how: sum, filter: "price > 0"}
views:
  - {name: golden, columns: [name, tier], filter: "tier == 'gold'", sort: [-tier]}
checks:
  - {check: "tier != 'gold' or sum(lines.price) > 1", message: {en: x}, fields: [tier]}
"""
OTHER = """\
record_type: note
title_field: text
fields:
  - {name: text, type: text}
  - {name: about, type: link, target: thing, filter: "tier == 'gold'"}
  - {name: special, type: boolean, visible_when: "about.tier == 'gold'"}
"""


def test_saved_views_and_stored_conditions_follow_renames(site):
    rules = """\
record_type: promo
title_field: name
fields:
  - {name: name, type: text}
  - {name: when, type: condition, scope: shelf}
---
record_type: shelf
title_field: code
fields:
  - {name: code, type: text}
  - {name: kind, type: select, options: [{value: red}, {value: blue}]}
"""
    assert site.publish(rules)
    admin = site.client("admin")
    condition = "kind == 'red' and code is not empty"
    promo = admin.post("/api/v1/records/promo", json={"name": "x", "when": condition})
    assert promo.status_code == 201, promo.json
    view = {
        "label": "mine",
        "columns": ["code", "kind"],
        "filter": "kind == 'red'",
        "sort": ["-kind"],
    }
    saved = admin.post("/api/v1/views/shelf", json=view)
    assert saved.status_code == 201, saved.json
    change = [
        {"op": "rename_option", "type": "shelf", "field": "kind", "option": "red", "to": "rot"},
        {"op": "rename_field", "type": "shelf", "field": "kind", "to": "colour"},
    ]
    made = admin.post("/api/v1/schema/drafts", json={"changes": change})
    number = admin.post(f"/api/v1/schema/drafts/{made.json['id']}/publish", json={})
    assert number.status_code == 200, number.json
    shown = admin.get(f"/api/v1/records/promo/{promo.json['id']}").json
    assert shown["when"] == "colour == 'rot' and code is not empty"
    (kept,) = admin.get("/api/v1/views/shelf").json["items"][-1:]
    assert (kept["filter"], kept["columns"]) == ("colour == 'rot'", ["code", "colour"])
    release = number.json["release"]
    assert (
        admin.post(f"/api/v1/schema/releases/{release - 1}/rollback", json={}).status_code == 200
    )
    assert admin.get(f"/api/v1/records/promo/{promo.json['id']}").json["when"] == condition


@pytest.fixture
def layered(world):
    (world.settings.schemas / "thing.yaml").write_text(BASE)
    assert publish_disk(world, []) == 1
    assert world.publish(f"{SITE}---\n{OTHER}") == 2
    return world


def text_of(world, start):
    with world.db.read() as connection:
        from core.migration.proposal import read_running

        running = read_running(connection)
    return next(one.text for one in running.sources if one.text.startswith(start))


def test_field_and_option_renamed_in_the_base_are_renamed_in_every_layer(layered):
    layered.add("thing", {"name": "a", "tier": "gold"}, {"name": "b", "tier": "silver"})
    text = BASE.replace("name: tier,", "name: level,").replace("default: gold", "default: vip")
    text = text.replace("{value: gold}", "{value: vip, was: gold}").replace("price", "cost")
    (layered.settings.schemas / "thing.yaml").write_text(text)
    assert plan_paths(layered).problems == ()
    assert apply_paths(layered) == 3
    site = text_of(layered, "customize: thing")
    assert site == (
        SITE.replace("tier", "level").replace("gold'", "vip'").replace("price", "cost")
    )
    assert "# what this site adds" in site
    other = text_of(layered, "record_type: note")
    assert other == OTHER.replace("tier", "level").replace("gold", "vip")
    assert layered.values("thing", "level") == ["vip", "silver"]
    layered.assert_sound()
    # The file of the base is what it was; starting again changes nothing.
    assert publish_disk(layered, []) == 3
    assert rollback(layered, 2) == 4
    assert text_of(layered, "customize: thing") == SITE
    assert layered.values("thing", "tier") == ["gold", "silver"]
    layered.assert_sound()


def test_type_renamed_by_its_file_takes_records_links_and_numbers_along(world):
    thing = """\
record_type: thing
title_field: name
fields:
  - {name: name, type: text, searchable: true, unique: true}
  - {name: no, type: sequence, number: "T-{0000}"}
  - {name: lines, type: table, fields: [{name: n, type: integer}]}
  - {name: peers, type: links, target: thing}
"""
    note = """\
record_type: note
title_field: text
fields:
  - {name: text, type: text}
  - {name: about, type: link, target: thing}
views:
  - {name: all, columns: [text], filter: "about.name is not empty"}
"""
    world.publish(f"{thing}---\n{note}")
    (one,) = world.add("thing", {"name": "x"})
    world.add("note", {"about": one})
    draft = create_draft(world, changes=[{"op": "rename_type", "type": "thing", "to": "object"}])
    shown = get_draft(world, draft)
    assert shown["checks"] == []
    assert [it["kind"] for it in shown["diff"]][:1] != ["archive_type"]
    assert ("rename_type", "object") in [(it["kind"], it["type"]) for it in shown["diff"]]
    assert publish_draft(world, draft) == 2
    assert world.release.type("thing") is None
    assert world.values("object", "name") == ["x"]
    assert world.release.types["note"].field("about").target == "object"
    world.assert_sound()
    assert (
        world.draft("record_type: thing\ntitle_field: a\nfields: [{name: a, type: text}]\n")[
            "checks"
        ][0]["code"]
        == "schema.name_taken"
    )
    assert rollback(world, 1) == 3
    assert world.values("thing", "name") == ["x"]
    assert world.release.type("object") is None
    world.assert_sound()
    assert rollback(world, 2) == 4
    assert world.values("object", "name") == ["x"]
    world.assert_sound()


def test_history_and_search_follow_a_renamed_type(site):
    made = site.client("admin").post("/api/v1/schema/drafts", json={"yaml": NOTE})
    url = "/api/v1/schema/drafts"
    admin = site.client("admin")
    assert admin.post(f"{url}/{made.json['id']}/publish", json={}).status_code == 200
    record = admin.post("/api/v1/records/memo", json={"title": "王小明"}).json
    path = f"memo/{record['id']}"
    etag = {"If-Match": '"1"'}
    assert (
        admin.patch(f"/api/v1/records/{path}", json={"title": "张"}, headers=etag).status_code
        == 200
    )
    change = [{"op": "rename_type", "type": "memo", "to": "remark"}]
    made = admin.post(url, json={"changes": change})
    assert admin.post(f"{url}/{made.json['id']}/publish", json={}).status_code == 200
    base = "/api/v1/records/remark"
    assert admin.get(f"{base}?search=张").json["items"][0]["number"] == record["number"]
    etag = {"If-Match": '"2"'}
    answer = admin.patch(f"{base}/{record['id']}", json={"title": "李"}, headers=etag)
    assert answer.status_code == 200
    events = admin.get(f"{base}/{record['id']}/history").json["items"]
    assert [one["seq"] for one in events] == [3, 2, 1]
    assert admin.get(f"/api/v1/records/{path}").status_code == 404
    back = admin.post(
        f"{base}/{record['id']}/restore", json={"version": 1}, headers={"If-Match": '"3"'}
    )
    assert back.json["title"] == "王小明"
    assert admin.post(base, json={"title": "x"}).json["number"] == "M-0002"
    from core.records.history import history_problems

    assert list(history_problems(site.services.db, site.services.registries.current())) == []


NOTE = """\
record_type: memo
title_field: title
fields:
  - {name: title, type: text, searchable: true}
  - {name: number, type: sequence, number: "M-{0000}"}
"""


def test_renaming_onto_a_taken_name_is_refused(layered):
    text = OTHER.replace("record_type: note", "record_type: thing\nwas: note")
    assert layered.draft(text)["checks"]
    change = {"op": "rename_type", "type": "note", "to": "thing"}
    assert layered.draft(changes=[change])["checks"]
