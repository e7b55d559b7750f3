"""Field types that hold days, times of day, instants and lengths of time."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from random import Random
from typing import Any, ClassVar

from core.clock import to_wire
from core.expression.types import Kind, Type
from core.i18n import N_
from core.schema.fieldbase import (
    FieldError,
    FieldType,
    Loader,
    Storage,
    StorageKind,
    WrongTypeError,
)
from core.schema.model import Field
from core.schema.numbertypes import NUMBER_OPERATORS

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?P<zone>Z|z|[+-][0-9]{2}:[0-9]{2})?"
)
#: A day, maybe with a time, as spreadsheets show it: 2024/1/5, 2024年1月5日, 2024.01.05 8:30.
_SHOWN = re.compile(
    r"([0-9]{4})([-/.年])([0-9]{1,2})([-/.月])([0-9]{1,2})日?"
    r"(?:[T ]([0-9]{1,2}):([0-9]{2})(:[0-9]{2})?)?"
)
_SEPARATORS = {("-", "-"), ("/", "/"), (".", "."), ("年", "月")}
_ISO_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<days>[0-9]{1,6})D)?"
    r"(?:T(?:(?P<hours>[0-9]{1,7})H)?(?:(?P<minutes>[0-9]{1,8})M)?(?:(?P<seconds>[0-9]{1,9})S)?)?"
)
_SHORT_DURATION = re.compile(
    r"(?P<sign>-?)(?:(?P<days>[0-9]{1,6})d)? ?(?:(?P<hours>[0-9]{1,7})h)? ?"
    r"(?:(?P<minutes>[0-9]{1,8})m)? ?(?:(?P<seconds>[0-9]{1,9})s)?"
)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_LONGEST = 36_525 * 86_400

_BAD_DATETIME = N_("This is not a date and time (YYYY-MM-DDTHH:MM:SSZ).")


def tidy_day(text: str) -> str:
    """Return a day, maybe with a time, in ISO 8601 when it is written as spreadsheets show it."""
    shown = _SHOWN.fullmatch(text.strip())
    if shown is None or (shown[2], shown[4]) not in _SEPARATORS:
        return text
    day = f"{shown[1]}-{shown[3]:0>2}-{shown[5]:0>2}"
    return f"{day} {shown[6]:0>2}:{shown[7]}{shown[8] or ''}" if shown[6] else day


class BoundedType(FieldType):
    """What the types here share: a kind of storage, bounds, and reading text."""

    properties = frozenset({"min", "max"})
    operators: ClassVar[tuple[str, ...]] = NUMBER_OPERATORS
    kind: ClassVar[StorageKind]
    value: ClassVar[Kind]
    expected: ClassVar[str]
    python: ClassVar[type]

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  all fields of a type are kept alike
        """Return a column of this type's kind."""
        return Storage(self.kind)

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  all fields of a type are alike
        """Return this type's own kind."""
        return Type(self.value)

    def read(self, text: str) -> Any:
        """Return the value that `text` states; raises FieldError."""
        raise NotImplementedError

    def accept(self, value: Any) -> Any:
        """Return a Python value of this type made ready to store; raises FieldError."""
        return value

    def loader(self, field: Field) -> Loader:
        """Return a function that reads text and checks the bounds."""
        least = None if field.min is None else self.read(field.min)
        most = None if field.max is None else self.read(field.max)
        python, read, accept, expected = self.python, self.read, self.accept, self.expected

        def load(value: Any) -> Any:
            if value is None or value == "":
                return None
            if type(value) is str:
                value = read(value.strip())
            elif type(value) is python:
                value = accept(value)
            else:
                raise WrongTypeError(expected)
            if least is not None and value < least:
                raise FieldError("field.too_small", N_("At least {limit}."), limit=field.min)
            if most is not None and value > most:
                raise FieldError("field.too_large", N_("At most {limit}."), limit=field.max)
            return value

        return load

    def dump(self, value: Any) -> Any:
        """Return the value in ISO 8601."""
        return None if value is None else value.isoformat()


class DateType(BoundedType):
    """A day without a time zone."""

    name = "date"
    widget = "date"
    kind = "date"
    value = "date"
    expected = "date"
    python = date

    def read(self, text: str) -> date:
        """Return the day written YYYY-MM-DD.

        Raises:
            FieldError: the value is refused.
        """
        try:
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass  # the 30th of February: the same answer as for any other text
        raise FieldError("field.bad_date", N_("This is not a date (YYYY-MM-DD)."))

    def tidy(self, text: str) -> str:
        """Return the day as YYYY-MM-DD, without the midnight that spreadsheets put behind it."""
        return tidy_day(text).removesuffix(" 00:00:00")

    def sample(self, field: Field, random: Random) -> date:
        """Return a day within the bounds."""
        first = date(1950, 1, 1) if field.min is None else self.read(field.min)
        last = date(2049, 12, 31) if field.max is None else self.read(field.max)
        return first + timedelta(days=random.randint(0, max(0, (last - first).days)))


