"""Drafts, files, rollback and export on the shipped schema, on both databases."""

import io
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import Conflict, Malformed, NotFound, SchemaError
from core.migration.drafts import (
    create_draft,
    export_release,
    get_draft,
    list_releases,
    publish_draft,
    rollback,
)
from core.migration.files import apply_paths, plan_paths, publish_disk
from core.migration.verify import table_problems
from tests.integration.release_world import world  # noqa: F401  the fixture

THING = """\
record_type: thing
label: {zh: 东西, en: Thing}
title_field: name
fields:
  - {name: name, type: text, required: true, label: {zh: 名称, en: Name}}
  - {name: code, type: text, label: {zh: 编码, en: Code}}
  - {name: price, type: money}
  - {name: double, type: formula, formula: "price * 2"}
  - name: parts
    type: table
    fields:
      - {name: title, type: text}
views:
  - {name: all, columns: [name, code], filter: "code == 'x'", sort: [-price]}
"""


@pytest.fixture
def parts(world):
    (world.settings.schemas / "thing.yaml").write_text(THING)
    assert publish_disk(world, []) == 1
    return world


def add_record(parts, **values):
    now = parts.clock.now()
    system = {"version": 1, "release": 1, "created_at": now, "created_by": "u"}
    system |= {"updated_at": now, "updated_by": "u"}
    with parts.db.write() as connection:
        connection.execute(
            parts.table("thing").insert().values(id=values.pop("id"), **system, **values)
        )


def draft(parts, **content):
    return create_draft(parts, **content)


def test_publishing_the_same_files_again_changes_nothing(parts):
    assert publish_disk(parts, []) == 1
    assert plan_paths(parts).is_empty
    assert plan_paths(parts).to_text() == "Nothing changes."
    assert apply_paths(parts) is None
    assert table_problems(parts.db, parts.registries.current()) == []


def test_changed_file_is_planned_and_applied(parts):
    add_record(parts, id="1", name="a", code="c")
    text = THING.replace("name: code", "name: number, was: code").replace("[name, code]", "[name]")
    text = text.replace("code == 'x'", "number == 'x'")
    (parts.settings.schemas / "thing.yaml").write_text(
        text + "  - {name: cheap, columns: [name], sort: [price]}\n"
    )
    proposal = plan_paths(parts)
    assert proposal.problems == ()
    shown = proposal.to_text()
    assert "~ field thing.number <- code [Code / 编码]" in shown
    assert "list view cheap filters and sorts by it" in shown
    assert "thing: 1" in shown
    assert parts.release.number == 1
    assert apply_paths(parts) == 2
    assert parts.values("thing", "number") == ["c"]
    assert table_problems(parts.db, parts.registries.current()) == []


def test_draft_shows_problems_diff_impact_and_plan(parts):
    add_record(parts, id="1", name="a", code="c")
    text = THING.replace("name: code", "name: number, was: code").replace("[name, code]", "[name]")
    draft_id = draft(parts, yaml=text.replace("code == 'x'", "number == 'x'"))
    shown = get_draft(parts, draft_id)
    assert shown["checks"] == []
    assert ("rename_field", "number") in [(one["kind"], one["field"]) for one in shown["diff"]]
    assert {key: value for key, value in shown["impact"].items() if value} == {
        "rows": {"thing": 1},
        "views": ["thing.all"],
        "api_fields": ["thing.code"],
    }
    operations = [step["operation"] for step in shown["plan"]["steps"]]
    assert operations == ["rename_column", "rename_index"]
    assert publish_draft(parts, draft_id, "why") == 2
    assert parts.values("thing", "number") == ["c"]
    assert list_releases(parts)[0] | {"published_at": ""} == {
        "number": 2,
        "note": "why",
        "published_at": "",
        "published_by": "system",
        "steps": 2,
    }
    with pytest.raises(Conflict):
        publish_draft(parts, draft_id)


def test_draft_of_yaml_adds_a_type_and_customizes_another(parts):
    yaml = """\
customize: thing
fields:
  - {name: color, type: text}
---
record_type: other
title_field: name
fields:
  - {name: name, type: text}
"""
    assert publish_draft(parts, draft(parts, yaml=yaml)) == 2
    assert parts.release.types["thing"].field("color").layer == "site"
    assert "other" in parts.registries.current().tables
    assert publish_disk(parts, []) == 2


def test_draft_of_changes_shows_what_was_asked_and_what_it_does(parts):
    asked = [{"op": "add_field", "type": "thing", "field": {"name": "size", "type": "text"}}]
    shown = get_draft(parts, draft(parts, changes=asked))
    assert shown["changes"] == asked
    assert ("add_field", "size") in [(one["kind"], one["field"]) for one in shown["diff"]]


