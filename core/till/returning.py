"""A return: what comes back of one sale, at the prices and terms that were stamped on it.

Refunds are cumulative shares rounded half up, so returning one by one gives back the same as
returning at once, and never more than was paid. A preview does everything that the return
would do and takes it back, so what it shows is what will happen.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa

from core.clock import zone
from core.context import Context
from core.errors import NotFound
from core.extension.sales import Return, ReturnLine
from core.i18n import N_
from core.ids import is_id, new_id
from core.policies.access import access
from core.records.children import read_rows
from core.records.idempotency import Answer, find_known, run_once
from core.records.operations import create_record
from core.records.queries import get_record
from core.records.stored import whole_record
from core.till import certificates, rights
from core.till.amounts import money, plain, product, share
from core.till.errors import NotReturnable
from core.till.goods import store_of
from core.till.guard import booking
from core.till.quoting import SKEW
from core.till.reading import AskedReturn, Reader
from core.till.receipts import receipt_number

Record = Mapping[str, Any]

#: What the answer says of the order written, which a preview takes back.
_OF_ORDER = frozenset({"id", "no", "version"})


class _Previewed(Exception):
    """Takes a preview's transaction back; carries what it would have answered."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.body = body


@dataclass(frozen=True, slots=True)
class _Sold:
    """One line of the sale, with what came back of it so far."""

    position: int
    row: Record
    returned: Decimal
    refunded: Decimal


def preview_return(ctx: Context, sale_id: str, asked: AskedReturn) -> dict[str, Any]:
    """Return what a return would give back and take; nothing is kept.

    Raises:
        UserError: it would be refused; as `give_back` says.
    """
    require_rights(ctx, sale_id, asked)
    try:
        _taken_back(ctx, sale_id, asked)
    except _Previewed as previewed:
        return {key: value for key, value in previewed.body.items() if key not in _OF_ORDER}


def _taken_back(ctx: Context, sale_id: str, asked: AskedReturn) -> NoReturn:
    with ctx.writing():
        # A number of nobody's, so that previews at once do not wait for each other.
        raise _Previewed(take_back(ctx, sale_id, asked, new_id()))


def give_back(
    ctx: Context, sale_id: str, asked: AskedReturn, *, key: str, fingerprint: str
) -> Answer:
    """Commit a return and return (201, order); a request repeated gets its first answer.

    Raises:
        KeyReused: the key came with another body.
        NotFound: the sale is not there for this actor.
        Forbidden: the actor may not take returns, or not at this time.
        NotReturnable: it is a return itself.
        Invalid: lines are unknown or more comes back than was sold.
        UserError: a plugin refuses, such as points that are gone under the policy `block`.
    """
    known = find_known(ctx, key, fingerprint)
    if known is not None:
        return known
    require_rights(ctx, sale_id, asked)
    number = number_of(ctx, sale_id, asked)
    with ctx.writing(durable=True):
        return run_once(
            ctx, key, fingerprint, lambda: (201, take_back(ctx, sale_id, asked, number))
        )


def number_of(ctx: Context, sale_id: str, asked: AskedReturn) -> str:
    """Draw the receipt number of a return, outside its transaction."""
    store = store_of(ctx, _main(ctx, sale_id)["store"])
    on = (asked.at or ctx.now).astimezone(zone(store.time_zone)).date()
    return receipt_number(ctx, store, on)


def require_rights(
    ctx: Context, sale_id: str, asked: AskedReturn, *, is_offline: bool = False
) -> None:
    """Refuse whoever may not see the sale, or take returns, or at this time.

    Args:
        ctx: who takes the return.
        sale_id: the sale.
        asked: what the till sent.
        is_offline: a till hands it in that had no line.

    Raises:
        NotFound: the sale is not there for this actor.
        Forbidden: a right is missing.
    """
    access(ctx, "order").require("create")
    get_record(ctx, "order", sale_id, fields=("id",))
    needed: list[rights.Needed] = []
    if is_offline:
        needed = [("", "till.offline")]
    elif asked.at is not None and asked.at < ctx.now - SKEW:
        needed = [("at", "till.backdate")]
    rights.require(ctx, needed)
    rights.require_for(ctx, lambda: _main(ctx, sale_id), needed)


