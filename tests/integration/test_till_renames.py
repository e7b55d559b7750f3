"""Conditions of documents in force follow the fields that they name through later releases."""

import pytest

from core.records.history import history_problems
from core.records.inforceproof import in_force_problems
from tests.integration.till_world import fill, line

SITE = """\
customize: product
fields:
  - {name: season, type: select, options: [{value: spring}, {value: autumn}]}
---
customize: member
fields:
  - {name: vip, type: boolean}
---
customize: store
fields:
  - {name: area, type: text}
"""
LINE = "line.product.season == 'spring' and store.area == 'east'"
WHOLE = "member.vip == true and sale.total_due >= 150"


@pytest.fixture
def site_schema():
    return (SITE,)


@pytest.fixture
def till(site):
    """A till where spring's tea costs a card nine tenths, and a good buyer earns 50 points."""
    made = fill(site)
    for kind, name, values in (
        ("product", "TEA-1", {"season": "spring"}),
        ("store", "S1", {"area": "east"}),
        ("member", "M1", {"vip": True}),
    ):
        change(made, kind, made.ids[kind][name], values)
    gold = made.approve("card_type", {"code": "G", "name": "G", "points_rate": "0"})["id"]
    made.make("card", "M1", card_type=gold, store=made.ids["store"]["S1"], status="active",
              member=made.ids["member"]["M1"])  # fmt: skip
    rule = {"scope": "brand", "targets": ["longjing"], "rate": "0.9", "condition": LINE}
    document = {"card_types": [gold], "effective_from": "2020-01-01", "lines": [rule]}
    made.ids["rule"] = {"": made.approve("discount_rule", document)["id"]}
    scene = {"title": "VIP", "effective_from": "2020-01-01", "effect": "grant", "points": 50,
             "condition": WHOLE, "once": "receipt"}  # fmt: skip
    made.approve("points_scene", scene)
    return made


def change(till, kind, record_id, values):
    url, admin = f"/api/v1/records/{kind}/{record_id}", till.site.client("admin")
    seen = {"If-Match": admin.get(url).headers["ETag"]}
    answer = admin.patch(url, json=values, headers=seen)
    assert answer.status_code == 200, answer.text


def draft(till, *changes):
    """Return the address of a draft with some changes."""
    made = till.site.client("admin").post("/api/v1/schema/drafts", json={"changes": list(changes)})
    assert made.status_code < 300, made.text
    return f"/api/v1/schema/drafts/{made.json['id']}"


def publish(till, *changes):
    """Publish a release with some changes."""
    done = till.site.client("admin").post(f"{draft(till, *changes)}/publish", json={})
    assert done.status_code == 200, done.text


def rename(kind, field, to):
    return {"op": "rename_field", "type": kind, "field": field, "to": to}


def rename_option(option, to):
    names = {"type": "product", "field": "season", "option": option, "to": to}
    return {"op": "rename_option", **names}


def quoted(till, quantity="2"):
    """Return the price, the points, and what was said of the rule."""
    answer = till.quote(line("TEA-1", quantity), member=till.ids["member"]["M1"])
    assert answer.status_code == 200, answer.text
    (found,) = answer.json["lines"]
    return found["amount_due"], answer.json["points"]["C"], found["rule"] is not None


def test_renamed_fields_and_options_price_and_earn_as_before(till):
    assert quoted(till) == ("180.00", 50, True)
    sold = till.order(line("TEA-1", "2"), member=till.ids["member"]["M1"]).json["id"]
    publish(till, rename_option("spring", "warm"), rename("member", "vip", "valued"))
    # Twice over, and one option's old name is by then another's.
    fields = rename("store", "area", "region"), rename("product", "season", "time_of_year")
    publish(till, rename_option("warm", "mild"), rename_option("autumn", "spring"), *fields)
    assert quoted(till) == ("180.00", 50, True)
    change(till, "product", till.ids["product"]["TEA-1"], {"time_of_year": "spring"})
    assert quoted(till) == ("200.00", 50, False)
    # The scene's trigger is asked again of what a return leaves, by today's names.
    half = till.give_back(sold, (1, "0.1"), preview=True).json
    assert half["claw_back"]["C"] == 0
    assert till.give_back(sold, (1, "1"), preview=True).json["claw_back"]["C"] == 50


def test_form_shows_new_names_verify_finds_nothing_and_a_rollback_undoes_it(till):
    publish(till, rename("product", "season", "time_of_year"), rename("store", "area", "region"))
    rule = till.site.client("clerk").get(f"/api/v1/records/discount_rule/{till.ids['rule']['']}")
    assert rule.json["lines"][0]["condition"] == (
        "line.product.time_of_year == 'spring' and store.region == 'east'"
    )
    assert quoted(till) == ("180.00", 50, True)
    services = till.site.services
    registry = services.registries.current()
    assert list(in_force_problems(services.db, registry)) == []
    assert list(history_problems(services.db, registry)) == []
    before = f"/api/v1/schema/releases/{registry.release.number - 1}/rollback"
    assert till.site.client("admin").post(before, json={}).status_code == 200
    assert quoted(till) == ("180.00", 50, True)


def test_name_dropped_and_made_anew_is_another_field(till):
    publish(till, {"op": "archive_field", "type": "store", "field": "area"})
    assert quoted(till) == ("200.00", 50, False)
    made = {"id": "f_another1", "name": "area", "type": "text"}
    publish(till, {"op": "add_field", "type": "store", "field": made})
    assert quoted(till) == ("200.00", 50, False)
    change(till, "store", till.ids["store"]["S1"], {"area": "east"})
    assert quoted(till) == ("200.00", 50, False)


def test_draft_tells_which_records_have_conditions_on_what_it_takes_away(till):
    gone = {"op": "archive_field", "type": "store", "field": "area"}
    found = till.site.client("admin").get(draft(till, gone)).json["impact"]
    assert found["written"] == ["discount_rule: ZK2026-0001"]
    other = {"op": "archive_field", "type": "store", "field": "phone"}
    assert till.site.client("admin").get(draft(till, other)).json["impact"]["written"] == []
