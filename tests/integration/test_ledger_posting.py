"""The ledger in a database: postings, balances, lots, keys and what the database refuses."""

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import Malformed
from core.ledger import errors, statements
from core.ledger.book import open_book
from core.ledger.models import account, entry, lot, posting
from core.ledger.moves import Move
from core.ledger.posting import post
from core.ledger.reading import accounts_of, balance, lots_from, lots_of, postings_of
from core.testing.databases import Prepared
from tests.integration.ledger_world import install, opened, points


@pytest.fixture(scope="module")
def storage(backend, tmp_path_factory):
    prepared = Prepared(backend, tmp_path_factory.mktemp("ledger"), install)
    yield prepared
    prepared.drop()


@pytest.fixture
def ledger(storage):
    with opened(storage) as one:
        yield one


def test_post_a_sale_spends_then_earns_in_one_posting(ledger):
    first = ledger.post(points("A", 100))
    sale = ledger.post(
        points("R", -30, against="spent"), points("A", 50), points("B", 50), points("E", 25),
        ref=("sales_order", "sale-1"),
    )  # fmt: skip
    stands = balance(ledger.context(), "points", "m1")
    assert (stands.balance, stands.available, stands.held, stands.pending) == (195, 195, 0, 0)
    assert stands.totals == {"A": 150, "B": 50, "C": 0, "D": 0, "E": 25, "F": 0, "R": 30}
    assert sale.balances == {stands.account_id: 195}
    assert not sale.replayed
    assert sale.moves[0].taken[0].lot == first.moves[0].lot
    made = lots_from(ledger.context(), ("sales_order", "sale-1"))
    assert {one.category: one.remaining for one in made} == {"A": 50, "B": 50, "E": 25}
    assert lots_from(ledger.context(), sale.id) == made
    assert len(lots_of(ledger.context(), stands.account_id)) == 4
    (row,) = postings_of(ledger.context(), ("sales_order", "sale-1"))
    told = [(one.owner, one.category, one.amount) for one in row.entries]
    assert told == [
        ("m1", "R", -30), ("m1", "A", 50), ("m1", "B", 50), ("m1", "E", 25),
        ("", "spent", 30), ("", "issued", -125),
    ]  # fmt: skip


def test_post_again_under_a_key_gives_the_stored_answer(ledger):
    first = ledger.post(points("A", 100), key="sale:1", ref=("sales_order", "1"))
    again = ledger.post(points("A", 100), key="sale:1", ref=("sales_order", "1"))
    assert again.replayed
    assert (again.id, again.moves, again.balances) == (
        first.id,
        first.moves,
        first.balances,
    )
    with pytest.raises(errors.LedgerKeyReused):
        ledger.post(points("A", 101), key="sale:1", ref=("sales_order", "1"))
    assert balance(ledger.context(), "points", "m1").balance == 100


def test_post_on_other_accounts_under_a_used_key_is_refused(ledger):
    ledger.post(points("A", 100), key="sale:1")
    with pytest.raises(errors.LedgerKeyReused):
        ledger.post(points("A", 100, "m2"), key="sale:1")
    assert not accounts_of(ledger.context(), "m2")


def test_post_that_is_refused_writes_nothing(ledger):
    with pytest.raises(errors.Insufficient):
        ledger.post(points("A", 100), points("R", -101, against="spent"))
    with ledger.db.read() as connection:
        for table in (account, posting, entry, lot):
            assert not connection.execute(sa.select(table)).all()


def test_post_between_two_owners_balances_itself(ledger):
    ledger.post(points("A", 100))
    moved = ledger.post(points("A", -40, against="moved"), points("A", 40, "m2", against="moved"))
    with ledger.db.read() as connection:
        mine = sa.select(sa.func.count()).where(entry.c.posting_id == moved.id)
        assert connection.execute(mine).scalar_one() == 2
    assert [balance(ledger.context(), "points", one).balance for one in ("m1", "m2")] == [60, 40]


def test_balance_tells_pending_and_ended_apart(ledger):
    now = ledger.clock.now()
    ledger.post(
        points("A", 100),
        points("B", 30, available_at=now + timedelta(days=7)),
        points("C", 20, expires_on=now + timedelta(days=1)),
    )
    ledger.clock.move(timedelta(days=2))
    stands = balance(ledger.context(), "points", "m1")
    assert (stands.balance, stands.pending, stands.ended, stands.available) == (150, 30, 20, 100)


def test_balance_of_money_is_by_currency(ledger):
    put = Move("small_change", "c1", "change", 250, unit="CNY")
    ledger.post(put)
    assert balance(ledger.context(), "small_change", "c1", "CNY").balance == 250
    assert balance(ledger.context(), "small_change", "c1", "EUR").balance == 0
    with pytest.raises(errors.UnknownKind):
        balance(ledger.context(), "small_change", "c1")
    with pytest.raises(errors.UnknownKind):
        ledger.post(Move("stamps", "m1", "A", 1))


