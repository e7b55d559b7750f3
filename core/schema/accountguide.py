"""Examples of the keys of account kinds, whose meaning their models say; `guide` tells both."""

from collections.abc import Mapping

from core.schema.accountkinds import AccountCategory, AccountKind, Lots

#: Model -> key -> what it says, and a value such as people write.
KEYS: Mapping[type, Mapping[str, tuple[str, str]]] = {
    AccountKind: {
        "account_kind": (
            "First key: what may be owed to a member, a card or any other record, such as points.",
            "stamps",
        ),
        "label": ("What people call it.", "{zh: 印花, en: Stamps}"),
        "description": (
            "A sentence on what it is for.",
            "{zh: 满十枚换一杯, en: Ten of them buy a cup}",
        ),
        "owner": ("", "member"),
        "unit": ("", "money"),
        "floor": ("", "-5000"),
        "cap": ("", "99"),
        "categories": (
            "",
            "[{name: given, label: {zh: 发放, en: Given}}, {name: used, uses: true}]",
        ),
        "lots": (
            "When what was credited ends; it never does when this is missing.",
            "{expiry: months, after: 6}",
        ),
    },
    AccountCategory: {
        "name": ("Stored with every entry, and what programs see it by.", "given"),
        "label": ("What people call it.", "{zh: 发放, en: Given}"),
        "uses": ("", "true"),
        "negative": ("", "true"),
    },
    Lots: {
        "expiry": (
            "`never`; `months` after the day it came; `end_of_month` or `end_of_year`, the last "
            "day of the month or year.",
            "end_of_year",
        ),
        "after": ("How many months later, or for `end_of_year` how many years.", "1"),
    },
}

#: Model -> where its keys stand in a file.
PLACES: Mapping[type, str] = {
    AccountKind: "account_kind",
    AccountCategory: "account_kind · categories",
    Lots: "account_kind · lots",
}
