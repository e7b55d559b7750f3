"""Real sales through the till: they add up, prove, and do nothing twice; on both databases."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.clock import FixedClock
from core.testing import campaigns
from core.testing.processes import ran
from tests.integration.replay_world import LAST, LONDON, NOON, Replay, read_invoices

CATEGORIES = ("A", "B", "C", "D", "E", "F")


@dataclass(frozen=True)
class Case:
    """Which invoices are sold again, and what the file itself says of them.

    Attributes:
        longest: invoices of more rows are left out; 0 for none.
        audits: days on which the second and the third document are audited.
        returned: sum of the cancelled rows that have an earlier sale, `unmatched` how many
            have none, `no_sale` how many rows of sales have no price.
    """

    last: date
    longest: int
    audits: tuple[date, date]
    rows: int
    total: Decimal
    returns: int
    returned: Decimal
    unmatched: int
    no_sale: int


#: The first two days without long invoices; the whole file is for the nightly campaign.
CASES = [
    Case(
        date(2010, 12, 2), 15, (date(2010, 12, 1), date(2010, 12, 2)),
        1_176, Decimal("45631.76"), 4, Decimal("-31.25"), 66, 12,
    ),
    Case(
        LAST, 0, (date(2010, 12, 6), date(2010, 12, 10)),
        31_102, Decimal("530356.91"), 150, Decimal("-3205.95"), 357, 191,
    ),
]  # fmt: skip


@pytest.fixture
def clock(site, monkeypatch):
    made = FixedClock(datetime(2010, 11, 30, tzinfo=UTC))
    monkeypatch.setattr(site.services, "clock", made)
    return made


@pytest.mark.parametrize(
    "case", CASES if campaigns.IS_NIGHTLY else CASES[:1], ids=lambda one: str(one.last)
)
def test_real_sales_replayed_add_up_prove_and_do_nothing_twice(site, clock, case):
    replay = Replay(site, clock, read_invoices(case.last, case.longest), case.audits)
    replay.open_shop()
    replay.run()
    check_sums(replay, case)
    check_documents(replay, case)
    check_points(replay)
    assert replay.unproved() == {}
    for one in replay.sent[:: len(replay.sent) // 10]:
        found = replay.certificate(one.id)
        assert (found["holds"], found["problems"]) == (True, []), one.key
    before = replay.counts()
    assert replay.again() == []
    assert replay.counts() == before
    code, out, err = ran("verify", environ=site.environ)
    assert (code, out.endswith("Proved.\n")) == (0, True), out + err


def check_sums(replay, case):
    """Every row was sold, given back or refused by its code, and all add up to the file."""
    figures, rows = replay.figures, [row for one in replay.invoices for row in one.rows]
    assert (len(rows), sum(row.amount for row in rows)) == (case.rows, case.total)
    assert figures.total == case.total
    assert (figures.returns, figures.returned) == (case.returns, case.returned)
    refused = Counter((no.startswith("C"), code) for no, _, code, _ in figures.refused)
    assert refused == {
        (True, "field.too_small"): case.unmatched,
        (False, "field.too_small"): case.no_sale,
    }
    assert figures.sold_lines + figures.returns + len(figures.refused) == case.rows
    assert replay.counts()["r_order"] == figures.sales + figures.returns == len(replay.sent)


def check_documents(replay, case):
    """On the brand that all three name, each line has the document that its moment knew."""
    second, third = (datetime.combine(day, NOON, LONDON) for day in case.audits)
    seen = Counter()
    for at, card_type, rule in replay.figures.red:
        later = "THIRD" if at >= third and card_type == "SILVER" else "SECOND"
        assert rule == (later if at >= second else "EVE"), at
        seen[rule, at.astimezone(LONDON).time() < NOON] += 1
    assert {rule for rule, _ in seen} == {"EVE", "SECOND", "THIRD"}
    assert seen["EVE", True] > 0


def check_points(replay):
    """Balances are what their categories say, and none but D is ever below zero."""
    figures = replay.figures
    assert (figures.multiplied > 0, figures.points_paid > 0, figures.clawed["A"] > 0) == (
        True,
    ) * 3
    for standing in replay.standings():
        totals = standing.totals
        assert standing.balance == sum(totals[name] for name in CATEGORIES) - totals["R"]
        assert all(totals[name] >= 0 for name in totals if name != "D"), totals
        assert standing.balance >= 0
