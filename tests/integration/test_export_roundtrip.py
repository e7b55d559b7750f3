"""What is exported and imported again is the same, for every field type there is."""

import csv
import io
import random
from datetime import UTC, datetime, timedelta

import pytest

from core.actor import SYSTEM
from core.clock import Clock
from core.context import Context
from core.extension.hooks import Hooks
from core.jobs import outbox  # noqa: F401  its table belongs to the world
from core.migration.run import Publication, publish
from core.records import counters  # noqa: F401  likewise
from core.records.creating import insert_many
from core.records.exporting import export_csv
from core.records.importing import run_import
from core.records.people import PEOPLE
from core.records.queries import Query, list_wire
from core.records.worksheets import export_xlsx
from core.schema.fieldtypes import field_type, field_type_names
from core.schema.layers import effective
from core.schema.model import SYSTEM_FIELDS
from core.schema.yamlnodes import Source
from core.tables.registry import Registries

#: Texts that a spreadsheet, a delimiter or an encoding could hurt.
TEXTS = [
    "=1+1",
    "+x",
    "-x",
    "@x",
    "'=x",
    "''",
    "'",
    '"',
    'a,b;"c"',
    "会员 𠮷 😀",
    "007",
    "NULL",
    "1e5",
    " spaced ",
    ";",
    "[1]",
    "a;b",
    "true",
    "\u2028",
    "e\u0301",
    "x" * 200,
    "0",
    "\u200b",
]
LONG_TEXTS = ["a\nb", "\n", "a\n\n", '"\n"', "=1\n+1", "\t", "tab\tbed", "x\u2028y\u2029z"]

#: Properties that a field of some type cannot be without.
NEEDS = {
    "select": "options: [{value: a}, {value: '=b'}, {value: 'c d'}]",
    "multi_select": "options: [{value: a}, {value: '=b'}, {value: '[c]'}, {value: '[\"d\"]'}]",
    "link": "target: other",
    "links": "target: other",
    "formula": "formula: \"CONCAT('=', code)\"",
    "rollup": "of: a_table, how: count",
    "sequence": "number: 'S-{0000}'",
    "backlink": "of: other.of",
    "condition": "scope: other",
    "lookup": "through: a_link, field: code",
    "expression": "scope: other",
}
#: A secret is written into no file; `test_fieldtypes_doors` says so. A file is uploaded
#: before a record can name it, which no random value is.
ASIDE = frozenset({"secret", "file", "files", "image", "signature"})
EXPORTED = [name for name in field_type_names() if name not in ASIDE]
START = datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)
#: A table field inside another, with a name that no sheet's title has room for.
INNER = "a_table_whose_rows_stand_inside"
#: Types that a table field's rows may have too.
INSIDE = [
    name
    for name in EXPORTED
    if name not in {"table", "links", "backlink", "rollup", "sequence", "formula", "lookup"}
]


def declared(name, prefix=""):
    more = f", {NEEDS[name]}" if name in NEEDS else ""
    return f"{{name: {prefix}{name}, type: {name}{more}}}"


def schema():
    types = [name for name in EXPORTED if name not in {"table", "backlink"}]
    rows = "\n".join(f"      - {declared(name, 'a_')}" for name in INSIDE)
    fields = "\n".join(f"  - {declared(name, 'a_')}" for name in types)
    return [
        "record_type: department\ntitle_field: code\nfields:\n"
        "  - {name: code, type: text, unique: true}\n",
        "record_type: other\ntitle_field: code\nfields:\n"
        "  - {name: code, type: text, unique: true}\n  - {name: of, type: link, target: every}\n",
        "record_type: every\ntitle_field: code\nfields:\n"
        "  - {name: code, type: text, required: true, unique: true}\n"
        f"{fields}\n  - {declared('backlink', 'a_')}\n"
        f"  - name: a_table\n    type: table\n    fields:\n{rows}\n"
        "      - {name: a_formula, type: formula, formula: \"CONCAT('=', a_text)\"}\n"
        f"      - name: {INNER}\n        type: table\n        fields:\n"
        + "".join(f"          - {declared(name, 'a_')}\n" for name in INSIDE),
        "calendar: cn_retail\ntime_zone: Asia/Shanghai\ndefault: true\n"
        'hours: {mon-fri: ["09:30-12:00"]}\n',
    ]


@pytest.fixture
def ctx(bootstrapped):
    database = bootstrapped
    sources = [Source("core", f"{at}.yaml", text) for at, text in enumerate(schema())]
    release = effective(sources, None, 1)
    publish(
        database, Publication(release=release, sources=[], note="", actor=SYSTEM, at=Clock().now())
    )
    registries = Registries(database)
    with PEOPLE.asking(None):
        yield from _context(database, registries)


def _context(database, registries):
    yield Context(
        actor=SYSTEM,
        db=database,
        registries=registries,
        registry=registries.current(),
        hooks=Hooks(),
        door="import",
    )


