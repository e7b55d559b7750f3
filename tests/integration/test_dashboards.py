"""Dashboards over REST and as pages: who gets them, what they say, building, renames, drafts."""

import re

import pytest

from tests.integration.hostile_world import page_token

SHOP = """
record_type: sold
title_field: what
fields:
  - {name: what, type: text}
  - {name: kind, type: select, options: [{value: sold, label: {zh: 售出, en: Sold}, color: green}, {value: back, color: red}]}
  - {name: day, type: date}
  - {name: amount, type: money, currency: EUR}
policies:
  - {name: all, who: {role: [Admin, configurator]}, actions: ["*"]}
  - {name: sold, who: {role: clerk}, actions: [view, create], rows: "kind == 'sold'"}
  - {name: few, who: {role: cashier}, actions: [view], fields: {view: [what, kind]}}
"""
BOARD = """
dashboard: shop
label: {zh: 商店, en: Shop}
shared_with: [clerk, cashier]
cards:
  - {name: number, chart: number, type: sold, time_field: day, workbench: true}
  - {name: kinds, label: {en: Kinds}, chart: pie, type: sold, group_by: kind}
  - {name: months, chart: bar, type: sold, how: sum, take: amount, group_by: day.month, series_by: kind}
"""
API = "/api/v1/dashboards"
CHART = {"name": "one", "chart": "pie", "type": "sold", "group_by": "kind"}


@pytest.fixture
def site_schema():
    return (SHOP, BOARD)


@pytest.fixture
def shop(client_as):
    admin = client_as("admin")
    for n, (kind, day, amount) in enumerate(
        [
            ("sold", "2026-01-05", "10.50"),
            ("sold", "2026-03-31", "2.25"),
            ("back", "2026-03-01", "1"),
        ]
    ):
        body = {"what": f"s{n}", "kind": kind, "day": day, "amount": amount}
        assert admin.post("/api/v1/records/sold", json=body).status_code == 201
    return client_as


def test_dashboards_are_listed_shown_and_worked_out_over_rest(shop):
    admin, clerk, cashier = shop("admin"), shop("clerk"), shop("cashier")
    (listed,) = [one for one in clerk.get(API).json["items"] if one["name"] == "shop"]
    assert (listed["label"], listed["version"], listed["may_change"]) == ("Shop", 0, False)
    assert listed["cards"][1] == CHART | {"name": "kinds", "label": {"en": "Kinds"}}
    assert clerk.get(f"{API}/shop").json == listed
    assert shop("approver").get(f"{API}/shop").status_code == 404
    card = admin.get(f"{API}/shop/cards/months").json
    assert [one["value"] for one in card["series"]] == ["back", "sold"]
    assert [(one["value"], one["values"]) for one in card["items"]] == [
        ("2026-01", ["0.00", "10.50"]), ("2026-02", ["0.00", "0.00"]), ("2026-03", ["1.00", "2.25"]),
    ]  # fmt: skip
    assert card["whole"] == {"EUR": "13.75"}
    assert card["items"][2]["filter"] == "day >= '2026-03-01' and day <= '2026-03-31'"
    # A clerk's own rows; for the cashier one of its fields is hidden, and the card with it.
    assert clerk.get(f"{API}/shop/cards/number").json["whole"] == {"": 2}
    assert clerk.get(f"{API}/shop/cards/number?from=2026-02-01&to=2026-03-31").json["whole"] == {
        "": 1
    }
    assert clerk.get(f"{API}/shop/cards/number?time=always").json["whole"] == {"": 2}
    refused = cashier.get(f"{API}/shop/cards/months")
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert cashier.get(f"{API}/shop/cards/kinds").status_code == 200
    for query in ("time=soon", "from=yesterday", "nix=1"):
        assert admin.get(f"{API}/shop/cards/number?{query}").status_code == 422
    assert admin.get(f"{API}/shop/cards/nix").status_code == 404
    paths = admin.get("/api/v1/_openapi").json["paths"]
    assert {f"{API}/{{name}}/cards/{{card}}", f"{API}/{{name}}", API} <= paths.keys()


