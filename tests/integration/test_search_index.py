"""Search: names of two characters, the index beside the record, and rights."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from core import db
from core.actor import SYSTEM
from core.db import TookLong, briefly
from core.errors import Forbidden, Invalid
from core.migration.run import Publication, publish, resume
from core.policies.access import access
from core.prebuilt import Prebuilt
from core.records import searching
from core.records.operations import (
    create_many,
    create_record,
    delete_record,
    restore_record,
    update_record,
)
from core.records.queries import Query, asked_query, get_record, list_wire
from core.records.searching import find_search
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.tables.search import candidates, search_table, set_state
from tests.integration.records_world import NOW, SOURCES, a_member, world  # noqa: F401


def found(ctx, text, **rest):
    return sorted(one["no"] for one in list_wire(ctx, "member", Query(search=text, **rest)).items)


def indexed(world):
    with world.db.read() as connection:
        rows = connection.execute(sa.select(search_table.c.record_id, search_table.c.content))
        return dict(map(tuple, rows))


@pytest.mark.parametrize("most", [0, 4_000])
def test_words_of_any_length_and_script_are_found(world, monkeypatch, most):
    # With no candidate allowed the list is walked instead; both find the same.
    monkeypatch.setattr(searching, "_MOST_CANDIDATES", most)
    ctx = world.context("clerk")
    names = ["张三", "张三丰", "李张", "三张", "Zhang San", "张 三", "Ｚhang", "100%_\\", "é王"]
    create_many(ctx, "member", [a_member(at, name=name) for at, name in enumerate(names)])
    for text, numbers in {
        "张三": [0, 1], "张": [0, 1, 2, 3, 5], "三丰": [1], "张 三": [0, 1, 3, 5],
        "zhang": [4], "SAN": [4], "ha": [4, 6], "n": [4, 6], "zhang san": [4], "san zhang": [4],
        "李三": [], "%": [7], "_\\": [7], "'": [], '"张三"': [], "张* OR 三": [], "é王": [8],
        "  张三  ": [0, 1],
    }.items():  # fmt: skip
        assert found(ctx, text) == [f"M{number:04}" for number in numbers], text


def test_a_list_that_takes_long_to_walk_is_found_by_the_index(world, monkeypatch):
    # SQLite ends every statement at once then, and PostgreSQL those that take a moment.
    monkeypatch.setattr(db, "_BRIEF_STEPS", 1)
    monkeypatch.setattr(searching, "_MOST_CANDIDATES", 0)
    ctx = world.context("clerk")
    names = ["张三", "张三丰", "李张", "100%_\\", "张 三"]
    create_many(ctx, "member", [a_member(at, name=name) for at, name in enumerate(names)])
    assert found(ctx, "张") == ["M0000", "M0001", "M0002", "M0004"]
    assert found(ctx, "张", filter="no != 'M0001'", sort=("name",)) == ["M0000", "M0002", "M0004"]
    rights = access(ctx, "member")
    for text, count in {"张": 4, "张 三": 3, "三丰": 1, "100%_\\": 1, "李三": 0}.items():
        walked = find_search(ctx, rights, text)
        assert walked.ids is None or not count
        asked = asked_query(
            ctx, rights, Query(search=text), limit=9, search=replace(walked, by_index=True)
        )
        with ctx.reading() as connection:
            rows = asked.selection.statement("values", after=False).raw(connection, asked.values)
        assert len(rows) == count, text


def test_a_list_in_no_order_of_its_own_is_read_along_the_primary_key(world):
    ctx = world.context("clerk")
    asked = asked_query(ctx, access(ctx, "member"), Query(search="a"), limit=9)
    statement = asked.selection.statement("values", after=False)
    explain = "EXPLAIN QUERY PLAN " if world.db.is_sqlite else "EXPLAIN "
    with world.db.read() as connection:
        if not world.db.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
        statement.raw(connection, asked.values)
        statement.sql = explain + statement.sql
        plan = str(statement.raw(connection, asked.values)).upper()
    assert [word for word in ("SORT", "TEMP B-TREE") if word in plan] == []


def test_a_statement_that_takes_long_is_ended_and_the_next_is_not(world):
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400000)"
        " SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(0.3)",
    }[world.db.dialect]
    with world.db.read() as connection:
        with pytest.raises(TookLong), briefly(connection):
            Prebuilt(sa.text(slow), connection.dialect).raw(connection, {})
        assert Prebuilt(sa.text(slow), connection.dialect).raw(connection, {})


def test_the_index_follows_every_change(world):
    ctx = world.context("clerk")
    made = create_record(ctx, "member", a_member(1, name="王小明"))
    assert indexed(world) == {made["id"]: "王小明"}
    made = update_record(ctx, "member", made["id"], {"visits": 2}, version=1)
    made = update_record(ctx, "member", made["id"], {"name": "王大明"}, version=2)
    assert (found(ctx, "小明"), found(ctx, "大明")) == ([], ["M0001"])
    with world.db.read() as connection:
        assert candidates(connection, "member", ["小明"], most=9) == []
        assert candidates(connection, "member", ["大明"], most=9) == [made["id"]]
    delete_record(ctx, "member", made["id"], version=3)
    assert indexed(world) == {}
    restore_record(ctx, "member", made["id"], to_version=1)
    assert found(ctx, "小明") == ["M0001"]
    assert indexed(world) == {made["id"]: "王小明"}


def test_a_refused_write_leaves_the_index_as_it_was(world):
    ctx = world.context("clerk")
    made = create_record(ctx, "member", a_member(1, name="王小明"))
    with pytest.raises(Invalid):
        update_record(ctx, "member", made["id"], {"name": "李四", "visits": -1}, version=1)
    outcomes = create_many(ctx, "member", [a_member(1, name="重复"), a_member(2, name="李四")])
    assert not isinstance(outcomes[0], dict)
    assert (found(ctx, "重复"), found(ctx, "李四")) == ([], ["M0002"])

    def write_and_fail():
        with ctx.writing():
            update_record(ctx, "member", made["id"], {"name": "赵六"}, version=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert (found(ctx, "赵六"), found(ctx, "王小明")) == ([], ["M0001"])


def test_existing_records_are_indexed_when_a_field_becomes_searchable(world):
    ctx = world.context("clerk")
    many = [a_member(number, remark=f"备注{number}号") for number in range(1, 40)]
    create_many(ctx, "member", many)
    more = [
        Source(
            one.layer,
            one.path,
            one.text.replace("type: long_text", "type: long_text, searchable: true"),
        )
        for one in SOURCES
    ]
    release = effective(more, None, 2)
    steps = []
    publish(
        world.db,
        Publication(release=release, sources=[], note="", actor=SYSTEM, at=NOW),
        on_step=lambda step: steps.append((step.op, step.name)),
    )
    assert ("build_search", "member") in steps
    later = world.context("clerk")
    assert found(later, "备注12") == ["M0012"]
    assert set(indexed(world).values()) >= {"Name 12\n备注12号"}


def test_an_index_that_is_not_built_yet_is_not_trusted(world):
    ctx = world.context("clerk")
    create_record(ctx, "member", a_member(1, name="王小明"))
    with world.db.write() as connection:
        connection.execute(search_table.delete())
        if world.db.is_sqlite:
            connection.exec_driver_sql(
                "INSERT INTO gx_search_grams (gx_search_grams) VALUES ('delete-all')"
            )
        set_state(connection, "member", "")
    assert found(ctx, "王小") == ["M0001"]
    resume(world.db)
    assert list(indexed(world).values()) == ["王小明"]
    assert found(world.context("clerk"), "王小") == ["M0001"]


def test_nobody_finds_by_what_is_hidden(world):
    staff = world.context("clerk")
    made = create_record(staff, "member", a_member(1, name="王小明", phone="13800001111"))
    guest = world.context("guest")
    assert found(guest, "王小") == ["M0001"]
    assert found(guest, "0001111") == []
    own = world.context("local", user="someone")
    assert found(own, "王小") == []
    with pytest.raises(Forbidden):
        list_wire(world.context("nobody"), "member", Query(search="王小"))
    assert get_record(staff, "member", made["id"])["name"] == "王小明"


@pytest.mark.parametrize("text", ["a" * 101, "\x00", "\ud800", "a b c d e f g h i"])
def test_bad_searches_are_refused(world, text):
    with pytest.raises(Invalid):
        list_wire(world.context("clerk"), "member", Query(search=text))
