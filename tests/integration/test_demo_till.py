"""The demo's till: everything in force by its people's own doors, once, whichever plugins run."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.demo.loading import load_base
from core.demo.till import load_till
from core.records.history import record_history
from core.records.operations import create_record
from core.records.plugin_settings import set_plugin_enabled
from core.records.queries import Query, list_records, list_wire

PRODUCTS = {"22423": "10.95", "85123A": "2.55"}
WHOLE = {"card_type": 2, "member": 2, "card": 2, "discount_rule": 2, "points_scene": 1}


@pytest.fixture
def shop(site):
    """What the demo's till stands on, without its sales."""
    ctx = site.context("system")
    load_base(ctx)
    for code, price in PRODUCTS.items():
        create_record(ctx, "product", {"code": code, "name": code, "list_price": price})
    return site


def load(site):
    said = []
    load_till(site.services, said.append)
    return said


def counted(site):
    ctx = site.context("system")
    return {name: len(list_wire(ctx, name, Query(fields=("id",))).items) for name in WHOLE}


def quoted(site, member, product, quantity):
    ctx = site.context("system")
    cards = list_wire(ctx, "card", Query(fields=("number", "member"))).items
    members = list_records(ctx, "member", Query(fields=("id", "no"))).items
    owner = next(one["id"] for one in members if one["no"] == member)
    body = {
        "store": "UK", "lines": [{"product": product, "quantity": quantity}],
        "card": next(one["number"] for one in cards if one["member"] == owner),
    }  # fmt: skip
    answer = site.client("cashier").post("/api/v1/till/quote", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_till_of_the_demo_prices_by_documents_that_its_people_put_in_force(shop):
    assert load(shop) == ["Demo: till: 9 created"]
    cakestand = quoted(shop, "DEMO-2", "22423", "1")
    assert (cakestand["lines"][0]["member_rate"], cakestand["points"]["C"]) == ("0.8", 20)
    rates = [
        quoted(shop, member, "85123A", quantity)["lines"][0]["member_rate"]
        for member, quantity in (("DEMO-1", "10"), ("DEMO-1", "9"), ("DEMO-2", "10"))
    ]
    assert rates == ["0.7", "0.9", "0.95"]
    system = shop.context("system")
    (scene,) = list_wire(system, "points_scene", Query(fields=("id",))).items
    told = record_history(system, "points_scene", scene["id"])
    assert {one["actor_name"] for one in told} == {"clerk", "approver"}


def test_till_loaded_twice_at_once_and_again_is_there_once(shop):
    with ThreadPoolExecutor(2) as pool:
        said = sorted(text for one in pool.map(load, (shop, shop)) for text in one)
    assert said == ["Demo: till: 0 created", "Demo: till: 9 created"]
    assert load(shop) == ["Demo: till: 0 created"]
    assert counted(shop) == WHOLE


def test_plugin_that_does_not_run_is_left_out_and_made_up_for_later(shop):
    set_plugin_enabled(shop.context("system"), "discount_rules", enabled=False)
    load(shop)
    there = counted(shop)
    assert (there["card"], there["discount_rule"]) == (2, 0)
    set_plugin_enabled(shop.context("system"), "discount_rules", enabled=True)
    load(shop)
    assert counted(shop) == WHOLE
