"""What the till sends, read strictly; pure functions on JSON values.

Every problem of a request is found before anybody is told. Amounts come as texts or
numbers and are exact; instants need their offset from UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from core.errors import Invalid, Problem
from core.i18n import N_
from core.schema.fieldtypes import FieldError
from core.schema.texttypes import check_characters

Json = Mapping[str, Any]

#: Lines of one order, payments of one order.
MOST_LINES, MOST_PAYMENTS = 2_000, 20

#: The most of one product on a line, and the highest price of one; both keep 18 digits.
MOST_QUANTITY, MOST_PRICE = Decimal(1_000_000), Decimal(10_000_000)

#: Points that one sale may spend.
MOST_POINTS = 10**9

#: Digits after the point of a quantity, and of money before its currency is known.
QUANTITY_DIGITS = MONEY_DIGITS = 3

#: Problems that are told of one request.
MOST_TOLD = 1_000

_LONGEST = 100
_LONGEST_NUMBER = 40
_LEAST_YEAR = 2000
_ORDER_KEYS = frozenset({
    "store", "at", "card", "verification", "member", "lines", "spend_points", "payments",
    "keep_change", "certificate", "remark",
})  # fmt: skip
_QUOTE_KEYS = _ORDER_KEYS - {"payments", "keep_change", "certificate", "remark"}
_LINE_KEYS = frozenset({"product", "quantity", "unit_price", "other_discount", "other_rate"})


@dataclass(frozen=True, slots=True)
class AskedLine:
    """One line as the till sent it; what was not sent is None."""

    product: str
    quantity: Decimal
    unit_price: Decimal | None = None
    other_discount: Decimal | None = None
    other_rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A quote or order as the till sent it.

    Attributes:
        at: the business instant in UTC; None is now.
        payments: (method, amount) each.
        certificate: the hash of the quote that the customer agreed to; "" without.
        known_seq: the highest audit that a till without a line knew when it sold; None is now.
    """

    store: str
    lines: tuple[AskedLine, ...]
    at: datetime | None = None
    card: str = ""
    verification: str = ""
    member: str = ""
    spend_points: int = 0
    payments: tuple[tuple[str, Decimal], ...] = ()
    keep_change: Decimal = Decimal(0)
    certificate: str = ""
    remark: str = ""
    known_seq: int | None = None


@dataclass(slots=True)
class Reader:
    """Reads values and collects what is wrong with them."""

    problems: list[Problem] = field(default_factory=list)

    def refuse(self, path: str, code: str, text: str, /, **params: Any) -> None:
        """Note one problem; of a request that is wrong all over not every one."""
        if len(self.problems) < MOST_TOLD:
            self.problems.append(Problem(path, code, text, params))

    def finish(self) -> None:
        """Refuse the request if anything was wrong.

        Raises:
            Invalid: with every problem.
        """
        if self.problems:
            raise Invalid(problems=self.problems)

    def keys(self, body: Json, allowed: frozenset[str], path: str = "") -> None:
        """Note every key that is unknown."""
        for key in body:
            if key not in allowed:
                at = f"{path}{key[:_LONGEST]}"
                self.refuse(at, "field.unknown", N_("There is no such key here."))

    def text(self, body: Json, key: str, *, required: bool = False, path: str = "") -> str:
        """Return a short text; "" when it is not there or not right."""
        value = body.get(key)
        if value is None or value == "":
            if required:
                self.refuse(path + key, "field.required", N_("This is required."))
            return ""
        if not isinstance(value, str):
            self.refuse(path + key, "field.wrong_type", N_("This is of the wrong kind."))
            return ""
        if len(value) > _LONGEST:
            text = N_("At most {limit} characters; this has {length}.")
            self.refuse(path + key, "field.too_long", text, limit=_LONGEST, length=len(value))
            return ""
        try:
            check_characters(value)
        except FieldError as error:
            self.problems += [
                Problem(path + key, one.code, one.text, one.params) for one in error.problems
            ]
            return ""
        return value

    def amount(
        self, value: Any, path: str, *, most: Decimal, digits: int, positive: bool = True
    ) -> Decimal | None:
        """Return an exact decimal above zero (or not below it), or None when it is none.

        It is the same however it was written: `1`, `1.000` and `"1.0"` are one number.
        """
        number = _decimal(value)
        if number is None:
            self.refuse(path, "field.wrong_type", N_("This must be a number."))
            return None
        if number < 0 or (positive and number == 0):
            told = N_("This must be more than zero.") if positive else N_("At least zero.")
            self.refuse(path, "field.too_small", told)
            return None
        if number > most:
            self.refuse(path, "field.too_large", N_("At most {max}."), max=f"{most:f}")
            return None
        if has_more_digits(number, digits):
            self.refuse(path, "field.too_many_digits", TOO_MANY_DIGITS, digits=digits)
            return None
        return tidy(number)

    def whole(self, value: Any, path: str, *, most: int) -> int:
        """Return a whole number from zero on; 0 when it is none."""
        number = self.amount(value, path, most=Decimal(most), digits=0, positive=False)
        return 0 if number is None else int(number)

    def instant(self, body: Json, key: str) -> datetime | None:
        """Return an instant in UTC, or None when it is not there or none."""
        text = self.text(body, key)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            if found.tzinfo is not None and found.year >= _LEAST_YEAR:
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        told = N_("This must be an instant with its offset, such as 2026-03-09T08:30:00Z.")
        self.refuse(key, "field.wrong_type", told)
        return None