class TimeType(BoundedType):
    """A time of day without a time zone, to the second."""

    name = "time"
    widget = "time"
    kind = "time"
    value = "time"
    expected = "time"
    python = time

    def read(self, text: str) -> time:
        """Return the time written HH:MM or HH:MM:SS.

        Raises:
            FieldError: the value is refused.
        """
        try:
            if _TIME.fullmatch(text):
                return time.fromisoformat(text)
        except ValueError:
            pass  # 25:00: the same answer as for any other text
        raise FieldError("field.bad_time", N_("This is not a time (HH:MM)."))

    def accept(self, value: time) -> time:
        """Return the time without parts of a second; refuse a time zone.

        Raises:
            FieldError: the value is refused.
        """
        if value.tzinfo is not None:
            raise FieldError("field.bad_time", N_("This is not a time (HH:MM)."))
        return value.replace(microsecond=0)

    def sample(self, field: Field, random: Random) -> time:
        """Return a time within the bounds."""
        first = time(0) if field.min is None else self.read(field.min)
        last = time(23, 59, 59) if field.max is None else self.read(field.max)
        second = random.randint(_second_of_day(first), max(_second_of_day(last), 0))
        return time(second // 3600, second // 60 % 60, second % 60)


def _second_of_day(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


class DatetimeType(BoundedType):
    """An instant, kept in UTC to the microsecond."""

    name = "datetime"
    widget = "datetime"
    kind = "instant"
    value = "datetime"
    expected = "datetime"
    python = datetime

    def read(self, text: str, zone: tzinfo | None = None) -> datetime:
        """Return the instant written in RFC 3339; `zone` is that of texts that name none.

        Raises:
            FieldError: it is written otherwise, or has no time zone.
        """
        if not _INSTANT.fullmatch(text):
            raise FieldError("field.bad_datetime", _BAD_DATETIME)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:  # the 30th of February
            raise FieldError("field.bad_datetime", _BAD_DATETIME) from None
        return self._in_utc(moment, zone)

    @staticmethod
    def _in_utc(moment: datetime, zone: tzinfo | None) -> datetime:
        """Return an instant in UTC.

        Raises:
            FieldError: it has no time zone, or is out of the calendar in UTC.
        """
        if moment.tzinfo is None:
            if zone is None:
                text = N_("The time zone is missing: end it with Z or +08:00.")
                raise FieldError("field.zone_missing", text)
            moment = moment.replace(tzinfo=zone)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise FieldError("field.bad_datetime", _BAD_DATETIME) from None

    def accept(self, value: datetime) -> datetime:
        """Return the instant in UTC; one without a time zone is refused."""
        return self._in_utc(value, None)

    def tidy(self, text: str) -> str:
        """Return the instant in RFC 3339; a day alone is its midnight."""
        day = tidy_day(text)
        return f"{day} 00:00" if _DATE.fullmatch(day) else day

    def from_text(self, text: str, field: Field, zone: tzinfo | None = None) -> Any:
        """Return the instant of a text; `zone` is that of texts that name none."""
        if text and zone is not None:
            return self.load(self.read(text.strip(), zone), field)
        return self.load(text, field)

    def dump(self, value: Any) -> Any:
        """Return the instant as RFC 3339 in UTC."""
        return None if value is None else to_wire(value)

    def sample(self, field: Field, random: Random) -> datetime:
        """Return an instant within the bounds."""
        first = datetime(1990, 1, 1, tzinfo=UTC) if field.min is None else self.read(field.min)
        last = datetime(2049, 1, 1, tzinfo=UTC) if field.max is None else self.read(field.max)
        seconds = random.randint(0, max(0, int((last - first).total_seconds())))
        return first + timedelta(seconds=seconds)


class DurationType(BoundedType):
    """A length of time: whole seconds, as an integer, in Python and in the column."""

    name = "duration"
    widget = "duration"
    kind = "integer"
    value = "duration"
    expected = "duration"
    python = int

    def read(self, text: str) -> int:
        """Return the length written as `PT1H30M` or `1h 30m`.

        Raises:
            FieldError: it is written otherwise, or is longer than a century.
        """
        match = _ISO_DURATION.fullmatch(text) or _SHORT_DURATION.fullmatch(text)
        parts = match.groupdict() if match else {}
        sign = -1 if parts.pop("sign", "") else 1
        numbers = {unit: int(number) for unit, number in parts.items() if number}
        if not numbers:
            raise FieldError(
                "field.bad_duration", N_("This is not a length of time (PT1H30M or 1h 30m).")
            )
        seconds = sum(number * _SECONDS[unit] for unit, number in numbers.items())
        return self.accept(sign * seconds)

    def accept(self, value: int) -> int:
        """Return the length.

        Raises:
            FieldError: it is longer than a century.
        """
        if abs(value) > _LONGEST:
            raise FieldError("field.too_large", N_("At most {limit}."), limit="PT876600H")
        return value

    def dump(self, value: Any) -> Any:
        """Return the length in ISO 8601, hours, minutes and seconds."""
        if value is None:
            return None
        minutes, seconds = divmod(abs(value), 60)
        hours, minutes = divmod(minutes, 60)
        parts = [f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n]
        return f"{'-' if value < 0 else ''}PT{''.join(parts) or '0S'}"

    def sample(self, field: Field, random: Random) -> int:
        """Return a length within the bounds."""
        least = 0 if field.min is None else self.read(field.min)
        most = least + 10**6 if field.max is None else self.read(field.max)
        return random.randint(least, max(least, most))


TYPES: tuple[FieldType, ...] = (DateType(), TimeType(), DatetimeType(), DurationType())
