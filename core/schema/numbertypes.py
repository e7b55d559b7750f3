"""Field types that hold numbers and truth values; nothing here is ever a float."""

import re
import unicodedata
from decimal import Context, Decimal, Inexact, InvalidOperation
from random import Random
from typing import Any, ClassVar, NoReturn

from core.expression.types import Type
from core.i18n import N_
from core.schema.fieldbase import (
    FieldError,
    FieldType,
    Loader,
    Storage,
    WrongTypeError,
)
from core.schema.model import Field

#: Largest absolute value of an integer: exact in JavaScript and in every column.
GREATEST_INTEGER = 999_999_999_999_999
#: Digits of a decimal, before and after the point together: a scaled BIGINT holds them.
MOST_DIGITS = 18
#: Largest number of digits after the point.
GREATEST_PRECISION = 10

NUMBER_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "is empty", "is not empty")

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")
#: Digits in groups of three, as spreadsheets show amounts, maybe with the currency's sign.
_SHOWN = re.compile(r"([+-]?)(?:[¥$£€])? ?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)((?:\.[0-9]+)?) ?元?")
#: Fits a number into a column or says that it cannot: more digits, or other ones, are lost.
_EXACT = Context(prec=MOST_DIGITS, traps=[Inexact, InvalidOperation])
_TRUE = frozenset({"true", "1", "yes", "y", "on", "是"})
_FALSE = frozenset({"false", "0", "no", "n", "off", "否"})
_NO_MINOR_UNITS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THREE_MINOR_UNITS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


def minor_units(currency: str) -> int:
    """Return how many digits after the point a currency has (ISO 4217)."""
    if currency in _NO_MINOR_UNITS:
        return 0
    return 3 if currency in _THREE_MINOR_UNITS else 2


class NotANumberError(FieldError):
    """The value cannot be read as a number."""

    def __init__(self) -> None:
        """Build it."""
        super().__init__("field.not_a_number", N_("This is not a number."))


def read_number(value: Any) -> Decimal:
    """Return the exact number of a wire value or text.

    Raises:
        FieldError: it has too many digits.
        NotANumberError: it is no number.
        WrongTypeError: it is of another JSON type.
    """
    kind = type(value)
    if kind is str:
        return _read_text(value)
    if kind is int:
        # Before turning it into digits: a number of a million digits takes seconds there.
        if abs(value) > 10**MOST_DIGITS:
            text = N_("At most {digits} digits.")
            raise FieldError("field.too_many_digits", text, digits=MOST_DIGITS)
        return Decimal(value)
    if kind is float:
        value = Decimal(repr(value))
    elif kind is not Decimal:
        raise WrongTypeError("number")
    if not value.is_finite() or abs(value.adjusted()) > 2 * MOST_DIGITS:
        raise NotANumberError
    return value  # type: ignore[no-any-return]


def _read_text(value: str) -> Decimal:
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        raise NotANumberError
    return Decimal(text)


def tidy_number(text: str) -> str:
    """Return a number as spreadsheets show it without its separators and currency sign."""
    if not text or (text.isascii() and text.isdigit()):
        return text
    if _NUMBER.fullmatch(text):
        return text
    shown = _SHOWN.fullmatch(unicodedata.normalize("NFKC", text).strip())
    return shown[1] + shown[2].replace(",", "") + shown[3] if shown else text


def _check_bounds(number: Any, least: Any, most: Any) -> None:
    """Refuse a number outside its field's bounds; None is no bound.

    Raises:
        FieldError: the value is refused.
    """
    if least is not None and number < least:
        raise FieldError("field.too_small", N_("At least {limit}."), limit=str(least))
    if most is not None and number > most:
        raise FieldError("field.too_large", N_("At most {limit}."), limit=str(most))


class IntegerType(FieldType):
    """A whole number."""

    name = "integer"
    properties = frozenset({"min", "max", "unit", "placeholder"})
    operators: ClassVar[tuple[str, ...]] = NUMBER_OPERATORS
    widget = "integer"
    least: ClassVar[int] = -GREATEST_INTEGER
    most: ClassVar[int] = GREATEST_INTEGER

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every integer is kept alike
        """Return an integer column."""
        return Storage("integer")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every number is alike
        """Return number."""
        return Type("number")

    def bounds(self, field: Field) -> tuple[int, int]:
        """Return the least and the greatest value of `field`."""
        least = self.least if field.min is None else int(read_number(field.min))
        most = self.most if field.max is None else int(read_number(field.max))
        return max(least, self.least), min(most, self.most)

    def loader(self, field: Field) -> Loader:
        """Return a function that checks wholeness and bounds."""
        least, most = self.bounds(field)

        def load(value: Any) -> int | None:
            if value is None or value == "":
                return None
            if type(value) is not int:
                number = read_number(value)
                if number != number.to_integral_value():
                    raise FieldError("field.not_whole", N_("This must be a whole number."))
                value = int(number)
            if not least <= value <= most:
                _check_bounds(value, least, most)
            return value  # type: ignore[no-any-return]

        return load

    def tidy(self, text: str) -> str:
        """Return the digits alone."""
        return tidy_number(text)

    def sample(self, field: Field, random: Random) -> int:
        """Return a number within the bounds, small ones more often."""
        least, most = self.bounds(field)
        return max(least, min(most, random.randint(-1000, 1000)))