def _main(ctx: Context, sale_id: str) -> Record:
    with ctx.reading() as connection:
        return whole_record(connection, ctx.registry, "order", sale_id)


def take_back(ctx: Context, sale_id: str, asked: AskedReturn, number: str) -> dict[str, Any]:
    """Book a return in the transaction under way and return its answer.

    A preview is the same; whoever asked for it takes the transaction back.
    """
    giving_back = _begin(ctx, sale_id, asked)
    ctx.hooks.at_till(ctx, "guanxi_before_return", giving_back=giving_back)
    ctx.hooks.at_till(ctx, "guanxi_before_refund", giving_back=giving_back)
    body = _answer(giving_back)
    made = {"at": giving_back.at.isoformat(), "no": number, "sale": sale_id}
    priced = {"sale": sale_id, **body}
    with booking(priced, made) as own:
        values = {
            **_order_values(giving_back, asked, number),
            "certificate": own.certificate,
        }
        order = create_record(ctx, "order", values, reason=asked.reason)
    return {"id": own.order_id, "no": number, "version": order["version"], **body}


def _begin(ctx: Context, sale_id: str, asked: AskedReturn) -> Return:
    """Return the sale's lines that come back, with the sale locked until the end."""
    if not is_id(sale_id):
        raise NotFound
    with ctx.writing() as connection:
        sale = whole_record(connection, ctx.registry, "order", sale_id, lock=True)
        if sale["kind"] != "sale":
            raise NotReturnable
        sold = _sold(sale, _earlier(ctx, sale_id))
    at = asked.at or ctx.now
    _check_instant(ctx, sale, at)
    found = certificates.find(ctx, sale_id)
    certificate = {} if found is None else {**msgspec.json.decode(found["priced"]), **found}
    store = store_of(ctx, sale["store"])
    lines = _lines(
        asked, sold, {one["line"]: one for one in certificate.get("lines", ())}, store.digits
    )
    left = {one.position: one.row["quantity"] - one.returned for one in sold}
    for line in lines:
        left[line.position] -= line.quantity
    return Return(
        sale_id=sale_id,
        certificate=certificate,
        store=store,
        at=at,
        on=at.astimezone(zone(store.time_zone)).date(),
        member_id=sale["member"],
        card_id=sale.get("card"),
        lines=lines,
        is_whole=not any(left.values()),
        is_preview=asked.preview,
        refund=sum((line.refund for line in lines), Decimal(0)),
        method=asked.method,
        refunded={one.position: one.refunded for one in sold},
    )


def _check_instant(ctx: Context, sale: Record, at: datetime) -> None:
    """Refuse a return that is still to come, or of before the sale.

    Raises:
        Invalid: points would end, or come back, at a time that is not so.
    """
    reader = Reader()
    if at > ctx.now + SKEW:
        reader.refuse("at", "till.future", N_("A return cannot be in the future."))
    elif at < sale["ordered_at"] - SKEW:
        reader.refuse("at", "till.before_sale", N_("A return cannot be before its sale."))
    reader.finish()


def _earlier(ctx: Context, sale_id: str) -> list[Record]:
    """Return the lines of earlier returns of a sale, in order."""
    order = ctx.registry.tables["order"].main
    query = (
        sa.select(order.c.id)
        .where(order.c.of == sale_id, order.c.kind == "return", order.c.deleted_at.is_(None))
        .order_by(order.c.created_at, order.c.id)
    )
    with ctx.reading() as connection:
        ids = list(connection.execute(query).scalars())
        rows = read_rows(connection, ctx.registry, ("order", "lines"), ids) if ids else {}
    return [row for one in ids for row in rows.get(one, ())]


def _sold(sale: Record, earlier: Iterable[Record]) -> list[_Sold]:
    """Return the sale's lines with what came back of each.

    Returns by hand and imported ones do not name the line: they count against the first lines
    of their product that have something left.
    """
    rows = list(enumerate(sale["lines"], start=1))
    returned: defaultdict[int, Decimal] = defaultdict(Decimal)
    refunded: defaultdict[int, Decimal] = defaultdict(Decimal)
    for back in earlier:
        quantity, amount = -back["quantity"], -(back["amount_due"] or Decimal(0))
        line = back.get("of_line") or _line_of(rows, returned, back["product"])
        if line is not None:
            returned[line] += quantity
            refunded[line] += amount
    return [_Sold(at, row, returned[at], refunded[at]) for at, row in rows]


