"""A quote: what a sale would cost and earn, by what is in force at its moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.clock import zone
from core.context import Context
from core.errors import Forbidden, Problem
from core.extension.sales import Goods, Sale, SaleLine, StoreFacts
from core.i18n import N_, translate
from core.policies.access import access
from core.records.inforce import audit_seq
from core.till.amounts import plain, product, share
from core.till.certificates import certificate_of
from core.till.goods import find_goods, find_member, find_store
from core.till.reading import Asked, AskedLine, Reader

#: A till's clock may be this much behind before its sale counts as backdated, or ahead.
SKEW = timedelta(minutes=2)

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
    require_rights(ctx, asked)
    with ctx.reading():
        sale = _sale(ctx, asked, is_order=is_order)
        ctx.hooks.at_till(ctx, "guanxi_before_quote", sale=sale)
    return Quoted(sale, certificate_of(sale))


def require_rights(ctx: Context, asked: Asked) -> None:
    """Refuse whoever may not sell, or not with these discounts and at this time.

    Raises:
        Forbidden: a right is missing; the problem names it.
    """
    rights = access(ctx, "order")
    rights.require("create")
    needed = []
    if asked.known_seq is not None:
        # Whoever hands in what was sold without a line hands in the past.
        needed.append(("audit_seq", "till.offline"))
    elif asked.at is not None and asked.at < ctx.now - SKEW:
        needed.append(("at", "till.backdate"))
    for at, line in enumerate(asked.lines):
        if line.other_discount or (line.other_rate is not None and line.other_rate != 1):
            needed.append((f"lines.{at}", "till.discount"))
    missing = [(path, right) for path, right in needed if not rights.may(right)]
    if missing:
        raise _missing(missing)


def _missing(missing: Sequence[tuple[str, str]]) -> Forbidden:
    text = N_("This needs the right {right}.")
    return Forbidden(
        problems=[
            Problem(path, "till.no_right", text, {"right": right}) for path, right in missing
        ]
    )


def _sale(ctx: Context, asked: Asked, *, is_order: bool) -> Sale:
    reader = Reader()
    if asked.at is not None and asked.at > ctx.now + SKEW:
        reader.refuse("at", "till.future", N_("A sale cannot be in the future."))
    store = find_store(ctx, asked.store)
    if store is None:
        reader.refuse("store", "till.unknown_store", N_("There is no such store."))
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
    lines = _lines(ctx, reader, store, asked.lines, goods)
    reader.finish()
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
    ctx: Context,
    reader: Reader,
    store: StoreFacts,
    asked: Sequence[AskedLine],
    goods: dict[str, Goods],
) -> list[SaleLine]:
    may_override = access(ctx, "order").may("till.override_price")
    overridden: list[tuple[str, str]] = []
    made = []
    for at, line in enumerate(asked):
        found, path = goods[line.product], f"lines.{at}."
        price = found.list_price if line.unit_price is None else line.unit_price
        if price is None or price <= 0:
            text = N_("The product {code} has no price.")
            reader.refuse(path + "unit_price", "till.no_price", text, code=line.product)
            continue
        if line.unit_price is not None and price != found.list_price and not may_override:
            overridden.append((path + "unit_price", "till.override_price"))
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
                unit_price=price,
                list_amount=amount,
                other_rate=rate,
                after_others=left,
                amount_due=left,
            )
        )
    if overridden:
        raise _missing(overridden)
    return made


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
    return {
        "list_amount": plain(listed),
        "other_discount": plain(listed - others),
        "member_discount": plain(others - due),
        "amount_due": plain(due),
        "points_paid": plain(sale.points_paid),
        "payable": plain(due - sale.points_paid),
    }


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
    params = step.get("params", {})
    text = translate(step["text"], locale).format_map(params)
    return {**step, "text": text}


def _fraction_text(rate: Fraction) -> str:
    """Return an exact fraction as a decimal where it is one, else as `n/d`."""
    left = rate.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    return str(rate) if left != 1 else plain(Decimal(rate.numerator) / Decimal(rate.denominator))
