"""Replayed receipts cost what the price of each line says, under both rule sets."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from core.testing.campaigns import examples
from plugins.discount_rules.rules import replay
from plugins.discount_rules.rules.pricing import THRESHOLD, Stacking, price
from plugins.discount_rules.rules.proof import CardTerms
from plugins.discount_rules.rules.replay import Earning, Pricer, Receipt, SoldLine
from plugins.discount_rules.rules.resolution import Moment, Rule, RuleIndex

DAY = date(2026, 3, 10)
STACKING = Stacking(THRESHOLD, Decimal("0.8"), Decimal("0.95"))
TYPES = {"gold": CardTerms("gold", "Gold", Decimal("0.95"), STACKING)}
SCOPES = {"O1": {"brand": "olay", "product": "O1"}, "L1": {"brand": "loreal", "product": "L1"}}


def rule(seq=1, rate="0.9", **changes):
    plain = {
        "no": f"R{seq}", "line": 1, "level": "brand", "targets": frozenset({"olay"}),
        "card_types": frozenset({"gold"}), "rate": Decimal(rate), "joins_stacking": True,
        "effective_from": DAY, "effective_to": None,
        "audited_at": datetime(2026, 3, 1, tzinfo=UTC), "audit_seq": seq,
    }  # fmt: skip
    return Rule(**(plain | changes))


def receipt(no, *lines, on=DAY, member="m1", card_type="gold", earning=None):
    sold = [SoldLine(code, SCOPES[code], amount, Fraction(other)) for code, amount, other in lines]
    return Receipt(f"id-{no}", no, on, member, card_type, sold, earning)


def pricer(*rules, shift=0, holds=lambda _rule, _receipt, _index: True):
    return Pricer(RuleIndex(rules), TYPES, timedelta(days=shift), holds)


def test_replay_tells_who_pays_more_and_who_less():
    receipts = [
        receipt("1", ("O1", 10000, "1")),
        receipt("2", ("O1", 20000, "1"), ("L1", 10000, "1"), member="m2"),
        receipt("3", ("L1", 10000, "1"), member="m2"),
        receipt("4", ("O1", 10000, "1"), member=None, card_type=None),
        receipt("5", ("O1", 10000, "1"), member="m3", on=DAY + timedelta(days=1)),
    ]
    before = pricer(rule())
    after = pricer(
        rule(),
        rule(2, "0.8", effective_to=DAY),
        rule(3, "0.97", effective_from=DAY + timedelta(days=1)),
    )
    found = replay.replay(receipts, before, after)
    assert (found.receipts, found.total.paid_before, found.total.paid_after) == (5, 65000, 62700)
    assert [(who, each.paid_more) for who, each in found.better()] == [
        ("m2", -2000),
        ("m1", -1000),
    ]
    assert [(who, each.paid_more) for who, each in found.worse()] == [("m3", 700)]
    assert [(each.no, change.paid_more) for each, change in found.most_changed(2)] == [
        ("2", -2000), ("1", -1000),
    ]  # fmt: skip


def test_receipts_are_moved_by_whole_weeks_to_where_the_proposal_begins():
    assert replay.weeks_shift(date(2026, 2, 8), DAY) == timedelta(days=35)
    assert replay.weeks_shift(DAY, DAY) == timedelta(0)
    later = rule(effective_from=DAY + timedelta(days=7))
    one = receipt("1", ("O1", 10000, "1"))
    assert pricer(later).paid(one, 0) == 9500
    assert pricer(later, shift=7).paid(one, 0) == 9000


def test_condition_is_asked_of_each_line_until_a_rule_holds():
    asked = []

    def holds(rule, receipt, index):
        asked.append((rule.no, receipt.no, index))
        return receipt.no == "1"

    rules = [
        rule(),
        rule(2, "0.8", condition="c"),
        rule(3, "0.7", condition="d", effective_to=DAY - timedelta(days=1)),
    ]
    found = pricer(*rules, holds=holds)
    lines = ("O1", 10000, "1")
    assert [found.paid(receipt(no, lines), 0) for no in ("1", "2")] == [8000, 9000]
    assert asked == [("R2", "1", 0), ("R2", "2", 0)]


def test_points_follow_what_is_paid():
    earning = Earning([1000, 0], [20000, 0], identity=10000, points_paid=0)
    assert replay.points(earning, [100000, 50000]) == 100 + 100 + 200
    assert replay.points(Earning([1000], points_paid=50000), [100000]) == 50
    assert replay.points(Earning([1000], points_paid=200000), [100000]) == 0
    assert replay.points(Earning([0]), [100000]) == replay.points(None, [100000]) == 0
    one = receipt("1", ("O1", 100000, "1"), earning=Earning([1000]))
    total = replay.replay([one], pricer(rule()), pricer(rule(2, "0.8"))).total
    assert (total.points_before, total.points_after) == (90, 80)


rates = st.integers(50, 100).map(lambda each: Decimal(each) / 100)


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(rates, st.booleans(), st.sampled_from(["olay", "loreal"])), max_size=4),
    st.lists(
        st.tuples(st.sampled_from(["O1", "L1"]), st.integers(0, 10**6), rates),
        min_size=1,
        max_size=5,
    ),
)
def test_replayed_price_is_that_of_the_till(rules, lines):
    made = [
        rule(seq, str(rate), joins_stacking=joins, targets=frozenset({brand}))
        for seq, (rate, joins, brand) in enumerate(rules, start=1)
    ]
    index, found = RuleIndex(made), pricer(*made)
    sold = receipt("1", *lines)
    for at, line in enumerate(sold.lines):
        resolved = index.resolve(
            line.scopes, card_type="gold", default_rate=TYPES["gold"].default_rate,
            moment=Moment(DAY, datetime(2026, 4, 1, tzinfo=UTC)),
        )  # fmt: skip
        due = price(
            Decimal(line.amount).scaleb(-2), other_rate=line.other, member_rate=resolved.rate,
            stacking=STACKING, joins_stacking=resolved.joins_stacking,
        )  # fmt: skip
        assert found.paid(sold, at) == int(due.amount_due.scaleb(2))
