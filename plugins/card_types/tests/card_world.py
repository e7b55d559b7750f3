"""Card types, cards and sales for the tests of cards."""

from dataclasses import replace
from decimal import Decimal

from core.api import Goods, Sale, SaleLine, StoreFacts, audit_seq, query, table


def make_type(shipped, *, effective=True, **changes):
    """Return the id of a card type, in force unless told otherwise."""
    plain = {"code": "GOLD", "name": "Gold", "type_prefix": "01", "serial_length": 4}
    made = shipped.create("clerk", "card_type", **(plain | changes))
    if effective:
        assert shipped.approve("card_type", made["id"])["status"] == "effective"
    return made["id"]


def make_card(shipped, store, member, **changes):
    """Return a card of a type of its own, issued when it has a member."""
    card_type = make_type(shipped, **changes)
    return shipped.create("clerk", "card", card_type=card_type, store=store, member=member)


def coded(code):
    """Return whether an error has a code, as `pytest.raises` asks."""
    return lambda error: error.code == code


def make_receipt(shipped, store, member=None, total="300.00", kind="sale", **changes):
    """Return a sale of one line, as it is stored."""
    product = shipped.create("Admin", "product", code=f"P{changes.get('no', 'R1')}", name="Tea")
    line = {"product": product["id"], "quantity": "1", "unit_price": total, "amount_due": total}
    given = {"no": "R1", "kind": kind, "store": store, "member": member, "lines": [line]}
    at = changes.pop("at", shipped.clock.now())
    return shipped.create("Admin", "order", **(given | changes), ordered_at=at.isoformat())


def row_of(ctx, record_type, record_id):
    """Return the stored values of a record."""
    found = table(ctx, record_type)
    return query(ctx, found.select().where(found.c.id == record_id))[0]._asdict()


def make_sale(ctx, store, *, amount="100.00", member=None, **changes):
    """Return a sale of one line at the present moment."""
    stored = row_of(ctx, "store", store)
    facts = StoreFacts(store, stored["code"], "CNY", 2, "Asia/Shanghai", stored)
    price = Decimal(amount)
    goods = Goods("p1", "P1", "Tea", price, {}, {})
    line = SaleLine(1, goods, Decimal(1), price, price, amount_due=price)
    buyer = row_of(ctx, "member", member) if member else None
    known = {"audit_seq": audit_seq(ctx), "at": ctx.now} | changes
    return Sale(facts, on=ctx.today, lines=[line], member=buyer, **known)


def quote(shipped, store, *, role="cashier", **changes):
    """Return a sale after the plugins were asked for a quote."""
    ctx = shipped.context(role)
    sale = make_sale(ctx, store, **changes)
    with ctx.reading():
        ctx.hooks.at_till(ctx, "guanxi_before_quote", sale=sale)
    return sale


def order(shipped, store, *, order_id="o1", role="cashier", before_commit=None, **changes):
    """Return a sale after the plugins booked it as an order, in one transaction."""
    ctx = shipped.context(role)
    with ctx.writing(durable=True):
        sale = replace(make_sale(ctx, store, **changes), is_order=True)
        ctx.hooks.at_till(ctx, "guanxi_before_quote", sale=sale)
        ctx.hooks.at_till(ctx, "guanxi_before_sale", sale=sale, order_id=order_id)
        if before_commit:
            before_commit()
    return sale