def test_draft_with_problems_says_where_and_is_not_published(parts):
    draft_id = draft(parts, yaml="customize: thing\nfields:\n  - {name: x, type: wrong}\n")
    (problem,) = get_draft(parts, draft_id)["checks"]
    assert (problem["line"], problem["column"]) == (3, 21)
    with pytest.raises(SchemaError):
        publish_draft(parts, draft_id)
    assert parts.release.number == 1


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"yaml": 1},
        {"yaml": "a\0"},
        {"yaml": "\ud800"},
        {"changes": []},
        {"changes": {}},
        {"yaml": "a: b", "changes": [{}]},
    ],
)
def test_draft_of_wrong_shape_is_malformed(parts, content):
    with pytest.raises(Malformed):
        draft(parts, **content)


def test_unreadable_change_is_a_problem_of_the_draft(parts):
    draft_id = draft(parts, changes=[{"op": "explode"}])
    assert [one["code"] for one in get_draft(parts, draft_id)["checks"]] == ["schema.bad_change"]


def test_missing_draft_and_release_are_not_found(parts):
    for call in (get_draft, publish_draft):
        with pytest.raises(NotFound):
            call(parts, "nothing")
    for call in (rollback, export_release):
        with pytest.raises(NotFound):
            call(parts, 99)


def test_draft_is_worked_out_on_top_of_what_others_published(parts):
    one = draft(
        parts,
        changes=[{"op": "add_field", "type": "thing", "field": {"name": "one", "type": "text"}}],
    )
    two = draft(
        parts,
        changes=[{"op": "add_field", "type": "thing", "field": {"name": "two", "type": "text"}}],
    )
    assert (publish_draft(parts, one), publish_draft(parts, two)) == (2, 3)
    names = {field.name for field in parts.release.types["thing"].fields}
    assert {"one", "two"} < names


def test_rollback_brings_back_names_and_values_and_survives_the_next_start(parts):
    add_record(parts, id="1", name="a", code="c")
    path = parts.settings.schemas / "thing.yaml"
    text = THING.replace("name: code", "name: number, was: code").replace("[name, code]", "[name]")
    path.write_text(
        text.replace("code == 'x'", "number == 'x'").replace(
            "  - {name: price", "  - {name: extra, type: text}\n  - {name: price"
        )
    )
    assert apply_paths(parts) == 2
    table = parts.registries.current().tables["thing"].main
    with parts.db.write() as connection:
        connection.execute(table.update().values(extra="kept"))
    assert rollback(parts, 1) == 3
    assert parts.values("thing", "code") == ["c"]
    assert "extra" not in parts.registries.current().tables["thing"].main.c
    assert table_problems(parts.db, parts.registries.current()) == []
    assert publish_disk(parts, []) == 3
    assert rollback(parts, 2) == 4
    assert parts.values("thing", "extra") == ["kept"]
    with pytest.raises(Conflict):
        rollback(parts, 4)


def test_file_and_published_text_that_both_changed_are_left_for_a_person(parts):
    path = parts.settings.schemas / "thing.yaml"
    published = THING.replace("- {name: price", "- {name: a, type: text}\n  - {name: price")
    assert publish_draft(parts, draft(parts, yaml=published)) == 2
    assert publish_disk(parts, []) == 2
    path.write_text(THING.replace("- {name: price", "- {name: b, type: text}\n  - {name: price"))
    assert publish_disk(parts, []) == 2
    proposal = plan_paths(parts)
    assert [one.code for one in proposal.problems] == ["schema.both_changed"]
    assert apply_paths(parts, [path]) == 3
    assert parts.release.types["thing"].field("b") is not None
    assert parts.release.types["thing"].field("a") is None
    assert publish_disk(parts, []) == 3


def test_loose_file_of_something_new_joins_the_site_layer(parts, tmp_path):
    path = tmp_path / "new.yaml"
    path.write_text("record_type: fresh\ntitle_field: a\nfields:\n  - {name: a, type: text}\n")
    assert apply_paths(parts, [path]) == 2
    assert parts.release.types["fresh"].layer == "site"
    assert publish_disk(parts, []) == 2
    with pytest.raises(Malformed):
        plan_paths(parts, [Path("/nowhere/at-all.yaml")])


def test_file_that_went_archives_its_type_and_keeps_the_rows(parts):
    add_record(parts, id="1", name="a")
    path = parts.settings.schemas / "thing.yaml"
    path.unlink()
    assert publish_disk(parts, []) == 2
    assert parts.release.type("thing") is None
    path.write_text(THING)
    assert publish_disk(parts, []) == 3
    assert parts.values("thing", "name") == ["a"]


def test_export_holds_every_source(parts):
    data = export_release(parts, 1)
    assert data == export_release(parts, 1)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("core/schemas/thing.yaml").decode() == THING
        assert "release.json" in archive.namelist()


def test_verify_names_what_differs(parts):
    with parts.db.write() as connection:
        connection.exec_driver_sql("ALTER TABLE r_thing RENAME COLUMN code TO other")
        (index,) = [
            one["name"]
            for one in sa.inspect(connection).get_indexes("r_thing")
            if one["name"].startswith("ix_r_thing__all")
        ]
        connection.exec_driver_sql(f"DROP INDEX {index}")
    assert sorted(table_problems(parts.db, parts.registries.current())) == [
        "column r_thing.code is missing",
        f"index {index} on r_thing is missing",
    ]
