"""What an import must not do: grow with the file, lose rows, or refuse what is right."""

import gc
import json
import tracemalloc

import pytest

from core.records.creating import insert_many
from core.records.exporting import export_csv
from core.records.importing import run_import
from core.records.mapping import load_mapping
from core.records.queries import Query, list_records
from tests.integration.test_record_import import codes, count, ctx, parts, write  # noqa: F401

ROWS = 1_000

#: Bytes by which peaks may differ whatever the size of the file.
NOISE = 2**19


def generated(folder, rows):
    path = folder / f"{rows}.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("code,name\n")
        file.writelines(f"B{rows}-{at},Brand number {at} 品牌\n" for at in range(rows))
    return path


def peak_of(work):
    """Return the most bytes held during `work` beyond those held before it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _peak = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_memory_of_import_and_export_does_not_grow_with_the_file(ctx, tmp_path, backend):
    if backend != "sqlite":
        return  # the code that could hold rows is the same
    small, large = generated(tmp_path, ROWS), generated(tmp_path, 4 * ROWS)
    run_import(ctx, "brand", generated(tmp_path, 10))  # compiles what is compiled once
    peaks = [peak_of(lambda path=path: run_import(ctx, "brand", path)) for path in (small, large)]
    assert count(ctx, "brand") == 5 * ROWS + 10 + 3
    assert peaks[1] < 1.2 * peaks[0] + NOISE

    def export(condition):
        return sum(map(len, export_csv(ctx, "brand", Query(filter=condition))))

    export("code == 'B10-1'")
    part = f"STARTSWITH(code, 'B{ROWS}-')"
    peaks = [peak_of(lambda text=text: export(text)) for text in (part, "")]
    assert peaks[1] < 1.2 * peaks[0] + NOISE


TREE = """code,name,parent
9,Nine,
91,Below nine,9
911,Below that,91
92,Also below nine,9
8,Eight,
99,Lost,77
"""


@pytest.mark.parametrize("dry_run", [True, False])
def test_link_to_an_earlier_row_is_found(ctx, tmp_path, dry_run):
    before = count(ctx, "category")
    report = run_import(ctx, "category", write(tmp_path, TREE), dry_run=dry_run)
    assert codes(report) == [(6, 7, "parent", "import.no_link")]
    assert (report.created, report.refused) == (5, 1)
    assert count(ctx, "category") == before + (0 if dry_run else 5)


ROWS_IN_A_CELL = """
type: order
key: "no"
defaults: {kind: sale, store: SH01, ordered_at: "2026-01-02T03:04:05Z"}
fields: {"no": no, lines: rows}
"""


def test_table_field_in_one_cell_names_the_row_that_is_wrong(ctx, tmp_path):
    line = {"product": "P1", "quantity": "2", "unit_price": "1.50"}
    cells = {
        "A1": [line, {**line, "product": "P2", "id": "x", "position": 7, "amount": "9"}],
        "A2": [line, {**line, "product": "P9"}],
        "A3": [line, {**line, "quantity": "many"}],
        "A4": [line, {**line, "colour": "red"}],
        "A5": [7],
        "A6": {"lines": []},
        "A7": [{**line, "product": {"a": 1}}],
    }
    text = (
        "no;rows\n"
        + "".join(
            f'{no};"{json.dumps(cell).replace(chr(34), chr(34) * 2)}"\n'
            for no, cell in cells.items()
        )
        + "A8;[{\n"
    )
    report = run_import(ctx, "order", write(tmp_path, text), mapping=load_mapping(ROWS_IN_A_CELL))
    assert sorted(codes(report)) == [
        (2, 3, "lines.1.product", "import.no_link"),
        (3, 4, "lines.1.quantity", "field.not_a_number"),
        (4, 5, "lines.1.colour", "field.unknown"),
        (5, 6, "lines", "field.bad_type"),
        (6, 7, "lines", "field.bad_type"),
        (7, 8, "lines.0.product", "import.no_link"),
        (8, 9, "lines", "field.bad_type"),
    ]
    (only,) = list_records(ctx, "order", Query(fields=("no", "total", "lines"))).items
    assert (only["no"], str(only["total"]), len(only["lines"])) == ("A1", "6.00", 2)


def test_record_alone_in_its_batch_is_refused_as_any_other(ctx, tmp_path):
    key_and_more = load_mapping(
        "type: category\nkey: name\nfields: {name: name, code: code, parent: parent}\n"
    )
    text = "code,name,parent\n71,One,\n72,Two,71\n71,Other,72\n73,Three,72\n"
    for dry_run in (True, False):
        report = run_import(
            ctx, "category", write(tmp_path, text), mapping=key_and_more, dry_run=dry_run
        )
        assert codes(report) == [(3, 4, "code", "conflict.taken")]


def test_quote_left_open_at_the_end_loses_no_row_silently(ctx, tmp_path):
    report = run_import(ctx, "brand", write(tmp_path, 'code,name\nX1,one\nX2,"two\nX3,three\n'))
    assert (report.created, codes(report)) == (1, [(2, 0, "", "malformed")])


def test_exported_computed_text_is_never_a_formula(ctx):
    insert_many(ctx, "member", [{"no": "=cmd", "name": "=cmd"}])
    text = "".join(export_csv(ctx, "member", Query()))
    assert ",=cmd" not in text
    assert "\n=cmd" not in text
