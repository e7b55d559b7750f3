"""A quote: what a sale would cost and earn, by what is in force at its moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from core.businesstime import is_zone
from core.clock import zone
from core.context import Context
from core.errors import told
from core.extension.sales import Goods, Sale, SaleLine, StoreFacts
from core.i18n import N_
from core.policies.access import access
from core.records.inforce import audit_seq
from core.till import rights
from core.till.amounts import money, plain, product, share
from core.till.certificates import certificate_of
from core.till.goods import find_goods, find_member, find_store
from core.till.reading import (
    TOO_MANY_DIGITS,
    Asked,
    AskedLine,
    Reader,
    has_more_digits,
)

#: A till's clock may be this much behind before its sale counts as backdated, or ahead.
SKEW = timedelta(minutes=2)

#: Digits that a price of one may have whatever the currency: list prices are kept with them.
PRICE_DIGITS = 2

#: Categories of points that every answer names.
POINTS = ("A", "B", "C", "D", "E")


@dataclass(frozen=True, slots=True)
class Quoted:
    """A priced sale with the hash that its prices are known by."""

    sale: Sale
    certificate: str


def quote(ctx: Context, asked: Asked, *, is_order: bool = False) -> Quoted:
    """Return what a sale costs and earns; nothing is written.

    Args:
        ctx: who sells.
        asked: what the till sent.
        is_order: it is going to be committed, so that plugins refuse what they would only
            remark upon in a quote.

    Raises:
        Forbidden: the actor may not sell, or not like this.
        Invalid: store, products or member are unknown, or amounts not right; all at once.
        UserError: a plugin refuses, such as a card that is lost.
    """
    access(ctx, "order").require("create")
    needed = _needed(ctx, asked)
    rights.require(ctx, needed)
    with ctx.reading():
        sale = _sale(ctx, asked, is_order=is_order)
        ctx.hooks.at_till(ctx, "guanxi_before_quote", sale=sale)
        needed += [("store", "create"), *_overridden(sale.lines)]
        rights.require_for(ctx, lambda: rights.order_of(ctx, sale), needed)
    return Quoted(sale, certificate_of(sale))


def _needed(ctx: Context, asked: Asked) -> list[rights.Needed]:
    """Return the rights beside selling that discounts and an instant of one's own need."""
    needed = []
    if asked.known_seq is not None:
        # Whoever hands in what was sold without a line hands in the past.
        needed.append(("audit_seq", "till.offline"))
    elif asked.at is not None and asked.at < ctx.now - SKEW:
        needed.append(("at", "till.backdate"))
    for at, line in enumerate(asked.lines):
        if line.other_discount or (line.other_rate is not None and line.other_rate != 1):
            needed.append((f"lines.{at}", "till.discount"))
    return needed


def _overridden(lines: Sequence[SaleLine]) -> list[rights.Needed]:
    """Return the right that prices off the list need, once for each line."""
    return [
        (f"lines.{line.position - 1}.unit_price", "till.override_price")
        for line in lines
        if line.unit_price != line.goods.list_price
    ]


def _sale(ctx: Context, asked: Asked, *, is_order: bool) -> Sale:
    reader = Reader()
    if asked.at is not None and asked.at > ctx.now + SKEW:
        reader.refuse("at", "till.future", N_("A sale cannot be in the future."))
    store = find_store(ctx, asked.store)
    if store is None:
        reader.refuse("store", "till.unknown_store", N_("There is no such store."))
    elif not is_zone(store.time_zone):
        text = N_("The store's time zone {zone} does not exist.")
        reader.refuse("store", "till.time_zone", text, zone=store.time_zone)
    goods = find_goods(ctx, [line.product for line in asked.lines])
    member = find_member(ctx, asked.member) if asked.member else None
    if asked.member and member is None:
        reader.refuse("member", "till.unknown_member", N_("There is no such member."))
    for index, line in enumerate(asked.lines):
        if line.product not in goods:
            text = N_("There is no product {code}.")
            path = f"lines.{index}.product"
            reader.refuse(path, "till.unknown_product", text, code=line.product)
    reader.finish()
    assert store is not None  # noqa: S101  refused above
    lines = _lines(reader, store, asked.lines, goods)
    _check_payments(reader, store, asked)
    reader.finish()
    rights.require(ctx, _overridden(lines))
    at = asked.at or ctx.now
    return Sale(
        store=store,
        at=at,
        on=_store_day(store, at),
        audit_seq=_known(ctx, asked),
        lines=lines,
        is_order=is_order,
        card_text=asked.card,
        code_text=asked.verification,
        member=member,
        spend_points=asked.spend_points,
        payments=[{"method": method, "amount": amount} for method, amount in asked.payments],
        keep_change=asked.keep_change,
    )


def _known(ctx: Context, asked: Asked) -> int:
    """Return the highest audit that the sale knows: never one that is still to come."""
    now = audit_seq(ctx)
    return now if asked.known_seq is None else min(now, asked.known_seq)


