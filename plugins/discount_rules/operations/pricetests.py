"""Price tests of discount documents: run before submission, on the page, and at the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from core.api import N_, Context, Document, Invalid, Problem, Review, query, table, translate
from plugins.discount_rules.operations.goods import Listed, products_by_id, records_by_id
from plugins.discount_rules.operations.proposing import (
    RuleSets,
    card_terms,
    card_types_in_force,
    rule_sets,
)
from plugins.discount_rules.operations.receipts import Origin, ReceiptConditions
from plugins.discount_rules.rules.pricetests import Expected, Outcome, failures
from plugins.discount_rules.rules.pricing import plain_rate
from plugins.discount_rules.rules.proof import CardTerms, Cells
from plugins.discount_rules.rules.replay import Pricer, Receipt, SoldLine

Row = Mapping[str, Any]

#: Tests of other documents that are run with a document.
MOST_OTHERS = 2000

#: Places of amounts in tests, and the smallest unit.
_DIGITS = 2
_CENT = Decimal("0.01")

_NOON = time(12)

_NOWHERE = {"id": "", "code": "", "currency": "CNY", "time_zone": "Asia/Shanghai"}

_FAILED = N_("The test gives {found}, not {expected}.")


@dataclass(frozen=True, slots=True)
class _Run:
    """One test that was run."""

    row: Row
    expected: Expected
    outcome: Outcome | None

    @property
    def failures(self) -> list[tuple[str, str, str]]:
        """Return what failed; a test that could not be run fails as a whole."""
        if self.outcome is None:
            return [("list_amount", "", "")]
        return list(failures(self.expected, self.outcome))


def check_tests(ctx: Context, document: Document) -> None:
    """Refuse a document one of whose own price tests fails with all that is in force by now.

    Raises:
        Invalid: a test fails, expects nothing, or has no amount; one problem per cell.
    """
    rows = document.values.get("tests") or ()
    if not rows or document.values.get("status") == "void":
        return
    problems: list[Problem] = []
    for number, run in enumerate(_run(ctx, rows, rule_sets(ctx, document).after)):
        problems += _problems(run, f"tests.{number}.")
    if problems:
        raise Invalid(problems=problems)


def _problems(run: _Run, path: str) -> Iterator[Problem]:
    if run.expected.is_empty:
        text = N_("State the amount, rate or document that must come out.")
        yield Problem(path + "expect_amount", "discount_rules.test_expects_nothing", text)
    elif run.outcome is None:
        text = N_("State the list amount: the product has no price.")
        yield Problem(path + "list_amount", "discount_rules.test_no_amount", text)
    else:
        for column, expected, found in run.failures:
            params = {"found": found, "expected": expected}
            yield Problem(path + column, "discount_rules.test_failed", _FAILED, params)


def review_tests(ctx: Context, document: Document, sets: RuleSets) -> list[Review]:
    """Return what each price test of a document gives, and which others it would break."""
    found = []
    rows = document.values.get("tests") or ()
    if rows and sets.rules:
        runs = _run(ctx, rows, sets.after)
        has_failed = any(run.failures or run.expected.is_empty for run in runs)
        title = N_("Price tests fail") if has_failed else N_("All price tests pass")
        level = "refusal" if has_failed else "ok"
        found.append(_table(ctx, level, title, "", [("", run) for run in runs]))
    broken = _broken(ctx, document, sets)
    if broken:
        title = N_("Price tests of documents in force that this one would break")
        found.append(_table(ctx, "warning", title, "", broken))
    return found


def _broken(ctx: Context, document: Document, sets: RuleSets) -> list[tuple[str, _Run]]:
    """Return (number, test) of the tests in force that pass now and would not any more."""
    main, rows = table(ctx, "discount_rule"), table(ctx, "discount_rule", "tests")
    wanted = (
        sa.select(main.c.no.label("document_no"), rows)
        .join(main, main.c.id == rows.c.record_id)
        .where(main.c.status == "effective", main.c.deleted_at.is_(None))
        .where(main.c.id != document.record_id)
        .order_by(main.c.no, rows.c.position)
        .limit(MOST_OTHERS)
    )
    others = [row._asdict() for row in query(ctx, wanted)]
    if not others:
        return []
    before, after = (_run(ctx, others, cells) for cells in (sets.before, sets.after))
    return [
        (row["document_no"], now)
        for row, was, now in zip(others, before, after, strict=True)
        if now.failures and not was.failures
    ]


def _table(
    ctx: Context, level: Any, title: str, detail: str, runs: Sequence[tuple[str, _Run]]
) -> Review:
    def text(one: str, **params: Any) -> str:
        return translate(one, ctx.locale, **params)

    types = {each.id: each.name for each in card_terms(ctx).values()}
    goods = products_by_id(ctx, [run.row["product"] for _, run in runs])
    heads = (
        N_("Test"), N_("Card type"), N_("Product"), N_("Day"), N_("Result"), N_("Amount due"),
        N_("Rate"), N_("Document"),
    )  # fmt: skip
    cells = []
    for number, (no, run) in enumerate(runs, start=1):
        row, outcome = run.row, run.outcome
        label = " ".join(filter(None, (no, row.get("label") or str(number))))
        product = goods.get(row["product"])
        result = N_("fails") if run.failures or run.expected.is_empty else N_("passes")
        told = {column: (expected, found) for column, expected, found in run.failures}
        cells.append(
            (
                label,
                types.get(row["card_type"], ""),
                product.scopes["product"] if product else "",
                str(row["on"]),
                text(result),
                *(
                    _told(ctx, told.get(column), came)
                    for column, came in (
                        ("expect_amount", f"{outcome.amount:f}" if outcome else ""),
                        ("expect_rate", f"{outcome.rate:f}" if outcome else ""),
                        ("expect_rule", outcome.rule if outcome else ""),
                    )
                ),
            )
        )
    return Review(level, text(title), detail, tuple(map(text, heads)), tuple(cells))


def _told(ctx: Context, failed: tuple[str, str] | None, came: str) -> str:
    if failed is None:
        return came
    return translate(N_("{found}, not {expected}"), ctx.locale, found=came, expected=failed[0])


def _run(ctx: Context, rows: Sequence[Row], cells: Cells) -> list[_Run]:
    """Run tests against a rule set; every rule counts on its days, whenever it was audited."""
    goods = products_by_id(ctx, [row["product"] for row in rows])
    terms = card_terms(ctx)
    types = {each["id"]: each for each in card_types_in_force(ctx)}
    with ctx.reading() as connection:
        conditions = ReceiptConditions(ctx, connection, types, timedelta(0))
        pricer = Pricer(cells, terms, timedelta(0), conditions.holds)
        store = _store(ctx)
        receipts = [_receipt(ctx, row, goods.get(row["product"]), store) for row in rows]
        conditions.read(each for each in receipts if each is not None)
        return [
            _Run(row, _expected(row), None if one is None else _outcome(pricer, one, terms))
            for row, one in zip(rows, receipts, strict=True)
        ]


def _expected(row: Row) -> Expected:
    rate = row.get("expect_rate")
    return Expected(
        row.get("expect_amount"),
        None if rate is None else plain_rate(rate),
        row.get("expect_rule"),
    )


def _outcome(pricer: Pricer, receipt: Receipt, terms: Mapping[str, CardTerms]) -> Outcome:
    rule, own = pricer.rule(receipt, 0), terms.get(receipt.card_type or "")
    rate = rule.rate if rule else own.default_rate if own else Decimal(1)
    amount = Decimal(pricer.paid(receipt, 0)).scaleb(-_DIGITS)
    return Outcome(amount, rate, rule.no if rule else "")


def _receipt(ctx: Context, row: Row, product: Listed | None, store: Row) -> Receipt | None:
    quantity = Decimal(1) if row.get("quantity") is None else row["quantity"]
    amount = row.get("list_amount")
    if amount is None and product is not None and product.list_price is not None:
        amount = (quantity * product.list_price).quantize(_CENT, ROUND_HALF_UP)
    if amount is None or product is None:
        return None
    other = Fraction(1) if row.get("other_rate") is None else Fraction(row["other_rate"])
    at = datetime.combine(row["on"], _NOON, ctx.time_zone)
    line = SoldLine(product.id, product.scopes, int(amount.scaleb(_DIGITS)), other)
    origin = Origin(at, store, None, (quantity,), _DIGITS)
    return Receipt(
        str(row["id"]), "", row["on"], row.get("member"), row["card_type"], [line], origin=origin
    )


def _store(ctx: Context) -> Row:
    """Return the first store; conditions that ask for one see it."""
    store = table(ctx, "store")
    live = store.c.deleted_at.is_(None) & store.c.closed.is_not(sa.true())
    ids = [
        row.id
        for row in query(ctx, sa.select(store.c.id).where(live).order_by(store.c.code).limit(1))
    ]
    return next(iter(records_by_id(ctx, "store", ids).values()), _NOWHERE)
