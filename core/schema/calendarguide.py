"""Examples of the keys of calendars, whose meaning their models say; `guide` tells both."""

from collections.abc import Mapping

from core.schema.calendars import BusinessCalendar, Holiday, Workday

#: Model -> key -> what it says, and a value such as people write.
KEYS: Mapping[type, Mapping[str, tuple[str, str]]] = {
    BusinessCalendar: {
        "calendar": ("First key: when people work, or a set of holidays.", "shop_hours"),
        "label": ("", "{zh: 门店日历, en: Shop calendar}"),
        "time_zone": ("", "Asia/Shanghai"),
        "hours": ("", '{mon-fri: ["09:30-12:00", "13:30-19:00"], sat: ["10:00-16:00"]}'),
        "holidays": ("", "[{day: 2026-10-01, to: 2026-10-07}]"),
        "workdays": ("", "[{day: 2026-09-20}]"),
        "include": ("", "[cn_public_holidays]"),
        "default": ("", "true"),
    },
    Holiday: {
        "day": ("", "2026-10-01"),
        "to": ("", "2026-10-07"),
        "label": ("", "{zh: 国庆节, en: National Day}"),
    },
    Workday: {
        "day": ("", "2026-09-20"),
        "like": ("", "mon"),
        "label": ("", "{zh: 国庆节调休, en: For National Day}"),
    },
}
