"""Values as people read them, in their language; made from wire values, never stored."""

from collections.abc import Callable, Iterable, Mapping
from colorsys import rgb_to_hsv
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from core.i18n import N_, pick, translate
from core.policies.masks import is_masked
from core.schema.filetypes import FILE_TYPES
from core.schema.model import Field, Option
from core.schema.richtext import plain_text
from core.schema.structuretypes import AddressType

#: Titles of linked records, (record type, id) -> title, and of files, (FILES, id) -> name.
Titles = Mapping[tuple[str, str], str]

#: Stands in the place of a record type where a title is a file's name.
FILES = ""

#: Field types whose values stand right-aligned in tables.
NUMBERS = frozenset({"integer", "decimal", "money", "rate", "percent", "rating"})

#: Field types that span a whole row of a form.
WIDE = frozenset(
    {"table", "long_text", "rich_text", "json", "condition", "expression", "links", "address"}
    | {"files"}
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How values are read: the language, the store day's zone, titles and labels."""

    locale: str
    zone: tzinfo
    titles: Titles
    named: Mapping[str, Mapping[str, str]] = dataclass_field(default_factory=dict)


def local_text(wire: str, zone: tzinfo | None) -> str:
    """Return an instant in wire form as `YYYY-MM-DD HH:MM` in `zone`."""
    return _in_zone(datetime.fromisoformat(wire), zone or UTC).strftime("%Y-%m-%d %H:%M")


def _in_zone(instant: datetime, zone: tzinfo) -> datetime:
    """Return an instant in `zone`; the first and last day of the calendar may not have it."""
    try:
        return instant.astimezone(zone)
    except OverflowError:
        return instant


def local_input(wire: str, zone: tzinfo) -> str:
    """Return an instant in wire form as a `datetime-local` control holds it."""
    try:
        instant = datetime.fromisoformat(wire)
    except ValueError:
        return wire
    if instant.tzinfo is None:
        return wire
    return _in_zone(instant, zone).strftime("%Y-%m-%dT%H:%M:%S")


#: Longest number that is written out; a form may hold `1e9999999`.
_MOST_DIGITS = 40


def plain_number(wire: Any) -> Decimal:
    """Return a number in wire form, or as it was typed, if it can be written out.

    Raises:
        ValueError: it is no number, or none that fits on a page.
    """
    text = str(wire)
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text[:_MOST_DIGITS]) from error
    if not number.is_finite() or len(text) > _MOST_DIGITS or abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError(text[:_MOST_DIGITS])
    return number


def rate_text(wire: Any, locale: str) -> str:
    """Return what a fraction paid means: `9折`, or `10% off`; empty for nothing or no rate."""
    try:
        rate = plain_number(wire)
    except ValueError:
        return ""
    if not Decimal(0) < rate <= 1:
        return ""
    if rate == 1:
        return translate(N_("no discount"), locale)
    # Chinese names what is paid (9折), other languages what is taken off (10%).
    told = rate * 10 if locale == "zh" else (1 - rate) * 100
    return translate(N_("{amount}% off"), locale, amount=format(told.normalize(), "f"))


def grouped(wire: Any) -> str:
    """Return a number in wire form with its thousands grouped."""
    text = str(wire)
    whole, point, rest = text.partition(".")
    sign, digits = (whole[0], whole[1:]) if whole[:1] == "-" else ("", whole)
    return f"{sign}{int(digits):,}{point}{rest}" if digits.isdecimal() else text


def option_label(options: Iterable[Option], value: Any, locale: str) -> str:
    """Return the label of a chosen value; a value no longer offered shows itself."""
    for option in options:
        if option.value == value:
            return pick(option.label, locale, option.value)
    return str(value)


#: Colours of the states a document goes through; each is also said in words.
STATUS_TONES = {
    "draft": "",
    "submitted": "info",
    "effective": "good",
    "rejected": "bad",
    "void": "",
}

#: Colour names of the schema language -> tones of badges.
_COLOUR_TONES = {
    "green": "good",
    "lime": "good",
    "teal": "good",
    "blue": "info",
    "azure": "info",
    "cyan": "info",
    "indigo": "info",
    "red": "bad",
    "pink": "bad",
    "orange": "warn",
    "yellow": "warn",
}


def is_badge(field: Field) -> bool:
    """Return whether a select field's values are shown as badges."""
    return field.name == "status" or any(option.color for option in field.options)


def option_tone(field: Field, value: Any) -> str:
    """Return the tone of a chosen value: its option's colour, else that of a known state."""
    for option in field.options:
        if option.value == value and option.color:
            return colour_tone(option.color)
    return STATUS_TONES.get(str(value), "")


def colour_tone(colour: str) -> str:
    """Return the tone of a colour of the schema language; empty for none."""
    return _COLOUR_TONES.get(colour, "") or _hue_tone(colour)


def _hue_tone(colour: str) -> str:
    """Return the tone nearest to a colour written `#rrggbb`."""
    try:
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    except ValueError:
        return ""
    hue, saturation, _ = rgb_to_hsv(red / 255, green / 255, blue / 255)
    if saturation < 0.25:  # noqa: PLR2004  grey
        return ""
    limits = ((25, "bad"), (70, "warn"), (165, "good"), (290, "info"), (361, "bad"))
    return next(tone for limit, tone in limits if hue * 360 < limit)