#: What is said of money with more digits than its currency has.
TOO_MANY_DIGITS = N_("At most {digits} digits after the point.")


def has_more_digits(number: Decimal, digits: int) -> bool:
    """Return whether a number has more digits after the point, zeros at its end aside.

    >>> has_more_digits(Decimal("1.500"), 1), has_more_digits(Decimal("1.05"), 1)
    (False, True)
    """
    return number != round(number, digits)


def tidy(number: Decimal) -> Decimal:
    """Return a number without zeros at its end, sign of a zero or exponent.

    >>> tidy(Decimal("1.500")), tidy(Decimal("1E+2")), tidy(Decimal("-0.00"))
    (Decimal('1.5'), Decimal('100'), Decimal('0'))
    """
    whole = number.to_integral_value()
    return (whole.quantize(Decimal(1)) if number == whole else number.normalize()) + 0


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = str(value)
    # Python reads digits of every script, and `_` between them; people mistype them.
    if len(text) > _LONGEST_NUMBER or not text.isascii() or "_" in text:
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _LONGEST_NUMBER else None


def read_sale(body: Json, *, is_order: bool) -> Asked:
    """Return what a quote or an order asks for.

    Raises:
        Invalid: keys are unknown or values not right; all problems at once.
    """
    reader = Reader()
    reader.keys(body, _ORDER_KEYS if is_order else _QUOTE_KEYS)
    asked = Asked(
        store=reader.text(body, "store", required=True),
        at=reader.instant(body, "at"),
        card=reader.text(body, "card"),
        verification=reader.text(body, "verification"),
        member=reader.text(body, "member"),
        lines=_lines(reader, body.get("lines")),
        spend_points=_spend_points(reader, body.get("spend_points")),
        payments=_payments(reader, body.get("payments")),
        keep_change=_keep_change(reader, body.get("keep_change")),
        certificate=reader.text(body, "certificate"),
        remark=reader.text(body, "remark"),
    )
    reader.finish()
    return asked


