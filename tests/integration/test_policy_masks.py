"""Masked values: what stands in their place at every door, and who may lift them."""

import pytest

from core.errors import Forbidden, Invalid
from core.records.duplicating import copied_values
from core.records.exporting import export_csv, export_json
from core.records.grouping import group_records
from core.records.history import history_problems, record_history
from core.records.importing import run_import
from core.records.operations import create_record, restore_record, update_record
from core.records.queries import Query, get_record, list_wire
from core.records.unmasking import unmask_value
from tests.integration.records_world import codes, world  # noqa: F401  a fixture

MASKS = {
    "phone": "138•••5678", "email": "l•••@example.com", "born": "1990-•••", "pay": "•••",
    "note": "•••", "tags": "•••", "dialled": "•••",
}  # fmt: skip


def a_person(**rest):
    return {
        "name": "Lin", "phone": "13812345678", "email": "lin@example.com", "born": "1990-02-03",
        "pay": "12.50", "note": "kind", "tags": ["a"], "papers": [{"code": "P1"}], **rest,
    }  # fmt: skip


@pytest.fixture
def person(world):
    return create_record(world.context("clerk"), "person", a_person())


def test_sensitive_values_are_masked_unless_a_policy_shows_them(world, person):
    whole = get_record(world.context("clerk"), "person", person["id"], as_wire=True)
    assert {name: whole[name] for name in a_person() if name != "papers"} == {
        name: value for name, value in a_person().items() if name != "papers"
    }
    seen = get_record(world.context("guest"), "person", person["id"], as_wire=True)
    assert {name: seen[name] for name in MASKS} == MASKS
    assert (seen["masked"], seen["no_access"]) == (sorted(MASKS), ["papers"])
    assert (seen["name"], "papers" in seen, "masked" in whole) == ("Lin", False, False)


def test_lists_mask_cell_by_cell_and_keep_emptiness(world, person):
    own = create_record(world.context("clerk", user="u1"), "person", a_person(name="Own"))
    bare = create_record(world.context("clerk"), "person", {"name": "Bare"})
    items = list_wire(world.context("mixed", user="u1"), "person", Query()).items
    found = {one["id"]: one for one in items}
    assert (found[own["id"]]["phone"], found[own["id"]]["email"]) == (
        "13812345678", "l•••@example.com",
    )  # fmt: skip
    assert found[own["id"]]["masked"] == ["born", "email"]
    assert (found[person["id"]]["phone"], found[bare["id"]]["phone"]) == ("138•••5678", None)
    assert "email" in found[person["id"]]["no_access"]


@pytest.mark.parametrize(
    "query",
    [
        Query(filter="phone == '13812345678'"), Query(filter="born is not empty"),
        Query(sort=("phone",)), Query(filter="dialled == 'x'"), Query(sort=("-pay",)),
        Query(filter="note == 'kind'", count="exact"),
    ],
)  # fmt: skip
def test_questions_about_masked_values_are_refused(world, person, query):
    with pytest.raises(Forbidden) as refused:
        list_wire(world.context("guest"), "person", query)
    assert refused.value.code == "forbidden"


def test_masked_values_are_neither_searched_nor_grouped_nor_totalled(world, person):
    guest = world.context("guest")
    assert list_wire(guest, "person", Query(search="1381")).items == []
    assert len(list_wire(guest, "person", Query(search="Lin")).items) == 1
    for by, totals in (("born.month", {}), ("", {"pay": "sum"})):
        with pytest.raises(Forbidden):
            group_records(guest, "person", Query(), by, totals)


def test_files_and_history_hold_masks(world, person):
    guest = world.context("guest")
    update_record(
        world.context("clerk"), "person", person["id"], {"phone": "13900001111"}, version=1
    )
    text = "".join(export_csv(guest, "person", Query()))
    assert "139•••1111" in text
    for value in ("1390000", "lin@", "02-03", "12.5", "kind"):
        assert value not in text + "".join(export_json(guest, "person", Query()))
    event = record_history(guest, "person", person["id"])[0]
    assert event["changes"]["phone"] == ["138•••5678", "139•••1111"]
    assert event["changes"]["dialled"] == ["•••", "•••"]
    created = record_history(guest, "person", person["id"])[1]
    assert (created["changes"]["email"], created["no_access"]) == (
        [None, "l•••@example.com"], ["papers"],
    )  # fmt: skip


