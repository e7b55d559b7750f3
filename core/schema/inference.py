"""What fields a spreadsheet's columns could be, guessed from their headers and values.

A guess is made from every value, so that what it proposes is what the import takes: each
candidate type reads the values with its own reader. Nothing here knows files or records.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC
from typing import Any

from core.i18n import N_
from core.schema.fieldchecks import RESERVED, is_field_name
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field, Model, Option
from core.schema.timetypes import DatetimeType

#: What says why a text is no value of a field: its error, or None where it is one.
Reader = Callable[[str], FieldError | None]

#: Different values of one column that are looked at; a column with more is judged by these.
MOST_VALUES = 20_000
#: A select field is proposed for at most so many different values, each so long.
MOST_OPTIONS = 20
LONGEST_OPTION = 50
#: A value is seen so often in a column of choices.
_REPEATS = 3
#: With so many values, a type may miss one in twenty; they are told to whoever decides.
_MANY = 20
_MOST_MISFITS = 0.05
_LONGEST_TEXT = 200
_MOST_FRACTION = 10
_MONEY_FRACTION = 2
_LONGEST_NAME = 40
_LONGEST_SAMPLE = 60

#: Types that a column can be given, in the order in which a screen offers them.
OFFERED = {
    "text": N_("Text"),
    "long_text": N_("Long text"),
    "integer": N_("Whole number"),
    "decimal": N_("Decimal number"),
    "money": N_("Money"),
    "percent": N_("Percentage"),
    "boolean": N_("Yes or no"),
    "date": N_("Date"),
    "datetime": N_("Date and time"),
    "time": N_("Time of day"),
    "phone": N_("Telephone"),
    "email": N_("E-mail"),
    "url": N_("Web address"),
    "select": N_("Choice"),
    "multi_select": N_("Several choices"),
}
LINK = "link:"

#: What is tried, in this order; the first that takes every value is the guess.
_TRIED = ("boolean", "date", "datetime", "time", "integer", "percent", "decimal", "email", "url")
_FLAGS = frozenset({"true", "false", "yes", "no", "y", "n", "是", "否"})
#: Digits that are no quantity: leading zeros, or as many as card numbers have.
_CODE = re.compile(r"[+-]?0[0-9]+|[0-9]{12,}")
_MOBILE = re.compile(r"(?:\+?86[- ]?)?1[3-9][0-9](?:[- ]?[0-9]{4}){2}")
_CURRENCIES = {"¥": "CNY", "￥": "CNY", "元": "CNY", "$": "USD", "£": "GBP", "€": "EUR"}
_MONEY_WORDS = re.compile(
    r"price|amount|cost|fee|total|balance|salary|spend|金额|价|费|余额|工资|元", re.IGNORECASE
)
_PHONE_WORDS = re.compile(r"phone|mobile|\btel|cell|电话|手机|联系方式", re.IGNORECASE)
_KEY_WORDS = re.compile(
    r"(?:^|[^a-z])(?:no|id|code|number|sku)\.?$|编号|编码|号码?$|代码", re.IGNORECASE
)
_TITLE_WORDS = re.compile(r"name|title|subject|名|标题|主题", re.IGNORECASE)
_NOT_WORD = re.compile(r"\W+|_+")
_SOME_ROWS = 3


class Guess(Model, frozen=True, kw_only=True):
    """What one column could be.

    Attributes:
        header: the column's name in the file.
        include: whether it becomes a field.
        type: a field type's name, or `link:TYPE`.
        precision: digits after the point of a number with any.
        options: the values of a choice, in the order of how often they are there.
        values: different values, the most frequent first, should it become a choice.
        samples: some values, to recognize the column by.
    """

    header: str
    include: bool = True
    name: str
    label: str
    type: str
    precision: int | None = None
    currency: str = ""
    options: tuple[str, ...] = ()
    required: bool = False
    unique: bool = False
    values: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """Return the record type that it links to, or `""`."""
        return self.type.removeprefix(LINK) if self.type.startswith(LINK) else ""

    def field(self) -> Field:
        """Return it as a field to read values with; a link is read as the text of its key."""
        kind = "text" if self.target else self.type
        own = field_type(kind).properties
        options = tuple(Option(value=value) for value in self.options)
        return Field(
            id="",
            name=self.name,
            type=kind,
            options=options if "options" in own else (),
            precision=self.precision if "precision" in own else None,
            currency=self.currency if "currency" in own else "",
        )


class Column:
    """The values of one column, gathered row by row.

    Attributes:
        filled: how many rows have a value.
        rows: how many rows there are.
    """

    def __init__(self, header: str) -> None:
        """Gather for the column called `header`."""
        self.header = header
        self.rows = self.filled = 0
        self.counts: Counter[str] = Counter()
        self._is_whole = True

    def add(self, text: str) -> None:
        """Take the next row's value; blank is none."""
        self.rows += 1
        if not text or text.isspace():
            return
        self.filled += 1
        if text in self.counts or len(self.counts) < MOST_VALUES:
            self.counts[text] += 1
        else:
            self._is_whole = False

    @property
    def is_distinct(self) -> bool:
        """Return whether no value is there twice; a column of very many is taken to be so."""
        return self.filled > 1 and self.counts.most_common(1)[0][1] == 1

    def samples(self) -> tuple[str, ...]:
        """Return some of the values, short enough to be shown."""
        return tuple(text[:_LONGEST_SAMPLE] for text in list(self.counts)[:_SOME_ROWS])

    def fitting(self, field: Field) -> float:
        """Return the part of the values that `field` takes, from 0 to 1."""
        reads = reader(field)
        seen = misses = 0
        # Most columns are of one type, and the others miss it at once.
        for text, count in self.counts.items():
            seen += count
            if reads(text) is not None:
                misses += count
                if misses > _MANY and misses > seen / 2:
                    return 0
        return 1 - misses / seen if seen else 0