def test_what_somebody_builds_is_theirs_until_they_share_it(shop):
    clerk, other, admin = shop("clerk"), shop("clerk2"), shop("admin")
    made = clerk.post(API, json={"label": "Mine", "cards": [CHART]})
    assert made.status_code == 201, made.json
    place = f"{API}/{made.json['name']}"
    assert other.get(place).status_code == admin.get(place).status_code == 404
    version = {"If-Match": made.headers["ETag"]}
    assert clerk.patch(place, json={"shared_with": ["*"]}, headers=version).status_code == 403
    shared = clerk.patch(place, json={"shared_with": ["clerk"]}, headers=version)
    assert (shared.status_code, shared.json["cards"]) == (200, [CHART])
    assert other.get(f"{place}/cards/one").status_code == 200
    now = {"If-Match": shared.headers["ETag"]}
    assert other.patch(place, json={"label": "x"}, headers=now).status_code == 403
    assert clerk.patch(place, json={"label": "x"}, headers=version).status_code == 412
    assert admin.patch(place, json={"shared_with": ["*"]}, headers=now).status_code == 200
    assert shop("approver").get(place).status_code == 200
    assert shop("approver").get(f"{place}/cards/one").json["whole"] == {"": 3}
    # Those of the schema are changed in the schema.
    frozen = {"If-Match": '"0"'}
    assert admin.patch(f"{API}/shop", json={"label": "x"}, headers=frozen).status_code == 403
    assert admin.delete(f"{API}/shop", headers=frozen).status_code == 403
    gone = clerk.delete(place, headers={"If-Match": '"3"'})
    assert (gone.status_code, clerk.get(place).status_code) == (204, 404)


REFUSED = [
    ({"label": " "}, 422, "label"), ({"label": "x" * 61}, 422, "label"),
    ({"time": "soon"}, 422, "time"), ({"cards": [{"name": "x"}]}, 422, "cards[0]"),
    ({"cards": [CHART, CHART]}, 422, "cards.1.name"),
    ({"cards": [CHART | {"group_by": "nix"}]}, 422, "cards.0.group_by"),
    ({"cards": [CHART | {"nix": 1}]}, 422, "cards[0]"),
    ({"cards": [CHART | {"filter": "nix == 1"}]}, 422, "filter"),
    ({"cards": [CHART | {"type": "user_note"}]}, 422, "cards.0.type"),
    ({"cards": [CHART | {"filter": "amount > 1"}]}, 403, None),
    ({"cards": [CHART | {"limit": 10**30}]}, 422, "cards.0.limit"),
    ({"shared_with": ["nobody"]}, 422, "shared_with"), ({"shared_with": ["Admin"]}, 403, None),
    ({"cards": [CHART | {"name": f"c{n}"} for n in range(41)]}, 422, "cards"),
]  # fmt: skip


def test_a_bad_dashboard_is_refused_with_the_place(shop):
    cashier = shop("cashier")
    for change, status, path in REFUSED:
        answer = cashier.post(API, json={"label": "x"} | change)
        assert answer.status_code == status, (change, answer.json)
        if path is not None:
            assert path in [one["path"] for one in answer.json["problems"]], answer.json


def test_pages_show_every_state_of_a_card(shop, browser_as):
    clerk, cashier = browser_as("clerk"), browser_as("cashier")
    page = clerk.get("/dashboards/shop").get_data(as_text=True)
    assert page.count("data-src=") == 3
    assert "tables=1" in page
    tables = clerk.get("/dashboards/shop?tables=1&time=always").get_data(as_text=True)
    assert "data-src=" not in tables
    assert "12.75 EUR" in tables
    assert "Sold" in tables or "售出" in tables
    asked = {"headers": {"Accept": "application/json"}}
    part = clerk.get("/dashboards/shop/cards/kinds", **asked).json["html"]
    href = re.search(r'<th scope="row"><a href="([^"]+)"', part)[1].replace("&amp;", "&")
    assert clerk.get(href).status_code == 200
    assert "data-chart-data" in part
    refused = cashier.get("/dashboards/shop/cards/months", **asked).json["html"]
    assert "EUR" not in refused
    assert "data-chart" not in refused
    empty = clerk.get("/dashboards/shop/cards/kinds?from=2030-01-01", **asked).json["html"]
    assert "data-chart" in empty  # it has no date to go by, and says so
    months = clerk.get("/dashboards/shop/cards/months?from=2030-01-01", **asked).json["html"]
    assert "data-chart" not in months
    assert 'data-src="/dashboards/shop/cards/number' in clerk.get("/").get_data(as_text=True)
    for query in ("from=nonsense", "time=%00", 'from="><b>&to=2026-01-01', "time=soon&tables=1"):
        bad = clerk.get(f"/dashboards/shop?{query}")
        assert bad.status_code == 200
        assert "<b>" not in bad.get_data(as_text=True)
    # What another form's change leaves behind is told in its card.
    assert browser_as("approver").get("/dashboards/shop").status_code == 404


class Poster:
    """Somebody at a browser who sends forms."""

    def __init__(self, browser):
        self.get, self._post, self._token = browser.get, browser.post, page_token(browser)

    def post(self, path, **form):
        return self._post(path, data={"csrf_token": self._token, **form})

    def done(self, path, **form):
        """Send a form and return the last part of where it leads."""
        answer = self.post(path, **form)
        assert answer.status_code == 303, answer.get_data(as_text=True)
        return answer.location.rpartition("/")[2]


