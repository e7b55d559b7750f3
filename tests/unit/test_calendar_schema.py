"""Business calendars as files: problems at their places, layers, and what ships."""

import json
from datetime import date
from pathlib import Path

import pytest

from core.businesstime import parse_duration
from core.errors import SchemaError
from core.schema.calendars import MOST_INCLUDED, calendar_of, chosen_calendar, days_of, usable
from core.schema.diff import diff
from core.schema.jsonschema import json_schema
from core.schema.layers import effective
from core.schema.threeway import find_conflicts
from core.schema.yamlnodes import Source

ROOT = Path(__file__).parents[2]
DAYS = "calendar: days\nholidays: [{day: 2026-10-01, to: 2026-10-07, label: {en: National Day}}]\n"
SHOP = 'calendar: shop\ntime_zone: Asia/Shanghai\nhours: {mon-fri: ["09:00-17:00"]}\n'


def sources(*texts, layers=("core",)):
    return [
        Source(layers[min(n, len(layers) - 1)], f"{n}.yaml", text) for n, text in enumerate(texts)
    ]


def release(*texts, layers=("core",), running=None):
    return effective(sources(*texts, layers=layers), running, 1)


def refused(*texts, **rest):
    with pytest.raises(SchemaError) as refusal:
        release(*texts, **rest)
    return [(one.line, one.column, one.code) for one in refusal.value.problems]


@pytest.fixture(scope="module")
def shipped():
    files = [ROOT / f"schemas/{name}.yaml" for name in ("cn_public_holidays", "cn_retail")]
    return release(*(file.read_text("utf-8") for file in files)).calendars


@pytest.mark.parametrize("year", [2025, 2026])
def test_shipped_holidays_are_those_of_the_national_plan(shipped, year):
    plan = json.loads((ROOT / f"tests/data/cn_holidays_{year}.json").read_text("utf-8"))
    days = days_of("cn_retail", shipped)
    told = {
        **{day.isoformat(): (True, label["zh"]) for day, label in days.holidays.items()},
        **{day.isoformat(): (False, label["zh"]) for day, label in days.workdays.items()},
    }
    for one in plan["days"]:
        is_off, label = told.pop(one["date"])
        assert is_off is one["isOffDay"]
        assert label == one["name"] + ("" if is_off else "调休")
    assert {day for day in told if day.startswith(str(year))} == set()


def test_shipped_calendar_counts_the_reference_hours(shipped):
    assert chosen_calendar((), shipped) == "cn_retail"
    assert usable(shipped) == {"cn_retail"}
    calendar = calendar_of("cn_retail", shipped, "Asia/Shanghai")
    start = date(2026, 9, 30)
    assert calendar.hours_on(start) == ((570, 720), (810, 1140))
    assert [calendar.hours_on(date(2026, 10, day)) != () for day in (1, 7, 8, 10, 11)] == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_every_problem_of_a_calendar_has_its_place():
    bad = """calendar: Bad
time_zone: Mars/Base
hours: {mon-fry: ["09:00-17:00"], tue: ["9-17"], sat-fri: []}
holidays: [{day: 2026-13-01}, {day: 2026-01-02, to: 2026-01-01}, {day: 2026-02-01, to: 2026-02-03}]
workdays: [{day: 2026-02-02}, {day: tomorrow}, {day: 2026-03-01, like: monday}]
include: [dayz]
"""
    assert refused(DAYS, bad) == [
        (1, 11, "schema.bad_name"),
        (2, 12, "schema.bad_calendar"),
        (3, 18, "schema.bad_calendar"),
        (3, 40, "schema.bad_calendar"),
        (3, 59, "schema.bad_calendar"),
        (4, 12, "schema.bad_calendar"),
        (4, 31, "schema.bad_calendar"),
        (5, 18, "schema.duplicate"),
        (5, 37, "schema.bad_calendar"),
        (5, 72, "schema.not_one_of"),
        (6, 11, "schema.unknown"),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('hours: {mon: ["09:00-09:30"]}', "schema.bad_calendar"),
        ('hours: {mon-wed: ["09:00-17:00"], wed: ["09:00-17:00"]}', "schema.bad_calendar"),
        ('hours: {mon: ["09:00-17:00"]}\nworkdays: [{day: 2026-01-01, like: tue}]', "schema.bad_calendar"),
        ("include: [own]", "schema.circle"),
        ("default: true", "schema.no_hours"),
        ("hours: {on: true}", "schema.bad_type"),
        ("opening: {}", "schema.unknown_key"),
    ],
)  # fmt: skip
def test_calendar_that_cannot_be_is_refused(line, code):
    assert [found for _, _, found in refused(f"calendar: own\n{line}\n")] == [code]


