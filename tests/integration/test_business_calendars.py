"""By which calendar a clock runs: the place's, the flow's or the default; and their page."""

import re
from datetime import UTC, datetime

import pytest

from core.businesstime import Duration
from core.workflow.clocks import calendar_for
from tests.integration.hostile_world import page_token

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
    refused = {"code": "N", "name": "N", "time_zone": "Mars/Olympus"}
    answer = site.client("admin").post("/api/v1/records/store", json=refused)
    assert answer.json["problems"][0]["code"] == "store.unknown_time_zone"
    # One that was written before anybody looked: the calendar's own zone holds.
    nowhere = made(site, "store", "N")
    with site.services.db.write() as connection:
        store = site.services.registries.current().tables["store"].main
        lost = store.update().where(store.c.id == nowhere).values(time_zone="Mars/Olympus")
        connection.execute(lost)
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


def shown(browser, query=""):
    answer = browser.get(f"/calendars/?{query}")
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)).split())


def test_page_names_holidays_make_up_days_and_when_a_clock_strikes(site):
    made(site, "store", "B", calendar="cn_retail")
    admin = site.browser("admin")
    text = shown(admin, "name=cn_retail&year=2025&start=2025-09-30T18:00&length=24bh")
    assert "2025-10-11 18:00 Sat" in text
    assert "2025-09-30 Tue 1 h 2025-10-09 Thu 8 h 2025-10-10 Fri 8 h 2025-10-11 Sat 7 h" in text
    assert "1–8 National Day and Mid-Autumn Festival" in text
    assert "11 For National Day and Mid-Autumn Festival" in text
    assert "248 working days · 1984 open hours" in text
    assert "Stores 1" in text
    page = admin.get("/calendars/?name=cn_retail&year=2025").get_data(as_text=True)
    assert (
        'title="Make-up workday · For National Day and Mid-Autumn Festival · 09:30–12:00, 13:30–19:00"'
        in page
    )
    assert "No holidays of 2027 are listed yet" in shown(admin, "year=2027")
    assert "2027-01-01 08:00" in shown(admin, "name=evening&start=2026-12-31T06:00&length=26h")
    evening = shown(admin, "name=evening&start=2026-03-09T23:30&length=1bh")
    assert "2026-03-10 18:30 Tue" in evening
    assert "2026-03-09 Mon 30 min" in evening
    assert "and on further days" in shown(admin, "name=evening&length=999bh")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("length=24", "“24” is not a duration"),
        ("length=99999bh", "is not between 1 and 10000"),
        ("start=tomorrow", "Say when the clock starts."),
        ("start=0001-01-01T00:00", "Say when the clock starts."),
        ("start=9999-12-31T23:59&length=10000bd", "Say when the clock starts."),
        ("year=99999&length=10000bd&start=2100-12-31T23:59", "2139-05-01 19:00"),
    ],
)
def test_trial_tells_what_it_cannot_read(site, query, told):
    assert told in shown(site.browser("configurator"), query)


def test_calendars_are_looked_at_by_who_configures_and_changed_by_who_may(site):
    assert site.browser("clerk").get("/calendars/").status_code == 403
    assert site.browser("admin").get("/calendars/?name=gone").status_code == 404
    auditor = site.browser("auditor")
    assert "Change this calendar" not in shown(auditor)
    body = {"yaml": EVENING, "csrf_token": page_token(auditor)}
    assert auditor.post("/calendars/draft", data=body).status_code == 403


def test_draft_of_a_calendar_goes_into_the_sites_layer(site):
    admin = site.browser("admin")
    assert "mon-fri: [" in shown(admin, "name=cn_retail")
    own = 'calendar: cn_retail\nhours: {mon-fri: ["08:00-12:00"]}\n'
    body = {"yaml": own, "csrf_token": page_token(admin)}
    place = admin.post("/calendars/draft", data=body).headers["Location"]
    plan = admin.get(place).get_data(as_text=True)
    assert "Calendar changed" in plan
    assert "Retail calendar (hours)" in plan
    seal = re.search(r'name="seal" value="([^"]*)"', plan)
    form = {"csrf_token": page_token(admin), "seal": seal[1] if seal else ""}
    assert admin.post(place, data=form).status_code == 303
    assert due(site, "cn_retail") == "09 01:00"
    assert "2026-10-01" in "".join(
        str(day) for day in calendar_for(site.context("clerk"), "cn_retail").holidays
    )
    assert "08:00-12:00" in shown(admin, "name=cn_retail")
