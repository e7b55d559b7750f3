"""Upgrades that meet the site's own changes: stopped, compared, settled by a person."""

import pytest

from core.errors import SchemaError
from core.migration.files import apply_paths, plan_paths, publish_disk, upgrade_json
from tests.integration.release_world import world  # noqa: F401  a fixture

BASE = """\
record_type: thing
title_field: name
label: {en: Thing}
fields:
  - {id: f_1, name: name, type: text, max_length: 40}
  - {id: f_2, name: tier, type: select, options: [{value: gold, label: {en: Gold}}, {value: silver}]}
"""
SITE = """\
customize: thing
# ours
fields:
  - {name: name, max_length: 60, help: {en: Ours}}
  - {name: tier, options: [{value: gold, label: {en: Golden}}]}
  - {name: extra, type: text}
"""
NEW = (
    BASE.replace("max_length: 40", "max_length: 80")
    .replace("en: Gold}", "en: GOLD}")
    .replace("en: Thing", "en: Object")
)
LENGTH, LABEL = "thing.fields.name.max_length", "thing.fields.tier.options.gold.label"


@pytest.fixture
def upgraded(world):
    path = world.settings.schemas / "thing.yaml"
    path.write_text(BASE)
    assert publish_disk(world, []) == 1
    assert world.publish(SITE) == 2
    path.write_text(NEW)
    return world


def field(world, name):
    return world.release.types["thing"].field(name)


def test_upgrade_that_changes_what_the_site_changed_stops_with_all_three_values(upgraded):
    assert publish_disk(upgraded, []) == 2
    assert field(upgraded, "name").max_length == 60
    assert upgraded.release.types["thing"].label == {"en": "Thing"}
    shown = upgrade_json(upgraded)
    assert shown["conflicts"] == [
        {"key": LENGTH, "base": "40", "mine": "60", "theirs": "80"},
        {
            "key": LABEL,
            "base": {"en": "Gold"},
            "mine": {"en": "Golden"},
            "theirs": {"en": "GOLD"},
        },
    ]
    assert [one["code"] for one in shown["checks"]] == ["schema.conflict"] * 2
    with pytest.raises(SchemaError):
        apply_paths(upgraded)
    with pytest.raises(SchemaError):
        apply_paths(upgraded, settle={LENGTH: "mine"})


def test_person_keeps_mine_takes_theirs_or_writes_another_value(upgraded):
    assert apply_paths(upgraded, settle={LENGTH: "mine", LABEL: "theirs"}) == 3
    assert field(upgraded, "name").max_length == 60
    assert field(upgraded, "name").help == {"en": "Ours"}
    assert field(upgraded, "tier").options[0].label == {"en": "GOLD"}
    assert upgraded.release.types["thing"].label == {"en": "Object"}
    # What was settled is settled.
    assert plan_paths(upgraded).is_empty
    assert publish_disk(upgraded, []) == 3
    path = upgraded.settings.schemas / "thing.yaml"
    path.write_text(NEW.replace("max_length: 80", "max_length: 90"))
    assert [one.key for one in plan_paths(upgraded).conflicts] == [LENGTH]
    assert apply_paths(upgraded, settle={LENGTH: {"value": "75"}}) == 4
    assert field(upgraded, "name").max_length == 75


def shipped(label, length, size="A5"):
    """Return an automation and a print as files of the product, by their names."""
    return {
        "welcome.yaml": f"""\
automation: welcome
label: {{en: {label}}}
type: thing
trigger: {{on: created}}
when: "LEN(name) == {length}"
run_as: {{role: clerk}}
actions: [{{do: notify, to: {{role: clerk}}, title: {{en: Hello}}}}]
""",
        "slip.yaml": f"""\
print: slip
type: thing
label: {{en: {label}}}
page: {{size: {size}}}
blocks: [{{fields: [name]}}]
""",
    }