def _rows(reader: Reader, value: Any, path: str, most: int) -> list[Json]:
    """Return a list of objects; what is none is noted."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        reader.refuse(path, "field.wrong_type", N_("This must be a list of objects."))
        return []
    if len(value) > most:
        reader.refuse(path, "field.too_many", N_("At most {limit} rows."), limit=most)
        return []
    return value


def _lines(reader: Reader, value: Any) -> tuple[AskedLine, ...]:
    if value is None or value == []:
        reader.refuse("lines", "field.required", N_("This is required."))
        return ()
    rows = _rows(reader, value, "lines", MOST_LINES)
    made = [_line(reader, row, f"lines.{at}.") for at, row in enumerate(rows)]
    return tuple(one for one in made if one is not None)


def _line(reader: Reader, row: Json, path: str) -> AskedLine | None:
    reader.keys(row, _LINE_KEYS, path)
    product = reader.text(row, "product", required=True, path=path)
    quantity = reader.amount(
        row.get("quantity", 1), path + "quantity", most=MOST_QUANTITY, digits=QUANTITY_DIGITS
    )
    price = discount = None
    if row.get("unit_price") is not None:
        price = reader.amount(
            row["unit_price"], path + "unit_price", most=MOST_PRICE, digits=MONEY_DIGITS
        )
    if row.get("other_discount") is not None:
        discount = reader.amount(
            row["other_discount"],
            path + "other_discount",
            most=MOST_PRICE * MOST_QUANTITY,
            digits=MONEY_DIGITS,
            positive=False,
        )
    rate = None if row.get("other_rate") is None else _rate(reader, row["other_rate"], path)
    if discount is not None and rate is not None:
        text = N_("Say either other_discount or other_rate.")
        reader.refuse(path + "other_rate", "till.discount_twice", text)
    if not product or quantity is None:
        return None
    return AskedLine(product, quantity, price, discount, rate)


def _rate(reader: Reader, value: Any, path: str) -> Fraction | None:
    """Return the exact fraction that is left, written `0.85` or `17/20`."""
    text = str(value)
    above, bar, below = text.partition("/")
    top, bottom = _decimal(above if bar else value), _decimal(below) if bar else Decimal(1)
    if top is None or bottom is None or bottom <= 0 or not 0 <= top <= bottom:
        told = N_("This must be the fraction left, from 0 to 1, such as 0.85 or 17/20.")
        reader.refuse(path + "other_rate", "till.rate", told)
        return None
    return Fraction(top) / Fraction(bottom)


def _payments(reader: Reader, value: Any) -> tuple[tuple[str, Decimal], ...]:
    if value is None:
        return ()
    made = []
    for at, row in enumerate(_rows(reader, value, "payments", MOST_PAYMENTS)):
        path = f"payments.{at}."
        reader.keys(row, frozenset({"method", "amount"}), path)
        method = reader.text(row, "method", required=True, path=path)
        amount = reader.amount(
            row.get("amount"),
            path + "amount",
            most=MOST_PRICE * MOST_QUANTITY,
            digits=MONEY_DIGITS,
        )
        if method and amount is not None:
            made.append((method, amount))
    return tuple(made)


def _spend_points(reader: Reader, value: Any) -> int:
    return 0 if value is None else reader.whole(value, "spend_points", most=MOST_POINTS)


def _keep_change(reader: Reader, value: Any) -> Decimal:
    if value is None:
        return Decimal(0)
    found = reader.amount(
        value, "keep_change", most=MOST_PRICE, digits=MONEY_DIGITS, positive=False
    )
    return Decimal(0) if found is None else found


@dataclass(frozen=True, slots=True)
class AskedReturn:
    """A return as the till sent it.

    Attributes:
        lines: (line, quantity) each; a line is its position from 1 on, or its row's id.
        method: how the money goes back.
    """

    lines: tuple[tuple[int | str, Decimal], ...]
    preview: bool = False
    at: datetime | None = None
    method: str = "cash"
    reason: str = ""


def _position(line: int | str) -> int | str:
    """Return a line's position where it is one, written as a number or text; else its row's id."""
    text = str(line)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _LONGEST else line


def read_return(body: Json) -> AskedReturn:
    """Return what a return asks for.

    Raises:
        Invalid: keys are unknown or values not right; all problems at once.
    """
    reader = Reader()
    reader.keys(body, frozenset({"lines", "preview", "at", "method", "reason"}))
    preview = body.get("preview", False)
    if not isinstance(preview, bool):
        reader.refuse("preview", "field.wrong_type", N_("This must be true or false."))
    if not body.get("lines"):
        reader.refuse("lines", "field.required", N_("This is required."))
    lines: list[tuple[int | str, Decimal]] = []
    for at, row in enumerate(_rows(reader, body.get("lines") or [], "lines", MOST_LINES)):
        path = f"lines.{at}."
        reader.keys(row, frozenset({"line", "quantity"}), path)
        line = row.get("line")
        if isinstance(line, bool) or not isinstance(line, int | str):
            reader.refuse(path + "line", "field.required", N_("This is required."))
            continue
        quantity = reader.amount(
            row.get("quantity"), path + "quantity", most=MOST_QUANTITY, digits=QUANTITY_DIGITS
        )
        if quantity is not None:
            lines.append((_position(line), quantity))
    asked = AskedReturn(
        tuple(lines),
        preview is True,
        reader.instant(body, "at"),
        reader.text(body, "method") or "cash",
        reader.text(body, "reason"),
    )
    reader.finish()
    return asked