def test_each_action_shows_the_cells_of_its_own_policies(world, person):
    own = create_record(world.context("clerk", user="u1"), "person", a_person(name="Own"))
    ctx = world.context("mixed", user="u1")
    lines = "".join(export_csv(ctx, "person", Query())).splitlines()
    assert len(lines) == 2
    assert "13812345678" in lines[1]
    assert "born" not in lines[0]
    assert "note" not in lines[0]
    changes = record_history(ctx, "person", own["id"])[0]["changes"]
    assert (changes["phone"], sorted(changes)) == (
        [None, "138•••5678"], ["born", "name", "note", "phone"],
    )  # fmt: skip


def test_a_mask_sent_back_keeps_the_value_and_a_wrong_one_is_refused(world, person):
    guest, clerk = world.context("guest"), world.context("clerk")
    seen = get_record(guest, "person", person["id"], as_wire=True)
    del seen["name"]
    changed = update_record(guest, "person", person["id"], {**seen, "name": "Lu"}, version=1)
    assert (changed["name"], changed["phone"]) == ("Lu", "138•••5678")
    stored = get_record(clerk, "person", person["id"], as_wire=True)
    assert (stored["phone"], stored["born"], stored["tags"]) == (
        "13812345678", "1990-02-03", ["a"],
    )  # fmt: skip
    with pytest.raises(Invalid) as refused:
        update_record(guest, "person", person["id"], {"phone": "139•••5678"}, version=2)
    assert codes(refused) == [("phone", "field.masked")]
    with pytest.raises(Invalid) as refused:
        create_record(clerk, "person", {"name": "X", "phone": "138•••5678"})
    assert codes(refused) == [("phone", "field.masked")]
    update_record(guest, "person", person["id"], {"phone": "13900001111"}, version=2)
    assert get_record(clerk, "person", person["id"], as_wire=True)["phone"] == "13900001111"


def test_copies_and_versions_reveal_nothing(world, person):
    guest = world.context("guest")
    assert copied_values(guest, "person", person["id"]).keys().isdisjoint(MASKS)
    update_record(
        world.context("clerk"), "person", person["id"], {"phone": "13900001111"}, version=1
    )
    restored = restore_record(guest, "person", person["id"], to_version=1)
    assert restored["phone"] == "138•••5678"


def test_lifting_a_mask_is_a_right_and_is_written_down(world, person):
    ctx, guest = world.context("mixed", user="u1"), world.context("guest")
    for name in ("email", "papers"):
        with pytest.raises(Forbidden):
            unmask_value(ctx, "person", person["id"], name)
    with pytest.raises(Forbidden):
        unmask_value(guest, "person", person["id"], "phone")
    assert unmask_value(ctx, "person", person["id"], "phone") == "13812345678"
    assert unmask_value(ctx, "person", person["id"], "born") == "1990-02-03"
    event = record_history(world.context("clerk"), "person", person["id"])[0]
    assert (event["action"], event["reason"], event["actor"]) == ("unmask", "born", "u1")
    assert get_record(guest, "person", person["id"], as_wire=True)["version"] == 1
    assert list(history_problems(world.db, ctx.registry)) == []
    update_record(guest, "person", person["id"], {"name": "Lu"}, version=1)
    assert list(history_problems(world.db, ctx.registry)) == []
    assert unmask_value(world.context("clerk"), "person", person["id"], "phone") == "13812345678"
    assert record_history(guest, "person", person["id"])[0]["action"] == "update"


def test_a_file_of_masks_read_back_keeps_what_they_stand_for(world, person, tmp_path):
    guest = world.context("guest", door="import")
    path = tmp_path / "people.csv"
    text = "".join(export_csv(guest, "person", Query(fields=("name", "phone", "born", "pay"))))
    assert "138•••5678" in text
    path.write_text(text, "utf-8")
    report = run_import(guest, "person", path, update=True)
    assert (report.created, report.refused, report.updated) == (0, 0, 0)
    path.write_text(text.replace("138•••5678", "13900001111"), "utf-8")
    assert run_import(guest, "person", path, update=True).updated == 1
    path.write_text(text.replace("Lin", "New"), "utf-8")
    assert run_import(guest, "person", path, update=True).refused == 1
    stored = get_record(world.context("clerk"), "person", person["id"], as_wire=True)
    assert (stored["phone"], stored["born"], stored["pay"]) == (
        "13900001111", "1990-02-03", "12.50",
    )  # fmt: skip