def reader(field: Field) -> Reader:
    """Return what says why a text is no value of `field`, as an import would read it."""
    kind = field_type(field.type)
    load, tidy = kind.loader(field), kind.tidy

    def value(text: str) -> Any:
        if isinstance(kind, DatetimeType):
            # An import knows the zone of texts that name none.
            return kind.from_text(tidy(text), field, UTC)
        return kind.from_text(text, field) if field.type == "multi_select" else load(tidy(text))

    def read(text: str) -> FieldError | None:
        try:
            value(text)
        except FieldError as error:
            return error
        return None

    return read


def guess_fields(columns: Collection[Column]) -> list[Guess]:
    """Return a guess for each column, with names that are different from each other."""
    taken: set[str] = set()
    guesses = []
    for place, column in enumerate(columns, start=1):
        name = field_name(column.header, place, taken)
        taken.add(name)
        guesses.append(_guess(column, name, is_first=place == 1))
    return guesses


def field_name(header: str, place: int, taken: Collection[str]) -> str:
    """Return a field's name for a header; a numbered one where it gives none."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", header).lower())
    name = _NOT_WORD.sub("_", plain).strip("_")
    while len(name.encode()) > _LONGEST_NAME:
        name = name[:-1].rstrip("_")
    if not is_field_name(name):
        name = f"field_{place}"
    number, base = 1, name
    while name in taken or name in RESERVED:
        number += 1
        name = f"{base}_{number}"
    return name


def _guess(column: Column, name: str, *, is_first: bool) -> Guess:
    kind = _type(column)
    found: dict[str, Any] = {"type": kind}
    texts = list(column.counts)
    if kind in {"decimal", "integer"} and _is_money(column):
        signs = {_CURRENCIES[char] for text in texts for char in text if char in _CURRENCIES}
        found |= {"type": "money", "currency": signs.pop() if len(signs) == 1 else ""}
        found["precision"] = (
            None if _fraction(column, "money") <= _MONEY_FRACTION else 2 * _MONEY_FRACTION
        )
    elif kind in {"decimal", "percent"}:
        found["precision"] = max(_fraction(column, kind), 1)
    elif kind in {"select", "multi_select"}:
        found["options"] = tuple(text for text, _count in column.counts.most_common())
    is_key = kind in {"text", "integer"} and column.is_distinct
    is_full = column.filled == column.rows > 0
    is_unique = is_key and is_full and (is_first or bool(_KEY_WORDS.search(column.header)))
    return Guess(
        header=column.header,
        name=name,
        label=column.header,
        values=tuple(text for text, _count in column.counts.most_common(MOST_OPTIONS * 2)),
        samples=column.samples(),
        required=is_full and (is_unique or bool(_TITLE_WORDS.search(column.header))),
        unique=is_unique,
        **found,
    )


def _type(column: Column) -> str:
    texts = column.counts
    if not texts:
        return "text"
    if any("\n" in text or len(text) > _LONGEST_TEXT for text in texts):
        return "long_text"
    if _is_phone(column):
        return "phone"
    best, part = "", 0.0
    for name in _tried(column):
        fits = column.fitting(_bare(name, _fraction(column, name)))
        if fits == 1:
            return name
        if fits > part:
            best, part = name, fits
    if best and is_enough(part, column.filled):
        return best
    return "select" if _is_choice(column) else "text"


def is_enough(part: float, filled: int) -> bool:
    """Return whether a type that takes `part` of a column's values is the column's type."""
    return part == 1 or (filled >= _MANY and part >= 1 - _MOST_MISFITS)


def _tried(column: Column) -> Iterator[str]:
    """Yield the types that the values could be of; codes such as 007 are no numbers."""
    is_flag = all(text.strip().lower() in _FLAGS for text in column.counts)
    has_codes = any(_CODE.fullmatch(text.strip()) for text in column.counts)
    has_percent = any(text.rstrip().endswith(("%", "％")) for text in column.counts)
    for name in _TRIED:
        if name == "boolean" and not is_flag:
            continue
        if name == "percent" and not has_percent:
            continue
        if has_codes and name in {"integer", "decimal", "percent"}:
            continue
        if name == "datetime" and not any(":" in text for text in column.counts):
            continue
        yield name


def _bare(name: str, fraction: int) -> Field:
    precision = fraction if name in {"decimal", "percent"} else None
    return Field(id="", name="", type=name, precision=precision)


def _fraction(column: Column, name: str) -> int:
    """Return the most digits after the point of any of the values that are numbers."""
    if name not in {"decimal", "percent", "money"}:
        return 0
    tidy = field_type("percent" if name == "percent" else "decimal").tidy
    most = 0
    for text in column.counts:
        number = tidy(text)
        _whole, point, rest = number.partition(".")
        if point and rest.isdigit():
            most = max(most, len(rest))
    return min(most, _MOST_FRACTION)


def _is_money(column: Column) -> bool:
    has_sign = any(char in _CURRENCIES for text in column.counts for char in (text[:1], text[-1:]))
    return _fraction(column, "money") <= 2 * _MONEY_FRACTION and (
        has_sign or bool(_MONEY_WORDS.search(column.header))
    )


def _is_phone(column: Column) -> bool:
    fits = column.fitting(_bare("phone", 0))
    if _PHONE_WORDS.search(column.header):
        return is_enough(fits, column.filled)
    return fits == 1 and all(_MOBILE.fullmatch(text.strip()) for text in column.counts)


def _is_choice(column: Column) -> bool:
    texts = column.counts
    return (
        1 < len(texts) <= MOST_OPTIONS
        and not _TITLE_WORDS.search(column.header)
        and column.filled >= len(texts) * _REPEATS
        and all(len(text) <= LONGEST_OPTION and text == text.strip() for text in texts)
        and not any(_CODE.fullmatch(text) for text in texts)
    )


def title_of(guesses: Iterable[Guess]) -> str:
    """Return the name of the field that records are called by, or `""`."""
    texts = [one for one in guesses if one.include and one.type in {"text", "email", "phone"}]
    named = [one for one in texts if _TITLE_WORDS.search(one.header)]
    unique = [one for one in texts if one.unique]
    return next((one.name for one in (*named, *unique, *texts)), "")
