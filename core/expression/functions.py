"""The functions of the language, each with all its targets in one place.

A function is known by name, in any case. Its Python target is also what SQLite runs;
`postgresql` builds the same from SQL expressions (its first argument is `sql.Postgres`, which
hands SQLAlchemy in); the browser's twin has the same name in `expression.js`. One that
lacks a target must name the doors it is for.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from core.expression import arithmetic, dates
from core.expression.types import Kind

#: Doors an expression can stand behind; a function may be for some of them only.
DOORS = ("server", "query", "browser")

Value = Any


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    Attributes:
        parameters: kinds of the arguments; `any` takes everything.
        result: kind of the result.
        python: gets the arguments, none of them null unless `takes_null`.
        postgresql: gets `core.expression.sql.Postgres` and the arguments as SQL expressions.
        optional: how many of the last parameters may be left out.
        variadic: the last parameter may come any number of times.
        takes_null: a null argument is passed on; otherwise the result is null, or false.
        in_browser: `expression.js` has it.
        doors: where it may be used.
    """

    name: str
    parameters: tuple[Kind, ...]
    result: Kind
    python: Callable[..., Value]
    postgresql: Callable[..., Any] | None = None
    optional: int = 0
    variadic: bool = False
    takes_null: bool = False
    in_browser: bool = True
    doors: tuple[str, ...] = DOORS

    def __post_init__(self) -> None:
        """Refuse a function that promises a door it has no target for.

        Raises:
            ValueError: a door is named without its target.
        """
        if ("query" in self.doors) != (self.postgresql is not None):
            raise ValueError(f"{self.name}: the door query goes with a postgresql target")
        if ("browser" in self.doors) != self.in_browser:
            raise ValueError(f"{self.name}: the door browser goes with in_browser")

    def run(self, *arguments: Value) -> Value:
        """Return the result for values, null-safe."""
        if not self.takes_null and None in arguments:
            return False if self.result == "boolean" else None
        return self.python(*arguments)


# -- text ---------------------------------------------------------------------------------

#: What `TRIM` takes off: ASCII blanks, the no-break and the ideographic space.
BLANKS = " \t\r\n\u00a0\u3000"
_MOST_LETTERS = 1_000_000


def _letters(count: Decimal | int) -> int:
    return max(0, min(_MOST_LETTERS, int(count)))


def left(text: str, count: Decimal | int = 1) -> str:
    """Return the first `count` code points, none for a negative count."""
    return text[: _letters(count)]


def right(text: str, count: Decimal | int = 1) -> str:
    """Return the last `count` code points, none for a negative count."""
    number = _letters(count)
    return text[-number:] if number else ""


def _single(char: str, changed: str) -> str:
    return changed if len(changed) == 1 else char


def upper(text: str) -> str:
    """Return upper case, code point by code point; one without a single upper case stays."""
    if text.isascii():
        return text.upper()
    return "".join([_single(char, char.upper()) for char in text])


def lower(text: str) -> str:
    """Return lower case, code point by code point; one without a single lower case stays."""
    if text.isascii():
        return text.lower()
    return "".join([_single(char, char.lower()) for char in text])


def concat(*texts: str | None) -> str:
    """Return the texts one after the other; null adds nothing."""
    return "".join([text for text in texts if text is not None])


