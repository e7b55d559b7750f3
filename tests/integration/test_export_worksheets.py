"""A workbook holds what the list holds, as numbers, dates and texts, never as formulas."""

import io
import re
import zipfile
from xml.etree import ElementTree as ET

import pytest

from core.errors import TooLarge
from core.records import worksheets
from core.records.creating import insert_many
from core.records.queries import Query, list_records
from core.records.worksheets import export_xlsx
from tests.integration.test_export_roundtrip import INNER, ctx, sampled  # noqa: F401

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets(ctx, query=Query()):  # noqa: B008
    """Return the rows of each sheet: cells by column letters, as (type, text)."""
    book = zipfile.ZipFile(io.BytesIO(b"".join(export_xlsx(ctx, "every", query))))
    names = sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet"))
    read = []
    for name in names:
        text = book.read(name)
        assert b"<f>" not in text
        tree = ET.fromstring(text)  # noqa: S314  written by ourselves just now
        read.append(
            [
                {
                    re.sub(r"\d", "", cell.get("r")): (
                        cell.get("t", "n"),
                        "".join(cell.itertext()),
                    )
                    for cell in row
                }
                for row in tree.iter(f"{SPACE}row")
            ]
        )
    return read


def column(head, name):
    return next(letters for letters, (_kind, text) in head.items() if text == name)


def test_workbook_shows_each_type_as_itself(ctx):
    values = {
        "code": "=1+1",
        "a_text": "007",
        "a_decimal": "-12.50",
        "a_integer": 7,
        "a_boolean": True,
        "a_date": "2026-01-02",
        "a_datetime": "2026-01-02T03:04:05Z",
        "a_time": "06:00:00",
        "a_duration": "PT1H",
        "a_long_text": "a\nb",
        "a_rate": "0.5",
    }
    rows = [{"a_text": "=2", "a_decimal": "3.50", "a_date": "2026-02-03"}]
    old = {
        "code": "old",
        "a_date": "1066-10-14",
        "a_integer": 999_999_999_999_999,
        "a_decimal": "9999999999999999.99",
    }
    assert all(
        isinstance(one, dict)
        for one in insert_many(ctx, "every", [{**values, "a_table": rows}, old])
    )
    (head, first, second), table, _inside = sheets(ctx, Query(sort=("code",)))
    ((row_head, row),) = [table]
    assert {
        name: row[column(row_head, name)] for name in ("code", "a_text", "a_decimal", "a_date")
    } == {
        "code": ("inlineStr", "=1+1"),
        "a_text": ("inlineStr", "=2"),
        "a_decimal": ("n", "3.5"),
        "a_date": ("inlineStr", "2026-02-03"),
    }
    shown = {name: first[column(head, name)] for name in values}
    assert shown == {
        "code": ("inlineStr", "=1+1"),
        "a_text": ("inlineStr", "007"),
        "a_decimal": ("n", "-12.5"),
        "a_integer": ("n", "7"),
        "a_boolean": ("b", "1"),
        "a_date": ("n", "46024"),
        "a_datetime": ("n", "46024.46116898148"),
        "a_time": ("n", "0.25"),
        "a_duration": ("inlineStr", "PT1H"),
        "a_long_text": ("inlineStr", "a\nb"),
        "a_rate": ("n", "0.5"),
    }
    assert {name: second[column(head, name)] for name in old} == {
        "code": ("inlineStr", "old"),
        "a_date": ("inlineStr", "1066-10-14"),
        "a_integer": ("n", "999999999999999"),
        "a_decimal": ("inlineStr", "9999999999999999.99"),
    }


def test_workbook_takes_another_sheet_when_one_is_full(ctx, monkeypatch):
    monkeypatch.setattr(worksheets, "MOST_ROWS", 21)
    sampled(ctx, 3, 50)
    read = sheets(ctx)
    heads = [tuple(rows[0].values()) for rows in read]
    main = [rows for rows, head in zip(read, heads, strict=True) if head == heads[0]]
    assert sorted(len(rows) for rows in main) == [11, 21, 21]
    assert len(list_records(ctx, "every", Query(limit=200)).items) == 50
    items = list_records(ctx, "every", Query(limit=200, fields=("a_table",))).items
    inside = [rows for rows in read if rows[0].get("B", ("", ""))[1] == "a_table"]
    table = [rows for rows in read if rows not in main and rows not in inside]
    assert lines(table) == sum(len(one["a_table"]) for one in items)
    assert lines(inside) == sum(len(row[INNER]) for one in items for row in one["a_table"])


def lines(sheets):
    """Return how many rows sheets have below their heads, none of them fuller than it may be."""
    assert all(1 <= len(rows) <= worksheets.MOST_ROWS for rows in sheets)
    return sum(len(rows) - 1 for rows in sheets)


def test_text_longer_than_a_cell_is_refused(ctx, monkeypatch):
    monkeypatch.setattr(worksheets, "MOST_CHARACTERS", 5_000)
    insert_many(ctx, "every", [{"code": "long", "a_table": [{"a_long_text": "x" * 5_001}]}])
    with pytest.raises(TooLarge) as caught:
        b"".join(export_xlsx(ctx, "every", Query()))
    assert caught.value.params == {"name": "a_long_text", "limit": 5_000}
