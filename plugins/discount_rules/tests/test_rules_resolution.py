"""Resolution against the acceptance cases, a slow reference and properties."""

import csv
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.discount_rules.rules.resolution import LEVELS, Moment, Rule, RuleIndex

HERE = Path(__file__).parent


def read_cases(name):
    with (HERE / name).open(newline="") as source:
        return list(csv.DictReader(source))


def in_words(case):
    return "-".join(case.values())


def start_of(text):
    return datetime.combine(date.fromisoformat(text), time(), UTC)


def make_rule(**changes):
    plain = {
        "no": "R1", "line": 0, "level": "brand", "targets": frozenset({"olay"}),
        "card_types": frozenset({"gold"}), "rate": Decimal("0.9"), "joins_stacking": True,
        "effective_from": date(2026, 3, 1), "effective_to": None,
        "audited_at": start_of("2026-03-01"), "audit_seq": 1,
    }  # fmt: skip
    return Rule(**(plain | changes))


def resolve(documents, on="2026-03-10", product=None, audit_seq=None):
    found = RuleIndex(documents).resolve(
        product or {"brand": "olay", "product": "OLAY-1", "counter": None},
        card_type="gold",
        default_rate=Decimal("0.95"),
        moment=Moment(date.fromisoformat(on), start_of(on) + timedelta(hours=12), audit_seq),
    )
    return found.rate, found.rule and found.rule.no, [(it.rule.no, it.why) for it in found.lost]


PRODUCTS = {row["product"]: row for row in read_cases("products.csv")}
DOCUMENTS = RuleIndex(
    make_rule(
        no=row["no"],
        level=row["level"],
        targets=frozenset(row["targets"].split()),
        card_types=frozenset({row["card_type"]}),
        rate=Decimal(row["rate"]),
        effective_from=date.fromisoformat(row["effective"]),
        audited_at=start_of(row["audited"]),
        audit_seq=int(row["audit_seq"]),
    )
    for row in read_cases("documents.csv")
)


@pytest.mark.parametrize("case", read_cases("resolution.csv"), ids=in_words)
def test_resolve_finds_the_rate_of_the_acceptance_cases(case):
    found = DOCUMENTS.resolve(
        PRODUCTS[case["product"]],
        card_type=case["card_type"],
        default_rate=Decimal(case["card_default_rate"]),
        moment=Moment(date.fromisoformat(case["on"]), start_of(case["on"])),
    )
    assert (found.rate, found.rule.no if found.rule else "") == (
        Decimal(case["member_rate"]),
        case["rule"],
    )


def test_resolve_lets_the_later_audit_win_for_the_overlap_only():
    earlier = make_rule(targets=frozenset({"olay", "loreal"}))
    later = make_rule(no="R2", audit_seq=2, rate=Decimal("0.8"))
    assert resolve([earlier, later]) == (Decimal("0.8"), "R2", [("R1", "earlier_audit")])
    assert resolve([earlier, later], product={"brand": "loreal"}) == (Decimal("0.9"), "R1", [])


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ({"voided_at": start_of("2026-03-05")}, "void"),
        ({"effective_to": date(2026, 3, 9)}, "expired"),
        ({"effective_from": date(2026, 3, 11)}, "not_yet_effective"),
        ({"audited_at": start_of("2026-03-11")}, "not_yet_audited"),
    ],
)
def test_resolve_brings_the_earlier_rule_back_when_the_later_does_not_hold(later, why):
    documents = [make_rule(), make_rule(no="R2", audit_seq=2, rate=Decimal("0.8"), **later)]
    assert resolve(documents) == (Decimal("0.9"), "R1", [("R2", why)])


def test_resolve_holds_on_the_last_day_and_before_it_was_voided():
    last_day = make_rule(effective_to=date(2026, 3, 10), voided_at=start_of("2026-03-11"))
    assert resolve([last_day]) == (Decimal("0.9"), "R1", [])


def test_resolve_replays_a_sale_with_the_audits_it_saw():
    documents = [make_rule(), make_rule(no="R2", audit_seq=2, rate=Decimal("0.8"))]
    assert resolve(documents, audit_seq=1) == (
        Decimal("0.9"), "R1", [("R2", "not_yet_audited")],
    )  # fmt: skip


def test_resolve_takes_the_later_line_of_one_document():
    documents = [make_rule(), make_rule(line=1, rate=Decimal("0.7"), joins_stacking=False)]
    assert resolve(documents) == (Decimal("0.7"), "R1", [("R1", "earlier_line")])


def test_resolution_stacks_as_its_rule_says_and_as_the_card_type_otherwise():
    index = RuleIndex([make_rule(joins_stacking=False)])
    moment = Moment(date(2026, 3, 10), start_of("2026-03-10"))
    joins = [
        index.resolve({"brand": brand}, card_type="gold", default_rate=Decimal(1), moment=moment)
        for brand in ("olay", "loreal")
    ]
    assert [it.joins_stacking for it in joins] == [False, True]


days = st.dates(date(2026, 1, 1), date(2026, 1, 9))
codes = st.sampled_from("abc")


@st.composite
def documents(draw):
    found = []
    for seq in range(draw(st.integers(0, 8))):
        audited = draw(days)
        found.append(
            make_rule(
                no=f"R{seq}",
                audit_seq=seq,
                level=draw(st.sampled_from(LEVELS)),
                targets=draw(st.frozensets(codes, min_size=1)),
                card_types=draw(st.frozensets(st.sampled_from(["gold", "plain"]), min_size=1)),
                rate=Decimal(draw(st.integers(1, 100))) / 100,
                effective_from=draw(days),
                effective_to=draw(st.none() | days),
                audited_at=start_of(audited.isoformat()),
                voided_at=draw(st.none() | days.map(lambda day: start_of(day.isoformat()))),
            )
        )
    return found


@given(documents(), st.fixed_dictionaries(dict.fromkeys(LEVELS, st.none() | codes)), days)
def test_resolve_equals_a_slow_reading_of_the_rules(found, product, on):
    at = start_of(on.isoformat())
    holding = [
        rule
        for rule in found
        if "gold" in rule.card_types
        and product[rule.level] in rule.targets
        and rule.audited_at <= at
        and rule.effective_from <= on <= (rule.effective_to or date.max)
        and not (rule.voided_at and rule.voided_at <= at)
    ]
    best = max(holding, key=lambda rule: (LEVELS.index(rule.level), rule.audit_seq), default=None)
    resolution = RuleIndex(found).resolve(
        product, card_type="gold", default_rate=Decimal("0.5"), moment=Moment(on, at)
    )
    assert (resolution.rule, resolution.rate) == (best, best.rate if best else Decimal("0.5"))
    matching = [r for r in found if "gold" in r.card_types and product[r.level] in r.targets]
    assert sorted(rule.no for rule in matching if rule is not best) == sorted(
        each.rule.no for each in resolution.lost
    )
