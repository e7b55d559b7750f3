"""Imports that change what is there, from workbooks too, and imports undone."""

import io
import zipfile

import openpyxl
import pytest

from core.errors import Malformed, TooLarge
from core.records import importjournal, workbooks
from core.records.importing import run_import
from core.records.importjournal import UndoneAlready, list_imports, undo_import
from core.records.operations import create_record, update_record
from core.records.queries import Query, list_records
from tests.integration.hostile_world import page_token


@pytest.fixture
def ctx(site):
    ctx = site.context("admin", door="import")
    for number, name in enumerate(("王一", "李二", "张三"), start=1):
        create_record(
            ctx, "member", {"no": f"M{number}", "name": name, "phone": f"1380000000{number}"}
        )
    return ctx


def csv(tmp_path, *lines):
    path = tmp_path / "members.csv"
    path.write_text("\n".join(lines), "utf-8")
    return path


def workbook(tmp_path, *rows, name="members.xlsx"):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    path = tmp_path / name
    book.save(path)
    return path


def members(ctx):
    found = list_records(ctx, "member", Query(sort=("no",), fields=("no", "name", "phone")))
    return {one["no"]: (one["name"], one["phone"]) for one in found.items}


def by_no(ctx, no):
    found = list_records(ctx, "member", Query(filter=f"no == '{no}'"))
    return found.items[0]


def test_update_changes_the_columns_of_the_file_and_adds_what_is_new(ctx, tmp_path):
    path = csv(tmp_path, "no,name", "M1,王壹", "M2,李二", "M9,赵九")
    report = run_import(ctx, "member", path, update=True)
    assert (report.created, report.updated, report.unchanged, report.refused) == (1, 1, 1, 0)
    assert members(ctx) == {
        "M1": ("王壹", "13800000001"),
        "M2": ("李二", "13800000002"),
        "M3": ("张三", "13800000003"),
        "M9": ("赵九", None),
    }
    assert by_no(ctx, "M1")["version"] == 2
    assert by_no(ctx, "M2")["version"] == 1


def test_update_empties_a_field_whose_cell_is_empty(ctx, tmp_path):
    run_import(ctx, "member", csv(tmp_path, "no,phone", "M1,"), update=True)
    assert members(ctx)["M1"] == ("王一", None)


def test_update_on_trial_writes_nothing(ctx, tmp_path):
    path = csv(tmp_path, "no,name", "M1,王壹", "M9,赵九")
    report = run_import(ctx, "member", path, update=True, dry_run=True)
    assert (report.created, report.updated) == (1, 1)
    assert members(ctx)["M1"] == ("王一", "13800000001")
    assert list_imports(ctx, "member") == []


def test_update_refuses_a_row_by_the_same_rules_as_every_door(ctx, tmp_path):
    path = csv(tmp_path, "no,name,birthday", "M1,,1990-01-01", "M2,李,1990-02-30", "M3,张,")
    report = run_import(ctx, "member", path, update=True)
    assert (report.updated, report.refused) == (1, 2)
    found = [(one.row, one.problem.path, one.problem.code) for one in report.problems]
    assert found == [(1, "name", "field.required"), (2, "birthday", "field.bad_date")]
    assert members(ctx)["M1"] == ("王一", "13800000001")


def test_key_that_comes_twice_is_taken_once(ctx, tmp_path):
    path = csv(tmp_path, "no,name", "M1,甲", "M1,乙")
    report = run_import(ctx, "member", path, update=True)
    assert (report.updated, report.skipped) == (1, 1)
    assert members(ctx)["M1"] == ("甲", "13800000001")


def test_undo_deletes_what_was_created_and_restores_what_was_changed(ctx, tmp_path):
    path = csv(tmp_path, "no,name", "M1,王壹", "M9,赵九")
    run_import(ctx, "member", path, update=True)
    (done,) = list_imports(ctx, "member")
    assert (done.file, done.created, done.updated, done.state) == ("members.csv", 1, 1, "done")
    undone = undo_import(ctx, "member", done.id)
    assert (undone.taken_back, undone.kept) == (2, [])
    assert members(ctx) == {
        "M1": ("王一", "13800000001"),
        "M2": ("李二", "13800000002"),
        "M3": ("张三", "13800000003"),
    }
    assert list_imports(ctx, "member")[0].state == "undone"
    with pytest.raises(UndoneAlready):
        undo_import(ctx, "member", done.id)


def test_undo_leaves_what_was_changed_since(ctx, tmp_path):
    run_import(ctx, "member", csv(tmp_path, "no,name", "M8,周八", "M9,赵九"))
    kept = by_no(ctx, "M9")
    update_record(ctx, "member", kept["id"], {"phone": "13900000000"}, version=1)
    undone = undo_import(ctx, "member", list_imports(ctx, "member")[0].id)
    assert undone.taken_back == 1
    assert [(record, error.code) for record, error in undone.kept] == [
        (kept["id"], "stale_version")
    ]
    assert set(members(ctx)) == {"M1", "M2", "M3", "M9"}


