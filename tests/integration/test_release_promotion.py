"""Forms carried to another server, under a seal on what that server is."""

import base64
import io
import zipfile
from dataclasses import replace

import pytest

from core.errors import Malformed, TooLarge
from core.migration.drafts import create_draft, export_release, get_draft, publish_draft
from core.migration.files import apply_paths, publish_disk
from core.migration.promotion import MAX_ARCHIVE, Moved
from core.migration.run import bootstrap
from core.tables.registry import Registries
from core.testing.databases import empty_database
from tests.integration.release_world import world  # noqa: F401  a fixture

BASE = "record_type: thing\ntitle_field: name\nfields:\n  - {id: f_1, name: name, type: text}\n"
FIRST = """\
customize: thing
fields:
  - {name: age, type: text}
  - {name: nick, type: text, visible_when: "age is not empty"}
---
record_type: memo
title_field: text
fields:
  - {name: text, type: text}
"""


@pytest.fixture
def target(world, backend, tmp_path):
    """Yield a second server with the same software and the first release's forms."""
    (world.settings.schemas / "thing.yaml").write_text(BASE)
    (tmp_path / "two").mkdir()
    with empty_database(backend, tmp_path / "two") as database:
        bootstrap(database)
        other = replace(world, db=database, registries=Registries(database))
        for one in (world, other):
            assert publish_disk(one, []) == 1
            assert one.publish(FIRST) == 2
        yield other


def carried(world):
    data = export_release(world, world.release.number)
    return base64.b64encode(data).decode()


def test_promotion_renames_and_converts_what_the_target_holds(world, target):
    for new in ("years", "age_in_years"):
        old = "age" if new == "years" else "years"
        world.change({"op": "rename_field", "type": "thing", "field": old, "to": new})
    world.change(
        {"op": "retype_field", "type": "thing", "field": "age_in_years", "to": "integer"},
        {"op": "rename_type", "type": "memo", "to": "remark"},
    )
    target.add("thing", {"age": "12", "nick": "x"})
    target.add("memo", {"text": "hello"})
    draft = create_draft(target, archive=carried(world))
    shown = get_draft(target, draft)
    assert shown["checks"] == []
    kinds = {(one["kind"], one["type"], one["field"]) for one in shown["diff"]}
    assert ("rename_field", "thing", "age_in_years") in kinds
    assert ("rename_type", "remark", "") in kinds
    assert shown["conversions"][0]["succeeded"] == 1
    assert shown["impact"]["rows"]["thing"] == 1
    assert publish_draft(target, draft, seal=shown["seal"]) == 3
    assert target.values("thing", "age_in_years") == [12]
    assert target.values("remark", "text") == ["hello"]
    target.assert_sound()
    again = get_draft(target, create_draft(target, archive=carried(world)))
    assert (again["diff"], again["checks"]) == ([], [])


def test_plan_for_a_server_that_moved_is_refused(world, target, tmp_path):
    world.change({"op": "add_field", "type": "thing", "field": {"name": "more", "type": "text"}})
    draft = create_draft(target, archive=carried(world))
    seal = get_draft(target, draft)["seal"]
    assert seal.startswith("2-")
    target.publish("customize: memo\nlabel: {en: Memo}\n")
    with pytest.raises(Moved):
        publish_draft(target, draft, seal=seal)
    file = tmp_path / "release.zip"
    file.write_bytes(export_release(world, world.release.number))
    with pytest.raises(Moved):
        apply_paths(target, [file], seal=seal)
    assert target.release.number == 3
    # Two servers are never at one place of the same history.
    assert get_draft(world, create_draft(world, archive=carried(target)))["seal"] != seal
    assert apply_paths(target, [file], seal=get_draft(target, draft)["seal"]) == 4


def test_other_software_below_is_named(world, target):
    (world.settings.schemas / "thing.yaml").write_text(BASE + "label: {en: Thing}\n")
    assert publish_disk(world, []) == 3
    shown = get_draft(target, create_draft(target, archive=carried(world)))
    assert [(one["code"], one["file"]) for one in shown["checks"]] == [
        ("schema.other_base", "schemas/thing.yaml")
    ]


def packed(**files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Malformed),
        (b"PK\x03\x04" + b"\0" * 40, Malformed),
        (packed(a="x"), Malformed),
        (packed(**{"release.json": "{"}), Malformed),
        (packed(**{"release.json": '{"number": 1}', "loose": "x"}), Malformed),
        (packed(**{"release.json": '{"number": 1}', "site/x": b"\xff"}), Malformed),
        (packed(bomb="0" * (MAX_ARCHIVE + 1)), TooLarge),
        (b"x" * (MAX_ARCHIVE + 1), TooLarge),
    ],
)
def test_archive_that_is_none_is_refused(world, data, error):
    with pytest.raises(error):
        create_draft(world, archive=base64.b64encode(data).decode())
    with pytest.raises(Malformed):
        create_draft(world, archive="äöü")


def test_hostile_site_files_of_an_archive_are_problems(world):
    assert world.publish(FIRST.partition("---\n")[2]) == 1
    data = packed(**{"release.json": '{"number": 1}', "site/../../x.yaml": "record_type: [\n"})
    draft = create_draft(world, archive=base64.b64encode(data).decode())
    assert get_draft(world, draft)["checks"]
