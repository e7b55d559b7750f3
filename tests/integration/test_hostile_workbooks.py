"""Workbooks that do harm: each ends in a report within 10 s and 300 MB (security §1, 41)."""

import io
import tempfile
import zipfile
from random import Random

import pytest

from core.errors import UserError
from core.records import workbookxml
from core.records.rowfiles import open_rows
from core.testing.campaigns import examples
from core.testing.processes import Program
from tests.effort import Effort
from tests.integration.hostile_world import fingerprint, page_token
from tests.integration.workbooks_world import (
    SCALE,
    SHEET,
    harmless,
    hostile,
    import_each,
    packed,
    plain,
)

SECONDS = 10
BYTES = 300_000_000


@pytest.fixture(scope="module")
def files():
    return hostile()


@pytest.fixture
def upload(site, monkeypatch):
    monkeypatch.setattr(workbookxml, "MAX_HELD_ELEMENTS", workbookxml.MAX_HELD_ELEMENTS // SCALE)
    monkeypatch.setattr(workbookxml, "FREE_ELEMENTS", workbookxml.FREE_ELEMENTS // SCALE)
    browser = site.browser("admin")
    token = page_token(browser)

    def send(content, name="in.xlsx"):
        form = {"csrf_token": token, "file": (io.BytesIO(content), name)}
        effort = Effort()
        answer = browser.post("/import/member", data=form)
        assert effort.seconds < SECONDS, name
        return answer

    return send


def members(site):
    found = site.client("admin").get("/api/v1/records/member?count=exact&sort=no").json
    return [one["no"] for one in found["items"]]


# Parts of a large upload are left to the garbage collector, inside Werkzeug.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_page_tells_what_is_wrong_with_each_and_writes_none_of_it(site, upload, files):
    if site.backend != "sqlite":
        return  # the reader is the same
    before = fingerprint(site)
    for name, content in files.items():
        answer = upload(content)
        is_told = answer.status_code in {400, 413, 422} or (
            answer.status_code == 200 and "workbook" in answer.text.lower()
        )
        assert is_told, (name, answer.status_code)
        assert "root:x:0" not in answer.text
        if members(site):  # rows before the place where it breaks are as good as any
            assert members(site) == ["W1"], name
            site.put_back()
            before = fingerprint(site)
        assert fingerprint(site) == before, name


def test_command_ends_in_time_and_within_its_memory(site, files, tmp_path):
    if site.backend != "sqlite":
        return  # the reader is the same
    for number, (_name, content) in enumerate(files.items()):
        (tmp_path / f"{number:02}.xlsx").write_bytes(content)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as told:
        with Program(
            import_each, str(tmp_path), environ=site.environ, streams=(None, out, told)
        ) as program:
            assert program.wait(600) == 0
        out.seek(0)
        told.seek(0)
        lines = [line.split("\t") for line in out.read().splitlines() if line.count("\t") == 3]
        assert "Traceback" not in told.read()
    names = list(files)
    assert len(lines) == len(names)
    for (path, status, seconds, most), name in zip(lines, names, strict=True):
        assert status == "1", (name, path)
        assert float(seconds) < SECONDS, name
        assert int(most) < BYTES, name


@pytest.mark.parametrize("name", list(harmless()))
def test_what_looks_like_harm_and_is_none_is_imported(site, upload, name):
    assert upload(harmless()[name]).status_code == 200
    assert "W1" in members(site)


def test_wrong_names_change_nothing_of_what_a_file_is(site, upload):
    assert upload(packed(plain()), "in.csv").status_code == 200
    assert members(site) == ["W1"]
    assert upload(b"no,name\nC1,x\n", "in.xlsx").status_code == 200
    assert members(site) == ["C1", "W1"]


def test_a_member_of_an_archive_that_needs_a_password_is_told_so(upload):
    data = bytearray(packed(plain()))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            data[place + at] |= 1
    answer = upload(bytes(data))
    assert answer.status_code == 400
    assert "locked by a password" in answer.text


def test_texts_that_many_cells_share_are_counted_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr("core.records.workbooks._FREE_CHARACTERS", 100_000)
    text = b"<si><t>" + b"x" * 30_000 + b"</t></si>"
    parts = plain()
    parts["xl/sharedStrings.xml"] = parts["xl/sharedStrings.xml"].replace(b"<si>", text + b"<si>")
    cell = b'<row><c t="s"><v>0</v></c></row>'
    path = tmp_path / "in.xlsx"
    parts[SHEET] = parts[SHEET].replace(b"</sheetData>", cell * 100 + b"</sheetData>")
    path.write_bytes(packed(parts))
    rows = open_rows(path).rows()
    with pytest.raises(Exception, match="unpacks to more"):
        list(rows)


def test_cells_come_as_the_text_that_people_would_type(tmp_path):
    parts = plain()
    cells = (
        b'<c t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r><rPh><t>ruby</t></rPh></is></c>'
        b'<c t="s"><v>0</v></c><c t="b"><v>1</v></c><c><v>-12345678901234567890</v></c>'
        b'<c><v>1.50E+3</v></c><c t="str"><f>1+1</f><v>x_x000D_y_xD800_</v></c>'
        b'<c t="e"><v>#N/A</v></c><c t="d"><v>2026-02-03T04:05:06</v></c><c t="zz"><v>z</v></c>'
    )
    parts[SHEET] = parts[SHEET].replace(b"</sheetData>", b"<row>" + cells + b"</row></sheetData>")
    path = tmp_path / "in.xlsx"
    path.write_bytes(packed(parts))
    rows = list(open_rows(path).rows())
    assert rows[2].cells == [
        "ab", "shared", "true", "-12345678901234567890", "1500", "x\ry_xD800_",
        "#N/A", "2026-02-03 04:05:06", "z",
    ]  # fmt: skip


def test_broken_bytes_of_a_workbook_end_in_a_report(tmp_path):
    draw, good = Random(20261122), packed(plain(), zipfile.ZIP_STORED)
    path = tmp_path / "in.xlsx"
    for _ in range(examples(60)):
        data = bytearray(good)
        for _change in range(draw.randint(1, 6)):
            data[draw.randrange(4, len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            assert len(list(open_rows(path).rows())) <= 4
        except UserError:
            continue