def test_import_after_an_undone_one_creates_again(ctx, tmp_path):
    path = csv(tmp_path, "no,name", "M9,赵九")
    run_import(ctx, "member", path)
    undo_import(ctx, "member", list_imports(ctx, "member")[0].id)
    assert run_import(ctx, "member", path).created == 1


def test_import_whose_process_died_can_be_undone_after_a_while(ctx, tmp_path, monkeypatch):
    monkeypatch.setattr(importjournal.Journal, "end", lambda *_: None)
    run_import(ctx, "member", csv(tmp_path, "no,name", "M9,赵九"))
    (running,) = list_imports(ctx, "member")
    with pytest.raises(UndoneAlready):
        undo_import(ctx, "member", running.id)
    monkeypatch.setattr(importjournal, "_SILENCE", -importjournal._SILENCE)
    assert undo_import(ctx, "member", running.id).taken_back == 1


def test_workbook_gives_numbers_dates_and_texts_as_people_type_them(ctx, tmp_path):
    from datetime import date, datetime

    path = workbook(
        tmp_path,
        ["no", "name", "birthday", "phone"],
        ["W1", "吴", date(1990, 2, 3), 13800000009],
        ["W2", "007", datetime(1991, 1, 1), "008612345"],  # noqa: DTZ001  a workbook knows no zone
        [None, None],
        [3.5, True, None, None],
    )
    report = run_import(ctx, "member", path)
    assert (report.created, report.rows, report.problems) == (3, 3, [])
    assert by_no(ctx, "W1")["birthday"] == date(1990, 2, 3)
    assert members(ctx)["W1"] == ("吴", "13800000009")
    assert members(ctx)["W2"] == ("007", "008612345")
    assert members(ctx)["3.5"] == ("true", None)


def test_workbook_row_that_is_wrong_is_named_by_its_number_in_the_sheet(ctx, tmp_path):
    path = workbook(tmp_path, ["no", "name"], [None], ["W1", None])
    report = run_import(ctx, "member", path)
    assert [(one.line, one.problem.code) for one in report.problems] == [(3, "field.required")]


def _zip(parts):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


def _replaced(path, name, change):
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    parts[name] = change(parts[name])
    return _zip(parts)


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (lambda _: b"PK\x03\x04" + b"\x00" * 100, Malformed),
        (lambda _: _zip({"a.txt": b"x"}), Malformed),
        (lambda _: workbooks.OLD_MAGIC + b"\x00" * 5000, Malformed),
        (lambda path: path.read_bytes()[:-200], Malformed),
        (lambda path: _replaced(path, SHEET, lambda xml: xml[:-60]), Malformed),
        (lambda path: _replaced(path, SHEET, lambda _: b"<a>" * 50_000), Malformed),
        (lambda path: _replaced(path, SHEET, lambda xml: xml + b" " * 200_000_000), TooLarge),
        (lambda path: _replaced(path, "xl/styles.xml", lambda x: x + b" " * 60_000_000), TooLarge),
        (
            lambda path: _replaced(
                path,
                SHEET,
                lambda xml: xml.replace(
                    b"<worksheet",
                    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet',
                    1,
                ),
            ),
            Malformed,
        ),
    ],
    ids=["head", "zip", "old", "cut", "xml", "deep", "bomb", "styles", "entities"],
)
def test_workbook_that_is_broken_or_a_bomb_is_refused_and_nothing_is_written(
    ctx, tmp_path, make, refusal
):
    path = workbook(tmp_path, ["no", "name"], ["W1", "吴"])
    path.write_bytes(make(path))
    try:
        report = run_import(ctx, "member", path)
    except refusal:
        assert set(members(ctx)) == {"M1", "M2", "M3"}
    else:
        assert isinstance(report.stopped, refusal)


def test_page_imports_a_workbook_and_undoes_it(site, tmp_path):
    browser = site.browser("admin")
    token = page_token(browser)
    path = workbook(tmp_path, ["no", "name"], ["W1", "吴"])
    data = {"csrf_token": token, "existing": "update"}
    with path.open("rb") as file:
        page = browser.post("/import/member", data={**data, "file": (file, "会员.xlsx")})
    assert page.status_code == 200
    (done,) = list_imports(site.context("admin"), "member")
    assert "会员.xlsx" in page.text
    address = f"/import/member/{done.id}/undo"
    assert browser.post(address, data=data).status_code == 200
    assert members(site.context("admin")) == {}
    assert browser.post(address, data=data).status_code == 409
    assert browser.post(address).status_code == 403