class RatingType(IntegerType):
    """Stars from 1 to `max`, 5 unless it says otherwise."""

    name = "rating"
    properties = frozenset({"max"})
    widget = "rating"
    least = 1
    most = 10

    def bounds(self, field: Field) -> tuple[int, int]:
        """Return 1 and the greatest number of stars."""
        return 1, 5 if field.max is None else min(self.most, int(read_number(field.max)))


class DecimalType(FieldType):
    """An exact decimal number with a fixed number of digits after the point."""

    name = "decimal"
    properties = frozenset({"min", "max", "precision", "unit", "placeholder"})
    operators: ClassVar[tuple[str, ...]] = NUMBER_OPERATORS
    widget = "decimal"
    digits: ClassVar[int] = 2

    def precision(self, field: Field) -> int:
        """Return the number of digits after the point."""
        return self.digits if field.precision is None else field.precision

    def storage(self, field: Field) -> Storage:
        """Return a decimal column of the field's precision."""
        return Storage("decimal", self.precision(field))

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every number is alike
        """Return number."""
        return Type("number")

    def bounds(self, field: Field) -> tuple[Decimal | None, Decimal | None]:
        """Return the least and the greatest value of `field`; None where there is no bound."""
        least = None if field.min is None else read_number(field.min)
        most = None if field.max is None else read_number(field.max)
        return least, most

    def loader(self, field: Field) -> Loader:
        """Return a function that checks digits and bounds; it never rounds."""
        precision = self.precision(field)
        unit = Decimal(1).scaleb(-precision)
        limit = Decimal(10) ** (MOST_DIGITS - precision)
        least, most = self.bounds(field)
        is_bounded = least is not None or most is not None
        is_number, quantize = _NUMBER.fullmatch, _EXACT.quantize

        def load(value: Any) -> Decimal | None:
            if value is None or value == "":
                return None
            is_plain = type(value) is str and is_number(value)
            number = Decimal(value) if is_plain else read_number(value)
            try:
                fixed = quantize(number, unit)
            except (Inexact, InvalidOperation):
                _refuse_digits(number)
            if is_bounded:
                _check_bounds(fixed, least, most)
            return fixed or abs(fixed)

        def _refuse_digits(number: Decimal) -> NoReturn:
            if not -limit < number < limit:
                raise FieldError(
                    "field.too_many_digits",
                    N_("At most {digits} digits before the point."),
                    digits=MOST_DIGITS - precision,
                )
            raise FieldError(
                "field.too_precise",
                N_("At most {digits} digits after the point."),
                digits=precision,
            )

        return load

    def tidy(self, text: str) -> str:
        """Return the digits and the point alone."""
        return tidy_number(text)

    def dump(self, value: Any) -> Any:
        """Return the number as text with all its digits after the point."""
        return None if value is None else format(value, "f")

    def sample(self, field: Field, random: Random) -> Decimal:
        """Return a number within the bounds."""
        least, most = self.bounds(field)
        unit = Decimal(1).scaleb(-self.precision(field))
        number = random.randint(-100_000, 100_000) * unit
        number = number if least is None else max(least, number)
        return (number if most is None else min(most, number)).quantize(unit)


class MoneyType(DecimalType):
    """An amount in one currency, with that currency's minor units."""

    name = "money"
    properties = frozenset({"min", "max", "precision", "currency", "placeholder"})
    widget = "money"

    def precision(self, field: Field) -> int:
        """Return the digits stated, else the currency's minor units."""
        if field.precision is not None:
            return field.precision
        return minor_units(field.currency) if field.currency else self.digits


class RateType(DecimalType):
    """The fraction that is paid: 0.9 is 9折, ten percent off."""

    name = "rate"
    properties = frozenset({"min", "max", "precision"})
    widget = "rate"
    digits = 4


class PercentType(DecimalType):
    """A percentage, written as people say it: 12.5 is 12.5 %."""

    name = "percent"
    properties = frozenset({"min", "max", "precision"})
    widget = "percent"

    def tidy(self, text: str) -> str:
        """Return the number without its percent sign."""
        return tidy_number(text.strip().removesuffix("%").removesuffix("％"))


class BooleanType(FieldType):
    """Yes or no."""

    name = "boolean"
    operators: ClassVar[tuple[str, ...]] = ("==", "is empty", "is not empty")
    widget = "boolean"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every boolean is kept alike
        """Return a boolean column."""
        return Storage("boolean")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every boolean is alike
        """Return boolean."""
        return Type("boolean")

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes true, false and the usual words for them."""

        def load(value: Any) -> bool | None:
            if value is None or value == "" or type(value) is bool:
                return None if value == "" else value
            if type(value) is str:
                word = value.strip().lower()
                if word in _TRUE:
                    return True
                if word in _FALSE:
                    return False
            raise WrongTypeError("boolean")

        return load

    def to_text(self, value: Any) -> str:
        """Return `true` or `false`."""
        return "" if value is None else str(value).lower()

    def sample(self, field: Field, random: Random) -> bool:  # noqa: ARG002  same for all fields
        """Return true or false."""
        return bool(random.getrandbits(1))


TYPES: tuple[FieldType, ...] = (
    IntegerType(),
    RatingType(),
    DecimalType(),
    MoneyType(),
    RateType(),
    PercentType(),
    BooleanType(),
)