def field_label(field: Field, locale: str) -> str:
    """Return a field's label, else its name."""
    return pick(field.label, locale, field.name)


def _number(field: Field, value: Any, reading: Reading) -> str:
    unit = pick(field.unit, reading.locale)
    return f"{value} {unit}" if unit else str(value)


def _money(field: Field, value: Any, _reading: Reading) -> str:
    return f"{grouped(value)} {field.currency}".strip()


def _rate(_field: Field, value: Any, reading: Reading) -> str:
    plain = format(plain_number(value).normalize(), "f")
    means = rate_text(value, reading.locale)
    return f"{plain} ({means})" if means else plain


def _percent(_field: Field, value: Any, _reading: Reading) -> str:
    return f"{format(plain_number(value).normalize(), 'f')} %"


def _boolean(_field: Field, value: Any, reading: Reading) -> str:
    return translate(N_("Yes") if value else N_("No"), reading.locale)


def _instant(_field: Field, value: Any, reading: Reading) -> str:
    return local_text(value, reading.zone)


def _select(field: Field, value: Any, reading: Reading) -> str:
    return option_label(field.options, value, reading.locale)


def _multi_select(field: Field, value: Any, reading: Reading) -> str:
    comma = "、" if reading.locale == "zh" else ", "
    return comma.join(option_label(field.options, each, reading.locale) for each in value)


def _link(field: Field, value: Any, reading: Reading) -> str:
    key = value["id"] if isinstance(value, Mapping) else value
    return reading.titles.get((field.target, key), str(key))


def _links(field: Field, value: Any, reading: Reading) -> str:
    comma = "、" if reading.locale == "zh" else ", "
    return comma.join(_link(field, each, reading) for each in value)


def _file(_field: Field, value: Any, reading: Reading) -> str:
    return reading.titles.get((FILES, value), str(value))


def _files(field: Field, value: Any, reading: Reading) -> str:
    comma = "、" if reading.locale == "zh" else ", "
    return comma.join(_file(field, each, reading) for each in value)


def _table(field: Field, value: Any, reading: Reading) -> str:
    return "\n".join(row_text(field, row, reading) for row in value)


def _rich_text(_field: Field, value: Any, _reading: Reading) -> str:
    return plain_text(value)


def _address(_field: Field, value: Any, reading: Reading) -> str:
    """Return an address as people write it: the largest part first in Chinese, else last."""
    parts = dict.fromkeys(value[name] for name in AddressType.parts if value.get(name))
    return "".join(parts) if reading.locale == "zh" else ", ".join(reversed(parts))


def _location(_field: Field, value: Any, _reading: Reading) -> str:
    return f"{value['lat']}, {value['lng']}"


def _named(field: Field, value: Any, reading: Reading) -> str:
    return reading.named.get(field.type, {}).get(value, value)


_SHOWERS: dict[str, Callable[[Field, Any, Reading], str]] = {
    "integer": _number,
    "decimal": _number,
    "money": _money,
    "rate": _rate,
    "percent": _percent,
    "boolean": _boolean,
    "datetime": _instant,
    "select": _select,
    "multi_select": _multi_select,
    "link": _link,
    "links": _links,
    "table": _table,
    "rich_text": _rich_text,
    "address": _address,
    "location": _location,
    "user": _link,
    "users": _links,
    "role": _named,
    "calendar": _named,
    "department": _link,
    "file": _file,
    "files": _files,
    "image": _file,
    "signature": _file,
}


def value_text(field: Field, value: Any, reading: Reading) -> str:
    """Return a wire value of `field` as text that a person reads; empty for nothing."""
    if value is None or (isinstance(value, str | list) and not value):
        return ""
    if is_masked(value):
        return str(value)
    kind = field.result or field.type
    show = _SHOWERS.get(kind)
    if show is None:
        return str(value)
    try:
        return show(field, value, reading)
    except (ValueError, TypeError, KeyError, AttributeError):
        # What somebody typed into a form may not be a value of the field at all.
        return str(value)


def row_text(table: Field, row: Mapping[str, Any], reading: Reading) -> str:
    """Return one row of a table field as `label: value; …`."""
    parts = []
    for column in table.fields:
        text = value_text(column, row.get(column.name), reading)
        if text:
            parts.append(f"{field_label(column, reading.locale)}: {text}")
    return ("；" if reading.locale == "zh" else "; ").join(parts)


def links_in(fields: Iterable[Field], values: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return every (record type, id) that `values` links to, rows and files included."""
    found: set[tuple[str, str]] = set()
    for field in fields:
        value = values.get(field.name)
        if not value:
            continue
        if field.type in FILE_TYPES:
            ids = value if isinstance(value, list) else [value]
            found.update((FILES, each) for each in ids if isinstance(each, str))
        elif field.type == "table":
            for row in value:
                found |= links_in(field.fields, row)
        elif field.target:
            ids = value if isinstance(value, list) else [value]
            found.update((field.target, each) for each in ids if isinstance(each, str))
    return found
