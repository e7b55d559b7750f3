"""Discounts shared between those who bear them, through the till over REST on both databases."""

from decimal import Decimal

import pytest

from tests.integration.till_world import fill, line


@pytest.fixture
def till(site):
    made = fill(site)
    card_type = {"code": "GOLD", "name": "Gold", "default_rate": "0.9", "sharing_group": "G"}
    made.approve("card_type", card_type)
    gold = (
        made.site.client("admin").get("/api/v1/records/card_type?limit=1").json["items"][0]["id"]
    )
    for code in ("shop", "acme", "house"):
        made.make("sharing_party", code, code=code, name=code, kind="other")
    shares = {"shop": "0.333333", "acme": "0.333333", "house": "0.333334"}
    parties = [
        {"party": made.ids["sharing_party"][code], "share": share}
        for code, share in shares.items()
    ]
    values = {"sharing_group": "G", "effective_from": "2026-01-01", "parties": parties}
    made.approve("discount_sharing", values)
    places = {"store": made.ids["store"]["S1"], "member": made.ids["member"]["M1"]}
    made.make("card", "C1", card_type=gold, status="active", **places)
    return made


def shares(till):
    """Return (bearer, amount) of each share."""
    names = {party: code for code, party in till.ids["sharing_party"].items()}
    rows = till.site.client("admin").get("/api/v1/records/discount_share?limit=50").json["items"]
    return sorted((names[each["party"]], Decimal(each["amount"])) for each in rows)


def test_discount_is_shared_with_the_order_and_taken_back_by_returns(till):
    card = till.site.client("admin").get(f"/api/v1/records/card/{till.ids['card']['C1']}").json
    sold = till.order(line("TEA-1", "3"), line("TEA-2", "1"), card=card["number"])
    assert sold.status_code == 201, sold.text
    # 30.00 and 1.00 off: thirds of each line to the cent.
    assert shares(till) == [
        ("acme", Decimal("10.33")), ("house", Decimal("10.34")), ("shop", Decimal("10.33")),
    ]  # fmt: skip
    order = sold.json["id"]
    preview = till.give_back(order, (1, "1"), preview=True)
    assert preview.status_code == 200, preview.text
    assert len(shares(till)) == 3
    for lines in (((1, "1"),), ((1, "1"), (2, "1")), ((1, "1"),)):
        assert till.give_back(order, *lines).status_code == 201
    left = dict.fromkeys(till.ids["sharing_party"], Decimal(0))
    for code, amount in shares(till):
        left[code] += amount
    assert set(left.values()) == {Decimal(0)}
    assert len(shares(till)) == 12
