"""Import and export of records, on both databases."""

import csv
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.context import Context
from core.demo.loading import load_base
from core.errors import Malformed
from core.records.creating import insert_many
from core.records.exporting import export_csv
from core.records.importing import run_import
from core.records.mapping import load_mapping
from core.records.queries import Query, list_records
from tests.integration.test_demo_import import parts  # noqa: F401  the fixture

ORDERS = """
type: order
key: "no"
group_by: no
where: "product != 'skip'"
time_zone: Asia/Shanghai
defaults: {kind: sale}
fields: {"no": no, store: store, ordered_at: at}
lines: {table: lines, fields: {product: product, quantity: "NUMBER(count) * 2", unit_price: price}}
"""


@pytest.fixture
def ctx(parts):
    made = Context.of(parts, SYSTEM, door="import")
    load_base(made)
    insert_many(made, "product", [{"code": "P1", "name": "One"}, {"code": "P2", "name": "Two"}])
    return made


def write(tmp_path, text):
    path = tmp_path / "in.csv"
    path.write_text(text, "utf-8")
    return path


def count(ctx, type_name):
    with ctx.reading() as connection:
        table = ctx.registry.tables[type_name].main
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def codes(report):
    return [(one.row, one.line, one.problem.path, one.problem.code) for one in report.problems]


ORDERS_CSV = """no,store,at,product,count,price
A1,SH01,2026-01-02 03:04:05,P1,1,2.50
A1,SH01,2026-01-02 03:04:05,P1,1,2.50
A1,SH01,2026-01-02 03:04:05,skip,1,2.50
A2,SH01,2026-01-02 03:04:05,P9,1,2.50
A3,NOWHERE,2026-01-02 03:04:05,P1,1,2.50
A4,SH01,2026-01-02 03:04:05,P1,1,much
A5,SH01,2026-01-02 03:04:05,P2,3,1
A1,SH01,2026-01-02 03:04:05,P2,1,1
A6,SH01,2026-01-02 03:04:05,P2,3,1,too,many
"""


def test_orders_by_mapping_refuse_row_by_row_and_skip_what_exists(ctx, tmp_path):
    path, mapping = write(tmp_path, ORDERS_CSV), load_mapping(ORDERS)
    dry = run_import(ctx, "order", path, mapping=mapping, dry_run=True)
    assert (dry.created, count(ctx, "order")) == (2, 0)
    rows = []
    report = run_import(
        ctx,
        "order",
        path,
        mapping=mapping,
        progress=lambda at: rows.append((at.rows, at.position == at.size)),
        report_path=tmp_path / "report.csv",
    )
    assert codes(report) == codes(dry)
    assert sorted(codes(report)) == [
        (4, 5, "lines.0.product", "import.no_link"),
        (5, 6, "store", "import.no_link"),
        (6, 7, "lines.0.unit_price", "field.not_a_number"),
        (8, 9, "no", "import.scattered"),
        (9, 10, "", "csv.cells"),
    ]
    assert (report.rows, report.left_out, report.created, report.refused) == (9, 1, 2, 5)
    assert rows == [(9, True)]
    with (tmp_path / "report.csv").open(encoding="utf-8-sig") as file:
        assert len(list(csv.reader(file))) == 6
    found = list_records(
        ctx, "order", Query(sort=("no",), fields=("no", "ordered_at", "lines"))
    ).items
    assert [(one["no"], one["ordered_at"].isoformat(), len(one["lines"])) for one in found] == [
        ("A1", "2026-01-01T19:04:05+00:00", 2),
        ("A5", "2026-01-01T19:04:05+00:00", 1),
    ]
    again = run_import(ctx, "order", path, mapping=mapping)
    assert (again.created, again.skipped) == (0, 3)


def test_file_that_breaks_off_keeps_what_came_before(ctx, tmp_path):
    path = write(tmp_path, 'code,name\nX1,one\nX2,"open\n' + "x" * 200_000)
    report = run_import(ctx, "brand", path)
    assert (report.created, codes(report)) == (1, [(2, 0, "", "malformed")])
    assert report.stopped is not None


def test_header_with_an_unknown_column_names_it(ctx, tmp_path):
    with pytest.raises(Malformed) as caught:
        run_import(ctx, "brand", write(tmp_path, "code,nam\n1,2\n"))
    assert [(one.path, one.params["nearest"]) for one in caught.value.problems] == [
        ("nam", "name")
    ]


def test_mapping_with_mistakes_names_them_all(ctx, tmp_path):
    mapping = load_mapping("type: brand\nkey: none\nfields: {code: cod, nam: name}\nwhere: 1 +\n")
    with pytest.raises(Malformed) as caught:
        run_import(ctx, "brand", write(tmp_path, "code,name\n1,2\n"), mapping=mapping)
    assert [one.path for one in caught.value.problems] == [
        "fields.code",
        "fields.nam",
        "key",
        "where",
    ]


HOSTILE = ["=1+1", "+x", "-x", "@x", "'=x", "''", 'a,b;"c"', "会员 𠮷 😀", "007", "NULL", "1e5"]


def test_export_and_import_give_the_same_records(ctx, tmp_path):
    members = [
        {
            "no": f"M{n}",
            "name": text,
            "birthday": "2000-02-29",
            "gender": "female",
            "phone": "+86 138 0000 0000",
            "remark": f"{text}\n{text}",
        }
        for n, text in enumerate(HOSTILE)
    ]
    made = insert_many(ctx, "member", members)
    assert all(isinstance(one, dict) for one in made)
    text = "".join(export_csv(ctx, "member", Query(sort=("no",))))
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    before = SimpleNamespace(rows=list_records(ctx, "member", Query(sort=("no",))).items)
    with ctx.writing() as connection:
        connection.execute(ctx.registry.tables["member"].main.delete())
    report = run_import(ctx, "member", write(tmp_path, text))
    assert codes(report) == []
    after = list_records(ctx, "member", Query(sort=("no",))).items
    system = {"id", "created_at", "updated_at", "chain", "version"}
    shown = [
        [{k: v for k, v in one.items() if k not in system} for one in rows]
        for rows in (before.rows, after)
    ]
    assert shown[0] == shown[1]
