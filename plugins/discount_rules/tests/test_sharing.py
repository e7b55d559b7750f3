"""Shares of discounts through real documents, sales and returns, on both databases."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
import sqlalchemy as sa

from core.api import (
    Conflict,
    Goods,
    Invalid,
    Return,
    ReturnLine,
    Sale,
    SaleLine,
    Shown,
    StoreFacts,
    audit_seq,
    query,
    table,
)
from plugins.discount_rules.operations import sharing

DAY = date(2026, 3, 10)


@pytest.fixture
def bearers(shipped):
    """Two who bear discounts."""
    made = [
        shipped.create("clerk", "sharing_party", code=code, name=code, kind=kind)["id"]
        for code, kind in (("shop", "store"), ("acme", "supplier"))
    ]
    return dict(zip(("shop", "acme"), made, strict=True))


@pytest.fixture
def store(shipped):
    return shipped.create("Admin", "store", code="S1", name="S1")


def values_of(bearers, **changes):
    shares = {"shop": "0.333333", "acme": "0.666667"}
    parties = [{"party": bearers[code], "share": share} for code, share in shares.items()]
    return {"sharing_group": "G", "effective_from": "2026-03-01", "parties": parties} | changes


def share(shipped, bearers, **changes):
    made = shipped.create("clerk", "discount_sharing", **values_of(bearers, **changes))
    return shipped.approve("discount_sharing", made["id"])


def sale_of(shipped, store, *lines, group="G", faults=()):
    """Return a sale whose lines are (list amount, other rate, amount due, brand)."""
    facts = StoreFacts(store["id"], "S1", "CNY", 2, "Asia/Shanghai", {})
    made = [
        SaleLine(
            position, Goods("p", "P", "P", None, {"brand": brand, "product": "P"}, {}),
            Decimal(3), Decimal(1), Decimal(listed), Fraction(other), Decimal(due),
        )
        for position, (listed, other, due, brand) in enumerate(lines, start=1)
    ]  # fmt: skip
    card = Shown({}, {"sharing_group": group}, tuple(faults))
    return Sale(facts, shipped.clock.now(), DAY, audit_seq(shipped.context()), made, card=card)


def order_of(shipped, store):
    product = shipped.create("Admin", "product", code="P", name="P")["id"]
    line = {"product": product, "quantity": "3", "unit_price": "1"}
    return shipped.create(
        "Admin",
        "order",
        no="1",
        store=store["id"],
        ordered_at="2026-03-10T04:00:00Z",
        lines=[line],
    )["id"]


def booked(shipped, bearers):
    """Return bearer -> amounts, in the order in which they were booked."""
    names = {party: code for code, party in bearers.items()}
    found = {code: [] for code in bearers}
    for row in rows_of(shipped):
        found[names[row.party]].append(row.amount)
    return found


def rows_of(shipped):
    shares = table(shipped.context(), "discount_share")
    return query(shipped.context(), sa.select(shares).order_by(shares.c.id))


def test_backdated_sale_is_shared_by_what_was_audited_by_its_own_moment(shipped, store, bearers):
    def moved():
        shipped.clock.move(timedelta(minutes=1))
        return shipped.clock.now() - timedelta(seconds=1)

    before = moved()
    first = share(shipped, bearers)
    between = moved()
    later = share(shipped, bearers)
    after = moved()
    shipped.void("discount_sharing", later["id"])

    def shared(at):
        sale = sale_of(shipped, store, ("200.00", "1", "180.00", "olay"))
        sharing.stamp_shares(shipped.context("cashier"), replace(sale, at=at))
        found = sale.lines[0].terms.get("discount_rules")
        return found and found["sharing"]["no"]

    assert [shared(at) for at in (before, between, after, shipped.clock.now())] == [
        None, first["no"], later["no"], first["no"],
    ]  # fmt: skip


def test_sale_is_shared_to_the_cent_and_a_return_in_parts_gives_all_back(shipped, store, bearers):
    share(shipped, bearers)
    ctx = shipped.context("cashier")
    sale = sale_of(
        shipped, store, ("200.00", "17/20", "161.50", "olay"), ("99.99", "1", "89.99", "x")
    )
    sharing.stamp_shares(ctx, sale)
    terms = [line.terms["discount_rules"]["sharing"] for line in sale.lines]
    assert [[each["amount"] for each in one["parties"]] for one in terms] == [
        [283, 567],
        [333, 667],
    ]
    order = order_of(shipped, store)
    sharing.book_shares(ctx, sale, order)
    assert booked(shipped, bearers) == {"shop": [Decimal("6.16")], "acme": [Decimal("12.34")]}
    notes = []
    for before in (0, 1, 2):
        back = Return(
            order, {}, sale.store, sale.at, DAY, None, None,
            [
                ReturnLine(
                    line.position, {"quantity": Decimal(3), "terms": line.terms},
                    Decimal(before), Decimal(1), Decimal(0), Decimal(0),
                )
                for line in sale.lines
            ],
            is_whole=before == 2, is_preview=False, refund=Decimal(0),
        )  # fmt: skip
        sharing.give_shares_back(ctx, back)
        notes.append(back.notes["discount_rules"]["shares"])
    for code, amounts in booked(shipped, bearers).items():
        assert sum(amounts) == 0, code
        assert all(amount < 0 for amount in amounts[1:])
    assert sum(Decimal(each[bearers["acme"]]) for each in notes) == Decimal("-12.34")


@pytest.mark.parametrize("changes", [{"group": "H"}, {"group": ""}, {"faults": ["lost"]}])
def test_other_groups_and_faulty_cards_are_not_shared(shipped, store, bearers, changes):
    share(shipped, bearers)
    sale = sale_of(shipped, store, ("100.00", "1", "90.00", "olay"), **changes)
    sharing.stamp_shares(shipped.context("cashier"), sale)
    assert sale.lines[0].terms == {}


def test_narrower_and_later_documents_share_and_a_draft_does_not(shipped, store, bearers):
    shipped.create("Admin", "brand", code="olay", name="Olay")
    everything = share(shipped, bearers)
    brand = share(shipped, bearers, scope="brand", targets=["olay"])
    shipped.create("clerk", "discount_sharing", **values_of(bearers))
    sale = sale_of(shipped, store, *(("100.00", "1", "90.00", brand) for brand in ("olay", "x")))
    sharing.stamp_shares(shipped.context("cashier"), sale)
    found = [line.terms["discount_rules"]["sharing"]["no"] for line in sale.lines]
    assert found == [brand["no"], everything["no"]] == ["FT2026-0002", "FT2026-0001"]


def test_shares_that_do_not_sum_to_one_or_name_a_bearer_twice_are_refused(shipped, bearers):
    rows = [{"party": bearers["shop"], "share": each} for each in ("0.5", "0.4")]
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "discount_sharing", **values_of(bearers, parties=rows))
    assert {(it.path, it.code) for it in caught.value.problems} >= {("parties", "check.failed")}
    rows[1]["share"] = "0.5"
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "discount_sharing", **values_of(bearers, parties=rows))
    assert [(it.path, it.code) for it in caught.value.problems] == [
        ("parties.1.party", "discount_rules.party_twice")
    ]


def test_what_was_booked_is_kept(shipped, store, bearers):
    share(shipped, bearers)
    sale = sale_of(shipped, store, ("100.00", "1", "90.00", "olay"))
    ctx = shipped.context("cashier")
    sharing.stamp_shares(ctx, sale)
    sharing.book_shares(ctx, sale, order_of(shipped, store))
    row = rows_of(shipped)[0]
    with pytest.raises(Conflict) as caught:
        shipped.change("Admin", "discount_share", row.id, amount="1.00")
    assert caught.value.code == "discount_rules.share_kept"
    with pytest.raises(Conflict):
        shipped.delete("Admin", "discount_share", row.id)