def _line_of(
    rows: Sequence[tuple[int, Record]], returned: Mapping[int, Decimal], product: str
) -> int | None:
    mine = [(at, row) for at, row in rows if row["product"] == product]
    open_ = [at for at, row in mine if row["quantity"] > returned.get(at, Decimal(0))]
    return next(iter(open_), mine[-1][0] if mine else None)


def _lines(
    asked: AskedReturn,
    sold: Sequence[_Sold],
    stamped: Mapping[int, Record],
    digits: int,
) -> list[ReturnLine]:
    reader = Reader()
    known: dict[int | str, _Sold] = {one.position: one for one in sold}
    known |= {one.row["id"]: one for one in sold}
    made: dict[int, ReturnLine] = {}
    for at, (name, quantity) in enumerate(asked.lines):
        line = known.get(name)
        if line is None:
            text = N_("The sale has no line {line}.")
            reader.refuse(f"lines.{at}.line", "till.unknown_line", text, line=str(name)[:40])
        elif line.position in made:
            text = N_("This line is named twice.")
            reader.refuse(f"lines.{at}.line", "till.line_twice", text)
        elif quantity > line.row["quantity"] - line.returned:
            text = N_("Only {left} of this line can still come back.")
            left = plain(max(line.row["quantity"] - line.returned, Decimal(0)).normalize())
            reader.refuse(f"lines.{at}.quantity", "till.more_than_sold", text, left=left)
        else:
            made[line.position] = _line(line, quantity, stamped.get(line.position, {}), digits)
    reader.finish()
    return list(made.values())


def _line(line: _Sold, quantity: Decimal, stamped: Record, digits: int) -> ReturnLine:
    row = line.row
    paid = row["amount_due"]
    if paid is None:  # imported without it
        paid = product(row["quantity"], row["unit_price"], digits)
    part = Fraction(line.returned + quantity) / Fraction(row["quantity"])
    back = share(paid, part, digits)
    return ReturnLine(
        position=line.position,
        sold={**stamped, **row},
        before=line.returned,
        quantity=quantity,
        refund=back - line.refunded,
        refunded_before=line.refunded,
    )


def _answer(giving_back: Return) -> dict[str, Any]:
    return {
        "preview": giving_back.is_preview,
        "sale": giving_back.sale_id,
        "lines": [
            {
                "line": line.position,
                "quantity": plain(line.quantity),
                "refund": plain(line.refund),
            }
            for line in giving_back.lines
        ],
        "amount": plain(sum((line.refund for line in giving_back.lines), Decimal(0))),
        "refund": plain(giving_back.refund),
        "claw_back": {name: giving_back.clawed.get(name, 0) for name in ("A", "B", "C", "E")},
        "F": giving_back.bought,
        "F_price": money(giving_back.bought_price, giving_back.store.digits),
        "lots": giving_back.restored,
        "notes": giving_back.notes,
    }


def _order_values(giving_back: Return, asked: AskedReturn, number: str) -> dict[str, Any]:
    """Return the return order in wire form."""
    values: dict[str, Any] = {
        "no": number,
        "kind": "return",
        "of": giving_back.sale_id,
        "store": giving_back.store.id,
        "member": giving_back.member_id,
        "ordered_at": giving_back.at.isoformat(),
        "lines": [
            {
                "product": line.sold["product"],
                "quantity": plain(-line.quantity),
                "unit_price": plain(line.sold["unit_price"]),
                "amount_due": plain(-line.refund),
                "of_line": line.position,
            }
            for line in giving_back.lines
        ],
    }
    if giving_back.refund:
        values["payments"] = [{"method": asked.method, "amount": plain(-giving_back.refund)}]
    if giving_back.card_id:
        values["card"] = giving_back.card_id
    return values