def _store_day(store: StoreFacts, at: datetime) -> Any:
    return at.astimezone(zone(store.time_zone)).date()


def _lines(
    reader: Reader, store: StoreFacts, asked: Sequence[AskedLine], goods: dict[str, Goods]
) -> list[SaleLine]:
    made = []
    for at, line in enumerate(asked):
        found, path = goods[line.product], f"lines.{at}."
        price = found.list_price if line.unit_price is None else line.unit_price
        if price is None or price <= 0:
            text = N_("The product {code} has no price.")
            reader.refuse(path + "unit_price", "till.no_price", text, code=line.product)
            continue
        digits = max(PRICE_DIGITS, store.digits)
        if price != found.list_price:
            _check_digits(reader, path + "unit_price", price, digits)
        if line.other_discount is not None:
            _check_digits(reader, path + "other_discount", line.other_discount, store.digits)
        amount = product(line.quantity, price, store.digits)
        if line.other_discount is not None and line.other_discount > amount:
            text = N_("At most {max}.")
            reader.refuse(
                path + "other_discount", "till.discount_too_large", text, max=plain(amount)
            )
            continue
        rate = _other_rate(line, amount)
        left = share(amount, rate, store.digits)
        made.append(
            SaleLine(
                position=at + 1,
                goods=found,
                quantity=line.quantity,
                unit_price=price.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP),
                list_amount=amount,
                other_rate=rate,
                after_others=left,
                amount_due=left,
            )
        )
    return made


def _check_payments(reader: Reader, store: StoreFacts, asked: Asked) -> None:
    """Note payments with more digits than there is money of in the store."""
    for at, (_, amount) in enumerate(asked.payments):
        _check_digits(reader, f"payments.{at}.amount", amount, store.digits)
    _check_digits(reader, "keep_change", asked.keep_change, store.digits)


def _check_digits(reader: Reader, path: str, amount: Decimal, digits: int) -> None:
    if has_more_digits(amount, digits):
        reader.refuse(path, "field.too_many_digits", TOO_MANY_DIGITS, digits=digits)


def _other_rate(line: AskedLine, amount: Decimal) -> Fraction:
    """Return the exact fraction that other promotions left of a line."""
    if line.other_rate is not None:
        return line.other_rate
    if not line.other_discount or not amount:
        return Fraction(1)
    return Fraction(amount - line.other_discount) / Fraction(amount)


def answer(quoted: Quoted, locale: str) -> dict[str, Any]:
    """Return a quote as JSON; texts of the trace in the reader's language."""
    sale = quoted.sale
    return {
        "store": sale.store.code,
        "currency": sale.store.currency,
        "at": sale.at.isoformat().replace("+00:00", "Z"),
        "on": sale.on.isoformat(),
        "member": sale.member["id"] if sale.member else None,
        "card": _card(sale),
        "lines": [_line(line, locale) for line in sale.lines],
        "totals": totals(sale),
        "points": {name: sale.points.get(name, 0) for name in POINTS},
        "certificate": quoted.certificate,
    }


def totals(sale: Sale) -> dict[str, str]:
    """Return the sums of a sale: list, other promotions, member benefit, due, points, payable."""
    listed = sum((line.list_amount for line in sale.lines), Decimal(0))
    others = sum((line.after_others for line in sale.lines), Decimal(0))
    due = sale.total_due
    sums = {
        "list_amount": listed,
        "other_discount": listed - others,
        "member_discount": others - due,
        "amount_due": due,
        "points_paid": sale.points_paid,
        "payable": due - sale.points_paid,
    }
    return {name: money(amount, sale.store.digits) for name, amount in sums.items()}


def _card(sale: Sale) -> dict[str, Any] | None:
    if sale.card is None:
        return None
    return {
        "id": sale.card.record["id"],
        "number": sale.card.record["number"],
        "card_type": sale.card.card_type.get("code"),
        "faults": list(sale.card.faults),
    }


def _line(line: SaleLine, locale: str) -> dict[str, Any]:
    return {
        "line": line.position,
        "product": line.goods.code,
        "name": line.goods.name,
        "quantity": plain(line.quantity),
        "unit_price": plain(line.unit_price),
        "list_amount": plain(line.list_amount),
        "other_rate": _fraction_text(line.other_rate),
        "amount_due": plain(line.amount_due),
        "member_rate": plain(Decimal(1) if line.member_rate is None else line.member_rate),
        "rule": line.rule["no"] if line.rule else None,
        "rule_line": line.rule.get("line") if line.rule else None,
        "trace": [_step(step, locale) for step in line.trace],
    }


def _step(step: dict[str, Any], locale: str) -> dict[str, Any]:
    return {**step, "text": told(step["text"], locale, step.get("params", {}))}


def _fraction_text(rate: Fraction) -> str:
    """Return an exact fraction as a decimal where it is one, else as `n/d`."""
    left = rate.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    return str(rate) if left != 1 else plain(Decimal(rate.numerator) / Decimal(rate.denominator))
