"""Examples of the keys of dashboards, whose meaning their models say; `guide` tells both."""

from collections.abc import Mapping

from core.schema.dashboards import Card, Dashboard

#: Model -> key -> what it says, and a value such as people write.
KEYS: Mapping[type, Mapping[str, tuple[str, str]]] = {
    Dashboard: {
        "dashboard": ("First key: cards that are looked at together.", "sales"),
        "label": ("", "{zh: 销售, en: Sales}"),
        "description": ("", "{zh: 每月销售, en: Sales by month}"),
        "shared_with": ("", "[clerk]"),
        "time": ("", "this_year"),
        "cards": ("", "[{name: orders, chart: number, type: order}]"),
    },
    Card: {
        "name": ("", "months"),
        "label": ("", "{zh: 月销售额, en: Turnover by month}"),
        "chart": ("", "bar"),
        "type": ("", "order"),
        "filter": ("", "\"kind == 'sale'\""),
        "how": ("", "sum"),
        "take": ("", "total"),
        "group_by": ("", "ordered_at.month"),
        "series_by": ("", "store"),
        "time_field": ("", "ordered_at"),
        "sort": ("", "-value"),
        "limit": ("", "10"),
        "stacked": ("", "true"),
        "colors": ("", "[blue, '#e08a2e']"),
        "wide": ("", "true"),
        "workbench": ("", "true"),
        "hidden": ("", "true"),
    },
}