CHOSEN = {"type": "sold", "chart": "pie", "how": "sum", "take": "amount", "group_by": "kind"}


def test_a_chart_is_built_changed_moved_and_removed(shop, browser_as):
    builder, api = Poster(browser_as("configurator")), shop("configurator")
    page = builder.get("/dashboards/chart?type=sold&filter=kind+%3D%3D+'sold'")
    assert "day.quarter" in page.get_data(as_text=True)
    assert "13.75 EUR" in builder.post("/dashboards/chart/preview", **CHOSEN).json["html"]
    wrong = builder.post("/dashboards/chart", **CHOSEN, filter="kind ==")
    assert wrong.status_code == 422
    name = builder.done("/dashboards/chart", **CHOSEN, label="A", dashboard_label="B")
    second = CHOSEN | {"dashboard": name, "version": "1", "label": "C", "chart": "line"}
    assert builder.post("/dashboards/chart", **second | {"version": "x"}).status_code == 400
    assert builder.done("/dashboards/chart", **second) == name
    builder.done("/dashboards/chart", **second | {"version": "2", "card": "chart_2", "label": "D"})
    builder.done(f"/dashboards/{name}/cards/chart_2/forward", version="3")
    known = api.get(f"{API}/{name}").json
    assert [list(one["label"].values()) for one in known["cards"]] == [["D"], ["A"]]
    builder.done(f"/dashboards/{name}/cards/chart_1/remove", version="4")
    stale = builder.post(f"/dashboards/{name}/cards/chart_2/remove", version="4")
    assert stale.status_code == 412
    builder.done(f"/dashboards/{name}/delete", version="5")
    assert api.get(f"{API}/{name}").status_code == 404


def test_a_dashboard_is_copied_shared_and_made_part_of_the_forms(shop, browser_as):
    builder, api = Poster(browser_as("configurator")), shop("configurator")
    clerk = Poster(browser_as("clerk"))
    copied = clerk.done("/dashboards/shop/copy")
    assert shop("clerk").get(f"{API}/{copied}").json["may_change"]
    assert clerk.post(f"/dashboards/{copied}/draft", name="x").status_code == 403
    name = builder.done("/dashboards/chart", **CHOSEN)
    settings = {"version": "1", "label": "E", "time": "this_year", "shared_with": "clerk"}
    builder.done(f"/dashboards/{name}/settings", **settings)
    assert shop("clerk").get(f"{API}/{name}").json["label"] == "E"
    assert "take: amount" in builder.get(f"/dashboards/{name}/yaml").get_data(as_text=True)
    draft = builder.done(f"/dashboards/{name}/draft", name="published")
    done = api.post(f"/api/v1/schema/drafts/{draft}/publish", json={})
    assert done.status_code == 200, done.json
    of_schema = shop("clerk").get(f"{API}/published").json
    assert (of_schema["time"], of_schema["version"]) == ("this_year", 0)
    assert of_schema["cards"][0]["take"] == "amount"


def test_renames_and_uses_reach_dashboards_of_both_kinds(shop):
    admin = shop("admin")
    card = CHART | {
        "filter": "kind == 'sold' and day is not empty",
        "how": "sum",
        "take": "amount",
    }
    made = admin.post(API, json={"label": "Mine", "cards": [card]})
    assert made.status_code == 201, made.json
    used = admin.get("/api/v1/schema/uses/sold?field=amount").json
    assert used["dashboards"] == ["Mine", "shop"]
    change = [
        {"op": "rename_option", "type": "sold", "field": "kind", "option": "sold", "to": "done"},
        {"op": "rename_field", "type": "sold", "field": "kind", "to": "sort"},
        {"op": "rename_field", "type": "sold", "field": "amount", "to": "paid"},
    ]
    draft = admin.post("/api/v1/schema/drafts", json={"changes": change}).json["id"]
    done = admin.post(f"/api/v1/schema/drafts/{draft}/publish", json={})
    assert done.status_code == 200, done.json
    (kept,) = admin.get(f"{API}/{made.json['name']}").json["cards"]
    assert kept["filter"] == "sort == 'done' and day is not empty"
    assert (kept["group_by"], kept["take"]) == ("sort", "paid")
    assert admin.get(f"{API}/{made.json['name']}/cards/one").json["whole"] == {"EUR": "12.75"}
    shipped = {one["name"]: one for one in admin.get(f"{API}/shop").json["cards"]}
    assert shipped["months"]["series_by"] == "sort"
