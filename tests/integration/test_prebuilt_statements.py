"""Statements compiled once: the same values, the same errors as SQLAlchemy's own."""

from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from core.db import taken_back
from core.prebuilt import (
    Prebuilt,
    at_once,
    for_server,
    inserting,
    texts_at_once,
    together,
    updating,
)
from core.tables.columns import ID, JSON, TEXT, Instant, ScaledDecimal
from core.tables.inserting import insert_all

TABLE = sa.Table(
    "prebuilt_sample",
    sa.MetaData(),
    sa.Column("id", ID, primary_key=True),
    sa.Column("name", TEXT),
    sa.Column("worth", ScaledDecimal(2)),
    sa.Column("day", sa.Date()),
    sa.Column("at", Instant()),
    sa.Column("is_big", sa.Boolean()),
    sa.Column("tags", JSON),
)
NAMES = tuple(TABLE.c.keys())
FULL = {
    "id": "a",
    "name": "100% 会员: ':x' %s",
    "worth": Decimal("-0.05"),
    "day": date(2026, 2, 28),
    "at": datetime(2026, 2, 28, 1, 2, 3, 4, UTC),
    "is_big": True,
    "tags": ["vip", 'a"b'],
}
EMPTY = {**dict.fromkeys(NAMES), "id": "b"}


@pytest.fixture
def filled(database):
    with database.write() as connection:
        TABLE.create(connection)
        insert = inserting(TABLE, connection.dialect, NAMES)
        insert.run(connection, FULL)
        insert.run(connection, EMPTY)
    return database


def test_rows_are_those_that_sqlalchemy_reads(filled):
    statement = sa.select(TABLE).order_by(TABLE.c.id)
    prebuilt = Prebuilt(statement, filled.engine.dialect)
    with filled.read() as connection:
        expected = [tuple(row) for row in connection.execute(statement)]
        assert [tuple(row) for row in prebuilt.rows(connection, {})] == expected
        assert expected == [tuple(FULL.values()), tuple(EMPTY.values())]


def test_parameters_and_fixed_lists_go_where_they_belong(filled):
    statement = sa.select(TABLE.c.id).where(
        TABLE.c.name.like("100%"),
        TABLE.c.id.in_(["a", "b"]),
        TABLE.c.worth < sa.bindparam("worth", type_=ScaledDecimal(2)),
        TABLE.c.at == sa.bindparam("at", type_=Instant()),
    )
    prebuilt = Prebuilt(statement.limit(sa.bindparam("limit")), filled.engine.dialect)
    values = {"worth": Decimal(1), "at": FULL["at"], "limit": 5, "unused": "x"}
    with filled.read() as connection:
        assert [tuple(row) for row in prebuilt.rows(connection, values)] == [("a",)]
        assert prebuilt.rows(connection, values | {"worth": Decimal(-1)}) == []


def test_update_sets_the_named_columns_of_one_row(filled):
    with filled.write() as connection:
        update = updating(TABLE, connection.dialect, ("name", "worth"))
        update.run(connection, {"name": "new", "worth": Decimal("1.5"), "gx_id": "b"})
        rows = connection.execute(sa.select(TABLE).order_by(TABLE.c.id)).all()
    assert [tuple(row) for row in rows] == [
        tuple(FULL.values()),
        ("b", "new", Decimal("1.50"), None, None, None, None),
    ]


def _write_a_key_twice(database, *, is_together):
    with database.write() as connection:
        insert = inserting(TABLE, connection.dialect, NAMES)
        insert.run(connection, {**EMPTY, "id": "c"})
        with together(connection) if is_together else nullcontext():
            insert.run(connection, FULL)
            insert.run(connection, {**EMPTY, "id": "d"})