def text_of(value: Value) -> str:
    """Return a number, truth value, date or text as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return arithmetic.number_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)


_NUMBER_DIGITS = 30
_NUMBER_PATTERN = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_NUMBER = re.compile(_NUMBER_PATTERN.replace("$", r"\Z"))


def number_of(text: str) -> Decimal | None:
    """Return the number a text holds (ASCII digits, sign, point), or null."""
    text = text.strip(BLANKS)
    if _NUMBER.match(text) is None:
        return None
    is_short = len(text) <= _NUMBER_DIGITS or sum(map(str.isdigit, text)) <= _NUMBER_DIGITS
    return Decimal(text) if is_short else None


def _case_map(change: Callable[[str], str]) -> tuple[str, str]:
    """Return the code points that `change` maps to another single one, and what to."""
    pairs = [
        (char, changed)
        for char in map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x1F000)])
        if len(changed := change(char)) == 1 and changed != char
    ]
    return "".join(char for char, _ in pairs), "".join(changed for _, changed in pairs)


_case_maps: dict[str, tuple[str, str]] = {}


def _pg_case(name: str) -> Callable[..., Any]:
    # PostgreSQL's own upper() depends on how the server was built; translate() does not.
    def build(pg: Any, text: Any) -> Any:
        if name not in _case_maps:
            _case_maps[name] = _case_map(getattr(str, name))
        ascii_only = getattr(pg.func, name)(pg.collate(text, "C"))
        return pg.func.translate(ascii_only, *_case_maps[name])

    return build


def _pg_clamped(pg: Any, value: Any, least: int, most: int) -> Any:
    """Return a whole number within bounds; greatest() and least() would lose a null."""

    def bounded(whole: Any) -> Any:
        return pg.case((whole > most, most), (whole < least, least), else_=whole)

    return pg.cast(pg.let(pg.func.trunc(value), bounded), pg.Integer)


def _pg_letters(pg: Any, count: Any) -> Any:
    return count if isinstance(count, int) else _pg_clamped(pg, count, 0, _MOST_LETTERS)


def _pg_number(pg: Any, text: Any) -> Any:
    def good(trimmed: Any) -> Any:
        bare = pg.func.length(pg.func.translate(trimmed, "+-.", ""))
        return (bare <= _NUMBER_DIGITS) & trimmed.op("~")(_NUMBER_PATTERN)

    return pg.cast(pg.kept(pg.func.btrim(text, BLANKS), good), pg.Numeric)


def _pg_round(pg: Any, value: Any, places: Any = 0) -> Any:
    most = arithmetic.MAX_PLACES
    return pg.func.round(
        value, places if isinstance(places, int) else _pg_clamped(pg, places, -most, most)
    )


# -- dates --------------------------------------------------------------------------------

_FIRST_DAY, _LAST_DAY = "0001-01-01", "9999-12-31"
_FIRST, _LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"


def _pg_part(part: str) -> Callable[..., Any]:
    return lambda pg, day: pg.cast(pg.extract(part, day), pg.Numeric)


def _pg_day(pg: Any, value: Any) -> Any:
    return pg.cast(
        pg.kept(value, lambda day: day.between(pg.date(_FIRST_DAY), pg.date(_LAST_DAY))), pg.Date
    )


def _pg_instant(pg: Any, value: Any) -> Any:
    return pg.kept(value, lambda at: at.between(pg.instant(_FIRST), pg.instant(_LAST)))


def _pg_interval(pg: Any, count: Any, unit: str) -> Any:
    """Return `count units` as an interval, null where it leaves the years from any day."""
    number = pg.kept(pg.func.trunc(count), lambda whole: pg.func.abs(whole) <= dates.MOST[unit])
    if unit in dates.MONTHS:
        months = pg.cast(number * dates.MONTHS[unit], pg.Integer)
        return pg.func.make_interval(0, months)
    if unit in dates.DAYS:
        days = pg.cast(number * dates.DAYS[unit], pg.Integer)
        return pg.func.make_interval(0, 0, 0, days)
    # A double holds few seconds exactly, so whole hours go apart.
    return pg.let(
        number * dates.SECONDS[unit],
        lambda seconds: pg.func.make_interval(
            0,
            0,
            0,
            0,
            pg.cast(pg.func.div(seconds, 3600), pg.Integer),
            0,
            pg.cast(pg.func.mod(seconds, 3600), pg.Float),
        ),
    )


def _pg_add_to_date(pg: Any, day: Any, count: Any, unit: str) -> Any:
    return _pg_day(pg, pg.cast(day, pg.DateTime) + _pg_interval(pg, count, unit))


def _pg_add_clock(pg: Any, at: Any, count: Any, unit: str) -> Any:
    return _pg_instant(pg, at + _pg_interval(pg, count, unit))


def _pg_add_wall(pg: Any, at: Any, count: Any, unit: str, zone: Any) -> Any:
    wall = pg.func.timezone(zone, at) + _pg_interval(pg, count, unit)
    return _pg_instant(pg, pg.func.timezone(zone, wall))


def _pg_days_between(pg: Any, first: Any, last: Any, unit: str) -> Any:
    if unit in dates.DAYS:
        return pg.func.div(pg.cast(last - first, pg.Numeric), dates.DAYS[unit])

    # In months with the day as fraction, cutting the fraction off leaves the whole months.
    def position(day: Any) -> Any:
        def months(at: Any) -> Any:
            return (
                pg.extract("year", at) * 12 + pg.extract("month", at) + pg.extract("day", at) / 100
            )

        return pg.let(day, months)

    return pg.func.div(pg.func.trunc(position(last) - position(first)), dates.MONTHS[unit])


def _pg_clock_between(pg: Any, first: Any, last: Any, unit: str) -> Any:
    return pg.func.div(pg.extract("epoch", last - first), dates.SECONDS[unit])


# -- the table ----------------------------------------------------------------------------


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


def _least(*values: Value) -> Value:
    return min((value for value in values if value is not None), default=None)


def _greatest(*values: Value) -> Value:
    return max((value for value in values if value is not None), default=None)


def _count(*values: Value) -> int:
    return sum(value is not None for value in values)


def _text_pg(pg: Any, value: Any) -> Any:
    return pg.text(value)


def _elementwise(name: str) -> Callable[..., Any]:
    return lambda pg, *values: getattr(pg, name)(*values)


_TABLE = (
    Function("ROUND", ("number", "number"), "number", arithmetic.round_half_up, _pg_round, 1),
    Function("ABS", ("number",), "number", arithmetic.absolute, lambda pg, x: pg.func.abs(x)),
    Function("LEN", ("text",), "number", len, lambda pg, t: pg.func.length(t)),
    Function(
        "LEFT",
        ("text", "number"),
        "text",
        left,
        lambda pg, t, n=1: pg.func.left(t, _pg_letters(pg, n)),
        1,
    ),
    Function(
        "RIGHT",
        ("text", "number"),
        "text",
        right,
        lambda pg, t, n=1: pg.func.right(t, _pg_letters(pg, n)),
        1,
    ),
    Function("UPPER", ("text",), "text", upper, _pg_case("upper")),
    Function("LOWER", ("text",), "text", lower, _pg_case("lower")),
    Function(
        "TRIM",
        ("text",),
        "text",
        lambda text: text.strip(BLANKS),
        lambda pg, t: pg.func.btrim(t, BLANKS),
    ),
    Function(
        "CONTAINS",
        ("text", "text"),
        "boolean",
        lambda text, part: part in text,
        lambda pg, t, part: pg.func.strpos(t, part) > 0,
    ),
    Function(
        "STARTSWITH",
        ("text", "text"),
        "boolean",
        lambda text, part: text.startswith(part),
        lambda pg, t, part: pg.func.starts_with(t, part),
    ),
    Function("NUMBER", ("text",), "number", number_of, _pg_number),
    Function("YEAR", ("date",), "number", lambda day: day.year, _pg_part("year")),
    Function("MONTH", ("date",), "number", lambda day: day.month, _pg_part("month")),
    Function("DAY", ("date",), "number", lambda day: day.day, _pg_part("day")),
    Function("WEEKDAY", ("date",), "number", lambda day: day.isoweekday(), _pg_part("isodow")),
)

#: What `check` makes of functions whose types depend on their arguments; not callable by name.
_INTERNAL = (
    Function(
        "CONCAT",
        ("text",),
        "text",
        concat,
        lambda pg, *t: pg.func.concat(*t),
        variadic=True,
        takes_null=True,
    ),
    Function("TEXT", ("any",), "text", text_of, _text_pg),
    Function(
        "COALESCE",
        ("any",),
        "any",
        _coalesce,
        lambda pg, *v: pg.func.coalesce(*v),
        variadic=True,
        takes_null=True,
    ),
    Function(
        "MIN",
        ("any",),
        "any",
        _least,
        lambda pg, *v: pg.func.least(*v),
        variadic=True,
        takes_null=True,
    ),
    Function(
        "MAX",
        ("any",),
        "any",
        _greatest,
        lambda pg, *v: pg.func.greatest(*v),
        variadic=True,
        takes_null=True,
    ),
    Function(
        "SUM",
        ("number",),
        "number",
        lambda *v: arithmetic.total(v),
        _elementwise("total"),
        variadic=True,
        takes_null=True,
    ),
    Function(
        "AVG",
        ("number",),
        "number",
        lambda *v: arithmetic.average(v),
        _elementwise("average"),
        variadic=True,
        takes_null=True,
    ),
    Function(
        "COUNT",
        ("any",),
        "number",
        _count,
        lambda pg, *v: pg.func.num_nonnulls(*v),
        variadic=True,
        takes_null=True,
    ),
    Function("COUNT_CHOICES", ("choices",), "number", len, lambda pg, v: pg.choice_count(v)),
    Function(
        "HAS",
        ("text", "choices"),
        "boolean",
        lambda item, values: item in values,
        lambda pg, item, v: pg.has_choice(item, v),
    ),
    Function(
        "STORE_DAY",
        ("datetime", "text"),
        "date",
        dates.store_day,
        lambda pg, at, zone: pg.cast(pg.func.timezone(zone, at), pg.Date),
    ),
    Function(
        "DAY_START",
        ("date", "text"),
        "datetime",
        dates.day_start,
        lambda pg, day, zone: pg.func.timezone(zone, pg.cast(day, pg.DateTime)),
    ),
    Function(
        "ADD_TO_DATE", ("date", "number", "text"), "date", dates.add_to_date, _pg_add_to_date
    ),
    Function(
        "ADD_CLOCK", ("datetime", "number", "text"), "datetime", dates.add_clock, _pg_add_clock
    ),
    Function(
        "ADD_WALL",
        ("datetime", "number", "text", "text"),
        "datetime",
        dates.add_wall,
        _pg_add_wall,
    ),
    Function(
        "DAYS_BETWEEN", ("date", "date", "text"), "number", dates.days_between, _pg_days_between
    ),
    Function(
        "CLOCK_BETWEEN",
        ("datetime", "datetime", "text"),
        "number",
        dates.clock_between,
        _pg_clock_between,
    ),
)

#: Functions that people call by name and whose types are fixed.
FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _TABLE}
INTERNAL: Mapping[str, Function] = {function.name: function for function in _INTERNAL}


def with_functions(extra: Sequence[Function]) -> Mapping[str, Function]:
    """Return the table with a plugin's functions on top.

    Raises:
        ValueError: a name is taken.
    """
    table = dict(FUNCTIONS)
    taken = {*FUNCTIONS, *INTERNAL, *SPECIAL}
    for function in extra:
        if {function.name, function.name.upper()} & taken:
            raise ValueError(f"the function {function.name} exists already")
        table[function.name.upper()] = function
    return table


#: Functions whose types `check` works out, with the arguments as people are told of them.
SPECIAL: Mapping[str, str] = {
    "IF": "IF(condition, then, else)",
    "COALESCE": "COALESCE(value, …)",
    "CONCAT": "CONCAT(text, …)",
    "TEXT": "TEXT(value)",
    "MIN": "MIN(value, …)",
    "MAX": "MAX(value, …)",
    "SUM": "SUM(number, …)",
    "AVG": "AVG(number, …)",
    "COUNT": "COUNT(rows[, condition])",
    "ANY": "ANY(rows, condition)",
    "ALL": "ALL(rows, condition)",
    "DATE": "DATE(datetime)",
    "TODAY": "TODAY()",
    "NOW": "NOW()",
    "MY_STORES": "MY_STORES([position])",
    "MY_STORES_BELOW": "MY_STORES_BELOW([position])",
    "MY_DEPARTMENTS": "MY_DEPARTMENTS([position])",
    "MY_DEPARTMENTS_BELOW": "MY_DEPARTMENTS_BELOW([position])",
    "DATEADD": "DATEADD(date, count[, unit])",
    "DATEDIFF": "DATEDIFF(from, to[, unit])",
}
