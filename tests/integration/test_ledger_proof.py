"""The proof of the ledger names what was changed behind the product's back (domain §6 I13)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.appendonly import unguarded
from core.ledger import proof
from core.ledger.chaining import POSTING, posting_hash
from core.ledger.holding import hold, post_hold
from core.ledger.models import account, entry, lot, posting
from core.ledger.models import hold as holds
from core.ledger.posting import post
from core.testing.databases import Prepared
from core.testing.processes import ran
from tests.integration.ledger_world import install, opened, points

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def storage(backend, tmp_path_factory):
    prepared = Prepared(backend, tmp_path_factory.mktemp("ledger"), install)
    yield prepared
    prepared.drop()


def fill(ledger):
    """Post a little of everything."""
    ledger.post(points("A", 100), points("B", 50))
    ledger.post(points("R", -30, against="spent"), points("A", 5, "m2"), memo="two owners")
    until = ledger.clock.now() + DAY
    said = {"key": "h1", "ref": ("reservation", "r1"), "expires_at": until}
    one = hold(ledger.context(), "points", "m1", 20, **said)
    told = {"category": "R", "what": "redeem", "ref": ("reservation", "r1"), "amount": 15}
    post_hold(ledger.context(), one.id, **told)
    hold(ledger.context(), "points", "m2", 5, **(said | {"key": "h2"}))


def found(ledger):
    with proof.snapshot(ledger.db) as connection:
        return list(proof.problems(connection))


def tamper(ledger, change):
    """Change rows as somebody who owns the tables can, triggers and checks out of the way."""
    with ledger.db.write() as connection:
        if ledger.db.is_sqlite:
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            triggers = connection.exec_driver_sql(query).all()
            for name, _ in triggers:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.execute(change)
            for _, sql in triggers:
                connection.exec_driver_sql(sql)
        else:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.execute(change)


MINE = account.c.owner_id == "m1"
OF_MINE = sa.select(account.c.id).where(MINE).scalar_subquery()

#: What is changed, and words of what is found.
CHANGES = {
    "amount": (
        entry.update().where(entry.c.category == "B").values(amount=entry.c.amount + 1),
        ["(issued) sum to 1, not to 0", "an entry or a lot of it was altered", "balance is 105"],
    ),
    "entry_gone": (
        entry.delete().where(entry.c.category == "B"),
        ["(issued) sum to -50, not to 0", "balance is"],
    ),
    "memo": (
        posting.update().where(posting.c.memo == "two owners").values(memo="two 0wners"),
        ["an entry or a lot of it was altered"],
    ),
    "posting_gone": (posting.delete().where(posting.c.memo == "two owners"), ["no gx_posting"]),
    "lot_end": (
        lot.update().where(lot.c.category == "B").values(expires_at=None),
        ["an entry or a lot of it was altered"],
    ),
    "lot_remaining": (
        lot.update().where(lot.c.category == "B").values(remaining=lot.c.remaining - 1),
        ["its entries give 50"],
    ),
    "balance": (
        account.update().where(MINE).values(balance=account.c.balance + 1),
        ["balance is 106, its events give 105", "the programme owes"],
    ),
    "held": (
        account.update().where(account.c.owner_id == "m2").values(held=4),
        ["held is 4, its events give 5"],
    ),
    "totals": (account.update().where(MINE).values(totals='{"A":105}'), ["totals is"]),
    "owner": (
        account.update().where(MINE).values(owner_id="m3"),
        ["event 1: the chain is broken"],
    ),
    "hold": (
        holds.update().where(holds.c.key == "h2").values(amount=4),
        ["was altered"],
    ),
    "hold_gone": (holds.delete().where(holds.c.key == "h2"), ["held is 5, its events give 0"]),
    "totals_no_json": (account.update().where(MINE).values(totals="none"), ["never writes"]),
    "totals_no_object": (account.update().where(MINE).values(totals="[]"), ["never writes"]),
    "programme": (
        account.update().where(account.c.owner_id == "").values(owed=4),
        ["(the programme's points): it was altered"],
    ),
    "programme_entry": (
        entry.update().where(entry.c.seq == 0).values(chain="x"),
        ["an entry of the programme was altered"],
    ),
    "last_event": (
        account.update().where(MINE).values(seq=account.c.seq - 1),
        ["number of events is"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_tampering_is_located(storage, name):
    change, words = CHANGES[name]
    with opened(storage) as ledger:
        fill(ledger)
        assert found(ledger) == []
        tamper(ledger, change)
        told = "\n".join(found(ledger))
        assert all(word in told for word in words), told
        with ledger.db.read() as connection:
            assert unguarded(connection) == []


def test_a_trigger_that_is_gone_is_told(storage):
    drop = {
        "sqlite": "DROP TRIGGER gx_entry_kept",
        "postgresql": "DROP TRIGGER gx_entry_kept ON gx_entry",
    }
    with opened(storage) as ledger, ledger.db.write() as connection:
        connection.exec_driver_sql(drop[ledger.db.dialect])
        assert unguarded(connection) == ["gx_entry"]
        connection.rollback()


def test_the_proof_of_one_moment_may_take_its_time(storage):
    with opened(storage) as ledger:
        fill(ledger)
        with proof.snapshot(ledger.db) as connection:
            before = proof.count_postings(connection)
            if not ledger.db.is_sqlite:
                assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "0"
            ledger.post(points("A", 1))
            assert proof.count_postings(connection) == before
        with ledger.db.read() as connection:
            assert proof.count_postings(connection) == before + 1
            if not ledger.db.is_sqlite:
                assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "1min"


def test_a_posting_that_no_chain_leads_over_is_told(storage):
    """It would answer for whoever posts under its key, and nothing would be posted."""
    with opened(storage) as ledger:
        fill(ledger)
        with ledger.db.write() as connection:
            row = dict(connection.execute(sa.select(posting).limit(1)).mappings().one())
            row |= {"id": "forged", "key": "sale:next", "reverses": None}
            row["hash"] = posting_hash([row[name] for name in POSTING], [], [])
            connection.execute(posting.insert(), row)
        told = "no entry of an owner's account belongs to it"
        assert found(ledger) == [f"posting forged ({row['what']}, key sale:next): {told}"]


def test_a_trigger_that_refuses_nothing_is_told(storage):
    swap = {
        "sqlite": [
            "DROP TRIGGER gx_entry_kept",
            "CREATE TRIGGER gx_entry_kept BEFORE DELETE ON gx_entry BEGIN SELECT 1; END",
        ],
        "postgresql": [
            "CREATE FUNCTION gx_allow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN OLD; END $$",
            "DROP TRIGGER gx_entry_kept ON gx_entry",
            "CREATE TRIGGER gx_entry_kept BEFORE DELETE ON gx_entry FOR EACH ROW"
            " EXECUTE FUNCTION gx_allow()",
        ],
    }
    with opened(storage) as ledger, ledger.db.write() as connection:
        for statement in swap[ledger.db.dialect]:
            connection.exec_driver_sql(statement)
        assert unguarded(connection) == ["gx_entry"]
        connection.rollback()


def test_verify_fails_on_a_changed_balance(site):
    ctx = site.context("admin")
    posted = post(
        ctx, [points("A", 100)], what="test", key="k", ref=("test", "t"), valid_at=ctx.now
    )
    assert "ok       1 postings prove every balance" in ran("verify", environ=site.environ)[1]
    (mine,) = posted.balances
    with site.services.db.write() as connection:
        connection.execute(account.update().where(account.c.id == mine).values(balance=101))
    code, out, err = ran("verify", environ=site.environ)
    assert code == 1
    assert "FAILED   1 postings prove every balance" in out
    assert f"account {mine} (points of member m1): balance is 101, its events give 100" in err
