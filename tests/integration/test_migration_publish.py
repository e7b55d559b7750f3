"""Publishing releases on tables that hold data, on both databases."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.clock import Clock
from core.errors import Conflict, SchemaError
from core.ids import new_id
from core.migration.run import Publication, bootstrap, open_steps, publish, resume
from core.schema.model import Field, RecordType, Release, UniqueTogether, View
from core.tables.build import build_tables
from core.tables.registry import Registries

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def field(name, kind="text", **rest):
    return Field(id=rest.pop("id", f"f.{name}"), name=name, type=kind, **rest)


def member(*fields, **rest):
    return RecordType(name="member", id="core.member", fields=fields, **rest)


def publication(number, *types):
    release = Release(number=number, types={one.name: one for one in types})
    return Publication(release=release, sources=[], note="", actor=SYSTEM, at=Clock().now())


def go(database, number, *types, **options):
    return publish(database, publication(number, *types), **options)


def fill(database, record_type, rows):
    """Insert records with the given values and return their ids in order."""
    table = build_tables(record_type).main
    system = {
        "version": 1, "release": 1, "created_at": NOW, "created_by": "u", "updated_at": NOW,
        "updated_by": "u",
    }  # fmt: skip
    ids = sorted(new_id() for _ in rows)
    values = [{"id": id_, **system, **row} for id_, row in zip(ids, rows, strict=True)]
    with database.write() as connection:
        for row in values:
            connection.execute(table.insert().values(row))
    return [row["id"] for row in values]


def column(database, record_type, name):
    """Return a column's values in the order of the records' ids."""
    table = build_tables(record_type).main
    with database.read() as connection:
        return list(connection.scalars(sa.select(table.c[name]).order_by(table.c.id)))


def index_names(database, table):
    with database.read() as connection:
        return {one["name"] for one in sa.inspect(connection).get_indexes(table)}


@pytest.fixture
def db(bootstrapped):
    return bootstrapped


def test_bootstrap_twice_leaves_one_revision(db):
    bootstrap(db)
    assert Registries(db).current().revision.schema == 0


def test_first_release_creates_tables_and_indexes(db):
    one = member(
        field("no", unique=True),
        field("store", "link", target="member"),
        field("lines", "table", fields=(field("price", "money", id="f.lines.price"),)),
        field("friends", "links", target="member"),
        views=(View(name="all", columns=("no",), sort=("-created_at",)),),
    )
    assert go(db, 1, one) == 1
    registry = Registries(db).current()
    assert registry.release.types["member"] == one
    assert set(registry.tables["member"].children) == {"lines"}
    names = index_names(db, "r_member")
    assert {"ux_r_member__no", "ix_r_member__store"} < names
    assert [name for name in names if name.startswith("ix_r_member__all__")]
    assert index_names(db, "r_member__lines") == {"ix_r_member__lines__record"}
    assert index_names(db, "r_member__friends") >= {"ix_r_member__friends__target"}


def test_values_of_every_kind_come_back_the_same(db):
    one = member(
        field("a", "text"),
        field("b", "integer"),
        field("c", "money"),
        field("d", "rate"),
        field("e", "boolean"),
        field("f", "date"),
        field("g", "time"),
        field("h", "datetime"),
        field("i", "multi_select"),
        field("j", "json"),
    )
    go(db, 1, one)
    row = {
        "a": "客户\U0001f600", "b": 999_999_999_999_999, "c": Decimal("-1234567890123456.78"),
        "d": Decimal("0.8550"), "e": True, "f": NOW.date(), "g": NOW.time(), "h": NOW,
        "i": ["甲", "b"], "j": {"x": [1, None]},
    }  # fmt: skip
    fill(db, one, [row, {}])
    table = build_tables(one).main
    with db.read() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
    assert {name: found[0][name] for name in row} == row
    assert {name: found[1][name] for name in row} == dict.fromkeys(row)
    assert found[0]["h"].tzinfo is not None


def test_text_orders_by_code_point(db):
    one = member(field("a"))
    go(db, 1, one)
    texts = ["b", "B", "a", "é", "中", "Z", "\U0001f600", "\uff5e"]
    fill(db, one, [{"a": text} for text in texts])
    table = build_tables(one).main
    with db.read() as connection:
        found = list(connection.scalars(sa.select(table.c.a).order_by(table.c.a)))
    assert found == sorted(texts)


def test_added_renamed_and_archived_fields_keep_all_values(db):
    first = member(field("name"), field("phone"), field("note"))
    go(db, 1, first)
    fill(db, first, [{"name": "王", "phone": "1", "note": "n"}])
    second = member(
        field("name"),
        field("mobile", id="f.phone"),
        field("age", "integer"),
        archived_fields=(field("note"),),
    )
    go(db, 2, second)
    assert column(db, second, "mobile") == ["1"]
    assert column(db, second, "age") == [None]
    assert "note" not in build_tables(second).main.c
    third = member(
        field("name"), field("mobile", id="f.phone"), field("note"), field("age", "integer")
    )
    go(db, 3, third)
    assert column(db, third, "note") == ["n"]


def test_recreated_name_starts_empty_and_the_old_values_come_back(db):
    first = member(field("name"), field("note", id="old"))
    go(db, 1, first)
    fill(db, first, [{"name": "a", "note": "old value"}])
    second = member(field("name"), archived_fields=(field("note", id="old"),))
    go(db, 2, second)
    third = member(
        field("name"),
        field("note", "integer", id="new"),
        archived_fields=(field("note", id="old"),),
    )
    go(db, 3, third)
    assert column(db, third, "note") == [None]
    fourth = member(
        field("name"),
        field("note", id="old"),
        archived_fields=(field("note", "integer", id="new"),),
    )
    go(db, 4, fourth)
    assert column(db, fourth, "note") == ["old value"]


def test_two_fields_that_swap_names_swap_columns(db):
    first = member(field("a", id="1", unique=True), field("b", id="2", unique=True))
    go(db, 1, first)
    fill(db, first, [{"a": "one", "b": "two"}])
    second = member(field("b", id="1", unique=True), field("a", id="2", unique=True))
    go(db, 2, second)
    assert (column(db, second, "a"), column(db, second, "b")) == (["two"], ["one"])
    assert index_names(db, "r_member") == {"ux_r_member__a", "ux_r_member__b"}
    with db.read() as connection:
        assert open_steps(connection) == []


def test_recreated_type_starts_empty_and_the_old_rows_come_back(db):
    first = member(field("a"), field("rows", "table", fields=(field("x", id="x"),)))
    go(db, 1, first)
    fill(db, first, [{"a": "old"}])
    second = RecordType(name="member", id="site.member", fields=(field("b", id="b"),))
    go(db, 2, second)
    assert column(db, second, "b") == []
    go(db, 3, first)
    assert column(db, first, "a") == ["old"]


def test_unique_on_duplicates_is_refused_with_counts_and_changes_nothing(db):
    first = member(field("no"), field("kind"))
    go(db, 1, first)
    fill(db, first, [{"no": "1"}, {"no": "1"}, {"no": "2"}, {"no": "2"}, {"no": "2"}, {}, {}])
    with pytest.raises(SchemaError) as caught:
        go(db, 2, member(field("no", unique=True), field("kind")))
    (problem,) = caught.value.problems
    assert problem.code == "schema.duplicates"
    assert (problem.params["values"], problem.params["records"]) == (2, 5)
    assert Registries(db).current().revision.schema == 1
    assert index_names(db, "r_member") == set()


def test_unique_covers_live_rows_unless_no_reuse(db):
    first = member(
        field("a"),
        field("b"),
        field("c", unique=True),
        field("d", unique=True, no_reuse=True),
        unique_together=(UniqueTogether(fields=("a", "b")),),
    )
    go(db, 1, first)
    fill(db, first, [{"a": "1", "b": "1", "c": "1", "d": "1", "deleted_at": NOW}])
    fill(db, first, [{"a": "1", "b": "1", "c": "1", "d": "2"}])
    for row in ({"d": "1"}, {"c": "1"}, {"a": "1", "b": "1"}):
        with pytest.raises(sa.exc.IntegrityError):
            fill(db, first, [row])


def test_unique_added_with_its_new_column_holds_at_once(db):
    first = member(field("a"))
    go(db, 1, first)
    fill(db, first, [{"a": "1"}] * 3)
    phases = {}
    second = member(field("a"), field("code", unique=True))
    go(db, 2, second, on_step=lambda step: phases.setdefault(step.op, step.phase))
    assert phases == {"add_column": "prepare", "create_index": "prepare"}
    fill(db, second, [{"code": "1"}])
    with pytest.raises(sa.exc.IntegrityError):
        fill(db, second, [{"code": "1"}])


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (field("x", "text"), field("x", "integer"), "schema.type_change"),
        (field("x", "integer"), field("x", "decimal"), "schema.type_change"),
        (
            field("x", "money", precision=2),
            field("x", "money", precision=4),
            "schema.precision_change",
        ),
        (
            field("x", "link", target="member"),
            field("x", "link", target="store"),
            "schema.target_change",
        ),
        (field("x", "text"), field("x", "select"), "schema.type_change"),
    ],
)
def test_change_that_may_lose_values_is_refused(db, before, after, code):
    go(db, 1, member(field("a"), before))
    with pytest.raises(SchemaError) as caught:
        go(db, 2, member(field("a"), after))
    assert [one.code for one in caught.value.problems] == [code]
    assert Registries(db).current().revision.schema == 1


def test_widening_keeps_values(db):
    go(db, 1, first := member(field("x", "select"), field("y", "rating")))
    fill(db, first, [{"x": "a", "y": 3}])
    go(db, 2, second := member(field("x", "long_text"), field("y", "integer")))
    assert (column(db, second, "x"), column(db, second, "y")) == (["a"], [3])


def test_stored_formulas_are_computed_for_existing_records_in_their_order(db):
    lines = field("lines", "table", fields=(field("price", "money", id="p", precision=2),))
    first = member(field("a", "decimal", precision=2), lines)
    go(db, 1, first)
    (one, _two) = fill(db, first, [{"a": Decimal("1.25")}, {"a": None}])
    with db.write() as connection:
        table = build_tables(first).children["lines"]
        rows = [{"id": new_id(), "record_id": one, "position": n, "price": n} for n in (1, 2)]
        connection.execute(table.insert(), rows)
    number = {"type": "decimal", "result": "decimal", "precision": 2, "stored": True}
    second = member(
        first.fields[0],
        lines,
        Field(id="f4", name="four", formula="double * 2", **{**number, "type": "formula"}),
        Field(id="f2", name="double", formula="a * 2", **{**number, "type": "formula"}),
        Field(
            id="f3",
            name="total",
            of="lines",
            take="price",
            how="sum",
            **{**number, "type": "rollup"},
        ),
    )
    go(db, 2, second)
    assert column(db, second, "double") == [Decimal("2.50"), None]
    assert column(db, second, "four") == [Decimal("5.00"), None]
    assert column(db, second, "total") == [Decimal("3.00"), Decimal("0.00")]


def test_stale_release_number_is_a_conflict(db):
    go(db, 1, member(field("a")))
    with pytest.raises(Conflict):
        go(db, 1, member(field("a"), field("b")))
    assert resume(db) == 0
