"""Cards of dashboards: what they add up is what plain Python adds up, under the viewer's rights."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Forbidden
from core.records.cards import MOST_SERIES, compute_card, range_days
from core.records.creating import insert_many
from core.records.queries import Query, list_wire
from core.schema.buckets import BUCKETS, bucket_days, bucket_text
from core.schema.dashboardchecks import card_flaws
from core.schema.dashboards import TIME_RANGES, Card
from core.schema.layers import effective
from core.schema.yamlnodes import Source

SHOP = """
record_type: outlet
title_field: name
fields:
  - {name: name, type: text, required: true, unique: true}
  - {name: currency, type: text}
policies:
  - {name: all, who: {role: [Admin, clerk]}, actions: ["*"]}
  - {name: near, who: {role: cashier}, actions: [view], rows: "currency == 'GBP'"}
---
record_type: vault
fields:
  - {name: key, type: text}
---
record_type: sold
title_field: what
fields:
  - {name: what, type: text}
  - {name: outlet, type: link, target: outlet}
  - {name: kind, type: select, options: [{value: sold}, {value: back}]}
  - {name: paid, type: boolean}
  - {name: day, type: date}
  - {name: at, type: datetime}
  - {name: points, type: integer}
  - {name: amount, type: money}
  - {name: euros, type: money, currency: EUR}
  - {name: weight, type: decimal, precision: 3}
  - {name: pin, type: secret}
  - name: lines
    type: table
    fields:
      - {name: article, type: text}
      - {name: price, type: money, currency: EUR}
      - {name: quantity, type: integer}
      - {name: worth, type: formula, formula: "price * quantity", precision: 2}
policies:
  - {name: all, who: {role: Admin}, actions: ["*"]}
  - {name: sold, who: {role: clerk}, actions: [view], rows: "kind == 'sold'"}
  - {name: few, who: {role: cashier}, actions: [view], fields: {view: [what, kind, outlet, amount]}}
  - {name: paid, who: {role: cashier}, actions: [view], fields: {view: [euros]}, rows: "paid == true"}
