"""Which points rules decide, and why the others do not, against a plain search over all of them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from plugins.points_rules.rules.resolution import LEVELS, MOST_LOST, Moment, RuleIndex

START = datetime(2026, 1, 1, tzinfo=UTC)
SCOPES = {"big_class": "a", "brand": "b", "product": "p"}

lines = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(sorted(SCOPES)),
        "targets": st.just(["a", "b", "p"]),
        "effect": st.sampled_from(["rate", "multiplier", "excluded"]),
        "value": st.just(Decimal(2)),
        "condition": st.sampled_from(["", "", "no"]),
    }
)
documents = st.lists(
    st.tuples(
        st.lists(lines, min_size=1, max_size=3),
        st.integers(0, 6),
        st.none() | st.integers(0, 6),
        st.booleans(),
    ),
    max_size=8,
)


def on_day(number):
    return date(2026, 1, 1) + timedelta(days=number)


def filled(found):
    """Return an index of documents, one audited each day, some voided the day after."""
    index, seq = RuleIndex(), 0
    for number, (rows, first, last, is_void) in enumerate(found):
        values = {
            "no": f"D{number}", "card_types": ["G"], "effective_from": on_day(first),
            "effective_to": None if last is None else on_day(first + last), "lines": rows,
        }  # fmt: skip
        seq += 1
        index.take_effect(f"d{number}", seq, START + timedelta(days=number), values)
        if is_void:
            seq += 1
            at = START + timedelta(days=number, hours=12)
            index.end(f"d{number}", seq, at, is_replaced=False)
    return index


def holds(condition):
    return "condition_not_met" if condition else None


@given(documents, st.integers(0, 9), st.integers(0, 16))
def test_the_highest_rule_that_holds_decides_and_each_other_has_its_reason(found, day, known):
    moment = Moment(on_day(day), START + timedelta(days=day, hours=18), known)
    resolved = filled(found).resolve(SCOPES, "G", moment, holds)
    best, every, seq = {True: None, False: None}, {True: 0, False: 0}, 0
    for number, (rows, first, last, is_void) in enumerate(found):
        seq += 1
        is_known = number <= day and seq <= known
        seq += is_void
        is_over = is_void and seq <= known
        in_days = first <= day and (last is None or day <= first + last)
        for line, row in enumerate(rows, start=1):
            kind = row["effect"] != "multiplier"
            every[kind] += 1
            if is_known and not is_over and in_days and not row["condition"]:
                rank = LEVELS.index(row["scope"]), number, line
                best[kind] = max(best[kind] or rank, rank)
    for kind, (winner, lost) in zip((True, False), resolved, strict=True):
        told = winner and (LEVELS.index(winner.level), int(winner.version.no[1:]), winner.line)
        assert told == best[kind]
        assert len(lost) == min(MOST_LOST, every[kind] - (winner is not None))
        for rule, why in lost:
            assert why == (rule.version.why_not(moment) or why)
            if why in {"lower_level", "earlier_audit", "earlier_line"}:
                assert LEVELS.index(rule.level) <= LEVELS.index(winner.level)
            elif why == "condition_not_met":
                assert rule.condition


def test_losers_that_are_named_are_the_nearest():
    row = {"scope": "brand", "targets": ["b"], "effect": "rate", "value": Decimal(1)}
    over = [([row], 0, 0, False)] * 30
    index = filled([([row], 0, None, False)] * 25 + [([row], 0, None, False)] + over)
    moment = Moment(on_day(90), START + timedelta(days=90), 99)
    (winner, lost), multiplier = index.resolve(SCOPES, "G", moment, holds)
    assert (winner.version.no, multiplier) == ("D25", (None, ()))
    names = [(rule.version.no, why) for rule, why in lost]
    assert names[:10] == [(f"D{number}", "expired") for number in range(35, 25, -1)]
    assert names[10:] == [(f"D{number}", "earlier_audit") for number in range(24, 14, -1)]
