"""Points over REST: earned with a card, spent, and taken back with what the preview showed."""

from datetime import timedelta

import pytest

from core.ledger.reading import balance
from plugins.discount_rules.operations.replay import read_receipts
from plugins.discount_rules.rules.replay import points
from tests.integration.till_world import fill, line

#: 10 for 1, and as much again by identity.
GOLD = {"code": "GOLD", "name": "Gold", "points_rate": "0.1", "identity_multiple": "1",
        "small_change": True, "small_change_cap": "5000"}  # fmt: skip

SCENE = {
    "title": "生日消费", "effective_from": "2020-01-01", "effect": "grant", "points": 50,
    "condition": "MONTH(member.birthday) == MONTH(sale.ordered_at) or sale.total_due >= 1000",
    "once": "ever",
}  # fmt: skip


@pytest.fixture
def till(site):
    made = fill(site)
    gold = made.approve("card_type", GOLD)["id"]
    card = made.site.client("admin").post(
        "/api/v1/records/card",
        json={"card_type": gold, "store": made.ids["store"]["S1"], "status": "active",
              "member": made.ids["member"]["M1"]},
    )  # fmt: skip
    assert card.status_code == 201, card.text
    made.ids |= {"card": {"gold": card.json["number"]}, "card_type": {"gold": gold}}
    return made


def sell(till, *lines, due="0", **rest):
    answer = till.order(
        *lines, card=till.ids["card"]["gold"], payments=[{"method": "cash", "amount": due}], **rest
    )
    assert answer.status_code == 201, answer.text
    return answer.json


def test_points_are_earned_spent_and_taken_back_as_the_preview_shows(till):
    till.approve("points_scene", SCENE)
    months = {"expiry_mode": "months", "expiry_after": 2}
    settings = till.site.client("admin").put("/api/v1/settings/points_rules", json=months)
    assert settings.status_code == 200, settings.text
    first = sell(till, line("TEA-1", "10"), due="1000")
    assert first["points"] == {"A": 100, "B": 0, "C": 50, "D": 0, "E": 100}
    second = sell(till, line("TEA-1", "2"), due="198", spend_points=200)
    assert (second["totals"]["points_paid"], second["totals"]["payable"]) == ("2.00", "198.00")
    # 198 paid in money earn 19 and 19; the scene was had already.
    assert second["points"] == {"A": 19, "B": 0, "C": 0, "D": 0, "E": 19}

    shown = till.give_back(first["id"], (1, "10"), preview=True).json
    done = till.give_back(first["id"], (1, "10"))
    assert done.status_code == 201, done.text
    for name in ("refund", "claw_back", "F", "F_price"):
        assert shown[name] == done.json[name]
    # 250 are to go back and 88 are there.
    assert (done.json["claw_back"], done.json["F"]) == ({"A": 100, "B": 0, "C": 50, "E": 100}, 162)
    assert (done.json["F_price"], done.json["refund"]) == ("1.62", "998.38")

    last = till.give_back(second["id"], (1, "2")).json
    assert (last["refund"], sum(lot["points"] for lot in last["lots"])) == ("198.00", 200)
    path = f"/api/v1/members/{till.ids['member']['M1']}/accounts"
    accounts = till.site.client("admin").get(path).json["accounts"]
    ends = {lot["id"]: lot["expires_on"] for one in accounts for lot in one["lots"]}
    assert all(lot["expires_on"] == ends[lot["lot"]] is not None for lot in last["lots"])
    for order in (first["id"], second["id"]):
        path = f"/api/v1/till/orders/{order}/certificate"
        assert till.site.client("cashier").get(path).json["problems"] == []


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        ({}, 200),
        ({"multiplier_combine": "sum"}, 300),
        ({"multiplier_on_identity": True}, 400),
        ({"earn_on_points_paid": True}, 200),
    ],
)
def test_the_replay_counts_the_points_that_a_sale_earned(till, settings, extra):
    till.approve(
        "points_scene",
        {
            "title": "三倍",
            "effective_from": "2020-01-01",
            "effect": "multiplier",
            "multiplier": "3",
        },
    )
    rows = [{"scope": "product", "targets": ["TEA-1"], "effect": "multiplier", "value": "2"}]
    ids = {"card_types": [till.ids["card_type"]["gold"]], "effective_from": "2020-01-01"}
    till.approve("points_rule", {**ids, "lines": rows})
    if settings:
        till.site.client("admin").put("/api/v1/settings/points_rules", json=settings)
    first = sell(till, line("TEA-1", "10"), due="1000")
    assert first["points"] == {"A": 100, "B": extra, "C": 0, "D": 0, "E": 100}
    spent = sell(till, line("TEA-1", "10"), due="998", spend_points=200)
    ctx = till.site.context("system")
    with ctx.reading():
        (sold,) = read_receipts(ctx, ctx.now - timedelta(days=1), 9)
    replayed = [points(one.earning, [one.lines[0].amount]) for one in sold.receipts]
    assert replayed == [sum(it["points"].values()) for it in (first, spent)]


def test_points_that_are_not_there_are_shown_by_a_quote_and_refused_by_an_order(till):
    card = till.ids["card"]["gold"]
    quoted = till.quote(line(), card=card, spend_points=5).json
    assert quoted["totals"]["points_paid"] == "0.00"
    assert [one["code"] for one in quoted["warnings"]] == ["points_rules.not_enough"]
    paid = [{"method": "cash", "amount": "100"}]
    refused = till.order(line(), card=card, spend_points=5, payments=paid)
    assert (refused.status_code, refused.json["code"]) == (409, "points_rules.not_enough")
    nobody = till.order(line(), spend_points=5, payments=paid)
    assert (nobody.status_code, nobody.json["code"]) == (409, "points_rules.no_member")
    assert till.count("order") == 0


def test_refund_onto_the_card_is_without_what_points_had_paid_and_what_they_cost(till):
    first = sell(till, line("TEA-1", "10"), due="1000")
    second = sell(till, line("TEA-1", "2"), due="198", spend_points=200)
    backs = [
        till.give_back(order["id"], (1, quantity), method="small_change")
        for order, quantity in ((first, "10"), (second, "2"))
    ]
    # 200 points were earned and spent, so 162 are bought; the second sale was paid with 2.00.
    assert [back.json["refund"] for back in backs] == ["998.38", "198.00"]
    card = till.site.client("admin").get("/api/v1/records/card?limit=1").json["items"][0]["id"]
    held = balance(till.site.context("admin"), "small_change", card, "CNY").balance
    assert held == 99838 + 19800