@pytest.mark.parametrize("is_together", [False, True])
def test_constraint_is_an_integrity_error_and_the_transaction_rolls_back(filled, is_together):
    with pytest.raises(IntegrityError) as caught:
        _write_a_key_twice(filled, is_together=is_together)
    assert caught.value.orig is not None
    with filled.read() as connection:
        assert connection.execute(sa.select(TABLE.c.id)).scalars().all() == ["a", "b"]


def test_values_bound_in_a_block_are_all_written(filled):
    with filled.write() as connection, together(connection):
        insert = inserting(TABLE, connection.dialect, NAMES)
        for row_id in ("c", "d"):
            insert.run(connection, {**EMPTY, "id": row_id})
    with filled.read() as connection:
        found = connection.execute(sa.select(TABLE.c.id).order_by(TABLE.c.id)).scalars().all()
    assert found == ["a", "b", "c", "d"]


def _read_after_the_server_hung_up(database, prebuilt):
    with database.read() as connection:
        pid = connection.connection.driver_connection.info.backend_pid
        with database.autocommit() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        prebuilt.raw(connection, {})


def test_dead_connection_is_given_up_and_the_next_one_works(database):
    if database.is_sqlite:
        pytest.skip("SQLite has no connection that the other side can close")
    one = Prebuilt(sa.select(sa.literal_column("1")), database.engine.dialect)
    with pytest.raises(OperationalError) as caught:
        _read_after_the_server_hung_up(database, one)
    assert caught.value.connection_invalidated
    with database.read() as connection:
        assert one.raw(connection, {}) == [(1,)]


def test_rows_found_are_told_at_the_end_of_a_block_and_reads_in_it_see_what_was_written(filled):
    dialect = filled.engine.dialect
    update = updating(TABLE, dialect, ("name",))
    names = Prebuilt(sa.select(TABLE.c.name).where(TABLE.c.id == "a"), dialect)
    with filled.write() as connection:
        with together(connection):
            update.run(connection, {"name": "old", "gx_id": "a"})
            found = update.sent(connection, {"name": "new", "gx_id": "a"})
            missed = update.sent(connection, {"name": "new", "gx_id": "none"})
            update.run(connection, {"name": "newer", "gx_id": "a"})
            assert [tuple(row) for row in names.rows(connection, {})] == [("newer",)]
        assert (found(), missed()) == (1, 0)


def test_block_that_raises_is_taken_back_alone(filled):
    dialect = filled.engine.dialect
    update = updating(TABLE, dialect, ("name",))
    with filled.write() as connection:
        update.run(connection, {"name": "kept", "gx_id": "b"})
        with suppress(IntegrityError), taken_back(connection, "gx_test"):
            update.run(connection, {"name": "lost", "gx_id": "b"})
            inserting(TABLE, dialect, NAMES).run(connection, FULL)
            pytest.fail("the same row was written twice")
    with filled.read() as connection:
        query = sa.select(TABLE.c.name).where(TABLE.c.id == "b")
        assert connection.execute(query).scalar_one() == "kept"


ROWS = sa.Table(
    "prebuilt_rows",
    TABLE.metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("owner", ID, sa.ForeignKey("prebuilt_sample.id"), nullable=False),
    sa.Column("place", sa.Integer),
)


def _write_with_rows(connection, row_id, count):
    with at_once(connection):
        inserting(TABLE, connection.dialect, NAMES).run(connection, {**FULL, "id": row_id})
        rows = [{"id": f"{row_id}-{at}", "place": at} for at in range(count)]
        insert_all(connection, ROWS, rows, {"owner": [row_id] * count})


def test_rows_of_several_tables_are_written_at_once(filled):
    counts = {"c": 0, "d": 1, "e": 3, "f": 40}
    sent = []
    with filled.write() as connection:
        ROWS.create(connection)
        for row_id, count in counts.items():
            _write_with_rows(connection, row_id, count)
        sent = connection.execute(sa.select(ROWS.c.owner, ROWS.c.place)).all()
        every = connection.execute(sa.select(TABLE).where(TABLE.c.id == "e")).all()
    assert sorted(map(tuple, sent)) == [
        (owner, at) for owner, count in counts.items() for at in range(count)
    ]
    assert [tuple(row) for row in every] == [("e", *list(FULL.values())[1:])]