"""

KINDS = ("sold", "back", None)
ARTICLES = ("tea", "Tea", "茶", "é", "z", None)


@pytest.fixture
def site_schema():
    return (SHOP,)


def make_sales(ctx, count=150, seed=5):
    """Create outlets and sales; return the sales as plain values."""
    random = Random(seed)
    outlets = {}
    for name, currency in (("London", "GBP"), ("Paris", "EUR"), ("上海", "CNY")):
        (made,) = insert_many(ctx, "outlet", [{"name": name, "currency": currency}])
        outlets[str(made["id"])] = currency

    def maybe(value):
        return None if random.random() < 0.15 else value

    sales = []
    for n in range(count):
        instant = datetime(2024, 12, 20, tzinfo=UTC) + timedelta(minutes=random.randrange(700_000))
        sales.append({
            "what": f"s{n}",
            "outlet": maybe(random.choice(list(outlets))),
            "kind": random.choice(KINDS),
            "paid": maybe(random.random() < 0.5),
            "day": maybe((date(2024, 12, 20) + timedelta(days=random.randrange(500))).isoformat()),
            "at": maybe(instant.strftime("%Y-%m-%dT%H:%M:%SZ")),
            "points": maybe(random.randrange(-5, 50)),
            "amount": maybe(f"{random.randrange(10_000) / 100:.2f}"),
            "euros": maybe(f"{random.randrange(10_000) / 100:.2f}"),
            "weight": maybe(f"{random.randrange(10_000) / 1000:.3f}"),
            "lines": [
                {
                    "article": random.choice(ARTICLES),
                    "price": f"{random.randrange(1000) / 100:.2f}",
                    "quantity": random.randrange(-2, 9),
                }
                for _ in range(random.randrange(4))
            ],
        })  # fmt: skip
    made = insert_many(ctx, "sold", sales)
    assert not any(isinstance(one, Exception) for one in made)
    return sales, outlets


def reference(sales, outlets, card, zone):
    """Return group -> series -> value of a card, by hand."""

    def value(sold, line, text):
        name, _, bucket = text.partition(".")
        source = sold
        if name == "lines":
            source, (name, _, bucket) = line, bucket.partition(".")
            if name == "worth":
                return Decimal(line["price"]) * line["quantity"]
        found = source.get(name)
        if not bucket or found is None:
            return found
        if name == "at":
            found = datetime.fromisoformat(found).astimezone(zone).date().isoformat()
        return bucket_text(date.fromisoformat(found), bucket)

    rows = [(sold, None) for sold in sales]
    if "lines." in card.take + card.group_by:
        rows = [(sold, line) for sold in sales for line in sold["lines"]]
    cells = defaultdict(lambda: defaultdict(list))
    for sold, line in rows:
        money = outlets.get(sold["outlet"], "") if card.take == "amount" else ""
        money = "EUR" if card.take in {"euros", "lines.price", "lines.worth"} else money
        series = value(sold, line, card.series_by) if card.series_by else None
        taken = 1 if card.how == "count" else value(sold, line, card.take)
        cells[value(sold, line, card.group_by)][series, money].append(taken)
    return {
        group: {key: told(card, values) for key, values in series.items()}
        for group, series in cells.items()
    }


def told(card, values):
    if card.how == "count":
        return len(values)
    present = [Decimal(one) for one in values if one is not None]
    if not present:
        return None
    if card.how == "avg":
        digits = {"points": 2, "weight": 5}.get(card.take, 4)
        mean = sum(present) / len(present)
        return mean.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return {"sum": sum, "min": min, "max": max}[card.how](present)


def shown(result):
    return {
        group.value: {
            (one.value, one.currency): value if value is None else Decimal(value)
            for one, value in zip(result.series, group.values, strict=True)
            if value is not None
        }
        for group in result.groups
    }


def plain(found):
    return {
        group: {key: value for key, value in series.items() if value not in (None, 0)}
        for group, series in found.items()
        if any(value not in (None, 0) for value in series.values())
    }


GROUPS = [
    "outlet", "kind", "paid", "points", "day", *(f"day.{each}" for each in BUCKETS),
    *(f"at.{each}" for each in BUCKETS),
]  # fmt: skip
TAKEN = ["points", "amount", "euros", "weight"]


@pytest.fixture
def shop(site):
    ctx = site.context("admin")
    return ctx, *make_sales(ctx)


def some_card(random):
    """Return a card of any kind that goes over records or over rows."""
    how = random.choice(["count", "sum", "avg", "min", "max"])
    of_rows = random.random() < 0.3
    take = ["lines.price", "lines.quantity", "lines.worth"] if of_rows else TAKEN
    return Card(
        name="c", chart="table", type="sold", how=how, limit=200,
        group_by="lines.article" if of_rows else random.choice(GROUPS),
        take="" if how == "count" else random.choice(take),
        series_by=random.choice(["", "", "kind", "paid", "at.quarter"]),
        sort=random.choice(["", "group", "-group", "value", "-value"]),
    )  # fmt: skip


def check_card(ctx, sales, outlets, card):
    result = compute_card(ctx, card)
    expected = reference(sales, outlets, card, ctx.time_zone)
    if len(result.series) == MOST_SERIES:
        return
    assert not result.is_cut
    assert plain(shown(result)) == plain(expected), card
    values = [one.value for one in result.groups if one.value is not None]
    if card.sort.endswith("group") and all(isinstance(one, str) for one in values):
        assert values == sorted(values, reverse=card.sort == "-group")
    if card.how in {"count", "sum"}:
        every = defaultdict(Decimal)
        for series in expected.values():
            for (_, money), value in series.items():
                every[money] += value or 0
        assert {k: Decimal(v) for k, v in result.whole.items() if Decimal(v)} == {
            k: v for k, v in every.items() if v
        }
    # What is behind a group is what the list of its filter counts.
    for one in result.groups[:2] if card.how == "count" and "lines." not in card.group_by else ():
        listed = list_wire(ctx, "sold", Query(filter=one.filter, count="exact", limit=1))
        assert listed.count == sum(one.values)


def test_cards_add_up_what_plain_python_adds_up(shop):
    random = Random(11)
    for _ in range(60):
        check_card(*shop, some_card(random))


def test_a_card_shows_the_greatest_groups_and_the_rest_of_them_together(shop):
    ctx, sales, outlets = shop
    card = Card(name="c", chart="pie", type="sold", group_by="points", limit=5)
    result = compute_card(ctx, card)
    expected = sorted(
        (-value[None, ""], group is None, group)
        for group, value in reference(sales, outlets, card, ctx.time_zone).items()
        if group is not None
    )
    values = [one.values[0] for one in result.groups]
    assert values == sorted(values, reverse=True)
    known = [one for one in result.groups if one.value is not None]
    assert [(-one.values[0], False, one.value) for one in known] == expected[: len(known)]
    assert result.is_cut
    assert result.whole == {"": len(sales)}
    assert result.rest == {"": len(sales) - sum(values)}
    latest = compute_card(
        ctx, Card(name="c", chart="bar", type="sold", group_by="day.month", limit=3)
    )
    assert [one.value for one in latest.groups] == ["2026-03", "2026-04", "2026-05"][-3:]


def test_amounts_of_several_currencies_are_never_added_up(shop):
    ctx, sales, outlets = shop
    card = Card(name="c", chart="number", type="sold", how="sum", take="amount")
    expected = defaultdict(Decimal)
    for sold in sales:
        expected[outlets.get(sold["outlet"], "")] += Decimal(sold["amount"] or 0)
    assert {key: Decimal(v) for key, v in compute_card(ctx, card).whole.items()} == expected
    euros = Card(name="c", chart="number", type="sold", how="max", take="euros")
    assert list(compute_card(ctx, euros).whole) == ["EUR"]


def test_a_card_tells_nothing_that_its_viewer_may_not_see(shop, site):
    _, sales, _ = shop
    count = Card(name="c", chart="number", type="sold")
    by_kind = Card(name="c", chart="pie", type="sold", group_by="kind")
    clerk, cashier = site.context("clerk"), site.context("cashier")
    sold = sum(sold["kind"] == "sold" for sold in sales)
    assert compute_card(clerk, count).whole == {"": sold}
    assert [one.value for one in compute_card(clerk, by_kind).groups] == ["sold"]
    assert sum(one.values[0] for one in compute_card(cashier, by_kind).groups) == len(sales)
    # Fields without access, in any row: grouped, added up, filtered, ranged or as rows.
    for card in (
        Card(name="c", chart="number", type="sold", how="sum", take="points"),
        Card(name="c", chart="number", type="sold", how="sum", take="euros"),
        Card(name="c", chart="bar", type="sold", group_by="day.month"),
        Card(name="c", chart="bar", type="sold", group_by="kind", series_by="paid"),
        Card(name="c", chart="number", type="sold", filter="points > 3"),
        Card(name="c", chart="pie", type="sold", group_by="lines.article"),
        Card(name="c", chart="number", type="vault"),
    ):
        with pytest.raises(Forbidden):
            compute_card(cashier, card)
    dated = Card(name="c", chart="number", type="sold", time_field="day")
    with pytest.raises(Forbidden):
        compute_card(cashier, dated, (date(2025, 1, 1), None))
    # Of outlets that somebody does not see the currency stays unknown, apart from those known.
    amounts = compute_card(
        cashier, Card(name="c", chart="number", type="sold", how="sum", take="amount")
    )
    assert set(amounts.whole) == {"GBP", ""}


def test_a_time_range_goes_by_the_store_day(shop):
    ctx, sales, _ = shop
    card = Card(name="c", chart="number", type="sold", time_field="at")
    first, last = date(2025, 3, 1), date(2025, 6, 30)
    zone = ctx.time_zone
    days = [
        datetime.fromisoformat(one["at"]).astimezone(zone).date() for one in sales if one["at"]
    ]
    expected = sum(first <= day <= last for day in days)
    assert compute_card(ctx, card, (first, last)).whole == {"": expected}
    untimed = Card(name="c", chart="number", type="sold")
    assert compute_card(ctx, untimed, (first, last)).whole == {"": len(sales)}
    assert not compute_card(ctx, untimed).is_timed


def test_nothing_is_told_as_nothing(site):
    ctx = site.context("admin")
    count = compute_card(ctx, Card(name="c", chart="number", type="sold"))
    assert (count.whole, count.groups) == ({"": 0}, ())
    euros = Card(name="c", chart="number", type="sold", how="sum", take="euros")
    assert compute_card(ctx, euros).whole == {"EUR": "0.00"}
    mean = Card(name="c", chart="number", type="sold", how="avg", take="points")
    assert compute_card(ctx, mean).whole == {"": None}


BAD_CARDS = [
    ({"type": "sales"}, "unknown"), ({"group_by": "nix"}, "unknown"),
    ({"group_by": "pin"}, "not_groupable"), ({"group_by": "at"}, "no_bucket"),
    ({"group_by": "at.hour"}, "not_groupable"), ({"how": "sum"}, "missing"),
    ({"how": "sum", "take": "what"}, "total_type"), ({"take": "points"}, "not_needed"),
    ({"chart": "number"}, "not_alone"), ({"series_by": "paid"}, "not_alone"),
    ({"time_field": "what"}, "not_a_day"), ({"limit": 201}, "out_of_range"),
    ({"colors": ("mauve",)}, "bad_colour"), ({"name": "A b"}, "bad_name"),
    ({"group_by": "lines.article", "how": "sum", "take": "points"}, "not_of_rows"),
    ({"group_by": ""}, "missing"),
]  # fmt: skip


def test_a_bad_card_is_refused_with_what_is_wrong():
    types = effective(
        [Source("site", f"{n}.yaml", text) for n, text in enumerate(SHOP.split("---"))], None, 1
    ).types
    for change, code in BAD_CARDS:
        card = {"name": "c", "chart": "pie", "type": "sold", "group_by": "kind"} | change
        assert code in [one.code for one in card_flaws(types, Card(**card))], change


def test_time_ranges_end_today_or_with_what_they_are_part_of():
    day = date(2026, 2, 28)
    found = {name: range_days(name, day) for name in TIME_RANGES}
    assert found[""] == (None, None)
    assert found["today"] == (day, day)
    assert found["this_week"] == (date(2026, 2, 23), date(2026, 3, 1))
    assert found["this_quarter"] == (date(2026, 1, 1), date(2026, 3, 31))
    assert found["last_7_days"] == (date(2026, 2, 22), day)
    assert found["last_12_months"] == (date(2025, 3, 1), day)


@given(day=st.dates(), bucket=st.sampled_from(BUCKETS))
@settings(max_examples=200, database=None)
def test_every_day_is_in_its_bucket_alone(day, bucket):
    first, last = bucket_days(bucket_text(day, bucket), bucket)
    assert first <= day <= last
    assert bucket_text(first, bucket) == bucket_text(last, bucket)
    if first > date.min:
        assert bucket_text(first - timedelta(days=1), bucket) < bucket_text(first, bucket)
