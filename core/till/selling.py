"""A sale: priced, paid, written and booked in one transaction, once per idempotency key."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.context import Context
from core.extension.sales import Sale
from core.records.idempotency import Answer, find_known, run_once
from core.records.operations import create_record
from core.till.amounts import money, plain
from core.till.certificates import priced_body
from core.till.errors import CertificateMismatch, TooMuchChange, Underpaid
from core.till.guard import booking
from core.till.quoting import Quoted, answer, quote
from core.till.reading import Asked
from core.till.receipts import receipt_number

#: Whatever is paid with it can be given back as change.
CASH = "cash"


def sell(ctx: Context, asked: Asked, *, key: str, fingerprint: str) -> Answer:
    """Commit a sale and return (201, order); a request repeated gets its first answer.

    Prices are those of the sale's own moment. What may have changed since, cards and
    balances, is looked at again under lock by the plugins that book it.

    Raises:
        KeyReused: the key came with another body.
        Forbidden: the actor may not sell, or not like this.
        Invalid: something asked is not right, or too little is paid.
        CertificateMismatch: the prices are not those of the certificate sent along.
        UserError: a plugin refuses: the card, the balance.
    """
    with ctx.reading():
        known = find_known(ctx, key, fingerprint)
        if known is not None:
            return known
        priced = price(ctx, asked)
    with ctx.writing(durable=True):
        return run_once(ctx, key, fingerprint, lambda: (201, commit(ctx, asked, priced)))


@dataclass(frozen=True, slots=True)
class Priced:
    """A sale ready to be committed: its prices, its receipt number and the change due."""

    quoted: Quoted
    number: str
    change: Decimal


def price(ctx: Context, asked: Asked) -> Priced:
    """Return a sale that can be committed; nothing is written but the number that it takes.

    Raises:
        UserError: it is refused, as `sell` says.
    """
    quoted = quote(ctx, asked, is_order=True)
    if asked.certificate and asked.certificate != quoted.certificate:
        raise CertificateMismatch
    change = _change(quoted.sale)
    return Priced(quoted, receipt_number(ctx, quoted.sale.store, quoted.sale.on), change)


def commit(ctx: Context, asked: Asked, priced: Priced) -> dict[str, Any]:
    """Write and book a sale in the transaction under way and return its answer."""
    quoted, sale = priced.quoted, priced.quoted.sale
    number, change = priced.number, priced.change
    made = {
        "at": sale.at.isoformat(),
        "audit_seq": sale.audit_seq,
        "no": number,
        "points_paid": plain(sale.points_paid),
    }
    with booking(priced_body(sale), made) as own:
        values = order_values(sale, number, asked.remark, change)
        order = create_record(ctx, "order", {**values, "certificate": own.certificate})
    ctx.hooks.at_till(ctx, "guanxi_before_sale", sale=sale, order_id=own.order_id)
    return {
        "id": own.order_id,
        "no": number,
        "version": order["version"],
        **answer(quoted, ctx.locale),
        "change": money(change - sale.keep_change, sale.store.digits),
        "kept_change": money(sale.keep_change, sale.store.digits),
    }


def order_values(sale: Sale, number: str, remark: str, change: Decimal) -> dict[str, Any]:
    """Return the order of a sale in wire form; cash is what stays in the drawer."""
    values: dict[str, Any] = {
        "no": number,
        "kind": "sale",
        "store": sale.store.id,
        "member": sale.member["id"] if sale.member else None,
        "ordered_at": sale.at.isoformat(),
        "lines": [
            {
                "product": line.goods.id,
                "quantity": plain(line.quantity),
                "unit_price": plain(line.unit_price),
                "amount_due": plain(line.amount_due),
            }
            for line in sale.lines
        ],
        "payments": _kept(sale, change - sale.keep_change),
    }
    if sale.card is not None:
        values["card"] = sale.card.record["id"]
    if remark:
        values["remark"] = remark
    return values


def _kept(sale: Sale, given_back: Decimal) -> list[dict[str, str]]:
    """Return the payments less the change that was given back in cash."""
    kept = []
    for one in sale.payments:
        amount = one["amount"]
        if one["method"] == CASH:
            less = min(given_back, amount)
            amount, given_back = amount - less, given_back - less
        if amount:
            kept.append({"method": one["method"], "amount": plain(amount)})
    return kept


def _change(sale: Sale) -> Decimal:
    """Return the change due; nothing is said of payments that were not told.

    Raises:
        Underpaid: the payments are less than what is to be paid.
        TooMuchChange: more than the cash would go back, or more is kept than there is.
    """
    if not sale.payments:
        if sale.keep_change:
            raise TooMuchChange(most=money(Decimal(0), sale.store.digits))
        return Decimal(0)
    paid = sum((one["amount"] for one in sale.payments), Decimal(0))
    cash = sum((one["amount"] for one in sale.payments if one["method"] == CASH), Decimal(0))
    change = paid - (sale.total_due - sale.points_paid)
    if change < 0:
        raise Underpaid(missing=plain(-change))
    if change > cash:
        raise TooMuchChange(most=plain(cash))
    if sale.keep_change > change:
        raise TooMuchChange(most=plain(change))
    return change
