"""Rights at the till reach as far as their policies: a manager's to the own stores alone."""

import pytest

from core.actor import Actor
from core.errors import Forbidden, NotFound
from core.security.places import Holding, hold, places_of
from core.till.certificates import examine
from core.till.offline import Entry, hand_in
from core.till.quoting import quote
from core.till.reading import read_return, read_sale
from core.till.returning import give_back, preview_return
from core.till.selling import sell
from tests.integration.till_world import fill, line

OFFLINE = """\
policy_set: shops
policies:
  - {name: goods, who: {position: store_manager}, types: [product], actions: [view]}
  - name: shop_offline
    who: {position: store_manager}
    types: [order]
    at: store
    actions: [till.offline]
  - name: numbers_alone
    who: {position: porter}
    types: [order]
    at: store
    actions: [view]
    fields: {view: ["no", store, lines]}
"""
POSITIONS = "roles: []\npositions: [{name: porter, label: {zh: 理货员, en: Porter}}]\n"
LIN = "77"


@pytest.fixture
def site_schema():
    return (POSITIONS, OFFLINE)


@pytest.fixture
def till(site):
    made = fill(site)
    made.make("store", "S2", code="S2", name="二店", time_zone="Asia/Shanghai", currency="CNY")
    return made


def manager(till, position="store_manager"):
    """Return a context of the manager of S1, who has no role."""
    held = Holding(LIN, "store", till.ids["store"]["S1"], position)
    with till.site.services.db.write() as connection:
        hold(connection, held)
    ctx = till.site.context("clerk")
    with ctx.reading() as connection:
        places = places_of(connection, ctx.registry, LIN)
    ctx.actor = Actor(LIN, "Lin", frozenset(), places=places)
    return ctx


def sale(store, **rest):
    return read_sale({"store": store, "lines": [line(**rest)]}, is_order=True)


def refused(act):
    """Return the places and rights for which somebody is refused."""
    with pytest.raises(Forbidden) as caught:
        act()
    return [(one.path, one.params["right"]) for one in caught.value.problems]


def test_manager_sells_at_prices_of_their_own_in_the_own_store_alone(till):
    for rest in ({}, {"unit_price": "1"}, {"other_discount": "1"}):
        made = sell(manager(till), sale("S1", **rest), key=f"k{rest}", fingerprint="")
        assert made.status == 201
    assert refused(lambda: quote(manager(till), sale("S2"))) == [("store", "create")]
    assert refused(lambda: quote(manager(till), sale("S2", unit_price="1"))) == [
        ("store", "create"),
        ("lines.0.unit_price", "till.override_price"),
    ]
    lower = sale("S2", other_discount="1")
    assert refused(lambda: sell(manager(till), lower, key="x", fingerprint="")) == [
        ("lines.0", "till.discount"),
        ("store", "create"),
    ]
    assert till.count("order") == 3


def test_manager_takes_nothing_back_of_another_store(till):
    mine, others = (till.order(line(), store=store).json["id"] for store in ("S1", "S2"))
    asked = read_return({"lines": [{"line": 1, "quantity": 1}]})
    assert preview_return(manager(till), mine, asked)["refund"] == "100.00"
    assert give_back(manager(till), mine, asked, key="r1", fingerprint="").status == 201
    for act in (
        lambda: preview_return(manager(till), others, asked),
        lambda: give_back(manager(till), others, asked, key="r2", fingerprint=""),
    ):
        with pytest.raises(NotFound):
            act()
    assert till.count("order") == 3


def test_offline_entries_of_another_store_are_refused(till):
    others = till.order(line(), store="S2").json["id"]
    entries = [
        {"store": "S1", "lines": [line()]},
        {"store": "S2", "lines": [line()]},
        {"kind": "return", "of": others, "lines": [{"line": 1, "quantity": 1}]},
        {"kind": "return", "of": 1, "lines": [{"line": 1, "quantity": 1}]},
    ]
    told = hand_in(manager(till), "T", [Entry(at, one) for at, one in enumerate(entries, 1)])
    shown = [(one["state"], one["answer"].get("code")) for one in told["entries"]]
    assert shown == [
        ("done", None), ("refused", "forbidden"), ("refused", "not_found"), ("done", None),
    ]  # fmt: skip
    assert till.count("order") == 3


def test_certificate_is_shown_to_who_sees_all_that_it_tells(till):
    mine, others = (till.order(line(), store=store).json["id"] for store in ("S1", "S2"))
    with pytest.raises(Forbidden):
        examine(manager(till, "porter"), mine)
    assert examine(manager(till), mine)["holds"]
    with pytest.raises(NotFound):
        examine(manager(till), others)
