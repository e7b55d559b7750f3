"""The receipts of the last days under the rules in force and under a proposed document."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.api import (
    N_,
    Context,
    Document,
    Review,
    plugin_settings,
    priced_sales,
    query,
    table,
    translate,
)
from plugins.discount_rules.operations.goods import batches, products_by_id, records_by_id
from plugins.discount_rules.operations.proposing import RuleSets, card_types_in_force
from plugins.discount_rules.operations.receipts import Origin, ReceiptConditions
from plugins.discount_rules.operations.tracing import PLUGIN
from plugins.discount_rules.rules.proof import CardTerms
from plugins.discount_rules.rules.replay import (
    SCALE,
    Earning,
    Pricer,
    Receipt,
    Replayed,
    SoldLine,
    replay,
    weeks_shift,
)

#: Members and receipts that are named.
MOST_NAMED = 10

Record = Mapping[str, Any]

#: The plugin whose terms on a certificate say what a receipt earned.
_POINTS = "points_rules"


@dataclass(frozen=True, slots=True)
class Sold:
    """The receipts of one currency; all of them have its digits."""

    currency: str
    digits: int
    receipts: Sequence[Receipt]


def review_replay(
    ctx: Context, document: Document, sets: RuleSets, card_types: Mapping[str, CardTerms]
) -> list[Review]:
    """Return what a document would change of the receipts of the last days."""
    settings = plugin_settings(ctx, PLUGIN)
    since = ctx.now - timedelta(days=settings["replay_days"])
    found: list[Review] = []
    sold = read_receipts(ctx, since, settings["replay_receipts"])
    if not sold:
        if settings["replay_receipts"]:
            text = N_("No sales in the last {days} days to replay.")
            found = [Review("note", translate(text, ctx.locale, days=settings["replay_days"]))]
        return found
    begins = max(ctx.today, document.values["effective_from"])
    shift = weeks_shift(min(each.on for part in sold for each in part.receipts), begins)
    with ctx.reading() as connection:
        types = {each["id"]: each for each in card_types_in_force(ctx)}
        for part in sold:
            conditions = ReceiptConditions(ctx, connection, types, shift)
            if _has_conditions(sets, part.receipts):
                conditions.read(part.receipts)
            before, after = (
                Pricer(cells, card_types, shift, conditions.holds)
                for cells in (sets.before, sets.after)
            )
            replayed = replay(part.receipts, before, after, part.digits)
            found += _Telling(ctx, part, shift).reviews(replayed)
    return found


def _has_conditions(sets: RuleSets, receipts: Sequence[Receipt]) -> bool:
    """Return whether any rule that a line may meet has a condition."""
    cells = {
        (receipt.card_type, level, code)
        for receipt in receipts
        if receipt.card_type
        for line in receipt.lines
        for level, code in line.scopes.items()
    }
    return any(rule.condition for cell in cells for rule in sets.after.rules_at(*cell)) or any(
        rule.condition for cell in cells for rule in sets.before.rules_at(*cell)
    )


# -- reading -----------------------------------------------------------------------------------


def read_receipts(ctx: Context, since: datetime, most: int) -> list[Sold]:
    """Return the sales since an instant, at most the `most` latest, by currency.

    Those of the till are read from their certificates, with what each line was worth and
    earned; others, such as imported ones, from their lines, with the member benefit of the
    card that they name.
    """
    order, card = table(ctx, "order"), table(ctx, "card")
    wanted = (
        sa.select(order.c.id, order.c.no, order.c.store, order.c.member, order.c.ordered_at)
        .add_columns(order.c.card, card.c.card_type)
        .outerjoin_from(order, card, card.c.id == order.c.card)
        .where(order.c.kind == "sale", order.c.deleted_at.is_(None), order.c.ordered_at >= since)
        .order_by(order.c.ordered_at.desc(), order.c.id.desc())
        .limit(most)
    )
    sales = query(ctx, wanted)
    stores = records_by_id(ctx, "store", [each.store for each in sales])
    priced = priced_sales(ctx, [each.id for each in sales])
    lines = _lines(ctx, [each.id for each in sales if each.id not in priced])
    products = products_by_id(
        ctx,
        [
            *(line["product"] for body in priced.values() for line in body["lines"]),
            *(line.product for found in lines.values() for line in found),
        ],
    )
    scopes = {each.id: each.scopes for each in products.values()}
    earnings = _earnings(ctx)
    parts: defaultdict[tuple[str, int], list[Receipt]] = defaultdict(list)
    for sale in sales:
        store, body = stores[sale.store], priced.get(sale.id)
        on = sale.ordered_at.astimezone(ZoneInfo(store["time_zone"])).date()
        if body is not None:
            made = _stamped(sale, on, store, body, scopes)
            digits = body["digits"]
        else:
            digits = 2
            made = _imported(sale, on, store, lines.get(sale.id, ()), scopes, earnings)
        parts[store["currency"], digits].append(made)
    return [Sold(*key, receipts[::-1]) for key, receipts in sorted(parts.items())]


def _lines(ctx: Context, ids: Sequence[str]) -> dict[str, list[sa.Row[Any]]]:
    rows = table(ctx, "order", "lines")
    columns = rows.c.record_id, rows.c.product, rows.c.quantity, rows.c.unit_price
    found: defaultdict[str, list[sa.Row[Any]]] = defaultdict(list)
    for part in batches(ids):
        wanted = sa.select(*columns).where(rows.c.record_id.in_(part))
        for row in query(ctx, wanted.order_by(rows.c.record_id, rows.c.position)):
            found[row.record_id].append(row)
    return found


def _stamped(
    sale: sa.Row[Any], on: date, store: Record, body: Record, scopes: Mapping[str, Any]
) -> Receipt:
    """Return a receipt of the till from its certificate."""
    digits = body["digits"]
    lines = [
        SoldLine(
            line["product"],
            scopes.get(line["product"], {}),
            _units(line["list_amount"], digits),
            Fraction(line["other_rate"]),
        )
        for line in body["lines"]
    ]
    quantities = tuple(Decimal(line["quantity"]) for line in body["lines"])
    return Receipt(
        sale.id,
        sale.no,
        on,
        sale.member,
        None if body["faults"] else body["card_type"],
        lines,
        _stamped_earning(body, digits),
        Origin(sale.ordered_at, store, body["card"], quantities, digits),
    )


def _stamped_earning(body: Record, digits: int) -> Earning | None:
    terms = body["terms"].get(_POINTS)
    if not terms or not terms.get("lines"):
        return None
    identity = _scaled(terms.get("identity", 0))
    # What a multiplier adds to the points is one less than it.
    for_all = [_scaled(each["multiplier"]) for each in terms.get("scenes", ())]
    combine = sum if terms.get("combine") == "sum" else max
    extras = [
        combine([0, *(each - SCALE for each in (*for_all, _multiplier(line)) if each > SCALE)])
        for line in terms["lines"]
    ]
    if terms.get("on_identity"):
        extras = [each * (SCALE + identity) // SCALE for each in extras]
    return Earning(
        [_scaled(line["rate"]) for line in terms["lines"]],
        extras,
        identity,
        0 if terms.get("earns_on_paid") else _units(body["points_paid"], digits),
    )


def _multiplier(line: Record) -> int:
    return _scaled(line.get("multiplier", 0))


def _imported(
    sale: sa.Row[Any],
    on: date,
    store: Record,
    rows: Sequence[sa.Row[Any]],
    scopes: Mapping[str, Any],
    earnings: Mapping[str, tuple[int, int]],
) -> Receipt:
    """Return a receipt that did not come through the till."""
    lines = [
        SoldLine(
            row.product,
            scopes.get(row.product, {}),
            _units(row.quantity * row.unit_price, 2),
            Fraction(1),
        )
        for row in rows
    ]
    own = earnings.get(sale.card_type or "") if sale.member else None
    earning = None if own is None else Earning([own[0]] * len(lines), identity=own[1])
    origin = Origin(sale.ordered_at, store, sale.card, tuple(row.quantity for row in rows))
    return Receipt(sale.id, sale.no, on, sale.member, sale.card_type, lines, earning, origin)


def _earnings(ctx: Context) -> dict[str, tuple[int, int]]:
    """Return card type -> its own points rate and identity multiple."""
    return {
        each["id"]: (_scaled(each["points_rate"] or 0), _scaled(each["identity_multiple"] or 0))
        for each in card_types_in_force(ctx)
    }


def _scaled(value: Any) -> int:
    return int(Decimal(str(value)) * SCALE)


def _units(amount: Any, digits: int) -> int:
    exact = Decimal(str(amount)).scaleb(digits)
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


# -- telling -----------------------------------------------------------------------------------


class _Telling:
    """Puts a replay into the reader's words."""

    def __init__(self, ctx: Context, sold: Sold, shift: timedelta) -> None:
        self._ctx, self._sold, self._shift = ctx, sold, shift

    def reviews(self, found: Replayed) -> list[Review]:
        """Return the totals, the members who pay more and less, and the receipts that change."""
        better, worse = found.better(), found.worse()
        return [
            self._totals(found, len(better), len(worse)),
            *self._members(N_("Members who would pay more"), worse, "warning"),
            *self._members(N_("Members who would pay less"), better, "note"),
            *self._receipts(found),
        ]

    def _totals(self, found: Replayed, better: int, worse: int) -> Review:
        days = [each.on for each in self._sold.receipts]
        title = self._text(
            N_("{count} receipts replayed: revenue {change} {currency}"),
            count=found.receipts,
            change=self._signed(found.total.paid_more),
            currency=self._sold.currency,
        )
        detail = self._text(
            N_("Sales from {first} to {last}, as if they came again {weeks} weeks later."),
            first=min(days),
            last=max(days),
            weeks=self._shift.days // 7,
        )
        total = found.total
        rows = (
            (
                self._text(N_("Revenue")), self._money(total.paid_before),
                self._money(total.paid_after), self._signed(total.paid_more),
            ),
            (
                self._text(N_("Points to be owed")), str(total.points_before),
                str(total.points_after), f"{total.points_after - total.points_before:+d}",
            ),
            (self._text(N_("Receipts that change")), "", "", str(len(found.changed))),
            (self._text(N_("Members who pay more")), "", "", str(worse)),
            (self._text(N_("Members who pay less")), "", "", str(better)),
        )  # fmt: skip
        heads = self._heads(
            N_("Figure"), N_("Rules in force"), N_("As proposed"), N_("Difference")
        )
        return Review("note", title, detail, heads, rows)

    def _members(self, title: str, found: Sequence[tuple[str, Any]], level: Any) -> list[Review]:
        if not found:
            return []
        named = found[:MOST_NAMED]
        records = records_by_id(self._ctx, "member", [who for who, _ in named])
        rows = tuple(
            (
                _member(records.get(who, {})), self._money(each.paid_before),
                self._money(each.paid_after), self._signed(each.paid_more),
            )
            for who, each in named
        )  # fmt: skip
        heads = self._heads(
            N_("Member"), N_("Rules in force"), N_("As proposed"), N_("Difference")
        )
        links = tuple(("member", who) for who, _ in named)
        return [Review(level, f"{self._text(title)}: {len(found)}", "", heads, rows, links)]

    def _receipts(self, found: Replayed) -> list[Review]:
        named = found.most_changed(MOST_NAMED)
        if not named:
            return []
        rows = tuple(
            (
                receipt.no, str(receipt.on), self._money(each.paid_before),
                self._money(each.paid_after), self._signed(each.paid_more),
            )
            for receipt, each in named
        )  # fmt: skip
        heads = self._heads(
            N_("Receipt"), N_("Day"), N_("Rules in force"), N_("As proposed"), N_("Difference")
        )
        links = tuple(("order", receipt.id) for receipt, _ in named)
        title = self._text(N_("Receipts that would change most"))
        return [Review("note", title, "", heads, rows, links)]

    def _heads(self, *heads: str) -> tuple[str, ...]:
        return tuple(map(self._text, heads))

    def _text(self, text: str, **params: Any) -> str:
        return translate(text, self._ctx.locale, **params)

    def _money(self, amount: int) -> str:
        return f"{Decimal(amount).scaleb(-self._sold.digits):,f}"

    def _signed(self, amount: int) -> str:
        return f"{Decimal(amount).scaleb(-self._sold.digits):+,f}"


def _member(record: Record) -> str:
    return " ".join(str(record[name]) for name in ("no", "name") if record.get(name))