def test_automations_and_prints_are_merged_property_by_property(world):
    def ship(files):
        for name, text in {"thing.yaml": BASE, **files}.items():
            (world.settings.schemas / name).write_text(text)
        return publish_disk(world, [])

    assert ship(shipped("First", 1)) == 1
    mine = world.settings.home / "schemas"
    mine.mkdir()
    (mine / "welcome.yaml").write_text("automation: welcome\nwhen: LEN(name) == 7\n")
    text = "print: slip\n# our paper\nlabel: {en: Ours}\npage: {size: A6}\n"
    (mine / "slip.yaml").write_text(text)
    assert publish_disk(world, []) == 2
    # What the site left alone follows; what both changed waits.
    files = shipped("First", 1)
    assert ship({**files, "slip.yaml": files["slip.yaml"].replace("[name]", "[name, tier]")}) == 3
    printed = world.release.prints["slip"]
    assert (printed.blocks[0].fields, printed.page.size, printed.layer) == (
        ("name", "tier"),
        "A6",
        "core",
    )
    assert ship(shipped("Second", 2, "A4")) == 3
    when, label, page = "automation welcome.when", "print slip.label", "print slip.page"
    conflicts = {one.key: (one.base, one.mine, one.theirs) for one in plan_paths(world).conflicts}
    assert conflicts == {
        when: ("LEN(name) == 1", "LEN(name) == 7", "LEN(name) == 2"),
        label: ({"en": "First"}, {"en": "Ours"}, {"en": "Second"}),
        page: ({"size": "A5"}, {"size": "A6"}, {"size": "A4"}),
    }
    assert (
        apply_paths(
            world, settle={when: "theirs", label: "mine", page: {"value": {"size": "letter"}}}
        )
        == 4
    )
    assert world.release.automations["welcome"].when == "LEN(name) == 2"
    assert world.release.automations["welcome"].label == {"en": "Second"}
    printed = world.release.prints["slip"]
    assert (printed.label, printed.page.size) == ({"en": "Ours"}, "letter")
    assert plan_paths(world).is_empty


@pytest.mark.parametrize(
    "settle", [{"thing.fields.name.nosuch": "mine"}, {LENGTH: "yours"}, {LENGTH: {"value": None}}]
)
def test_settlement_that_settles_nothing_is_a_problem(upgraded, settle):
    codes = [one.code for one in plan_paths(upgraded, settle=settle).problems]
    assert codes.count("schema.bad_settlement") == 1


def test_upgrade_of_what_the_site_left_alone_goes_through(upgraded):
    path = upgraded.settings.schemas / "thing.yaml"
    path.write_text(BASE.replace("en: Thing", "en: Object"))
    assert publish_disk(upgraded, []) == 3
    assert upgraded.release.types["thing"].label == {"en": "Object"}


def test_field_that_both_added_waits_for_the_site_to_rename_its_own(upgraded):
    path = upgraded.settings.schemas / "thing.yaml"
    path.write_text(BASE + "  - {id: f_3, name: extra, type: text}\n")
    upgraded.add("thing", {"extra": "kept"})
    assert publish_disk(upgraded, []) == 2
    assert "schema.both_added" in [one.code for one in plan_paths(upgraded).problems]
    upgraded.change({"op": "rename_field", "type": "thing", "field": "extra", "to": "ours"})
    assert publish_disk(upgraded, []) == 4
    assert upgraded.values("thing", "ours") == ["kept"]
    assert upgraded.values("thing", "extra") == [None]


def test_switched_off_plugin_stays_readable_after_the_next_start(site):
    from core.cli.installation import Installation
    from core.records.plugin_settings import set_plugin_enabled

    clerk = site.client("admin")
    made = clerk.get("/api/v1/records/card_type")
    assert made.status_code == 200
    set_plugin_enabled(site.context(), "card_types", enabled=False)
    installation = Installation(site.settings)
    number = installation.publish_shipped()
    assert installation.services.registries.current().release.type("card_type") is not None
    installation.close()
    assert number == site.services.registries.current().release.number
    admin = site.client("admin")
    assert admin.get("/api/v1/records/card_type").status_code == 200
    refused = admin.post("/api/v1/records/card_type", json={"code": "AA", "name": "x"})
    assert (refused.status_code, refused.json["code"]) == (409, "plugin.disabled")