def test_post_of_nothing_locks_and_writes_nothing(ledger):
    ledger.post(points("A", 100))
    ctx = ledger.context()
    with ctx.writing() as connection:
        assert not open_book(ctx, connection, [], "k").accounts
    assert ledger.post().moves == ()


def test_text_that_no_database_keeps_is_refused(ledger):
    with pytest.raises(Malformed, match=r"U\+0000"):
        ledger.post(points("A", 100), memo="a\0b")
    kept = ledger.post(points("A", 100), memo="a \\u0000 b", ref=("test", "t"))
    (row,) = postings_of(ledger.context(), ("test", "t"))
    assert (row.id, row.memo) == (kept.id, "a \\u0000 b")


def test_entries_tell_the_balance_after_each_while_others_post(ledger, monkeypatch):
    ledger.post(points("A", 100))
    found = balance(ledger.context(), "points", "m1").account_id

    def find_and_be_late(ctx, account_id):
        row = find_row(ledger, account_id)
        ledger.post(points("A", 7))  # somebody else, before the entries are read
        return row

    monkeypatch.setattr(statements, "find_account", find_and_be_late)
    lines, _ = statements.entries_of(ledger.context(), found)
    assert [(one.amount, one.balance) for one in lines] == [(100, 100)]
    lines, _ = statements.entries_of(ledger.context(), found, after="2.1")
    assert [(one.amount, one.balance) for one in lines] == [(100, 100)]


def find_row(ledger, account_id):
    with ledger.db.read() as connection:
        wanted = sa.select(account).where(account.c.id == account_id)
        return dict(connection.execute(wanted).mappings().one())


@pytest.fixture
def synced(ledger, monkeypatch):
    """Return a list that gets the numbers of files brought to the disk."""
    numbers, fsync = [], os.fsync

    def watched(opened):
        numbers.append(os.fstat(opened).st_ino)
        fsync(opened)

    monkeypatch.setattr("core.db.os.fsync", watched)
    return numbers


def durability(connection):
    return connection.exec_driver_sql("PRAGMA synchronous").scalar()


def test_money_posted_in_a_transaction_begun_for_something_else_waits_for_the_disk(ledger, synced):
    ctx = ledger.context()
    with ctx.writing():
        post(ctx, [points("A", 1)], what="test", key="k", ref=("t", "t"), valid_at=ctx.now)
        assert synced == []
    log = [Path(f"{ledger.db.url.database}-wal").stat().st_ino] if ledger.db.is_sqlite else []
    assert synced == log
    with ctx.writing():  # what was asked for is not asked for again
        pass
    with suppress(ZeroDivisionError), ctx.writing(), ctx.writing(durable=True):
        raise ZeroDivisionError
    with ctx.writing():
        pass
    assert synced == log


def test_money_posted_in_a_transaction_of_its_own_waits_as_the_database_does(ledger, synced):
    ctx = ledger.context()
    with ctx.writing(durable=True) as connection:
        post(ctx, [points("A", 1)], what="test", key="k", ref=("t", "t"), valid_at=ctx.now)
        assert not ledger.db.is_sqlite or durability(connection) == 2
    assert synced == []


def test_database_refuses_to_replace_what_was_posted(ledger):
    ledger.post(points("A", 100), memo="before")
    columns = [one.name for one in posting.columns]
    taken = ", ".join("'after'" if one == "memo" else one for one in columns)
    change = {
        "sqlite": f"INSERT OR REPLACE INTO gx_posting SELECT {taken} FROM gx_posting",
        "postgresql": f"INSERT INTO gx_posting SELECT {taken} FROM gx_posting"
        " ON CONFLICT (id) DO UPDATE SET memo = excluded.memo",
    }
    with pytest.raises(sa.exc.DBAPIError), ledger.db.write() as connection:
        connection.exec_driver_sql(change[ledger.db.dialect])
    with ledger.db.read() as connection:
        assert connection.execute(sa.select(posting.c.memo)).scalar_one() == "before"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE gx_entry SET amount = amount + 1",
        "DELETE FROM gx_entry",
        "UPDATE gx_posting SET memo = 'other'",
        "DELETE FROM gx_posting",
        "UPDATE gx_lot SET expires_at = NULL",
        "UPDATE gx_lot SET remaining = issued + 1",
        "UPDATE gx_lot SET remaining = -1",
        "DELETE FROM gx_lot",
        "UPDATE gx_account SET owner_id = 'm2' WHERE owner_id <> ''",
        "DELETE FROM gx_account",
    ],
)
def test_database_refuses_to_change_what_was_posted(ledger, change):
    ledger.post(points("A", 100))
    with pytest.raises(sa.exc.DBAPIError), ledger.db.write() as connection:
        connection.execute(sa.text(change))
    assert balance(ledger.context(), "points", "m1").balance == 100
