"""Records through releases: earlier versions shown in their own words, and brought back."""

from decimal import Decimal

import pytest

from core.actor import SYSTEM, Actor
from core.context import Context
from core.errors import Forbidden, NotFound
from core.records.history import record_history
from core.records.operations import create_record, restore_record, update_record
from core.records.queries import get_record
from core.web.reading import timeline
from core.web.versionprints import print_version
from core.web.versions import view_version
from tests.integration.release_world import world  # noqa: F401  a fixture

FIRST = """
record_type: person
title_field: name
fields:
  - {name: name, type: text}
  - {name: given, type: text, label: {en: First name}}
  - {name: family, type: text}
  - {name: age, type: text, label: {en: Age}}
  - {name: hobby, type: text, label: {en: Pastime}}
  - name: rows
    type: table
    label: {en: Visits}
    fields:
      - {name: day, type: text, label: {en: On}}
      - {name: spent, type: decimal}
policies:
  - {name: all, who: {role: clerk}, actions: ["*"]}
"""
#: Renamed, retyped, merged and taken away; the name of what is gone is taken anew.
SECOND = """
record_type: person
title_field: name
fields:
  - {name: name, type: text}
  - {name: whole, type: text}
  - {name: years, was: age, type: integer, label: {en: Years}}
  - {id: other, name: hobby, type: text, label: {en: Something else}}
  - name: visits
    was: rows
    type: table
    label: {en: Visits}
    fields:
      - {name: amount, was: spent, type: decimal}
changes:
  - {merge: {fields: [given, family], into: whole}}
  - {retype: {field: years, to: integer}}
policies:
  - {name: all, who: {role: clerk}, actions: ["*"]}
  - {name: some, who: {role: guest}, actions: ["view", "history"], fields: {view: [name, hobby, years]}}
"""


def context(world, role="clerk"):
    actor = Actor(id=role, name=role, roles=frozenset({role})) if role else SYSTEM
    registry = world.registries.current()
    return Context(
        actor=actor,
        db=world.db,
        registries=world.registries,
        registry=registry,
        hooks=world.hooks,
        clock=world.clock,
        locale="en",
    )


@pytest.fixture
def person(world):
    """Return the id of a record that was written three times before the second release."""
    world.publish(FIRST)
    ctx = context(world)
    rows = [{"day": "Monday", "spent": "1.5"}, {"day": "Friday", "spent": "2"}]
    values = {"given": "Ann", "family": "Lee", "age": "30", "hobby": "chess", "rows": rows}
    made = create_record(ctx, "person", {"name": "A", **values})
    change = {"given": "Anna", "age": "thirty-one", "hobby": "go", "rows": rows[:1]}
    update_record(ctx, "person", made["id"], change, version=1)
    update_record(ctx, "person", made["id"], {"age": "32"}, version=2)
    lines = SECOND.splitlines(keepends=True)
    world.publish("".join(one for one in lines if "hobby" not in one))
    world.publish(SECOND)
    return made["id"]


def test_restore_follows_renames_conversions_and_tells_what_is_lost(world, person):
    ctx = context(world)
    now = get_record(ctx, "person", person)
    assert (now["whole"], now["years"], now["hobby"]) == ("Anna Lee", 32, None)
    back = restore_record(ctx, "person", person, to_version=1)
    assert (back["whole"], back["years"], back["hobby"]) == ("Ann Lee", 30, None)
    assert [row["amount"] for row in back["visits"]] == [Decimal("1.50"), Decimal("2.00")]
    told = [(one.path, one.code) for one in ctx.warnings]
    assert sorted(set(told)) == [("day", "restore.lost"), ("hobby", "restore.lost")]
    # What no longer fits is told, and all else comes back.
    ctx = context(world)
    back = restore_record(ctx, "person", person, to_version=2)
    assert (back["whole"], back["years"], len(back["visits"])) == ("Anna Lee", 30, 1)
    assert {one.path for one in ctx.warnings} >= {"age"}


def test_history_and_versions_are_told_in_the_words_of_their_release(world, person):
    ctx = context(world)
    update_record(ctx, "person", person, {"years": 40, "hobby": "new"}, version=3)
    events = record_history(ctx, "person", person)
    record_type = ctx.registry.record_type("person")
    lines = timeline(ctx, record_type, events)
    told = {one.label: (one.before, one.after) for one in lines[0].changes}
    assert told == {"Years": ("32", "40"), "Something else": ("", "new")}
    told = {
        one.label: (one.before, one.after)
        for line in lines[1:3]
        for one in (*line.changes, *line.rest)
    }
    assert told["Age"] == ("30", "thirty-one")
    assert told["Pastime"] == ("chess", "go")
    assert told["Visits"][0] == "On: Monday; spent: 1.50\nOn: Friday; spent: 2.00"
    wire = {**get_record(ctx, "person", person), "id": person}
    view = view_version(ctx, record_type, wire, 1)
    facts = dict(view.facts)
    assert (facts["First name"], facts["Age"], facts["Pastime"]) == ("Ann", "30", "chess")
    assert facts["Visits"].split("\n")[1].startswith("On: Friday")
    assert ("Pastime", "chess") in [(label, text) for label, text, _ in view.lost]


def test_a_version_is_printed_in_the_words_of_its_release(world, person):
    printed = print_version(context(world), "person", person, 1)
    assert (printed.title, printed.version) == ("A", 1)
    _, facts, visits = printed.parts
    told = {label: shown.text for label, shown in facts.facts}
    assert (told["First name"], told["Age"], told["Pastime"]) == ("Ann", "30", "chess")
    assert [label for label, _ in visits.heads] == ["On", "spent"]
    assert [[cell.text for cell in row] for row in visits.rows] == [
        ["Monday", "1.50"],
        ["Friday", "2.00"],
    ]
    with pytest.raises(Forbidden):
        print_version(context(world, "guest"), "person", person, 1)
    with pytest.raises(NotFound):
        print_version(context(world), "person", person, 9)


def test_a_name_taken_anew_does_not_show_what_another_field_held(world, person):
    guest = context(world, "guest")
    events = record_history(guest, "person", person)
    # `age` is `years` today and so is seen; `hobby` of then is another field than that of now.
    assert [sorted(one["changes"]) for one in events] == [["age"], ["age"], ["age", "name"]]
    assert all("hobby" in one["no_access"] for one in events[1:])
    facts = dict(
        view_version(
            guest, guest.registry.record_type("person"), get_record(guest, "person", person), 1
        ).facts
    )
    assert facts == {"name": "A", "Age": "30"}
