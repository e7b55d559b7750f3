"""By which calendar a clock runs: the place's, the flow's or the default; and their page."""

from datetime import UTC, datetime

import pytest

from core.businesstime import Duration
from core.workflow.clocks import calendar_for

EVENING = """
calendar: evening
label: {zh: 夜间, en: Evening}
hours: {mon-sun: ["18:00-24:00"]}
"""
#: A Monday, 00:00 in Shanghai and 16:00 of the day before in London.
MONDAY = datetime(2026, 3, 8, 16, tzinfo=UTC)
ONE = Duration(1, "bh")


@pytest.fixture
def site_schema():
    return (EVENING,)


def made(site, kind, code, **values):
    body = {"code": code, "name": code, **values}
    answer = site.client("admin").post(f"/api/v1/records/{kind}", json=body)
    assert answer.status_code == 201, answer.json
    return answer.json["id"]


def due(site, name="", place=None):
    """Return when one business hour from Monday's beginning is over, in UTC."""
    return f"{calendar_for(site.context('clerk'), name, place).add(MONDAY, ONE):%d %H:%M}"


def test_stores_calendar_goes_before_the_flows_and_the_default(site):
    plain, night = made(site, "store", "A"), made(site, "store", "B", calendar="evening")
    assert due(site) == "09 02:30"  # the shipped default: 09:30 in Shanghai
    assert due(site, "evening") == "09 11:00"
    assert due(site, "evening", plain) == "09 11:00"
    assert due(site, "cn_retail", night) == "09 11:00"
    assert due(site, "gone", "no such place") == "09 02:30"


def test_hours_are_read_in_the_stores_own_zone(site):
    london = made(site, "store", "L", time_zone="Europe/London")
    assert due(site, "", london) == "09 10:30"
    assert due(site, "evening", london) == "08 19:00"
    # Nobody checks that a zone of the right form is one; the calendar's holds then.
    nowhere = made(site, "store", "N", time_zone="Mars/Olympus")
    assert due(site, "", nowhere) == "09 02:30"


def test_place_without_a_calendar_has_that_of_where_it_belongs(site):
    region = made(site, "store", "R", calendar="evening")
    shop = made(site, "store", "S", parent=region, time_zone="Europe/London")
    head = made(site, "department", "H", calendar="cn_retail")
    desk = made(site, "department", "D", parent=head, store=shop)
    team = made(site, "department", "T", parent=head)
    assert due(site, "", shop) == "08 19:00"
    assert due(site, "", desk) == "08 19:00"
    assert due(site, "evening", team) == "09 02:30"


def test_changed_store_is_seen_by_the_next_context(site):
    region, store = made(site, "store", "R"), made(site, "store", "A")
    client, url = site.client("admin"), f"/api/v1/records/store/{store}"
    assert due(site, "", store) == "09 02:30"
    for version, (values, expected) in enumerate(
        [
            ({"calendar": "evening"}, "09 11:00"),
            ({"time_zone": "Europe/London"}, "08 19:00"),
            ({"calendar": None}, "09 10:30"),
            ({"parent": region, "time_zone": "Asia/Shanghai"}, "09 02:30"),
        ],
        start=1,
    ):
        answer = client.patch(url, json=values, headers={"If-Match": f'"{version}"'})
        assert answer.status_code == 200, answer.json
        assert due(site, "", store) == expected
    before = site.context("clerk").registry.revision.rights
    headers = {"If-Match": '"5"'}
    assert client.patch(url, json={"address": "Elsewhere"}, headers=headers).status_code == 200
    assert site.context("clerk").registry.revision.rights == before


def test_new_hours_of_a_release_change_the_calendar_and_its_version(site):
    before = calendar_for(site.context("clerk"), "evening")
    assert calendar_for(site.context("cashier"), "evening") is before
    site.publish(EVENING.replace("18:00", "12:00"))
    after = calendar_for(site.context("clerk"), "evening")
    assert due(site, "evening") == "09 05:00"
    assert after.version != before.version


def test_store_cannot_name_a_calendar_that_is_not_there(site):
    client = site.client("admin")
    for name in ("evenings", "cn_public_holidays"):
        body = {"code": "X", "name": "X", "calendar": name}
        answer = client.post("/api/v1/records/store", json=body)
        assert answer.status_code == 422
        assert [one["code"] for one in answer.json["problems"]] == ["calendar.not_found"]
    form = site.browser("admin").get("/records/store/new").get_data(as_text=True)
    assert '<option value="evening">Evening</option>' in form