def _write_an_owner_twice(database):
    with database.write() as connection:
        _write_with_rows(connection, "c", 2)
        _write_with_rows(connection, "a", 2)


def test_rows_written_at_once_are_all_refused_together(filled):
    with filled.write() as connection:
        ROWS.create(connection)
    with pytest.raises(IntegrityError):
        _write_an_owner_twice(filled)
    with filled.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(ROWS)).scalar_one() == 0
        assert connection.execute(sa.select(TABLE.c.id)).scalars().all() == ["a", "b"]


def _write_after_the_server_hung_up(database, block):
    with database.write() as connection:
        pid = connection.connection.driver_connection.info.backend_pid
        with database.autocommit() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        _write_in(connection, block)


@pytest.mark.parametrize("block", [at_once, together])
def test_connection_that_died_while_rows_were_gathered_is_told_as_such(filled, block):
    if filled.is_sqlite:
        pytest.skip("SQLite has no connection that the other side can close")
    with pytest.raises(OperationalError) as caught:
        _write_after_the_server_hung_up(filled, block)
    assert caught.value.connection_invalidated
    with filled.write() as connection:
        _write_in(connection, at_once)
    with filled.read() as connection:
        assert sorted(connection.execute(sa.select(TABLE.c.id)).scalars()) == ["a", "b", "c"]


def _write_in(connection, block):
    with block(connection):
        inserting(TABLE, connection.dialect, NAMES).run(connection, {**EMPTY, "id": "c"})


def test_texts_of_several_questions_come_each_for_its_own(filled):
    dialect = filled.engine.dialect
    of = Prebuilt(sa.select(TABLE.c.id).where(TABLE.c.id == sa.bindparam("one")), dialect)
    every = Prebuilt(sa.select(TABLE.c.id).order_by(TABLE.c.id), dialect)
    asked = [(of, {"one": "b"}), (every, {}), (of, {"one": "none"}), (of, {"one": "a"})]
    with filled.read() as connection:
        found = texts_at_once(connection, asked)
        assert [sorted(one) for one in found] == [["b"], ["a", "b"], [], ["a"]]
        assert texts_at_once(connection, asked[:1]) == [["b"]]
        assert texts_at_once(connection, []) == []


def test_text_of_sqlalchemy_becomes_the_servers():
    sql = "SELECT %(a)s::INTEGER, %(b)s WHERE x LIKE '100%%' AND y = %(a)s"
    expected = "SELECT $1::INTEGER, $2 WHERE x LIKE '100%' AND y = $1"
    assert for_server(sql) == (expected, ["a", "b"])


@pytest.fixture
def served(database):
    """The database with statements that PostgreSQL keeps for a connection."""
    if database.is_sqlite:
        pytest.skip("SQLite plans anew by itself")
    return database


def _kept(connection):
    names = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")
    return [text for (text,) in names if "'mine'" in text]


def test_reading_with_sqlalchemy_leaves_statements_prepared(served):
    one = Prebuilt(sa.select(sa.literal_column("'mine'")), served.engine.dialect)
    with served.read() as connection:
        one.raw(connection, {})
    with served.read() as connection:
        connection.execute(sa.text("SELECT 1"))
    with served.read() as connection:
        assert len(_kept(connection)) == 1


def test_statements_are_prepared_anew_after_plans_were_forgotten_again_and_again(served):
    one = Prebuilt(sa.select(sa.literal_column("'mine'")), served.engine.dialect)
    for asked in (0, 1, 7, 0, 1, 1):
        served.forget_plans()
        for _ in range(asked):
            with served.read() as connection:
                assert [tuple(row) for row in one.raw(connection, {})] == [("mine",)]
        with served.write() as connection:
            assert len(_kept(connection)) == min(asked, 1)