def test_flow_names_a_calendar_that_has_hours():
    form = "record_type: note\ndocument: true\nfields: [{name: what, type: text}]\n"
    flow = "flow: f\nversion: 1\ndocument: note\ncalendar: {}\nsteps: [{{id: a, type: approve, approvers: {{role: r}}, decide: any, may: [approve]}}]\n"
    roles = "roles: [{name: r}]\n"
    assert refused(DAYS, form, roles, flow.format("shop")) == [(4, 11, "schema.unknown")]
    assert refused(DAYS, form, roles, flow.format("days")) == [(4, 11, "schema.no_hours")]
    assert release(SHOP, form, roles, flow.format("shop")).flows["f"].calendar == "shop"


def test_site_changes_hours_and_adds_days_in_its_own_layer():
    shop = SHOP + "include: [days]\ndefault: true\n"
    site = 'calendar: shop\nhours: {mon-sun: ["10:00-22:00"]}\nholidays: [{day: 2026-08-08}]\nworkdays: [{day: 2026-10-01}]\n'
    more = "calendar: days\nholidays: [{day: 2026-10-01, to: 2026-10-03}, {day: 2027-01-01}]\n"
    night = 'calendar: night\nhours: {mon: ["00:00-24:00"]}\ndefault: true\n'
    made = release(DAYS, shop, site, more, night, layers=("core", "core", "site")).calendars
    days = days_of("shop", made)
    assert sorted(days.holidays) == [
        date(2026, 8, 8), date(2026, 10, 2), date(2026, 10, 3), date(2027, 1, 1),
    ]  # fmt: skip
    assert list(days.workdays) == [date(2026, 10, 1)]
    assert days.holidays[date(2026, 10, 2)] == {"en": "National Day"}
    assert made["shop"].time_zone == "Asia/Shanghai"
    assert calendar_of("shop", made, "Asia/Shanghai").hours_on(date(2026, 8, 9)) == ((600, 1320),)
    assert chosen_calendar((), made) == "night"
    second = night.replace("night", "other")
    assert refused(SHOP, night, second) == [(3, 10, "schema.second_default")]


def test_upgrade_that_meets_the_sites_hours_is_compared():
    site = Source("site", "own.yaml", 'calendar: shop\nhours: {mon: ["10:00-22:00"]}\n')
    new = SHOP.replace("09:00", "08:00")
    before, after = sources(SHOP), sources(new)
    (conflict,) = find_conflicts([*before, site], [*after, site])
    assert (conflict.key, conflict.path) == ("calendar shop.hours", ("hours",))


def test_release_keeps_tells_and_describes_calendars():
    before, after = release(DAYS), release(DAYS, SHOP)
    assert [change.kind for change in diff(before, after)] == ["add_calendar"]
    changed = release(DAYS, SHOP.replace("09:00", "08:00"))
    (change,) = diff(after, changed)
    assert (change.kind, change.properties) == ("change_calendar", ("hours",))
    (described,) = [one for one in json_schema()["oneOf"] if "calendar" in one["required"]]
    assert {"hours", "holidays", "workdays", "include"} <= set(described["properties"])


def test_included_calendars_in_a_circle_or_a_long_row_end():
    chain = [f"calendar: c{n}\ninclude: [c{n + 1}]\n" for n in range(MOST_INCLUDED - 1)]
    last = f"calendar: c{len(chain)}\nholidays: [{{day: 2026-01-01}}]\n"
    found = release(*chain, last).calendars
    assert list(days_of("c0", found).holidays) == [date(2026, 1, 1)]
    assert refused(*chain, last, "calendar: more\ninclude: [c0]\n") == [
        (1, 1, "schema.bad_calendar")
    ]
    years = ", ".join(f"{{day: {year}-01-01, to: {year}-12-31}}" for year in range(2020, 2026))
    assert refused(f"calendar: a\nholidays: [{years}]\n") == [(1, 1, "schema.bad_calendar")]
    circle = refused("calendar: a\ninclude: [b]\n", "calendar: b\ninclude: [a]\n")
    assert circle == [(2, 11, "schema.circle")] * 2


def test_duration_error_tells_how_to_write_one():
    with pytest.raises(ValueError, match="24bh for business hours"):
        parse_duration("24 hours")
