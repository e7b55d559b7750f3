"""What a dashboard is: cards, each a question that is counted or added up, and how it is drawn.

    dashboard: sales
    label: {zh: 销售, en: Sales}
    shared_with: [clerk]
    time: this_year
    cards:
      - {name: orders, chart: number, type: order, time_field: ordered_at}
      - {name: months, chart: bar, type: order, how: sum, take: total,
         group_by: ordered_at.month, series_by: store, filter: "kind == 'sale'"}
      - {name: products, chart: table, type: order, how: sum, take: lines.amount,
         group_by: lines.product, limit: 10}

A field is named as in a view: `FIELD`, `FIELD.month` for a part of a day; `TABLE.COLUMN` (and
`TABLE.COLUMN.month`) goes over the rows of a table field instead of its records. A card is
counted under the rights of whoever looks at it.
"""

from typing import Literal, get_args

from core.schema.modelbase import Label, Model

Chart = Literal["number", "bar", "line", "pie", "table"]
How = Literal["count", "sum", "avg", "min", "max"]
Order = Literal["", "group", "-group", "value", "-value"]
TimeRange = Literal[
    "", "today", "last_7_days", "last_30_days", "last_90_days", "last_12_months",
    "this_week", "this_month", "this_quarter", "this_year",
]  # fmt: skip

CHARTS: tuple[str, ...] = get_args(Chart)
HOWS: tuple[str, ...] = get_args(How)
#: The time ranges that have a name; `""` is all time.
TIME_RANGES: tuple[str, ...] = get_args(TimeRange)
#: The colours that have a name; others are written `#rrggbb`.
COLOURS = (
    "blue", "green", "orange", "red", "purple", "teal", "yellow", "pink", "gray", "cyan", "lime",
    "indigo",
)  # fmt: skip
#: Groups of a card that says nothing: of values, and of parts of a day.
LIMIT, TIME_LIMIT, MOST_GROUPS = 20, 100, 200


class Card(Model, frozen=True, kw_only=True):
    """One figure, chart or table of a dashboard.

    Attributes:
        name: by which links and the site's changes know it.
        label: the heading.
        chart: number, bar, line, pie or table.
        type: the record type that is asked.
        filter: condition over the record.
        how: count, or sum, avg, min or max of `take`.
        take: the field whose values are added up; `TABLE.COLUMN` takes the rows of a table field.
        group_by: the field whose values make the groups; `FIELD.day`, `.week`, `.month`,
            `.quarter` and `.year` group by parts of a day in the store day's zone.
        series_by: a second field, whose values make the colours of bars and lines and the
            columns of a table.
        time_field: the date that the dashboard's time range goes by; when it is missing, the
            one that groups or series are parts of.
        sort: group or value, descending with a leading `-`; when it is missing, days by day
            and everything else by value, greatest first.
        limit: how many groups are shown, 1 to 200; of days the latest.
        stacked: bars of several series stand on each other.
        colors: colours of the series, or of the groups where there is one series.
        wide: the card takes the whole width.
        workbench: whoever gets the dashboard has this card on the workbench too.
        hidden: nobody gets it; for the site, about cards of other layers.
    """

    name: str
    label: Label = {}  # noqa: RUF012  msgspec copies it
    chart: Chart
    type: str
    filter: str = ""
    how: How = "count"
    take: str = ""
    group_by: str = ""
    series_by: str = ""
    time_field: str = ""
    sort: Order = ""
    limit: int | None = None
    stacked: bool = False
    colors: tuple[str, ...] = ()
    wide: bool = False
    workbench: bool = False
    hidden: bool = False


class Dashboard(Model, frozen=True, kw_only=True):
    """Cards that are looked at together.

    Attributes:
        dashboard: its name.
        label: the heading.
        description: what it is for, in a sentence.
        shared_with: roles that get it; empty is everybody who may see any of it.
        time: the time range that it opens with; all time when it is missing.
        cards: what it shows.
    """

    dashboard: str
    layer: str = ""
    label: Label = {}  # noqa: RUF012  msgspec copies it
    description: Label = {}  # noqa: RUF012  msgspec copies it
    shared_with: tuple[str, ...] = ()
    time: TimeRange = ""
    cards: tuple[Card, ...] = ()