def _instant(draw):
    return (START + timedelta(microseconds=draw.randint(0, 10**15))).isoformat()


class Samples:
    """Random wire values of any field."""

    def __init__(self, seed, others, departments):
        self.random, self.others, self.departments = random.Random(seed), others, departments

    def value(self, field):
        draw = self.random
        if draw.random() < 0.2:
            return None
        own = {
            "link": lambda: draw.choice(self.others),
            "department": lambda: draw.choice(self.departments),
            "links": lambda: draw.sample(self.others, draw.randint(0, 4)),
            "text": lambda: draw.choice(TEXTS),
            "long_text": lambda: draw.choice(TEXTS + LONG_TEXTS),
            "datetime": lambda: _instant(draw),
        }
        if field.type in own and (field.target or draw.random() < 0.8):
            return own[field.type]()
        kind = field_type(field.type)
        return kind.dump(kind.sample(field, draw))

    def values(self, fields):
        return {
            one.name: self.value(one)
            for one in fields
            if not field_type(one.type).computed and one.type != "table"
        }


def sampled(ctx, seed, count):
    others = insert_many(
        ctx, "other", [{"code": text} for text in ["A1", "007", "=1", "a;b", "[x]", " y", None]]
    )
    departments = insert_many(ctx, "department", [{"code": text} for text in ("D1", "=2", "a;b")])
    samples = Samples(seed, [one["id"] for one in others], [one["id"] for one in departments])
    every = ctx.registry.record_type("every")
    table = every.field("a_table")
    made = []
    for number in range(count):
        values = samples.values(every.fields)
        rows = [samples.values(table.fields) for _ in range(samples.random.randint(0, 4))]
        for row in rows:
            inside = range(samples.random.randint(0, 3))
            row[INNER] = [samples.values(table.fields[-1].fields) for _ in inside]
        made.append({**values, "code": f"{number:04d}", "a_table": rows})
    outcomes = insert_many(ctx, "every", made)
    assert [one for one in outcomes if not isinstance(one, dict)] == []


def stored(ctx):
    found, query = (
        [],
        Query(
            sort=("code",),
            limit=200,
            fields=tuple(
                one.name
                for one in ctx.registry.record_type("every").fields
                if one.type != "backlink"
            ),
        ),
    )
    while True:
        page = list_wire(ctx, "every", query)
        for item in page.items:
            rows = bare(item["a_table"])
            found.append(
                {
                    name: value
                    for name, value in item.items()
                    if name not in {*SYSTEM_FIELDS, "no_access"}
                }
                | {"a_table": rows}
            )
        if page.next is None:
            return found
        query = Query(sort=query.sort, limit=200, fields=query.fields, after=page.next)


def bare(rows):
    """Return rows, and those inside them, without what an import gives them anew."""
    kept = [
        {name: value for name, value in row.items() if name not in {"id", "position"}}
        for row in rows
    ]
    return [row | {INNER: bare(row[INNER])} if INNER in row else row for row in kept]


def empty(ctx):
    tables = ctx.registry.tables["every"]
    with ctx.writing() as connection:
        for table in tables:
            connection.execute(table.delete())


def test_every_field_type_survives_export_and_import(ctx, backend, tmp_path):
    sampled(ctx, 1, 400 if backend == "sqlite" else 40)
    before = stored(ctx)
    text = "".join(export_csv(ctx, "every", Query(sort=("code",))))
    empty(ctx)
    path = tmp_path / "every.csv"
    path.write_text(text, "utf-8", newline="")
    report = run_import(ctx, "every", path)
    assert [(one.line, one.problem) for one in report.problems] == []
    after = stored(ctx)
    for one in (*before, *after):
        one.pop("a_sequence")  # drawn anew
    assert after == before


def test_every_field_type_survives_a_workbook(ctx, backend, tmp_path):
    sampled(ctx, 2, 150 if backend == "sqlite" else 40)
    before = stored(ctx)
    path = tmp_path / "every.xlsx"
    path.write_bytes(b"".join(export_xlsx(ctx, "every", Query(sort=("code",)))))
    empty(ctx)
    report = run_import(ctx, "every", path)
    assert [(one.line, one.problem) for one in report.problems] == []
    after = stored(ctx)
    for one in (*before, *after):
        one.pop("a_sequence")  # drawn anew
    assert after == before


def test_no_exported_cell_starts_a_formula(ctx):
    sampled(ctx, 7, 40)
    header, *rows = csv.reader(io.StringIO("".join(export_csv(ctx, "every", Query()))))
    numbers = {
        one.name
        for one in ctx.registry.record_type("every").fields
        if field_type(one.type).storage(one).kind in {"decimal", "integer"}
    }
    risky = [
        (name, cell)
        for row in rows
        for name, cell in zip(header, row, strict=True)
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and name not in numbers
    ]
    assert risky == []
